# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What time alone makes outdated of the pairs on a node, which nothing else would tell."""

from __future__ import annotations

import time
import typing as tp

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import certificates, tls_document, tls_serving
from exordos_paas_mail.node.machine import watched

if tp.TYPE_CHECKING:
    import datetime

    from exordos_paas_mail.node import machine

# Whether a pair may be served does not depend on what is served in its place.
_NONE: tp.Final = tls_serving.Own(b"", b"")
# Seconds for which a certificate of the relay's own is left alone that begins later. Else a clock
# that is back for a moment would cost it for good, and clients know it by its fingerprint.
_EARLY_MAX: tp.Final = 3600.0


class TimelyPairs:
    """The pairs on one machine; a settled look costs four system calls."""

    def __init__(self, node: machine.Machine) -> None:
        self._told = watched.Watched(node, constants.TLS_TOLD_FILE, _parse_told)
        self._served = watched.Watched(node, constants.TLS_SERVED_FILE, _as_it_is)
        self._own = [
            watched.Watched(node, name, certificates.period)
            for name in (constants.TLS_CERTIFICATE_FILE, constants.TLS_OTHER_FILE)
        ]
        self._early_since: float | None = None

    def outdated(self, hostname: str, now: datetime.datetime) -> str:
        """Return what configure has to do at *now* for a relay called *hostname*, if anything.

        A pair that was told has begun to be valid, or was refused by a clock that was late; or
        a certificate that the relay has made itself comes to its end, or has not begun for an
        hour of looks. Raises OSError when a file cannot be read.
        """
        periods = [period for _, period in (own.read() for own in self._own) if period is not None]
        is_early = self._is_early_for_long(any(now < period.begins for period in periods))
        _, told = self._told.read()
        _, served = self._served.read()
        if told is not None and told.pair is not None:
            serving = tls_serving.plan(told.pair, _NONE, served, hostname, now)
            if not serving.refused and serving.bundle != served:
                return "the certificate that was told may be served by now"
        if is_early or any(now > period.renew_at for period in periods):
            return "the relay's own certificate is to be made anew"
        return ""

    def _is_early_for_long(self, is_early: bool) -> bool:  # noqa: FBT001 - it is the value noted
        """Note whether a certificate has not begun; returns whether that is so for long."""
        at = time.monotonic()
        if not is_early:
            self._early_since = None
            return False
        if self._early_since is None:
            self._early_since = at
        return at - self._early_since >= _EARLY_MAX


def _as_it_is(content: bytes | None) -> bytes | None:
    return content


def _parse_told(content: bytes | None) -> tls_document.Document | None:
    try:
        return None if content is None else tls_document.parse(content)
    except ValueError:
        # It is fetched anew.
        return None
