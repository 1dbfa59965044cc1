# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The table of an instance's mail domains: ``DOMAIN:USE:SELECTOR/ALGORITHM/DUTY ...``, one a line.

exim looks a domain up in it, as in the account file (``passwd``): the key ends
at the first colon. What it finds decides which key file it signs with, so no
character of a path, of an expansion or of a list gets into a line.
"""

from __future__ import annotations

import re
import typing as tp

from exordos_paas_mail.codecs import dkim, domains

if tp.TYPE_CHECKING:
    from collections.abc import Iterable

# The primary, and those beside it.
DOMAINS_MAX: tp.Final = 51
# Two algorithms, in each state that a rotation may leave a key in, several times.
KEYS_MAX: tp.Final = 16

SEND: tp.Final = "send"
PENDING: tp.Final = "pending"
INACTIVE: tp.Final = "inactive"
USES: tp.Final = (SEND, PENDING, INACTIVE)

SIGN: tp.Final = "sign"
HOLD: tp.Final = "hold"
DUTIES: tp.Final = (SIGN, HOLD)

# One label of a host name (RFC 6376 section 3.1 takes several).
_SELECTOR = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


class Key(tp.NamedTuple):
    """A DKIM key of a domain."""

    selector: str
    algorithm: str
    """One of ``dkim.ALGORITHMS``."""
    duty: str
    """SIGN; HOLD for one that is made and kept, and does not sign."""


class Domain(tp.NamedTuple):
    """A mail domain of an instance."""

    name: str
    use: str
    """SEND; PENDING while its proof of control is awaited; INACTIVE when it is switched off."""
    keys: tuple[Key, ...] = ()


def is_selector(text: str) -> bool:
    """Return whether *text* is a selector: a lower-case label of at most 63 characters."""
    return _SELECTOR.fullmatch(text) is not None


def _check(domain: Domain, where: str) -> None:
    if not domains.is_host_name(domain.name):
        raise ValueError(f"{where}: not a lower-case DNS name of two labels or more")
    if domain.use not in USES:
        raise ValueError(f"{where}: the use is not one of {', '.join(USES)}")
    if len(domain.keys) > KEYS_MAX:
        raise ValueError(f"{where}: more than {KEYS_MAX} keys")
    for key in domain.keys:
        if not is_selector(key.selector):
            raise ValueError(f"{where}: a selector is not a label of letters, digits and hyphens")
        if key.algorithm not in dkim.ALGORITHMS:
            raise ValueError(f"{where}: an algorithm is not one of {', '.join(dkim.ALGORITHMS)}")
        if key.duty not in DUTIES:
            raise ValueError(f"{where}: a duty is not one of {', '.join(DUTIES)}")
    selectors = [key.selector for key in domain.keys]
    if selectors != sorted(set(selectors)):
        raise ValueError(f"{where}: selectors are out of order, or one is given twice")


def render(table: Iterable[Domain]) -> str:
    """Return the text of *table*, sorted by name, the keys of a domain by selector.

    ``parse`` is the exact inverse. Raises ValueError, naming the domain, for one
    that would not be one line, for one given twice and for more than DOMAINS_MAX.
    """
    entries = sorted(domain._replace(keys=tuple(sorted(domain.keys))) for domain in table)
    if len(entries) > DOMAINS_MAX:
        raise ValueError(f"more than {DOMAINS_MAX} domains")
    previous = None
    lines = []
    for domain in entries:
        _check(domain, f"domain {domain.name!r}")
        if domain.name == previous:
            raise ValueError(f"domain {domain.name!r}: given twice")
        previous = domain.name
        keys = " ".join("/".join(key) for key in domain.keys)
        lines.append(f"{domain.name}:{domain.use}:{keys}\n")
    return "".join(lines)


def parse(text: str) -> list[Domain]:
    """Return the domains of a table.

    Accepts what ``render`` writes and nothing else: ValueError, naming the
    number of the line, for any other text.
    """
    if text and not text.endswith("\n"):
        raise ValueError("the last line has no end")
    table: list[Domain] = []
    for number, line in enumerate(text.split("\n")[:-1], start=1):
        where = f"line {number}"
        if number > DOMAINS_MAX:
            raise ValueError(f"more than {DOMAINS_MAX} domains")
        fields = line.split(":")
        if len(fields) != 3:  # noqa: PLR2004 - DOMAIN:USE:KEYS
            raise ValueError(f"{where}: not DOMAIN:USE:KEYS")
        name, use, words = fields
        keys = tuple(_key(word, where) for word in words.split(" ")) if words else ()
        domain = Domain(name, use, keys)
        _check(domain, where)
        if table and name <= table[-1].name:
            raise ValueError(f"{where}: out of order, or given twice")
        table.append(domain)
    return table


def _key(word: str, where: str) -> Key:
    parts = word.split("/")
    if len(parts) != len(Key._fields):
        raise ValueError(f"{where}: a key is not SELECTOR/ALGORITHM/DUTY")
    return Key(*parts)
