# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What the receiver of a webhook gets: an event, signed (Standard Webhooks 1.0).

A field is called as the API calls it, and is left out where the event has none.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
import json
import typing as tp
import uuid as sys_uuid

from exordos_paas_mail.codecs import bounded, log_ids, mail_events, webhook_config

if tp.TYPE_CHECKING:
    from collections.abc import Iterable

    from exordos_paas_mail.codecs import notices

CONTENT_TYPE: tp.Final = "application/json"
TEXT_OF_A_TEST: tp.Final = "This is a test."

_EPOCH: tp.Final = datetime.datetime.fromtimestamp(0, datetime.timezone.utc)
# Of an event's fields: those that the API calls otherwise or a receiver gets elsewhere.
_NAMES: tp.Final = {
    "account": "login",
    "enhanced": "enhanced_code",
    "reason": "class",
    "queued": "delay_ms",
    "message_id": "header_message_id",
}
_ELSEWHERE: tp.Final = frozenset({"at", "type", "about"})


def event_id(stream: sys_uuid.UUID, seq: int, number: int) -> sys_uuid.UUID:
    """Return the identifier of an event by its place in the node's store: the same for ever."""
    return sys_uuid.uuid5(stream, f"{seq}:{number}")


def body(instance: sys_uuid.UUID, event: mail_events.Event) -> bytes:
    """Return what is sent of *event*."""
    data: dict[str, tp.Any] = {"instance": str(instance)}
    for name, kept in (("message", event.queue_id), ("about", event.about)):
        if log_ids.is_queue_id(kept):
            data[name] = str(log_ids.message_uuid(instance, kept))
    data.update(
        (_NAMES.get(name, name), value)
        for name, value in bounded.told(event).items()
        if name not in _ELSEWHERE
    )
    return _rendered(webhook_config.NAMES[event.type], event.at, data)


def notice_body(instance: sys_uuid.UUID, notice: notices.Notice) -> bytes:
    """Return what is sent of *notice*."""
    return _rendered(notice.type, notice.at, {"instance": str(instance), **notice.data})


def test_body(instance: sys_uuid.UUID, at: int) -> bytes:
    """Return what a test sends at a time, in milliseconds since 1970."""
    data = {"instance": str(instance), "text": TEXT_OF_A_TEST}
    return _rendered(webhook_config.TEST_TYPE, at, data)


class Told(tp.NamedTuple):
    """What a receiver reads."""

    type: str
    at: int
    """When it happened, in milliseconds since 1970."""
    data: dict[str, tp.Any]


def read(content: bytes) -> Told:
    """Return what *content*, which is of a function here, tells."""
    told = json.loads(content)
    moment = datetime.datetime.fromisoformat(told["timestamp"].replace("Z", "+00:00"))
    at = (moment - _EPOCH) // datetime.timedelta(milliseconds=1)
    return Told(told["type"], at, told["data"])


def headers(
    secrets: Iterable[str], event: sys_uuid.UUID, seconds: int, content: bytes
) -> dict[str, str]:
    """Return the header fields of *content*, sent at *seconds* since 1970, signed by *secrets*."""
    signed = b"%s.%d.%s" % (str(event).encode("ascii"), seconds, content)
    digests = (
        hmac.digest(webhook_config.signing_key(secret), signed, hashlib.sha256)
        for secret in secrets
    )
    return {
        "Content-Type": CONTENT_TYPE,
        "webhook-id": str(event),
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(
            f"v1,{base64.b64encode(digest).decode('ascii')}" for digest in digests
        ),
    }


def _rendered(kind: str, at: int, data: dict[str, tp.Any]) -> bytes:
    moment = _EPOCH + datetime.timedelta(milliseconds=at)
    timestamp = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return bounded.dump({"type": kind, "timestamp": timestamp, "data": data})
