# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The pure parts: names, keys, what is found on the machine, what is kept."""

from __future__ import annotations

import ipaddress
import pathlib
import typing as tp
import uuid

import pytest

from imaging import digests
from imaging.containers import mounts, network, nodes, sites

NET: tp.Final = ipaddress.IPv4Network("10.99.0.0/24")


@pytest.fixture
def site(tmp_path: pathlib.Path) -> sites.Site:
    return sites.Site("test", tmp_path, NET)


@pytest.mark.parametrize("name", ["", "seven77", "UPPER", "toolong", "a b", "a/b"])
def test_a_site_has_a_name_that_fits_into_an_interface_name(
    name: str, tmp_path: pathlib.Path
) -> None:
    with pytest.raises(ValueError, match="1 to 6 lower-case letters"):
        sites.Site(name, tmp_path, NET)


@pytest.mark.parametrize("part", ["a:b", "a,b", "a\\b"])
def test_a_directory_that_overlayfs_cannot_name_is_refused(
    part: str, tmp_path: pathlib.Path
) -> None:
    with pytest.raises(ValueError, match="overlayfs cannot name"):
        sites.Site("test", tmp_path / part, NET)


def test_interface_names_are_at_most_15_characters(tmp_path: pathlib.Path) -> None:
    longest = sites.Site("aaaaaa", tmp_path, NET)
    node = nodes.Node(longest, uuid.uuid4())
    assert len(node.port.link) == 15
    assert len(longest.bridge) <= 15


def test_the_machine_has_the_first_address_of_the_subnet(site: sites.Site) -> None:
    assert str(site.address) == "10.99.0.1/24"


def test_equal_files_have_equal_keys_and_others_have_others(tmp_path: pathlib.Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for directory in (one, two):
        (directory / "sub").mkdir(parents=True)
        (directory / "sub/file").write_text("text")
        (directory / "__pycache__").mkdir()
    (one / "__pycache__/x.pyc").write_text("noise")
    keys = {digests.of_files(digests.below(directory)) for directory in (one, two)}
    assert len(keys) == 1
    (two / "sub/file").chmod(0o755)
    keys.add(digests.of_files(digests.below(two)))
    (two / "sub/file").write_text("other")
    keys.add(digests.of_files(digests.below(two)))
    (two / "sub/file").rename(two / "sub/name")
    keys.add(digests.of_files(digests.below(two)))
    assert len(keys) == 4


def test_texts_are_not_run_together_in_a_key() -> None:
    assert digests.of_texts("ab", "c") != digests.of_texts("a", "bc")


def test_mount_points_are_found_below_a_directory_and_nowhere_else() -> None:
    assert pathlib.Path("/proc") in mounts.below(pathlib.Path("/proc"))
    assert mounts.below(pathlib.Path("/proc/self/none")) == []


def test_a_node_that_was_never_started_is_not_up_and_cannot_be_entered(site: sites.Site) -> None:
    node = nodes.Node(site, uuid.uuid4())
    assert not node.is_up()
    with pytest.raises(nodes.NotUpError):
        node.enter("true")


def test_no_interface_of_another_site_is_taken_for_ones_own(site: sites.Site) -> None:
    assert network.links(site) == []
    assert network.namespaces(site) == []
