# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Clients that send on, whatever happens to the relay."""

from __future__ import annotations

import dataclasses
import email.policy
import itertools
import smtplib
import time
import typing as tp

from exordos_paas_mail.tests.functional import paced, submission

if tp.TYPE_CHECKING:
    from exordos_paas_mail.tests.functional import provisioning

_CLIENTS: tp.Final = 4
# Of a relay that does not answer.
_PAUSE: tp.Final = 0.5
# Messages a session, as a pool of connections does it.
_A_SESSION: tp.Final = 20


@dataclasses.dataclass
class Sent:
    """What the relay has said yes to: subjects by queue id."""

    accepted: dict[str, str] = dataclasses.field(default_factory=dict)
    cut: int = 0
    """Sessions that ended with the relay, and not with their client."""
    unanswered: list[str] = dataclasses.field(default_factory=list)
    """Subjects of messages whose sender does not know whether the relay has them."""
    refused: list[str] = dataclasses.field(default_factory=list)


class Clients(paced.Clients):
    """Clients who send messages to *recipient* until *count* are accepted.

    They take turns with *accounts*, none of which may send as much as all together.
    """

    def __init__(
        self,
        relay: submission.Relay,
        accounts: tp.Sequence[provisioning.Account],
        recipient: str,
        count: int,
    ) -> None:
        super().__init__(count, _CLIENTS)
        self.sent = Sent()
        self._relay, self._recipient = relay, recipient
        self._accounts = itertools.cycle(accounts)

    def done(self) -> int:
        return len(self.sent.accepted)

    def met(self) -> int:
        return self.sent.cut

    def _run(self, _: int) -> None:
        while self._has_more():
            with self._lock:
                account = next(self._accounts)
            try:
                self._session(account)
            # What smtplib and ssl raise is an OSError; a login may be put off.
            except (OSError, AssertionError):
                time.sleep(_PAUSE)

    def _session(self, account: provisioning.Account) -> None:
        with self._relay.logged_in(account.address, account.password) as client:
            try:
                for _ in range(_A_SESSION):
                    if not self._has_more():
                        break
                    self._send(client, account.address)
            # What smtplib makes of whatever ends a connection.
            except smtplib.SMTPServerDisconnected:
                with self._lock:
                    self.sent.cut += 1
                raise

    def _send(self, client: smtplib.SMTP, address: str) -> None:
        composed = submission.message(address, self._recipient)
        client.mail(address)
        client.rcpt(self._recipient)
        octets = composed.as_bytes(policy=email.policy.SMTP)
        try:
            code, answer = client.data(octets)
        except smtplib.SMTPServerDisconnected:
            with self._lock:
                self.sent.unanswered.append(composed["Subject"])
            raise
        # Before the message itself.
        except smtplib.SMTPDataError as error:
            with self._lock:
                self.sent.refused.append(f"{error.smtp_code} {error.smtp_error!r}")
            raise
        queue_id = submission.queue_id(answer)
        with self._lock:
            if code == 250 and queue_id:
                self.sent.accepted[queue_id] = composed["Subject"]
            else:
                self.sent.refused.append(f"{code} {answer!r}")
