# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""mail.env, by which the control plane tells a node its mail domain."""

from __future__ import annotations

from exordos_paas_mail.codecs import domains, env_files

_KEY = "MAIL_DOMAIN"


def _check(domain: str) -> str:
    if not domains.is_host_name(domain):
        raise ValueError(f"{_KEY} is not a lower-case DNS name of two labels or more")
    return domain


def render(domain: str) -> str:
    """Return mail.env for *domain*, a lower-case DNS name (IDNA A-labels).

    Raises ValueError for anything else.
    """
    return env_files.render({_KEY: _check(domain)})


def parse(text: str) -> str:
    """Return the mail domain that *text* names.

    Keys other than MAIL_DOMAIN are skipped: a node may be older than the
    control plane that writes the file. Raises ValueError when MAIL_DOMAIN is
    missing or not a DNS name exactly as ``render`` writes it, and where
    ``env_files.parse`` does.
    """
    values = env_files.parse(text)
    if _KEY not in values:
        raise ValueError(f"{_KEY} is missing")
    return _check(values[_KEY])
