# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The events of one batch, made rows: whose they are, and of which message."""

from __future__ import annotations

import dataclasses
import datetime
import secrets
import typing as tp

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import credentials, domains, log_ids, mail_events
from exordos_paas_mail.control_plane.events import folding, rows, stats
from exordos_paas_mail.control_plane.records import (
    account_logins,
    credential_rows,
    instance_logs,
    message_statuses,
)

if tp.TYPE_CHECKING:
    import uuid as sys_uuid
    from collections.abc import Collection, Iterable

    from exordos_paas_mail.control_plane.events import reports

_Type: tp.TypeAlias = mail_events.Type
_ARRIVALS: tp.Final = frozenset({_Type.SUBMITTED, _Type.ACCEPTED})
_REPORTS: tp.Final = frozenset(
    {_Type.BOUNCED, _Type.DELAY_REPORTED, _Type.DELIVERY_REPORTED, _Type.COMPLAINED}
)
# An index has room for these; RFC 5321 4.5.3.1 and RFC 5322 2.1.1 allow less.
_ADDRESS_SIZE_MAX: tp.Final = 320
_MESSAGE_ID_SIZE_MAX: tp.Final = 500
# An address of IPv6, with an IPv4 one in it.
_CLIENT_SIZE_MAX: tp.Final = 45
_CODE_MAX: tp.Final = 999
# The name of a class of answers, also one of a later release.
_REASON_SIZE_MAX: tp.Final = 100


@dataclasses.dataclass(frozen=True)
class Instance:
    """What an event is judged by."""

    uuid: sys_uuid.UUID
    domain: str
    level: str = instance_logs.ALL


@dataclasses.dataclass
class Taken:
    """What a batch comes to: rows, and the messages they are of."""

    instance: sys_uuid.UUID
    events: list[dict[str, tp.Any]]
    messages: dict[sys_uuid.UUID, folding.Message]
    last: int
    left_out: int
    """Events of accounts that are gone, or of messages that nobody sent here."""
    figures: stats.Figures
    """All that happened, what is left out too."""
    uses: Collection[credential_rows.Use] = ()
    """The last use of each credential."""
    reported: Collection[reports.Feedback] = ()
    """What is new of what other servers report."""
    settled: Collection[sys_uuid.UUID] = ()
    """Messages that are not kept, because they went well."""


def take(
    session: tp.Any,
    instance: Instance,
    events: Collection[mail_events.Event],
    last: int,
    now: datetime.datetime,
) -> Taken:
    """Return what *events* of *instance* come to; *last* is the last number that an event has."""
    bounded = _assigned(session, instance, [_bounded(event) for event in events])
    logins = {event.account for event in bounded if event.account}
    accounts = account_logins.find(session, instance.uuid, instance.domain, logins)
    uuids = {
        queue_id: log_ids.message_uuid(instance.uuid, queue_id)
        for event in bounded
        for queue_id in (event.queue_id, event.about)
        if log_ids.is_queue_id(queue_id)
    }
    taking = _Taking(session, instance, accounts, uuids, now)
    return taking.take(bounded, last)


class _Taking:
    def __init__(
        self,
        session: tp.Any,
        instance: Instance,
        accounts: dict[str, account_logins.Account],
        uuids: dict[str, sys_uuid.UUID],
        now: datetime.datetime,
    ) -> None:
        self._instance, self._accounts, self._uuids, self._now = instance, accounts, uuids, now
        self._known = rows.find_messages(session, instance.uuid, set(uuids.values()))
        self._touched: dict[sys_uuid.UUID, folding.Message] = {}
        self._found: list[mail_events.Event] = []
        """Arrivals of messages that were found in a spool, and that nobody knew of."""

    def take(self, events: Iterable[mail_events.Event], last: int) -> Taken:
        events = list(events)
        # The order of a message's events is not the order of the lines of the log.
        for event in events:
            if event.type in _ARRIVALS:
                self._arrive(event)
        number = max(last, int(self._now.timestamp() * 1000) << 12)
        figures: stats.Figures = {}
        for event in events:
            stats.count(figures, event, min(self._at(event), self._now), self._account(event))
        for event in self._found:
            submitted = dataclasses.replace(event, type=_Type.SUBMITTED)
            stats.count(figures, submitted, min(self._at(event), self._now), self._account(event))
        made = [row for event in events if (row := self._row(event)) is not None]
        left_out = len(events) - len(made)
        if self._instance.level == instance_logs.NONE:
            # Most messages are not known then, which is nothing to be told.
            made, left_out = [row for row in made if row["type"] == _Type.GAP.value], 0
            self._touched.clear()
        settled = self._settled()
        gone = {str(uuid) for uuid in settled}
        values = [row for row in made if row.get("message") not in gone]
        for row in values:
            number += 1
            row["uuid"] = str(log_ids.of_order(number, secrets.randbits(64)))
        return Taken(
            self._instance.uuid,
            values,
            {uuid: each for uuid, each in self._touched.items() if uuid not in settled},
            last=number if values else last,
            left_out=left_out,
            figures=figures,
            uses=self._uses(events),
            settled=settled,
        )

    def _uses(self, events: Iterable[mail_events.Event]) -> list[credential_rows.Use]:
        uses: dict[tuple[str, str], credential_rows.Use] = {}
        for event in events:
            account = self._whose(event)
            if account is None or not credentials.is_prefix(event.credential):
                continue
            at = min(self._at(event), self._now)
            use = credential_rows.Use(str(account), event.credential, at, event.client)
            key = (use.account, use.prefix)
            uses[key] = max(uses.get(key, use), use, key=lambda each: each.at)
        return list(uses.values())

    def _settled(self) -> set[sys_uuid.UUID]:
        """Return the messages that are to be forgotten: where failures are kept, what went well."""
        if self._instance.level != instance_logs.FAILURES:
            return set()
        return {
            uuid
            for uuid, message in self._touched.items()
            if message.settle() == message_statuses.DELIVERED
        }

    def _arrive(self, event: mail_events.Event) -> None:
        """Make the message that *event* is the arrival of, if it is to be known."""
        uuid = self._uuids.get(event.queue_id)
        if uuid is None or uuid in self._known or not self._is_of_now(uuid):
            return
        account = self._whose(event)
        if event.account and account is None:
            return
        if event.about:
            about = self._known.get(self._uuids.get(event.about, uuid))
            if about is None:
                return
            account = about.account
        self._known[uuid] = folding.Message(uuid, event.queue_id, self._at(event), account)
        if event.text == mail_events.FOUND and event.account:
            self._found.append(event)

    def _account(self, event: mail_events.Event) -> sys_uuid.UUID | None:
        """Return whose *event* is, as far as that is known."""
        if event.queue_id:
            message = self._known.get(self._uuids.get(event.queue_id, _NOBODY))
            return None if message is None else message.account
        return self._whose(event)

    def _whose(self, event: mail_events.Event) -> sys_uuid.UUID | None:
        """Return the account that had the login of *event* then; None if it is no more."""
        account = self._accounts.get(event.account)
        return account.uuid if account and account.had_it(event.at) else None

    def _row(self, event: mail_events.Event) -> dict[str, tp.Any] | None:
        """Return the row of *event* without its uuid; None if it is to be left out."""
        account = self._whose(event)
        if event.account and account is None:
            return None
        at = self._at(event)
        message = None
        if event.queue_id:
            message = self._known.get(self._uuids.get(event.queue_id, _NOBODY))
            if message is None:
                return None
            message.add(event, at)
            account = message.account
            self._touched[message.uuid] = message
        return self._columns(event, at, message, account)

    def _columns(
        self,
        event: mail_events.Event,
        at: datetime.datetime,
        message: folding.Message | None,
        account: sys_uuid.UUID | None,
    ) -> dict[str, tp.Any]:
        has_attempt = message is not None and event.type in folding.ATTEMPTS
        columns = {
            "instance": str(self._instance.uuid),
            "message": message and str(message.uuid),
            "account": account and str(account),
            "at": utils.timestamp(at),
            "type": event.type.value,
            "queue_id": event.queue_id,
            "sender": event.sender,
            "recipient": event.recipient,
            "recipient_domain": event.recipient.rpartition("@")[2].lower(),
            "attempt": message.attempts[event.recipient] if message and has_attempt else None,
            "recipients": event.recipients,
            "size": event.size,
            "client": event.client,
            "command": event.command,
            "temporary": event.temporary,
            "mx": event.mx,
            "mx_address": event.mx_address,
            "tls": event.tls,
            "cipher": event.cipher,
            "verified": event.verified,
            "tls_policy": event.tls_policy,
            "code": event.code,
            "enhanced_code": event.enhanced,
            "text": event.text,
            "reason": event.reason,
            "delay_ms": event.queued or (_delay(message, at) if message and has_attempt else 0),
            "about": event.about,
        }
        kept = {name: value for name, value in columns.items() if value}
        return {**kept, "count": event.count}

    def _at(self, event: mail_events.Event) -> datetime.datetime:
        """Return when *event* happened; a clock that is wrong is not believed."""
        oldest, newest = self._bounds()
        return min(max(rows.moment_of(min(event.at, _MILLISECONDS_MAX)), oldest), newest)

    def _is_of_now(self, uuid: sys_uuid.UUID) -> bool:
        oldest, newest = self._bounds()
        return oldest <= rows.moment_of(log_ids.milliseconds(uuid)) <= newest

    def _bounds(self) -> tuple[datetime.datetime, datetime.datetime]:
        return self._now - instance_logs.RETENTION_DAYS_MAX * rows.DAY, self._now + rows.SKEW_MAX


def _delay(message: folding.Message, at: datetime.datetime) -> int:
    """Return the milliseconds from the arrival of *message* to an attempt; exim logs no others."""
    return max((at - message.accepted_at) // datetime.timedelta(milliseconds=1), 0)


_NOBODY: tp.Final = log_ids.of_order(0)
# Of the year 9999, the last that there is a datetime of.
_MILLISECONDS_MAX: tp.Final = 253_370_764_800_000


def _bounded(event: mail_events.Event) -> mail_events.Event:
    return dataclasses.replace(
        event,
        sender=event.sender[:_ADDRESS_SIZE_MAX],
        # A report of another server has the domain in A-labels, as the mail was sent there.
        recipient=domains.with_a_labels(event.recipient)[:_ADDRESS_SIZE_MAX],
        message_id=event.message_id[:_MESSAGE_ID_SIZE_MAX],
        code=min(event.code, _CODE_MAX),
        credential=event.credential if credentials.is_prefix(event.credential) else "",
        client=event.client[:_CLIENT_SIZE_MAX],
        reason=event.reason[:_REASON_SIZE_MAX],
    )


def _assigned(
    session: tp.Any, instance: Instance, events: list[mail_events.Event]
) -> list[mail_events.Event]:
    """Return *events*, those of reports with the queue id of a message that is known, or none.

    Where a report does not have the id, it is found by the Message-ID of what it returns.
    """
    reports = [event for event in events if event.type in _REPORTS]
    if not reports:
        return events
    queue_ids = {event.queue_id for event in reports if log_ids.is_queue_id(event.queue_id)}
    uuids = {str(log_ids.message_uuid(instance.uuid, queue_id)) for queue_id in queue_ids}
    message_ids = {event.message_id for event in reports if event.message_id}
    found = session.execute(
        "SELECT queue_id, header_message_id FROM mail_messages WHERE instance = %s"
        " AND (uuid = ANY(%s::uuid[]) OR header_message_id = ANY(%s)) ORDER BY uuid",
        (str(instance.uuid), list(uuids), list(message_ids)),
    ).fetchall()
    # A server may be quick: the message comes in the same batch then.
    known = {row["queue_id"] for row in found}
    known |= {event.queue_id for event in events if event.type in _ARRIVALS}
    by_message_id = {row["header_message_id"]: row["queue_id"] for row in found}
    by_message_id |= {
        event.message_id: event.queue_id for event in events if event.type is _Type.SUBMITTED
    }

    def assign(event: mail_events.Event) -> mail_events.Event:
        if event.type not in _REPORTS or event.queue_id in known:
            return event
        queue_id = by_message_id.get(event.message_id, "") if event.message_id else ""
        return dataclasses.replace(event, queue_id=queue_id)

    return [assign(event) for event in events]
