# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The domains that nothing is delivered to for a time: a file that exim looks them up in.

``<domain>: <end> <reason>``, a line each, and one more under the U-labels of a domain
that has some: exim looks a recipient's domain up as it was sent. The end is in whole
seconds since 1970, and exim reads no further (``templates/exim4/main.j2``).
"""

from __future__ import annotations

import dataclasses
import re
import typing as tp

from exordos_paas_mail.codecs import bounded, domains, node_commands

if tp.TYPE_CHECKING:
    from collections.abc import Iterable

MAX: tp.Final = 100
"""Domains that may be suspended at a time."""

_LINE = re.compile(r"(?P<domain>\S+): (?P<until>\d{1,12})(?: (?P<reason>.*))?")


@dataclasses.dataclass(frozen=True)
class Suspension:
    """One domain."""

    domain: str
    until: int
    """Seconds since 1970."""
    reason: str = ""


def render(suspensions: Iterable[Suspension]) -> str:
    """Return the file; ``parse`` is the inverse."""
    lines = [
        f"{name}: {one.until} {one.reason}".rstrip(" ") + "\n"
        for one in suspensions
        for name in {one.domain, domains.with_u_labels(one.domain)}
    ]
    return "".join(sorted(lines))


def parse(text: str) -> list[Suspension]:
    """Return what the lines of *text* say; what is none is passed over."""
    found: dict[str, Suspension] = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        reason = match["reason"] or "" if match else ""
        if (
            match
            and domains.is_host_name(match["domain"])
            and bounded.is_plain(reason, node_commands.REASON_SIZE_MAX)
        ):
            one = Suspension(match["domain"], int(match["until"]), reason)
            found.setdefault(one.domain, one)
    return list(found.values())
