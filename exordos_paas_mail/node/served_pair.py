# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What a node tells of the certificate that exim serves."""

from __future__ import annotations

import datetime
import typing as tp

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import tls_document, tls_pairs, tls_reports, tls_serving
from exordos_paas_mail.node.machine import watched

if tp.TYPE_CHECKING:
    from exordos_paas_mail.node import machine


class _Seen(tp.NamedTuple):
    told: tls_document.Document | None
    served: bytes | None
    other: bytes | None
    own: bytes | None
    own_other: bytes | None
    hostname: str


class ServedPair:
    """The pairs on one machine; a settled look costs five system calls."""

    def __init__(self, node: machine.Machine) -> None:
        self._told = watched.Watched(node, constants.TLS_TOLD_FILE, _parse_told)
        self._served = watched.Watched(node, constants.TLS_SERVED_FILE, _as_it_is)
        self._other = watched.Watched(node, constants.TLS_OTHER_SERVED_FILE, _as_it_is)
        self._own_other = watched.Watched(node, constants.TLS_OTHER_FILE, _as_it_is)
        self._own = watched.Watched(node, constants.TLS_CERTIFICATE_FILE, _as_it_is)
        self._seen: tuple[_Seen, str] | None = None

    def fact(self, hostname: str) -> str:
        """Return the fact of a relay called *hostname*.

        Empty where nothing is served, or what nobody asks for any more. Raises OSError when a
        file cannot be read.
        """
        _, told = self._told.read()
        _, served = self._served.read()
        _, other = self._other.read()
        _, own = self._own.read()
        _, own_other = self._own_other.read()
        seen = _Seen(told, served, other, own, own_other, hostname)
        if self._seen is not None and self._seen[0] == seen:
            return self._seen[1]
        fact, is_refused = _fact(seen)
        # What is refused now may be served later: the time is part of the reason.
        self._seen = None if is_refused else (seen, fact)
        return fact


def _as_it_is(content: bytes | None) -> bytes | None:
    return content


def _parse_told(content: bytes | None) -> tls_document.Document | None:
    try:
        return tls_document.Document() if content is None else tls_document.parse(content)
    except ValueError:
        # It is fetched anew.
        return None


def _is_own(seen: _Seen) -> bool:
    return (
        seen.served is not None
        and seen.own is not None
        and tls_pairs.chain_of(seen.served) == tls_pairs.chain_of(seen.own)
        and seen.other in {seen.served, seen.own_other}
    )


def _fact(seen: _Seen) -> tuple[str, bool]:
    """Return the fact, and whether what was told is refused."""
    if seen.served is None or seen.other is None or not seen.hostname:
        return "", False
    now = datetime.datetime.now(datetime.timezone.utc)
    try:
        if seen.told is not None and seen.told.pair is None and not _is_own(seen):
            # configure is to put its own in the place of what it was told before.
            return "", False
        pair = None if seen.told is None else seen.told.pair
        served = tls_serving.Own(seen.served, seen.other)
        report = tls_serving.report(pair, served, seen.hostname, now)
    except ValueError:
        # configure makes it anew.
        return "", False
    return tls_reports.render(report), bool(report.refused)
