# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The wire of a site's machines, the stand's as well."""

from __future__ import annotations

import pathlib
import typing as tp

from imaging import commands

if tp.TYPE_CHECKING:
    from imaging.containers import sites


def test_the_bridge_keeps_its_address_when_a_machine_with_a_lower_one_comes_and_goes(
    site: sites.Site,
) -> None:
    address = pathlib.Path("/sys/class/net", site.bridge, "address")
    before = address.read_text()
    cable, other_end = f"{site.name}-lowest", f"{site.name}-l-peer"
    # No address that the kernel makes up is lower.
    lowest = ("address", "02:00:00:00:00:00")
    commands.run(*("ip", "link", "add", cable, *lowest, "type", "veth", "peer", "name", other_end))
    try:
        commands.run("ip", "link", "set", cable, "master", site.bridge, "up")
        assert address.read_text() == before
    finally:
        commands.run("ip", "link", "delete", cable)
    assert address.read_text() == before
