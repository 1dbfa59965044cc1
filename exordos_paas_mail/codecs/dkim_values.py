# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The public keys that a node tells: ``DOMAIN SELECTOR ALGORITHM PUBLIC_KEY``, one a line.

PUBLIC_KEY is what ``p=`` of the key's DNS record holds (``dkim.value_for``).
"""

from __future__ import annotations

import typing as tp

from exordos_paas_mail.codecs import dkim, domain_table, domains

if tp.TYPE_CHECKING:
    from collections.abc import Iterable


class Value(tp.NamedTuple):
    """A public key of a domain."""

    domain: str
    selector: str
    algorithm: str
    """One of ``dkim.ALGORITHMS``."""
    public_key: str
    """Base64."""


def _check(value: Value, where: str) -> None:
    if not domains.is_host_name(value.domain):
        raise ValueError(f"{where}: not a lower-case DNS name of two labels or more")
    if not domain_table.is_selector(value.selector):
        raise ValueError(f"{where}: the selector is not a label of letters, digits and hyphens")
    try:
        dkim.value_for(value.algorithm, value.public_key)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def render(values: Iterable[Value]) -> str:
    """Return the text of *values*, sorted; ``parse`` is the exact inverse.

    Raises ValueError, naming domain and selector, for one that would not be one
    line, and for a selector of a domain given twice.
    """
    lines = []
    previous = None
    for value in sorted(values):
        where = f"{value.domain!r} {value.selector!r}"
        _check(value, where)
        if value[:2] == previous:
            raise ValueError(f"{where}: given twice")
        previous = value[:2]
        lines.append(f"{' '.join(value)}\n")
    return "".join(lines)


def parse(text: str) -> list[Value]:
    """Return the keys of *text*.

    Accepts what ``render`` writes and nothing else: ValueError, naming the
    number of the line, for any other text.
    """
    if text and not text.endswith("\n"):
        raise ValueError("the last line has no end")
    values: list[Value] = []
    for number, line in enumerate(text.split("\n")[:-1], start=1):
        where = f"line {number}"
        words = line.split(" ")
        if len(words) != len(Value._fields):
            raise ValueError(f"{where}: not DOMAIN SELECTOR ALGORITHM PUBLIC_KEY")
        value = Value(*words)
        _check(value, where)
        if values and value[:2] <= values[-1][:2]:
            raise ValueError(f"{where}: out of order, or given twice")
        values.append(value)
    return values
