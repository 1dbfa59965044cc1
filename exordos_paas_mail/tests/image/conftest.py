# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Nodes of the image under systemd-nspawn, on a wire of their own."""

from __future__ import annotations

import fcntl
import ipaddress
import os
import pathlib
import typing as tp

import pytest

from exordos_paas_mail.tests.image import containers
from imaging import images
from imaging.containers import mounts, network, nodes, sites


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.getuid() != 0 and items:
        pytest.exit("the image tests make nodes: run them as root", returncode=1)


@pytest.fixture(scope="session")
def layers() -> tuple[str, ...]:
    return tuple(map(str, images.ensure(images.MAIL)))


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> tp.Iterator[sites.Site]:
    made = sites.Site(
        "image", tmp_path_factory.mktemp("site"), ipaddress.IPv4Network("10.77.8.0/24")
    )
    # Its names on this machine are one run's at a time.
    with pathlib.Path("/run/lock/mailaas-image-test.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        nodes.clear(made)  # what a run that was killed left
        network.ensure(made)
        yield made
        nodes.clear(made)


@pytest.fixture
def container(site: sites.Site, layers: tuple[str, ...]) -> tp.Iterator[containers.Container]:
    """Boot a node with an empty data disk."""
    made = containers.start(site, layers, data=True)
    yield made
    made.node.destroy()


@pytest.fixture
def diskless(site: sites.Site, layers: tuple[str, ...]) -> tp.Iterator[containers.Container]:
    """Boot a node without a data disk."""
    made = containers.start(site, layers, data=False)
    yield made
    made.node.destroy()


@pytest.fixture
def renumbered(layers: tuple[str, ...], tmp_path: pathlib.Path) -> tuple[str, ...]:
    """Return the image as another build may make it: exim's user has another number."""
    upper, work, root = (tmp_path / name for name in ("upper", "work", "root"))
    for directory in (upper, work, root):
        directory.mkdir()
    mounts.overlay([pathlib.Path(layer) for layer in layers], upper, work, root)
    try:
        containers.renumber(root, "Debian-exim", 4711)
    finally:
        mounts.remove(root)
    return (str(upper), *layers)
