# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""How mail has left, as exim's log says it, to servers that an authority answers for."""

from __future__ import annotations

import contextlib
import pathlib
import time
import typing as tp

from exordos_paas_mail.codecs import mail_events, main_log
from exordos_paas_mail.tests.relay import units

if tp.TYPE_CHECKING:
    from collections.abc import Iterator

    from exordos_paas_mail.tests.relay import internet as internet_
    from exordos_paas_mail.tests.relay import relay as relay_

CLEAR, ENCRYPTED, WAITS = "in clear", "encrypted", "waits"
_TRUSTED = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")


@contextlib.contextmanager
def trusted(relay: relay_.Relay, internet: internet_.Internet) -> Iterator[None]:
    """Have the relay trust the authority of *internet*.

    exim reads whom it trusts when it starts, and sessions deliver by what it has read. Nothing
    is left to deliver when it does: a queue runner begins with all that waits.
    """
    before = _TRUSTED.read_bytes()
    relay.forget_queue()
    _TRUSTED.write_bytes(before + internet.authority.root.encode())
    relay.units.restart()
    try:
        yield
    finally:
        relay.forget_queue()
        _TRUSTED.write_bytes(before)
        relay.units.restart()


def outcomes(relay: relay_.Relay, domains: tp.Collection[str]) -> dict[str, str]:
    """Return what became of mail to *domains* as exim's log says it, once all is said."""
    deadline = time.monotonic() + units.PATIENCE
    found: dict[str, str] = {}
    while found.keys() != set(domains):
        assert time.monotonic() < deadline, set(domains) - found.keys()
        time.sleep(0.05)
        for line in map(main_log.parse, relay.log().splitlines()):
            if line is None or not isinstance(line.entry, main_log.Delivery | main_log.Deferral):
                continue
            domain = line.entry.recipient.rpartition("@")[2]
            if isinstance(line.entry, main_log.Deferral):
                found[domain] = WAITS
            else:
                found[domain] = ENCRYPTED if line.entry.tls else CLEAR
    return found


def delays(relay: relay_.Relay) -> list[mail_events.Event]:
    """Return the delays that the control plane is told of."""
    lines = filter(None, map(main_log.parse, relay.log().splitlines()))
    return [
        event
        for line in lines
        for event in mail_events.of(line)
        if event.type is mail_events.Type.DEFERRED
    ]
