# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What time alone makes outdated of the pairs on a node, which nothing else would tell."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import certificates, tls_document, tls_serving
from exordos_paas_mail.node.machine import watched

if tp.TYPE_CHECKING:
    import datetime

    from exordos_paas_mail.node import machine

# Whether a pair may be served does not depend on what is served in its place.
_NONE: tp.Final = tls_serving.Own(b"", b"")


class TimelyPairs:
    """The pairs on one machine; a settled look costs four system calls."""

    def __init__(self, node: machine.Machine) -> None:
        self._told = watched.Watched(node, constants.TLS_TOLD_FILE, _parse_told)
        self._served = watched.Watched(node, constants.TLS_SERVED_FILE, _as_it_is)
        self._own = [
            watched.Watched(node, name, certificates.period)
            for name in (constants.TLS_CERTIFICATE_FILE, constants.TLS_OTHER_FILE)
        ]

    def outdated(self, hostname: str, now: datetime.datetime) -> str:
        """Return what configure has to do at *now* for a relay called *hostname*, if anything.

        A pair that was told has begun to be valid, or was refused by a clock that was late; or
        a certificate that the relay has made itself comes to its end. Raises OSError when a file
        cannot be read.
        """
        _, told = self._told.read()
        _, served = self._served.read()
        if told is not None and told.pair is not None:
            serving = tls_serving.plan(told.pair, _NONE, served, hostname, now)
            if not serving.refused and serving.bundle != served:
                return "the certificate that was told may be served by now"
        for own in self._own:
            _, period = own.read()
            if period is not None and not period.begins <= now <= period.renew_at:
                return "the relay's own certificate is to be made anew"
        return ""


def _as_it_is(content: bytes | None) -> bytes | None:
    return content


def _parse_told(content: bytes | None) -> tls_document.Document | None:
    try:
        return None if content is None else tls_document.parse(content)
    except ValueError:
        # It is fetched anew.
        return None
