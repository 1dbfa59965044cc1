# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The world outside a site: its name server and its mail exchanger, as one process.

The name server answers on the machine's own address of the bridge, the
exchanger on an address of its own, as a stranger's would.
"""

from __future__ import annotations

import ipaddress
import sys
import typing as tp

import requests

from clients import waiting
from imaging import commands
from stand import processes

if tp.TYPE_CHECKING:
    from imaging.containers import sites

DNS_PORT: tp.Final = 53
SMTP_PORT: tp.Final = 25
HTTP_PORT: tp.Final = 8053
# Core takes the second address of the subnet for itself, and nodes theirs from far above.
_EXCHANGER: tp.Final = 3
_START_SECONDS: tp.Final = 20


def resolver(site: sites.Site) -> str:
    """Return the address of the name server, for the nodes' resolv.conf."""
    return str(site.address.ip)


def exchanger(site: sites.Site) -> ipaddress.IPv4Address:
    """Return the address of the mail exchanger."""
    return site.subnet[_EXCHANGER]


def url(site: sites.Site) -> str:
    """Return where records are published and mail is read."""
    return f"http://{site.address.ip}:{HTTP_PORT}"


def process(site: sites.Site) -> processes.Process:
    """Return the process that is the world outside."""
    command = (
        *(sys.executable, "-m", "stand.internet"),
        *("--state", str(site.directory / "internet")),
        *("--dns", f"{resolver(site)}:{DNS_PORT}"),
        *("--smtp", f"{exchanger(site)}:{SMTP_PORT}"),
        *("--http", f"{site.address.ip}:{HTTP_PORT}"),
    )
    return processes.Process(site, "internet", command)


def ensure(site: sites.Site) -> None:
    """Start the world outside and wait for it to answer; the bridge must be there.

    Raises TimeoutError, with the process's log in the site's logs.
    """
    interface = ipaddress.IPv4Interface((exchanger(site), site.subnet.prefixlen))
    commands.run("ip", "address", "replace", str(interface), "dev", site.bridge)
    process(site).ensure()
    waiting.until("the world outside", lambda: _answers(url(site)), _START_SECONDS)


def _answers(address: str) -> bool:
    try:
        return requests.get(address, timeout=1).ok
    except requests.ConnectionError:
        return False
