# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A message as its events tell it; they may be told in any order."""

from __future__ import annotations

import dataclasses
import typing as tp

from exordos_paas_mail.codecs import mail_events
from exordos_paas_mail.control_plane.records import message_statuses as statuses

if tp.TYPE_CHECKING:
    import datetime
    import uuid as sys_uuid

_Type: tp.TypeAlias = mail_events.Type
# Of a recipient: what is final wins, and a delivery wins over a failure.
_RANKS: tp.Final = {
    _Type.DEFERRED: 1,
    _Type.FAILED: 2,
    _Type.SUPPRESSED: 2,
    _Type.DELIVERED: 3,
}
ATTEMPTS: tp.Final = frozenset(_RANKS)
ENDS: tp.Final = frozenset(
    {_Type.DELIVERED, _Type.FAILED, _Type.SUPPRESSED, _Type.COMPLETED, _Type.DELETED}
)


@dataclasses.dataclass
class Message:
    """A message, and what is known of its recipients."""

    uuid: sys_uuid.UUID
    queue_id: str
    accepted_at: datetime.datetime
    account: sys_uuid.UUID | None = None
    sender: str = ""
    header_from: str = ""
    header_message_id: str = ""
    tags: tuple[str, ...] = ()
    client: str = ""
    credential: str = ""
    size: int = 0
    recipients_count: int = 0
    completed_at: datetime.datetime | None = None
    is_completed: bool = False
    is_deleted: bool = False
    unaccounted_at: datetime.datetime | None = None
    """When it was found gone, without a word of how it ended."""
    ranks: dict[str, int] = dataclasses.field(default_factory=dict)
    attempts: dict[str, int] = dataclasses.field(default_factory=dict)
    last_end: datetime.datetime | None = None
    held_at: datetime.datetime | None = None
    """When it was put apart at last."""
    released_at: datetime.datetime | None = None

    def add(self, event: mail_events.Event, at: datetime.datetime) -> None:
        """Take in an event of the message that happened at *at*."""
        if event.type in (_Type.SUBMITTED, _Type.ACCEPTED):
            self._arrive(event, at)
        elif event.type in ATTEMPTS:
            self.attempt(event.type, event.recipient, 1)
        self.is_completed |= event.type is _Type.COMPLETED
        self.is_deleted |= event.type is _Type.DELETED
        if event.type in ENDS:
            self.end(at)
        elif event.type is _Type.UNACCOUNTED:
            self.unaccounted_at = at
        self.place(event.type, at)

    def attempt(self, kind: mail_events.Type, recipient: str, times: int) -> None:
        """Take in that *times* attempts for *recipient* ended so."""
        self.ranks[recipient] = max(self.ranks.get(recipient, 0), _RANKS[kind])
        self.attempts[recipient] = self.attempts.get(recipient, 0) + times

    def end(self, at: datetime.datetime) -> None:
        """Take in that something of the message ended at *at*."""
        self.last_end = at if self.last_end is None else max(self.last_end, at)

    def place(self, kind: mail_events.Type, at: datetime.datetime) -> None:
        """Take in that the message was put apart at *at*, or was taken back."""
        if kind is _Type.HELD:
            self.held_at = max(at, self.held_at or at)
        elif kind is _Type.RELEASED:
            self.released_at = max(at, self.released_at or at)

    @property
    def is_held(self) -> bool:
        """Whether it is apart, unless it has ended."""
        return self.held_at is not None and (
            self.released_at is None or self.released_at < self.held_at
        )

    def settle(self) -> str:
        """Return the status; ``completed_at`` is set as soon as nothing is left to do."""
        ranks = list(self.ranks.values())
        delivered, failed = ranks.count(_RANKS[_Type.DELIVERED]), ranks.count(_RANKS[_Type.FAILED])
        deferred = len(ranks) - delivered - failed
        is_done = not deferred and 0 < self.recipients_count <= delivered + failed
        # A report has no count, and one recipient. Mail for role addresses has none either, and
        # a sender.
        is_told = bool(ranks) and not deferred and not self.recipients_count and not self.sender
        is_over = self.is_completed or self.is_deleted or is_done
        is_over |= is_told and self.unaccounted_at is not None
        self.completed_at = self.last_end if is_over else self.unaccounted_at
        if not is_over:
            return self._waiting(is_deferred=deferred > 0)
        if self.is_deleted and not is_done:
            return statuses.DELETED
        if delivered and failed:
            return statuses.PARTIAL
        if failed:
            return statuses.FAILED
        # Where exim was killed between noting a delivery and logging it, it never logs it. A
        # failure it logs first; reports, which have no count, may be dropped without a line.
        is_noted = self.is_completed and self.recipients_count > 0
        return statuses.DELIVERED if delivered or is_noted else statuses.ACCEPTED

    def _waiting(self, *, is_deferred: bool) -> str:
        """Return the status where it is not known that all has ended."""
        if self.unaccounted_at is not None:
            return statuses.UNKNOWN
        if self.is_held:
            return statuses.HELD
        return statuses.DEFERRED if is_deferred else statuses.ACCEPTED

    def _arrive(self, event: mail_events.Event, at: datetime.datetime) -> None:
        self.accepted_at = min(self.accepted_at, at)
        self.size = max(self.size, event.size)
        if event.type is _Type.ACCEPTED and event.text == mail_events.FOUND:
            self._find(event)
        elif event.type is _Type.SUBMITTED:
            self.recipients_count = event.recipients
            self.header_from, self.header_message_id = event.header_from, event.message_id
            self.tags, self.credential = event.tags, event.credential
        else:
            self.sender, self.client = event.sender, event.client

    def _find(self, event: mail_events.Event) -> None:
        """Take in the arrival of a message that was found in the spool."""
        self.sender, self.client = event.sender, event.client
        # Of the two lines of an arrival one may have been told.
        self.recipients_count = self.recipients_count or event.recipients
        self.header_from = self.header_from or event.header_from
        self.header_message_id = self.header_message_id or event.message_id
        self.tags = self.tags or event.tags
        self.credential = self.credential or event.credential
