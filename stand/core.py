# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The node that runs Exordos Core, set up by Core's own bootstrap.

``ec-bootstrap`` expects what the installer leaves on a CD: a specification of
the installation and the manifests of its first elements.
"""

from __future__ import annotations

import ipaddress
import json
import secrets
import sys
import typing as tp
import uuid as sys_uuid

import jinja2
import requests
import yaml

from clients import exordos as exordos_client
from clients import files, iam, waiting
from imaging import exordos_cli, images
from imaging.containers import nodes
from stand import platform_layers, repository, settings, trust

if tp.TYPE_CHECKING:
    import pathlib

    from imaging.containers import sites

NAME: tp.Final = "core"
CLIENT_ID: tp.Final = "Exordos"
# Nodes are sized by profile; Core's own set must match what the profile says.
_PROFILE: tp.Final = "develop"
_CORES: tp.Final = 1
_MEMORY: tp.Final = 1024
_DISKS: tp.Final = [{"size": 10, "label": "root"}, {"size": 10, "label": "data"}]
_MAC: tp.Final = "52:54:00:00:00:02"
# There is no wire for network boot: the loopback of the Core node stands in.
_BOOT_NETWORK: tp.Final = ipaddress.IPv4Network("127.30.0.0/24")
BOOT_API: tp.Final = f"http://{_BOOT_NETWORK[2]}:11013"
_READY_SECONDS: tp.Final = 240
_CDROM: tp.Final = "/mnt/cdrom"
_SIGNING_KEY: tp.Final = "/v1/secret/passwords/00000000-0000-0000-0000-000000000001"
_PUBLISHED_KEY: tp.Final = "secret"
# HS256 wants a key as long as its digest (RFC 7518, 3.2).
_KEY_BYTES: tp.Final = 32
_KEY_SECONDS: tp.Final = 60


def address(site: sites.Site) -> ipaddress.IPv4Address:
    """Return Core's address: Core tells nodes that the second of the subnet is its own."""
    return site.subnet[2]


def url(site: sites.Site) -> str:
    """Return where Core's API answers, behind its load balancer."""
    return f"http://{address(site)}/api/core"


def node(site: sites.Site, made: settings.Settings) -> nodes.Node:
    """Return the node that runs Core."""
    return nodes.Node(site, sys_uuid.UUID(made.core_uuid))


def boot_wire(site: sites.Site, made: settings.Settings) -> pathlib.Path:
    """Return the network namespace where BOOT_API answers; each boot of Core has another one."""
    return node(site, made).port.namespace_file


def up(site: sites.Site, made: settings.Settings) -> None:
    """Boot Core if it is down; a changed image gives it a new root and the same data."""
    layers = images.ensure(platform_layers.CORE)
    version = platform_layers.PINS["EXORDOS_CORE_VERSION"]
    image = repository.publish_image(site, "core", version, "exordos-core", layers)
    cdrom = site.directory / "cdrom"
    cdrom.mkdir(parents=True, exist_ok=True)
    files.write_private(
        cdrom / "spec.json", json.dumps(_specification(site, made, image), indent=2)
    )
    for element in ("core", "ecosystem_realm"):
        (cdrom / f"{element}.yaml").write_text(_manifest(layers, element))
    interface = ipaddress.IPv4Interface((address(site), site.subnet.prefixlen))
    spec = nodes.Spec(
        name="core.local.genesis-core.tech",
        address=str(interface),
        layers=tuple(map(str, layers)),
        mac=_MAC,
        data=str(site.volumes / "core"),
        media={_CDROM: str(cdrom)},
        files=trust.core_files(site),
    )
    machine = node(site, made)
    if machine.exists and machine.spec.layers != spec.layers:
        machine.reimage(spec.layers)
    machine.up(spec)


def forget_authority(site: sites.Site, made: settings.Settings) -> None:
    """Have Core, if it is up, introduce itself to a certificate authority that is new."""
    machine = node(site, made)
    if machine.is_up():
        machine.exec("systemctl", "try-restart", "exordos-universal-agent.service")


def administrator(site: sites.Site, made: settings.Settings) -> iam.Session:
    """Return a session of Core's administrator."""
    return iam.Session(url(site), "admin", made.admin_password)


def wait_ready(site: sites.Site, made: settings.Settings) -> iam.Session:
    """Wait until Core lets its administrator in; return the administrator's session."""
    admin = administrator(site, made)
    waiting.until("Core", admin.is_let_in, _READY_SECONDS)
    replace_signing_key(admin)
    return admin


def replace_signing_key(admin: iam.Session) -> None:
    """Give Core another key to sign tokens with, where it has the one that its sources publish.

    With that key anybody makes themselves the token of an administrator. Returns
    when a token of the old key is refused and *admin* is let in with one of the new.
    """
    api = admin.api()
    if api.read(_SIGNING_KEY)["value"] != _PUBLISHED_KEY:
        return
    api.expect(200, "PUT", _SIGNING_KEY, {"value": secrets.token_hex(_KEY_BYTES)})
    waiting.until(
        "the end of tokens of the published key",
        lambda: api.call("GET", _SIGNING_KEY).status_code,
        _KEY_SECONDS,
        lambda status: status == requests.codes.unauthorized,
    )
    admin.forget()
    waiting.until("Core, with its own key", admin.is_let_in, _KEY_SECONDS)


def exordos(site: sites.Site, session: iam.Session) -> exordos_client.Exordos:
    """Return the exordos CLI as the user of *session*, installed first where it is missing."""
    program = exordos_cli.ensure(_tell)
    return exordos_client.logged_in(str(program), site.directory / "exordos", session)


def _tell(text: str) -> None:
    # What the CLI prints on stdout is its own.
    print(text, file=sys.stderr)


def _specification(site: sites.Site, made: settings.Settings, image: str) -> dict[str, tp.Any]:
    return {
        "admin_password": made.admin_password,
        "profile": _PROFILE,
        # The realm's registration with the vendor; values that lead nowhere.
        "disable_telemetry": True,
        "ecosystem_endpoint": "http://127.0.0.1:9",
        "realm_uuid": made.core_uuid,
        "realm_secret": "none",
        "realm_tokens": {"access_token": "none", "refresh_token": "none"},
        "iam": {
            "default_client_uuid": str(sys_uuid.UUID(int=0)),
            "default_client_id": CLIENT_ID,
            "default_client_secret": made.client_secret,
        },
        "stand": {
            "name": site.name,
            "network": {"name": "main", "cidr": str(site.subnet), "dhcp": False},
            "boot_network": {"name": "boot", "cidr": str(_BOOT_NETWORK), "dhcp": False},
            "bootstraps": [
                {
                    "uuid": made.core_uuid,
                    "name": NAME,
                    "cores": _CORES,
                    "memory": _MEMORY,
                    "disks": _DISKS,
                    "image_uri": image,
                    "ports": [
                        {"mac": _MAC, "ip": str(address(site))},
                        {"mac": "52:54:00:00:01:02", "ip": None},
                    ],
                }
            ],
            "hypervisors": [
                {
                    "kind": "exordos_local_hyper",
                    "node": made.hypervisor_uuid,
                    "private_key": made.hypervisor_key,
                    "connection_uri": f"nspawn://{site.address.ip}",
                    "network_type": "bridge",
                    "network": site.bridge,
                    "storage_pool": [
                        {"name": "dir", "ephemeral": True},
                        {"name": "dir-durable", "ephemeral": False},
                    ],
                    "machine_prefix": "vm-",
                }
            ],
        },
    }


def _manifest(layers: list[pathlib.Path], element: str) -> str:
    (template,) = layers[0].glob(
        f"opt/exordos_core/.venv/lib/python3*/site-packages/exordos/manifests/{element}.yaml.j2"
    )
    version = platform_layers.PINS["EXORDOS_CORE_VERSION"]
    manifest = yaml.safe_load(jinja2.Template(template.read_text()).render(version=version))
    if element == "core":
        # The IAM cache is no Python package; Core itself answers for it.
        pools = manifest["resources"]["$core.network.lb.$core_lb.backend_pools"]
        pools["core_lb_iam_cache_backend_http"]["endpoints"][0]["port"] = 11010
    return str(yaml.safe_dump(manifest, sort_keys=False))
