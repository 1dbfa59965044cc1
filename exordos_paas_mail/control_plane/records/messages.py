# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Messages of an instance: all of one is a fact, written by the ingester."""

from __future__ import annotations

import typing as tp

from restalchemy.dm import models, properties, types
from restalchemy.storage.sql import orm

from exordos_paas_mail.codecs import domains, log_ids
from exordos_paas_mail.control_plane.records import (
    fields,
    log_pages,
    message_statuses,
    narrowing,
)

if tp.TYPE_CHECKING:
    import datetime
    import uuid as sys_uuid

    # An operator, and the uuid of a message on one side of which others are.
    _Bound = tuple[str, str]

# That of an address comes first: it has fewer messages.
_OF_ADDRESS: tp.Final = "lower(recipient) = lower(%s)"
_OF_DOMAIN: tp.Final = "recipient_domain = %s"
# The same of what the queue has of a message: an array of addresses.
_WAITING: tp.Final = {
    each: f"EXISTS (SELECT FROM unnest(q.recipients) AS r WHERE {condition})"
    for each, condition in (
        (_OF_ADDRESS, "lower(r) = lower(%s)"),
        (_OF_DOMAIN, "lower(split_part(r, '@', -1)) = %s"),
    )
}
_WORDS: tp.Final = "lower(array_to_string(recipients, ' ') COLLATE \"C\")"
# Rows of a queue looked at in the order of a page before all of them are.
_FIRST: tp.Final = 4_000
# How many events are looked at together, as multiples of the page: twice it, as a message
# has a few, and more where few of their messages are of the page. Not more than so many in all,
# as each message is looked up by itself.
_TOLD: tp.Final = (2, 8, 32)
_TOLD_MAX: tp.Final = 5_000
_WITH_NEXT_ATTEMPT: tp.Final = (
    "mail_messages.*,"
    " (SELECT retry_at FROM mail_queue_items q WHERE q.uuid = mail_messages.uuid) AS retry_at"
)


class MailMessage(models.ModelWithUUID, orm.SQLStorableMixin):
    """A message that an instance has taken."""

    __tablename__ = "mail_messages"

    instance = properties.property(types.UUID(), required=True)
    queue_id = properties.property(types.String(), required=True)
    account = properties.property(types.AllowNone(types.UUID()), default=None)
    sender = properties.property(types.String(), default="")
    header_from = properties.property(types.String(), default="")
    header_message_id = properties.property(types.String(), default="")
    tags = properties.property(types.TypedList(types.String()), default=list)
    client = properties.property(types.String(), default="")
    # The prefix of the credential that it was sent with; empty where a password was.
    credential = properties.property(types.String(), default="")
    size = properties.property(types.Integer(), default=0)
    recipients_count = properties.property(types.Integer(), default=0)
    status = properties.property(
        types.Enum(list(message_statuses.ALL)), default=message_statuses.ACCEPTED
    )
    accepted_at = properties.property(types.UTCDateTimeZ(), required=True)
    completed_at = properties.property(fields.Moment(), default=None)
    # No column: what the queue has of the message.
    retry_at = properties.property(fields.Moment(), default=None)


class Messages(log_pages.Page):
    """A page of the messages of an instance, newest first."""

    def __init__(self, instance: sys_uuid.UUID, limit: int) -> None:
        super().__init__(
            MailMessage.__tablename__, limit, is_newest_first=True, columns=_WITH_NEXT_ATTEMPT
        )
        self._instance = instance
        self._recipients: dict[str, str] = {}
        self._bounds: list[_Bound] = []
        self.where("instance = %s", str(instance))

    def within(self, operator: str, uuid: str) -> None:
        self._bounds.append((operator, uuid))
        super().within(operator, uuid)

    def select(self, session: tp.Any) -> list[dict[str, tp.Any]]:
        """Return the rows of the page.

        Those of a recipient are looked for by its events, some at a time, newest first:
        asked at once the database reads all of them, and a domain may have most of the log.
        Where the first events have too few of the page, another filter is rare. The rest is
        asked at once then: one pass over many costs less than to look each of them up.
        """
        if not self._recipients:
            return super().select(session)
        # The newest of two lists: no list has less of them than the page, and what is older than
        # all of a full one is not on it.
        attempted = self._attempted(session)
        is_full = len(attempted) == self.limit
        newer: list[_Bound] = [(">", str(attempted[-1]["uuid"]))] if is_full else []
        found = {row["uuid"]: row for row in [*attempted, *self._waiting(session, newer)]}
        return [found[uuid] for uuid in sorted(found, reverse=True)[: self.limit]]

    def _attempted(self, session: tp.Any) -> list[dict[str, tp.Any]]:
        """Return the first rows of the page that there are events about the recipients of."""
        found: list[dict[str, tp.Any]] = []
        rest: list[_Bound] = []
        sizes = [times * self.limit for times in _TOLD]
        for place, size in enumerate(sizes):
            if sum(sizes[: place + 1]) > _TOLD_MAX:
                break
            told = self._told(session, rest, size)
            if told:
                among: list[_Bound] = [(">=", told[-1]), ("<=", told[0])]
                of = self._told_of_others(session, told, among)
                found += self._looked_up(session, self.limit - len(found), of)
            if len(found) == self.limit or len(told) < size:
                return found
            rest = [("<", told[-1])]
        return found + self._told_at_once(session, self.limit - len(found), rest)

    def _waiting(self, session: tp.Any, bounds: tp.Sequence[_Bound]) -> list[dict[str, tp.Any]]:
        """Return the first rows of the page within *bounds* that wait for one of the recipients.

        Before its first attempt a message is in no event about a recipient. The queue has a
        bound. If the newest of it do not fill the page, all is read in the order in which it
        is stored, as that of the uuids takes three times as long; each message that waits is
        looked up as in ``_looked_up``.
        """
        rows = self._waiting_of(session, bounds, f"ORDER BY uuid DESC LIMIT {_FIRST}")
        if len(rows) == self.limit:
            return rows
        return self._waiting_of(session, bounds, "OFFSET 0")

    def _waiting_of(
        self, session: tp.Any, bounds: tp.Sequence[_Bound], part: str
    ) -> list[dict[str, tp.Any]]:
        """Return those that *part*, an end of a statement of SQL, leaves of the queue."""
        within = [*self._bounds, *bounds]
        # All addresses of a message as one text, made once, however many words are looked for.
        queue = (
            f"SELECT uuid, recipients, {_WORDS} AS words FROM mail_queue_items WHERE instance = %s"  # noqa: S608
            f"{''.join(f' AND uuid {operator} %s' for operator, _ in within)}"
            f" {part}"
        )
        waits = [
            (each, _WAITING[each], self._recipients[each]) for each in sorted(self._recipients)
        ]
        words = [narrowing.found(recipient) for *_, recipient in waits]
        conditions = [" OR ".join(waiting for _, waiting, _ in waits)]
        values = [recipient for *_, recipient in waits]
        if len(waits) > 1:
            # Of the others there may be events alone.
            for each, waiting, recipient in waits:
                told, of_told = self._telling(each, recipient, [])
                conditions.append(f"{waiting} OR EXISTS ({told} AND message = q.uuid)")
                values += [recipient, *of_told]
        condition = narrowing.case(
            [narrowing.finds("q.words")] * len(waits), " AND ".join(f"({c})" for c in conditions)
        )
        rows = session.execute(
            f"SELECT {self.columns} FROM (SELECT uuid FROM ({queue}) AS q WHERE {condition}"  # noqa: S608
            " ORDER BY uuid DESC OFFSET 0) AS waiting (message),"
            f" LATERAL (SELECT * FROM {self.table} WHERE uuid = waiting.message"
            f" AND {self.condition} OFFSET 0) AS {self.table}"
            " ORDER BY waiting.message DESC LIMIT %s",
            (
                *(str(self._instance), *(uuid for _, uuid in within), *words, *values),
                *(*self.values, self.limit),
            ),
        ).fetchall()
        return [dict(row) for row in rows]

    def _told(self, session: tp.Any, bounds: tp.Sequence[_Bound], limit: int) -> list[str]:
        """Return the messages of so many events about the recipient, newest first."""
        told, values = self._telling(*min(self._recipients.items()), [*self._bounds, *bounds])
        rows = session.execute(
            f"{told} AND message IS NOT NULL ORDER BY message DESC LIMIT %s", (*values, limit)
        ).fetchall()
        return [str(row["message"]) for row in rows]

    def _told_of_others(
        self, session: tp.Any, told: tp.Collection[str], bounds: tp.Sequence[_Bound]
    ) -> tp.Collection[str]:
        """Return those of the messages *told* that have the other recipients that are asked for."""
        for recipient in sorted(self._recipients.items())[1:]:
            telling, values = self._telling(*recipient, bounds)
            rows = session.execute(
                f"{telling} AND message = ANY(%s::uuid[])", (*values, list(told))
            ).fetchall()
            told = {str(row["message"]) for row in rows}
        return set(told)

    def _looked_up(
        self, session: tp.Any, limit: int, told: tp.Collection[str]
    ) -> list[dict[str, tp.Any]]:
        """Return the first rows of the page that are one of the messages *told*."""
        # A look-up for each, in its own partition: joined in another way, the database reads
        # all that is between them, and by ANY it looks for all of them in each partition.
        rows = session.execute(
            f"SELECT {self.columns} FROM unnest(%s::uuid[]) AS told (message), LATERAL (SELECT *"  # noqa: S608
            f" FROM {self.table} WHERE uuid = told.message AND {self.condition} OFFSET 0)"
            f" AS {self.table} ORDER BY uuid DESC LIMIT %s",
            (list(told), *self.values, limit),
        ).fetchall()
        return [dict(row) for row in rows]

    def _told_at_once(
        self, session: tp.Any, limit: int, bounds: tp.Sequence[_Bound]
    ) -> list[dict[str, tp.Any]]:
        """Return the first rows within *bounds* that have all recipients that are asked for."""
        page = log_pages.Page(
            self.table,
            limit,
            is_newest_first=True,
            columns=self.columns,
            conditions=list(self.conditions),
            values=list(self.values),
        )
        for operator, uuid in bounds:
            page.within(operator, uuid)
        for recipient in self._recipients.items():
            told, values = self._telling(*recipient, [*self._bounds, *bounds])
            page.where(f"uuid IN ({told})", *values)
        return page.select(session)

    def _telling(
        self, condition: str, value: str, bounds: tp.Sequence[_Bound]
    ) -> tuple[str, tuple[str, ...]]:
        """Return a query of the messages that events about a recipient are of, and its values."""
        within = "".join(f" AND message {operator} %s" for operator, _ in bounds)
        return (
            "SELECT message FROM mail_events WHERE instance = %s AND recipient IS NOT NULL"  # noqa: S608
            f" AND {condition}{within}",
            (str(self._instance), value, *(uuid for _, uuid in bounds)),
        )

    def of_account(self, account: sys_uuid.UUID) -> None:
        """Have those of an account."""
        self.where("account = %s", str(account))

    def by_credential(self, prefix: str) -> None:
        """Have those that were sent with a credential."""
        self.where("credential = %s AND credential <> ''", prefix)

    def of_sender(self, address: str) -> None:
        """Have those of an envelope sender, whatever its case."""
        self.where("lower(sender) = lower(%s)", address)

    def to_recipient(self, address: str) -> None:
        """Have those that something is known of about *address*, or that wait for it."""
        self._recipients[_OF_ADDRESS] = domains.with_a_labels(address)

    def to_domain(self, domain: str) -> None:
        """Have those of which that is so of an address of *domain*."""
        self._recipients[_OF_DOMAIN] = domains.with_a_labels(domain).lower()

    def with_message_id(self, message_id: str) -> None:
        """Have those with a Message-ID, with or without its angle brackets."""
        bare = message_id.strip().removeprefix("<").removesuffix(">")
        self.where("header_message_id = %s", bare)

    def with_queue_id(self, queue_id: str) -> None:
        """Have the one with a queue id."""
        uuid = log_ids.message_uuid(self._instance, queue_id)
        self.within("=", str(uuid))

    def with_status(self, status: str) -> None:
        """Have those with a status."""
        # In the statement itself: the index of rare statuses is used where it is known.
        self.where(f"status = '{message_statuses.ALL[message_statuses.ALL.index(status)]}'")

    def with_tag(self, tag: str) -> None:
        """Have those with a tag."""
        self.where("tags @> ARRAY[%s]::text[] AND tags <> '{}'", tag)

    def since(self, moment: datetime.datetime) -> None:
        """Have those accepted at *moment* or later."""
        self.where("accepted_at >= %s", log_pages.timestamp(moment))
        self.within(">=", log_pages.first_uuid(moment - log_pages.SLACK))

    def until(self, moment: datetime.datetime) -> None:
        """Have those accepted before *moment*."""
        self.where("accepted_at < %s", log_pages.timestamp(moment))
        self.within("<", log_pages.first_uuid(moment + log_pages.SLACK))
