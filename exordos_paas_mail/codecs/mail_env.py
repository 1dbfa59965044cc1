# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""mail.env: the control plane tells a node its mail domain, its own name and whose it is."""

from __future__ import annotations

import typing as tp
import uuid as sys_uuid

from exordos_paas_mail.codecs import domains, env_files

_DOMAIN = "MAIL_DOMAIN"
_HOSTNAME = "MAIL_HOSTNAME"
_INSTANCE = "MAIL_INSTANCE"
_PROJECT = "MAIL_PROJECT"


class Identity(tp.NamedTuple):
    """Whom a node relays for, and what it calls itself."""

    domain: str
    hostname: str


class Owner(tp.NamedTuple):
    """Whose a node is, by which its metrics are told from those of others."""

    instance: sys_uuid.UUID
    project: sys_uuid.UUID


def _check(key: str, name: str) -> str:
    if not domains.is_host_name(name):
        raise ValueError(f"{key} is not a lower-case DNS name of two labels or more")
    return name


def render(domain: str, hostname: str | None = None, owner: Owner | None = None) -> str:
    """Return mail.env for *domain* and *hostname*, lower-case DNS names (IDNA A-labels).

    No *hostname* is a relay that goes by its domain, and is told no name.

    Raises ValueError for anything else.
    """
    values = {_DOMAIN: _check(_DOMAIN, domain)}
    if hostname is not None and hostname != domain:
        values[_HOSTNAME] = _check(_HOSTNAME, hostname)
    if owner is not None:
        values |= {_INSTANCE: str(owner.instance), _PROJECT: str(owner.project)}
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


def parse_owner(text: str) -> Owner | None:
    """Return whose the node is; None where a control plane of an earlier release wrote *text*.

    Raises ValueError for what is no uuid, and where ``env_files.parse`` does.
    """
    values = env_files.parse(text)
    if not {_INSTANCE, _PROJECT} <= values.keys():
        return None
    return Owner(sys_uuid.UUID(values[_INSTANCE]), sys_uuid.UUID(values[_PROJECT]))
