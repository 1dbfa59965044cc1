# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The pure parts of the stand: names, keys, versions, what is written where."""

from __future__ import annotations

import ipaddress
import json
import pathlib
import typing as tp
import uuid

import pytest

from exordos_paas_mail.codecs import public_addresses
from imaging.containers import cgroups, mounts, nodes, sites
from stand import (
    __main__ as command_line,
)
from stand import (
    installation,
    manifests,
    outside,
    platform_layers,
    repository,
    settings,
)
from stand.hypervisor import images as flashed_images
from stand.hypervisor import records
from stand.internet import authority, signing

NET: tp.Final = ipaddress.IPv4Network("10.99.0.0/24")


@pytest.fixture
def site(tmp_path: pathlib.Path) -> sites.Site:
    return sites.Site("test", tmp_path, NET)


def make_node(site: sites.Site, number: int, name: str) -> nodes.Node:
    node = nodes.Node(site, uuid.UUID(int=number << 96))
    node.directory.mkdir(parents=True)
    spec = {"name": name, "address": f"10.99.0.{number}/24", "layers": ["/top", "/bottom"]}
    (node.directory / "node.json").write_text(json.dumps(spec))
    return node


@pytest.mark.parametrize(
    ("present", "version"),
    [
        pytest.param(None, "1.2.3-dev+00000000000001.abc0", id="first"),
        pytest.param("1.2.3", "1.2.3-dev+00000000000001.abc0", id="a release is there"),
        pytest.param(
            "1.2.3-dev+00000000000007.abc0", "1.2.3-dev+00000000000007.abc0", id="same content"
        ),
        pytest.param(
            "1.2.3-dev+00000000000009.def0", "1.2.3-dev+00000000000010.abc0", id="other content"
        ),
    ],
)
def test_another_content_is_a_higher_version_and_the_same_is_the_same(
    present: str | None, version: str
) -> None:
    assert manifests.next_version("1.2.3", "abc0", present) == version


def test_settings_are_made_once_and_are_private(tmp_path: pathlib.Path) -> None:
    made = settings.ensure(tmp_path)
    assert settings.ensure(tmp_path) == made
    assert [(path.name, path.stat().st_mode & 0o777) for path in tmp_path.iterdir()] == [
        ("settings.json", 0o600)
    ]


def test_the_index_names_each_wheel_with_its_digest(
    site: sites.Site, tmp_path: pathlib.Path
) -> None:
    wheel = tmp_path / "some_thing-1.0-py3-none-any.whl"
    wheel.write_bytes(b"wheel")
    digest = repository.publish_wheel(site, wheel)
    assert repository.publish_wheel(site, wheel) == digest
    page = site.directory / "repository/simple/some-thing/index.html"
    assert page.read_text().splitlines() == [
        "<!DOCTYPE html>",
        "<title>some-thing</title>",
        f'<a href="{wheel.name}#sha256={digest}">{wheel.name}</a><br>',
    ]


def test_plugins_are_installed_from_the_stands_index() -> None:
    files = platform_layers.METAPAAS.files
    unit = files / "etc/systemd/system/exordos-metapaas-gservice.service.d/stand.conf"
    index = f"{repository.url(settings.SITE)}/simple"
    assert f"=UV_DEFAULT_INDEX={index} " in unit.read_text()


def test_an_image_is_published_where_the_element_is(site: sites.Site) -> None:
    url = repository.publish_image(site, "mailaas", "1.0", "disk", [pathlib.Path("/layer")])
    assert url == "http://10.99.0.1:8081/exordos-elements/mailaas/1.0/images/disk.raw.zst"
    file = site.directory / "repository" / url.removeprefix("http://10.99.0.1:8081/")
    assert json.loads(file.read_text()) == {"layers": ["/layer"]}


@pytest.mark.parametrize("text", ["mail-a", "mail-ab", "10.99.0.1", "00000001"])
def test_a_node_is_found_by_name_address_or_uuid(site: sites.Site, text: str) -> None:
    wanted = make_node(site, 1, "mail-ab")
    make_node(site, 2, "metapaas")
    (site.nodes / str(uuid.uuid4())).mkdir()
    assert command_line.find(site, text) == wanted


@pytest.mark.parametrize("text", ["m", "none"])
def test_a_text_that_means_several_nodes_or_none_is_refused(site: sites.Site, text: str) -> None:
    make_node(site, 1, "mail")
    make_node(site, 2, "metapaas")
    with pytest.raises(LookupError, match="means one node or it means nothing"):
        command_line.find(site, text)


def test_records_are_read_as_they_were_written(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "pool.json"
    kept = records.Records.read(file)
    kept.machines["a"] = {"boot": "hd0"}
    kept.ports["a"] = [{"mac": "52:54:00:00:00:01"}]
    kept.write()
    assert records.Records.read(file) == kept


def test_flashing_empties_the_root_and_keeps_what_was_flashed(site: sites.Site) -> None:
    node = make_node(site, 1, "mail")
    (node.directory / "upper").mkdir()
    (node.directory / "upper/file").touch()
    flashed = flashed_images.Flashed("http://image", ["/layer"], "key")
    flashed_images.flash(node, flashed)
    assert flashed_images.read(node) == flashed
    assert not (node.directory / "upper").exists()


def test_the_running_stand_of_another_checkout_is_left_alone(
    site: sites.Site, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation, "_CLAIMS", tmp_path)
    monkeypatch.setattr(cgroups, "processes", lambda _group: [1])
    (tmp_path / "mailaas-test").write_text("/elsewhere/.stand")
    with pytest.raises(installation.InUseError, match=r"the stand of /elsewhere/\.stand is up"):
        installation.down(site)


def test_what_a_dead_stand_of_another_checkout_left_is_cleared(
    site: sites.Site, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    dead = tmp_path / "elsewhere"
    dead.mkdir()
    cleared: list[object] = []
    monkeypatch.setattr(installation, "_CLAIMS", tmp_path)
    monkeypatch.setattr(cgroups, "processes", lambda _group: [])
    monkeypatch.setattr(nodes, "clear", cleared.append)
    monkeypatch.setattr(mounts, "remove", cleared.append)
    (tmp_path / "mailaas-test").write_text(str(dead))

    installation._claim(site)

    assert cleared == [site, dead]
    assert (tmp_path / "mailaas-test").read_text() == str(site.directory)


def test_there_is_no_environment_before_there_is_a_stand(site: sites.Site) -> None:
    with pytest.raises(LookupError, match="make stand"):
        installation.environment(site)


def test_nodes_take_the_worlds_web_server_for_a_public_one() -> None:
    (address, *_) = settings.SITE.networks[1].hosts()
    assert public_addresses.is_public(address)
    command = outside.process(settings.SITE, NET[2]).command
    assert command[command.index("--web") + 1] == f"{address}:443"


def test_the_roots_of_the_world_are_added_to_those_of_the_image(
    site: sites.Site, tmp_path: pathlib.Path
) -> None:
    bundle = tmp_path / "below/etc/ssl/certs/ca-certificates.crt"
    bundle.parent.mkdir(parents=True)
    bundle.write_text("known\n")
    layers = [str(tmp_path / "top"), str(tmp_path / "below")]
    root = authority.ensure(site.directory / "internet").root
    assert outside.trusting(site, layers) == {
        "/etc/ssl/certs/ca-certificates.crt": f"known\n{root}",
        f"/etc/ssl/certs/{authority.ROOT_HASH}.0": root,
        "/usr/share/dns/root.key": f"{signing.ensure(site.directory / 'internet').anchor}\n",
    }
