# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The world outside a site: its name servers, mail exchanger and web server, as one process.

The nodes' resolver answers on the machine's own address of the bridge, the others
on addresses of their own, as strangers' would.
"""

from __future__ import annotations

import ipaddress
import pathlib
import sys
import typing as tp

from imaging import commands
from stand import answering, processes
from stand.internet import authority, signing

if tp.TYPE_CHECKING:
    from imaging.containers import sites

DNS_PORT: tp.Final = 53
SMTP_PORT: tp.Final = 25
HTTP_PORT: tp.Final = 8053
# Core takes the second address of the subnet for itself, and nodes theirs from far above.
_EXCHANGER: tp.Final = 3
_ROOT: tp.Final = 4
_WORLD: tp.Final = 5
_PRIMARY: tp.Final = 6
_SECONDARY: tp.Final = 7
# Of the public addresses.
_WEB: tp.Final = 1
_WEB_PORT: tp.Final = 443
_BUNDLE: tp.Final = "etc/ssl/certs/ca-certificates.crt"
_ROOT_KEY: tp.Final = "/usr/share/dns/root.key"
# dnsdist@public: an installation's border forwards port 53 of a public address to it.
_CLOUD_PORT: tp.Final = 5333


def resolver(site: sites.Site) -> str:
    """Return the address of the name server, for the nodes' resolv.conf."""
    return str(site.address.ip)


def exchanger(site: sites.Site) -> ipaddress.IPv4Address:
    """Return the address of the mail exchanger."""
    return site.subnet[_EXCHANGER]


def root(site: sites.Site) -> ipaddress.IPv4Address:
    """Return the address of the root's name server."""
    return site.subnet[_ROOT]


def url(site: sites.Site) -> str:
    """Return where records are published and mail is read."""
    return f"http://{site.address.ip}:{HTTP_PORT}"


def process(site: sites.Site, cloud: ipaddress.IPv4Address) -> processes.Process:
    """Return the process that is the world outside; *cloud* is Core's address."""
    command = (
        *(sys.executable, "-m", "stand.internet"),
        *("--state", str(_state(site))),
        *("--dns", f"{resolver(site)}:{DNS_PORT}"),
        *("--root", f"{root(site)}:{DNS_PORT}"),
        *("--world", f"{site.subnet[_WORLD]}:{DNS_PORT}"),
        *("--primary", f"{site.subnet[_PRIMARY]}:{DNS_PORT}"),
        *("--secondary", f"{site.subnet[_SECONDARY]}:{DNS_PORT}"),
        *("--cloud", f"{cloud}:{_CLOUD_PORT}"),
        *("--smtp", f"{exchanger(site)}:{SMTP_PORT}"),
        *("--web", f"{_web(site)}:{_WEB_PORT}"),
        *("--http", f"{site.address.ip}:{HTTP_PORT}"),
    )
    return processes.Process(site, "internet", command)


def ensure(site: sites.Site, cloud: ipaddress.IPv4Address) -> None:
    """Start the world outside and wait for it to answer; the bridge must be there.

    Raises TimeoutError, with the process's log in the site's logs.
    """
    for number in (_EXCHANGER, _ROOT, _WORLD, _PRIMARY, _SECONDARY):
        interface = ipaddress.IPv4Interface((site.subnet[number], site.subnet.prefixlen))
        commands.run("ip", "address", "replace", str(interface), "dev", site.bridge)
    # Alone, so that nothing else of its network is looked for on the bridge.
    commands.run("ip", "address", "replace", f"{_web(site)}/32", "dev", site.bridge)
    process(site, cloud).ensure()
    answering.wait("the world outside", url(site))


def trusting(site: sites.Site, layers: tp.Sequence[str]) -> dict[str, str]:
    """Return the files by which a node of *layers* trusts the internet's authority and DNS root.

    As public ones: update-ca-certificates would make the same of the one's root, and the
    distribution brings the key of the other (dns-root-data).
    """
    root = authority.ensure(_state(site)).root
    bundles = (pathlib.Path(layer, _BUNDLE) for layer in layers)
    known = next((bundle.read_text() for bundle in bundles if bundle.exists()), "")
    return {
        f"/{_BUNDLE}": known + root,
        f"/etc/ssl/certs/{authority.ROOT_HASH}.0": root,
        _ROOT_KEY: f"{signing.ensure(_state(site)).anchor}\n",
    }


def _state(site: sites.Site) -> pathlib.Path:
    return site.directory / "internet"


def _web(site: sites.Site) -> ipaddress.IPv4Address:
    _, public = site.networks
    return public[_WEB]
