# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A node as a writer of sealed batches of events: rows as the Status API stores them."""

from __future__ import annotations

import base64
import time
import typing as tp
import uuid as sys_uuid

from gcl_sdk.agents.universal.dm import models as ua_models
from restalchemy.dm import filters
from restalchemy.storage.sql import engines

from exordos_paas_mail.codecs import event_batches, mail_events
from exordos_paas_mail.control_plane.events import ingester

if tp.TYPE_CHECKING:
    from collections.abc import Iterable

    from exordos_paas_mail.tests.unit.control_plane import gservice

Type: tp.TypeAlias = mail_events.Type
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
LOGIN = "noreply@mail.example.com"


def now() -> int:
    """Return the time as events have it."""
    return int(time.time() * 1000)


def queue_id(number: int, seconds_ago: int = 0) -> str:
    """Return the queue id of a message that came so many seconds ago, by its *number*."""
    seconds, digits = int(time.time()) - seconds_ago, ""
    for _ in range(6):
        seconds, digit = divmod(seconds, 62)
        digits = _DIGITS[digit] + digits
    return f"{digits}-{number:06d}-0A"


def event(kind: mail_events.Type, queue: str = "", **fields: tp.Any) -> mail_events.Event:
    """Return an event of now."""
    return mail_events.Event(fields.pop("at", now()), kind, queue, **fields)


def arrival(queue: str, recipients: int = 1, **fields: tp.Any) -> list[mail_events.Event]:
    """Return the events of a message that *fields* say more of, from its submission on."""
    account = fields.pop("account", LOGIN)
    sender = fields.pop("sender", account)
    return [
        event(Type.SUBMITTED, queue, account=account, recipients=recipients, size=900, **fields),
        event(Type.ACCEPTED, queue, account=account, sender=sender, client="192.0.2.7", size=1000),
    ]


def delivery(queue: str, recipient: str = "a@example.org") -> list[mail_events.Event]:
    """Return the event of a delivery."""
    return [
        event(
            Type.DELIVERED,
            queue,
            recipient=recipient,
            mx="mx.example.org",
            mx_address="192.0.2.25",
            tls="TLS1.3",
            cipher="TLS_AES_256_GCM_SHA384",
            verified="yes",
            tls_policy="auto",
            code=250,
            enhanced="2.0.0",
            text="accepted",
            queued=1200,
        )
    ]


def end(queue: str) -> list[mail_events.Event]:
    """Return the event of a message that nothing is left of."""
    return [event(Type.COMPLETED, queue)]


def whole(
    queue: str, recipient: str = "a@example.org", **fields: tp.Any
) -> list[mail_events.Event]:
    """Return the events of a message that is delivered."""
    return [*arrival(queue, **fields), *delivery(queue, recipient), *end(queue)]


class Writer:
    """The daemon of a node: one stream, numbered from 1."""

    def __init__(self, node: gservice.Node) -> None:
        self.node = node.uuid
        self.stream = sys_uuid.uuid4()
        self.seq = 0

    def key(self) -> bytes:
        found = ua_models.NodeEncryptionKey.objects.get_one(filters={"uuid": filters.EQ(self.node)})
        return base64.b64decode(found.private_key)

    def write(self, events: Iterable[mail_events.Event]) -> sys_uuid.UUID:
        """Write the next batch; return the uuid of its row."""
        self.seq += 1
        return self.write_as(self.seq, events)

    def write_as(self, seq: int, events: Iterable[mail_events.Event]) -> sys_uuid.UUID:
        """Write a batch under the number *seq*."""
        raw = mail_events.render(events)
        batch = event_batches.seal(self.key(), self.node, self.stream, seq, raw)
        uuid = event_batches.row_uuid(self.node, self.stream, seq)
        self.put(uuid, event_batches.render(batch))
        return uuid

    def put(self, uuid: sys_uuid.UUID, value: dict[str, tp.Any]) -> None:
        """Write a row, whatever it is."""
        resource = ua_models.Resource.from_value(
            {**value, "uuid": str(uuid)}, event_batches.KIND, ("uuid",)
        )
        resource.node = self.node
        with engines.engine_factory.get_engine().session_manager() as session:
            resource.insert(session=session)


def waiting() -> int:
    """Return the number of rows that nobody has taken in."""
    with engines.engine_factory.get_engine().session_manager() as session:
        found = session.execute(
            "SELECT count(*) AS rows FROM ua_actual_resources WHERE kind = %s",
            (event_batches.KIND,),
        )
        return int(found.fetchone()["rows"])


def take_in() -> None:
    """Take in what there is."""
    taking = ingester.Ingester()
    while taking.run_once():
        pass
    taking.keep()
