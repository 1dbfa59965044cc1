# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The certificate authority of a site, and who trusts it.

Core trusts the authority's web server as it would a public one; clients trust what
the authority issues beside what this machine trusts.
"""

from __future__ import annotations

import ipaddress
import sys
import typing as tp

from clients import internet
from imaging import commands, host
from stand import answering, outside, processes
from stand.authority import identity

if tp.TYPE_CHECKING:
    import pathlib

    from imaging.containers import sites

# Hard-wired in Core's certificate agent (gcl_certbot_plugin.acme.DIRECTORY_URL_PROD).
NAME: tp.Final = "acme-v02.api.letsencrypt.org"
_ADDRESS: tp.Final = 8
_MANAGEMENT: tp.Final = "127.0.0.1:15000"
# Where the Core node finds whom to trust. Its agent speaks HTTPS to nobody else.
_CORE_ROOTS: tp.Final = "/etc/ssl/stand.pem"
_CORE_DROP_IN: tp.Final = "/etc/systemd/system/exordos-universal-agent.service.d/stand.conf"


def address(site: sites.Site) -> ipaddress.IPv4Address:
    """Return the address of the authority."""
    return site.subnet[_ADDRESS]


def roots(site: sites.Site) -> pathlib.Path:
    """Return the file of what clients trust: this machine's roots and the authority's."""
    return _directory(site) / "roots.pem"


def process(site: sites.Site) -> processes.Process:
    """Return the process that is the authority."""
    command = (
        *(sys.executable, "-m", "stand.authority", "--state", str(_directory(site))),
        *("--name", NAME, "--address", str(address(site)), "--management", _MANAGEMENT),
        *("--resolver", f"{outside.resolver(site)}:{outside.DNS_PORT}"),
    )
    return processes.Process(site, "authority", command)


def ensure(site: sites.Site) -> bool:
    """Start the authority and wait for it to answer; the world outside must be there.

    Returns whether it was started: it knows nobody then, and has a new root.
    Raises TimeoutError, with the process's log in the site's logs.
    """
    interface = ipaddress.IPv4Interface((address(site), site.subnet.prefixlen))
    commands.run("ip", "address", "replace", str(interface), "dev", site.bridge)
    internet.Client(outside.url(site)).publish(NAME, "A", str(address(site)))
    identity.ensure(_directory(site), NAME)
    is_new = process(site).ensure()
    own = root(site)
    known = roots(site).read_text() if roots(site).exists() else host.MACHINE_CA_BUNDLE.read_text()
    if own not in known:
        # Certificates of the roots before it are still served.
        roots(site).write_text(f"{known}{own}")
    return is_new


def root(site: sites.Site) -> str:
    """Return the root of all that the authority issues, as PEM; it is another at each start.

    Waits for the authority to answer; raises TimeoutError.
    """
    files = identity.ensure(_directory(site), NAME)
    return answering.wait(
        "the authority", f"https://{_MANAGEMENT}/roots/0", verify=str(files.root)
    ).text


def core_files(site: sites.Site) -> dict[str, str]:
    """Return the files by which the Core node trusts the authority."""
    root = identity.ensure(_directory(site), NAME).root
    return {
        _CORE_ROOTS: root.read_text(),
        _CORE_DROP_IN: f"[Service]\nEnvironment=REQUESTS_CA_BUNDLE={_CORE_ROOTS}\n",
    }


def _directory(site: sites.Site) -> pathlib.Path:
    return site.directory / "authority"
