# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""codecs.hosts and node.ensure_mounted_file: /etc/hosts."""

from __future__ import annotations

import errno
import pathlib
import typing as tp

import hypothesis
import pytest
from hypothesis import strategies as st

from exordos_paas_mail.codecs import hosts

if tp.TYPE_CHECKING:
    from exordos_paas_mail.tests.unit.node import fake_node

OURS = "127.0.1.1\tmail.example.com\t# exordos-mail-configure\n"


@hypothesis.given(st.text(alphabet="ab \t#\n127.", max_size=60))
def test_rendering_again_changes_nothing_and_other_lines_stay(text: str) -> None:
    once = hosts.render(text, "mail.example.com")

    assert hosts.render(once, "mail.example.com") == once
    assert once == (text if not text or text.endswith("\n") else f"{text}\n") + OURS


def test_a_new_domain_takes_the_place_of_the_old_one() -> None:
    text = hosts.render("127.0.0.1 localhost\n", "other.example")

    assert hosts.render(text, "mail.example.com", "mail") == (
        "127.0.0.1 localhost\n127.0.1.1\tmail.example.com mail\t# exordos-mail-configure\n"
    )


def test_a_file_that_is_a_mount_point_is_written_in_place(
    fake: fake_node.FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fake.path("/etc/hosts")
    before = path.stat().st_ino

    def replace(self: pathlib.Path, target: pathlib.Path) -> tp.NoReturn:
        raise OSError(errno.EBUSY, "Device or resource busy", str(self), None, str(target))

    monkeypatch.setattr(pathlib.Path, "replace", replace)

    assert fake.machine.ensure_mounted_file("/etc/hosts", b"short\n")
    assert (path.read_bytes(), path.stat().st_ino) == (b"short\n", before)
    assert not fake.machine.ensure_mounted_file("/etc/hosts", b"short\n")
    assert fake.machine.names("/etc") == ["exim4", "exordos_metapaas", "hosts"]


def test_another_failure_of_the_rename_is_no_reason_to_write_in_place(
    fake: fake_node.FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fake.read("/etc/hosts")

    def replace(self: pathlib.Path, target: pathlib.Path) -> tp.NoReturn:
        raise OSError(errno.EIO, "Input/output error", str(self), None, str(target))

    monkeypatch.setattr(pathlib.Path, "replace", replace)

    with pytest.raises(OSError, match="Input/output"):
        fake.machine.ensure_mounted_file("/etc/hosts", b"short\n")
    assert fake.read("/etc/hosts") == before
