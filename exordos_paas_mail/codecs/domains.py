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

from exordos_paas_mail.codecs import rules

MAX_LENGTH: tp.Final = 253
# As a person may type it: letters in several characters each, and such as mean nothing. What
# is looked at takes time by its length.
_TYPED_MAX_LENGTH: tp.Final = 4 * MAX_LENGTH
RULE: tp.Final = "must be a DNS name of two labels or more, at most 253 characters"

# RFC 1123, section 2.1: letters, digits and hyphens, no hyphen at either end.
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"(?:{_LABEL}\.)+{_LABEL}")


def is_host_name(value: str) -> bool:
    """Return whether *value* is a lower-case host name of two labels or more.

    The rule of everything that carries a domain: at most 253 characters, and no
    IPv4 address, whose last label is a number (RFC 3696, section 2).
    """
    return (
        len(value) <= MAX_LENGTH
        and _NAME.fullmatch(value) is not None
        and not value.rpartition(".")[2].isdigit()
    )


def normalise(value: str) -> str:
    """Return *value* as a lower-cased name of A-labels (RFC 5890).

    Raises RuleError for anything that ``is_host_name`` is false of, and for an
    A-label that is not valid.
    """
    if not isinstance(value, str) or len(value) > _TYPED_MAX_LENGTH:
        raise rules.RuleError(RULE)
    name = value.lower() if value.isascii() else _to_a_labels(value)
    if not is_host_name(name):
        if name.rpartition(".")[2].isdigit():
            raise rules.RuleError("must be a DNS name, not an IP address")
        raise rules.RuleError(RULE)
    for label in name.split("."):
        if label.startswith("xn--"):
            _check_a_label(label)
    return name


def with_a_labels(address: str) -> str:
    """Return *address*, or a domain alone, with the domain in A-labels.

    A client may send either, and exim takes and logs it as it was sent: what is asked about or
    compared has one spelling. What is no domain is as it was, and so is one in ASCII.
    """
    local, at, domain = address.rpartition("@")
    if domain.isascii():
        return address
    try:
        return f"{local}{at}{normalise(domain)}"
    except rules.RuleError:
        return address


def with_u_labels(address: str) -> str:
    """Return *address*, or a domain alone, with the domain in U-labels, where it has such."""
    local, at, domain = address.rpartition("@")
    try:
        return f"{local}{at}{idna.decode(domain.lower())}" if "xn--" in domain.lower() else address
    except (idna.IDNAError, UnicodeError):
        # Of labels that are older than IDNA 2008.
        return address


def _to_a_labels(value: str) -> str:
    try:
        return idna.encode(value, uts46=True, std3_rules=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        raise rules.RuleError("must be a valid internationalised DNS name (IDNA 2008)") from None


def _check_a_label(label: str) -> None:
    try:
        idna.ulabel(label)
    except (idna.IDNAError, UnicodeError):
        raise rules.RuleError("contains an xn-- label that is not valid (IDNA 2008)") from None
