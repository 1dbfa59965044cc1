# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""mail.env, by which the control plane tells a node its mail domain and its own name."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail.codecs import domains, env_files

_DOMAIN = "MAIL_DOMAIN"
_HOSTNAME = "MAIL_HOSTNAME"


class Identity(tp.NamedTuple):
    """Whom a node relays for, and what it calls itself."""

    domain: str
    hostname: str


def _check(key: str, name: str) -> str:
    if not domains.is_host_name(name):
        raise ValueError(f"{key} is not a lower-case DNS name of two labels or more")
    return name


def render(domain: str, hostname: str | None = None) -> str:
    """Return mail.env for *domain* and *hostname*, lower-case DNS names (IDNA A-labels).

    None is a relay that goes by its domain. It is told nothing more, so that its file
    stays byte for byte that of a release without host names, and is not delivered anew.

    Raises ValueError for anything else.
    """
    values = {_DOMAIN: _check(_DOMAIN, domain)}
    if hostname is not None and hostname != domain:
        values[_HOSTNAME] = _check(_HOSTNAME, hostname)
    return env_files.render(values)


def parse(text: str) -> Identity:
    """Return what *text* tells; without a MAIL_HOSTNAME the domain is the name.

    Other keys are skipped: a node may be older than the control plane that writes
    the file. Raises ValueError when MAIL_DOMAIN is missing or a name is not a DNS
    name exactly as ``render`` writes it, and where ``env_files.parse`` does.
    """
    values = env_files.parse(text)
    if _DOMAIN not in values:
        raise ValueError(f"{_DOMAIN} is missing")
    domain = _check(_DOMAIN, values[_DOMAIN])
    return Identity(domain, _check(_HOSTNAME, values.get(_HOSTNAME, domain)))
