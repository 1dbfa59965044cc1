# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What a node tells of the certificate that exim serves."""

from __future__ import annotations

import datetime
import typing as tp

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import tls_document, tls_reports, tls_serving
from exordos_paas_mail.node.machine import watched

if tp.TYPE_CHECKING:
    from exordos_paas_mail.codecs import tls_pairs
    from exordos_paas_mail.node import machine


class ServedPair:
    """The pair on one machine; a settled look costs two system calls."""

    def __init__(self, node: machine.Machine) -> None:
        self._told = watched.Watched(node, constants.TLS_TOLD_FILE, _parse_told)
        self._served = watched.Watched(node, constants.TLS_SERVED_FILE, _as_it_is)
        self._seen: tuple[tuple[tls_pairs.Pair | None, bytes | None, str], str] | None = None

    def fact(self, hostname: str) -> str:
        """Return the fact of a relay called *hostname*; empty where nothing is served.

        Raises OSError when a file cannot be read.
        """
        _, told = self._told.read()
        _, served = self._served.read()
        key = (told, served, hostname)
        if self._seen is None or self._seen[0] != key:
            self._seen = (key, _fact(*key))
        return self._seen[1]


def _as_it_is(content: bytes | None) -> bytes | None:
    return content


def _parse_told(content: bytes | None) -> tls_pairs.Pair | None:
    try:
        return None if content is None else tls_document.parse(content).pair
    except ValueError:
        # It is fetched anew.
        return None


def _fact(told: tls_pairs.Pair | None, served: bytes | None, hostname: str) -> str:
    if served is None or not hostname:
        return ""
    now = datetime.datetime.now(datetime.timezone.utc)
    try:
        return tls_reports.render(tls_serving.report(told, served, hostname, now))
    except ValueError:
        # configure makes it anew.
        return ""
