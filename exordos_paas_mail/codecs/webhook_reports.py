# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What became of webhooks, as a node tells the control plane.

It is told as a state: one row of the Status API a node, replaced when it has
changed, sealed (``sealing``) and bound to its node and its revision, which only
grows: an older row, which another node may have put back, is known by it.

Times are milliseconds since 1970, UTC, and 0 where there is none.
"""

from __future__ import annotations

import dataclasses
import enum
import typing as tp
import uuid as sys_uuid

from exordos_paas_mail.codecs import bounded, sealing, webhook_config

if tp.TYPE_CHECKING:
    from collections.abc import Mapping

KIND: tp.Final = "mail_webhook_report"
RAW_SIZE_MAX: tp.Final = 1024 * 1024
"""Octets of what a row tells, as JSON."""
DELIVERIES_MAX: tp.Final = 50
"""Attempts of a webhook that are told."""
BODY_SIZE_MAX: tp.Final = 512
"""Characters of an answer that are told."""
ERROR_SIZE_MAX: tp.Final = 200
TYPE_SIZE_MAX: tp.Final = 64

_VERSION: tp.Final = 1
_SEAL: tp.Final = sealing.Seal("the report of webhooks", b"mailaas-webhooks", RAW_SIZE_MAX)


class Status(str, enum.Enum):
    """How a webhook fares; the values are the API's."""

    ACTIVE = "ACTIVE"
    FAILING = "FAILING"
    """What was sent last did not arrive."""
    DISABLED = "DISABLED"
    """Nothing is sent until its user changes it: it answered 410, or nothing arrived for days."""


class Row(tp.NamedTuple):
    """The value of a row."""

    revision: int
    content: str
    """Sealed, in base64."""


@dataclasses.dataclass(frozen=True)
class Delivery:
    """One attempt to hand an event over."""

    id: sys_uuid.UUID
    """The event's: the ``webhook-id`` of each attempt, and of each replay."""
    type: str
    at: int
    attempt: int = 1
    """1 for the first one of an event."""
    code: int = 0
    """The status of the answer; 0 where none came."""
    ms: int = 0
    """How long it took, in milliseconds."""
    error: str = ""
    """Why it did not arrive; empty where it did."""
    body: str = ""
    """What the receiver said, in one line; empty where the event arrived."""
    next_at: int = 0
    """When it is tried again; 0 where it is not."""


@dataclasses.dataclass(frozen=True)
class HookState:
    """How a webhook fares."""

    id: sys_uuid.UUID
    status: Status
    revision: int = 0
    """Of the webhook that this is told of."""
    last_success_at: int = 0
    last_error_at: int = 0
    last_error: str = ""
    failing_since: int = 0
    """When the first attempt after the last success failed."""
    waiting: int = 0
    """Events that were tried, or are next: what follows them is not counted."""
    given_up: int = 0
    """Events that did not arrive in all their attempts, since the webhook was made."""
    lost: int = 0
    """Batches of events that the node had no more when it came to them."""
    deliveries: tuple[Delivery, ...] = ()
    """The newest first."""


@dataclasses.dataclass(frozen=True)
class Result:
    """What became of a request."""

    id: sys_uuid.UUID
    error: str = ""
    """Why it could not be done; empty where it is done."""
    count: int = 0
    """Events that were sent; of a replay those that were begun."""


@dataclasses.dataclass(frozen=True)
class Report:
    """All webhooks of a node."""

    at: int
    hooks: tuple[HookState, ...] = ()
    results: tuple[Result, ...] = ()
    """Of the requests that the control plane still asks for."""


def row_uuid(node: sys_uuid.UUID) -> sys_uuid.UUID:
    """Return the uuid of the node's row, which is the same for ever."""
    return sys_uuid.uuid5(node, KIND)


def seal(key: bytes, node: sys_uuid.UUID, revision: int, content: bytes) -> Row:
    """Return *content*, JSON of at most ``RAW_SIZE_MAX`` octets, as a row.

    *key* is the node's own; each call gives another text.
    """
    return Row(revision, _SEAL.seal(key, _bound_to(node, revision), content))


def unseal(key: bytes, node: sys_uuid.UUID, row: Row) -> bytes:
    """Return what *row* tells as JSON; raises ValueError, without a word of it, if it cannot.

    It cannot where *row* was sealed with another key, for another node or revision,
    or is larger than it may be.
    """
    return _SEAL.unseal(key, _bound_to(node, row.revision), row.content)


def render(row: Row) -> dict[str, tp.Any]:
    """Return *row* as the value of a row; ``parse`` is the inverse."""
    return {"version": _VERSION, **row._asdict()}


def parse(value: Mapping[str, tp.Any]) -> Row:
    """Return the row that *value* is; raises ValueError, without a word of it."""
    version, revision, content = (value.get(name) for name in ("version", "revision", "content"))
    if type(version) is not int or version != _VERSION:
        raise ValueError("the report of webhooks is of no version that is known")
    if type(revision) is not int or not 0 < revision <= bounded.NUMBER_MAX:
        raise ValueError("the report of webhooks has no revision")
    if not isinstance(content, str) or len(content) > _SEAL.sealed_size_max:
        raise ValueError("the report of webhooks has no content, or too much")
    return Row(revision, content)


def render_report(report: Report) -> bytes:
    """Return *report* as JSON; ``parse_report`` is the inverse.

    Where it is more than a row may hold it tells of fewer deliveries, the newest.
    """
    count = DELIVERIES_MAX
    while True:
        data = bounded.dump(_told(report, count))
        if len(data) <= RAW_SIZE_MAX or not count:
            return data
        count //= 2


def parse_report(data: bytes) -> Report:
    """Return the report of *data*; raises ValueError, without a word of it."""
    fields = bounded.Fields(bounded.load(data, "the report"), "the report of webhooks")
    hooks = tuple(_state(value) for value in fields.list("hooks", webhook_config.HOOKS_MAX))
    if len({hook.id for hook in hooks}) != len(hooks):
        raise fields.error("hooks")
    results = fields.list("results", webhook_config.REQUESTS_MAX)
    return Report(
        at=fields.number("at"), hooks=hooks, results=tuple(_result(value) for value in results)
    )


def _told(report: Report, count: int) -> dict[str, tp.Any]:
    return {
        "at": report.at,
        "hooks": [
            {
                **bounded.told(state),
                "id": str(state.id),
                "status": state.status.value,
                "deliveries": [
                    {**bounded.told(each), "id": str(each.id)} for each in state.deliveries[:count]
                ],
            }
            for state in report.hooks
        ],
        "results": [{**bounded.told(one), "id": str(one.id)} for one in report.results],
    }


def _state(value: object) -> HookState:
    fields = bounded.Fields(value, "the state of a webhook")
    try:
        status = Status(fields.text("status"))
    except ValueError as error:
        raise fields.error("status") from error
    return HookState(
        id=_uuid(fields),
        status=status,
        revision=fields.number("revision"),
        last_success_at=fields.number("last_success_at"),
        last_error_at=fields.number("last_error_at"),
        last_error=fields.text("last_error", ERROR_SIZE_MAX),
        failing_since=fields.number("failing_since"),
        waiting=fields.number("waiting"),
        given_up=fields.number("given_up"),
        lost=fields.number("lost"),
        deliveries=tuple(_delivery(one) for one in fields.list("deliveries", DELIVERIES_MAX)),
    )


def _delivery(value: object) -> Delivery:
    fields = bounded.Fields({"attempt": 1, **value} if isinstance(value, dict) else value, "a try")
    return Delivery(
        id=_uuid(fields),
        type=fields.text("type", TYPE_SIZE_MAX),
        at=fields.number("at"),
        attempt=fields.number("attempt"),
        code=fields.number("code"),
        ms=fields.number("ms"),
        error=fields.text("error", ERROR_SIZE_MAX),
        body=fields.text("body", BODY_SIZE_MAX),
        next_at=fields.number("next_at"),
    )


def _result(value: object) -> Result:
    fields = bounded.Fields(value, "a result")
    return Result(_uuid(fields), fields.text("error", ERROR_SIZE_MAX), fields.number("count"))


def _uuid(fields: bounded.Fields) -> sys_uuid.UUID:
    try:
        return sys_uuid.UUID(fields.text("id"))
    except ValueError as error:
        raise fields.error("id") from error


def _bound_to(node: sys_uuid.UUID, revision: int) -> str:
    return f"{node}:{KIND}:{revision}"
