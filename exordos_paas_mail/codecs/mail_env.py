# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""mail.env, by which the control plane tells a node its mail domain.

It looks like a shell's file and is data: read line by line, never sourced.
"""

from __future__ import annotations

import re

_KEY = "MAIL_DOMAIN"
_DOMAIN_SIZE_MAX = 253
# RFC 1123 section 2.1: letters, digits and inner hyphens, 63 octets a label;
# the last label is never all digits, so that no IPv4 address is a name.
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)+(?![0-9]+\Z){_LABEL}")


def _check(domain: str) -> str:
    if len(domain) > _DOMAIN_SIZE_MAX or _DOMAIN.fullmatch(domain) is None:
        raise ValueError(f"{_KEY} is not a lower-case DNS name of two labels or more")
    return domain


def render(domain: str) -> str:
    """Return mail.env for *domain*, a lower-case DNS name (IDNA A-labels).

    Raises ValueError for anything else.
    """
    return f"{_KEY}={_check(domain)}\n"


def parse(text: str) -> str:
    """Return the mail domain that *text* names.

    Empty lines, ``#`` comments and keys other than MAIL_DOMAIN are skipped: a
    node may be older than the control plane that writes the file. Raises
    ValueError when MAIL_DOMAIN is missing, given twice, or anything but a DNS
    name exactly as ``render`` writes it (no quotes, no spaces).
    """
    values = []
    for line in text.split("\n"):
        if not line or line.startswith("#"):
            continue
        key, equals, value = line.partition("=")
        if not equals:
            raise ValueError("a line is not KEY=value")
        if key == _KEY:
            values.append(value)
    if not values:
        raise ValueError(f"{_KEY} is missing")
    if len(values) > 1:
        raise ValueError(f"{_KEY} is given twice")
    return _check(values[0])
