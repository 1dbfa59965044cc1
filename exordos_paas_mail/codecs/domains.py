# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Mail domains, in the one spelling the product uses.

A domain ends up in an environment file, an exim configuration, file names
and DNS, so whatever is not a host name is refused here.
"""

from __future__ import annotations

import re
import typing as tp

import idna

MAX_LENGTH: tp.Final = 253
MIN_LABELS: tp.Final = 2
RULE: tp.Final = "must be a DNS name of two labels or more, at most 253 characters"

# RFC 1123, section 2.1: letters, digits and hyphens, no hyphen at either end.
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def normalise(value: str) -> str:
    """Return *value* as a lower-cased name of A-labels (RFC 5890).

    Raises ValueError, naming the rule, for anything that is not a host name
    of two labels or more and at most 253 characters.
    """
    if not isinstance(value, str):
        raise ValueError(RULE)  # noqa: TRY004 - one error for every bad value
    name = value.lower() if value.isascii() else _to_a_labels(value)
    if len(name) > MAX_LENGTH:
        raise ValueError(RULE)
    labels = name.split(".")
    if len(labels) < MIN_LABELS or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(RULE)
    # The last label of an address is a number, that of a name never is
    # (RFC 3696, section 2).
    if labels[-1].isdigit():
        raise ValueError("must be a DNS name, not an address")
    for label in labels:
        if label.startswith("xn--"):
            _check_a_label(label)
    return name


def _to_a_labels(value: str) -> str:
    try:
        return idna.encode(value, uts46=True, std3_rules=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        raise ValueError("must be a valid internationalised DNS name (IDNA 2008)") from None


def _check_a_label(label: str) -> None:
    try:
        idna.ulabel(label)
    except (idna.IDNAError, UnicodeError):
        raise ValueError("has an xn-- label that is not valid (IDNA 2008)") from None
