# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The queue of a node, as the node tells the control plane.

It is told as a state and not as events: rows of the Status API, ``SHARDS`` of them
with the messages by their queue id and one, ``STATE``, with what they come to, each
replaced when it has changed. A row is sealed (``sealing``) and bound to its node,
its place and its revision, which only grows: an older row, which another node may
have put back, is known by it.

Times are milliseconds since 1970, UTC, and 0 where they are not known.
"""

from __future__ import annotations

import dataclasses
import typing as tp
import uuid as sys_uuid
import zlib

from exordos_paas_mail.codecs import bounded, domains, log_ids, node_documents, sealing

if tp.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KIND: tp.Final = "mail_queue_shard"
SHARDS: tp.Final = 64
STATE: tp.Final = "state"
RAW_SIZE_MAX: tp.Final = 1024 * 1024
"""Octets of what a row tells, as JSON."""
ITEMS_MAX: tp.Final = 2000
"""Messages in a row."""
RECIPIENTS_MAX: tp.Final = 100
"""Recipients of a message that are told by name."""
TEXT_SIZE_MAX: tp.Final = 512
"""Characters of why a delivery failed, or why a domain is suspended."""
DOMAINS_MAX: tp.Final = 200
"""Domains of a state: those with the most messages, and those that are suspended."""
RESULTS_MAX: tp.Final = 100
USAGE_MAX: tp.Final = 500
"""Logins whose usage is told: those that sent last, and all together."""
IDS_MAX: tp.Final = 500
"""Messages that a result names; it counts all."""
WHY_SIZE_MAX: tp.Final = 200
"""Characters of why a command did not do with a message what it was to do."""

OUTBOUND_SIZE_MAX: tp.Final = 2048
"""Characters of what was tried where mail cannot leave."""
OUTBOUND_OK: tp.Final = "OK"
OUTBOUND_BLOCKED: tp.Final = "BLOCKED"

Shard = int | tp.Literal["state"]

TIME_MAX: tp.Final = 253_370_764_800_000
"""Of what is computed with: of the year 9999, the last that there is a datetime of."""

_VERSION: tp.Final = 1
_SEAL: tp.Final = sealing.Seal("the report", b"mailaas-queue", RAW_SIZE_MAX)


class Row(tp.NamedTuple):
    """The value of a row."""

    shard: Shard
    revision: int
    content: str
    """Sealed, in base64."""


@dataclasses.dataclass(frozen=True)
class Item:
    """A message in the queue."""

    queue_id: str
    account: str = ""
    """The login it was submitted with; empty for a report of the relay's own, and role mail."""
    sender: str = ""
    """The envelope's; empty for reports."""
    recipients: tuple[str, ...] = ()
    """Those that do not have it yet, the first ``RECIPIENTS_MAX``."""
    recipients_count: int = 0
    """All of them."""
    size: int = 0
    """Octets."""
    arrived_at: int = 0
    frozen: bool = False
    attempts: int = 0
    last_error: str = ""
    """Why the last attempt failed, in the other server's words or exim's."""
    reason: str = ""
    """Its class (``answers.Class``)."""
    last_attempt_at: int = 0
    retry_at: int = 0
    held: bool = False
    """Whether it is apart (``holds``), and not tried."""


@dataclasses.dataclass(frozen=True)
class Domain:
    """What waits for a recipient domain."""

    domain: str = ""
    """Empty for all that are not told by name."""
    messages: int = 0
    oldest_at: int = 0
    """When the oldest of them arrived."""
    last_error: str = ""
    reason: str = ""
    retry_at: int = 0
    suspended_until: int = 0
    """0 where its delivery is not suspended."""
    suspended_for: str = ""
    """Why it is suspended."""


@dataclasses.dataclass(frozen=True)
class Result:
    """What became of a command (``node_commands``)."""

    id: sys_uuid.UUID
    error: str = ""
    """Why it could not be done; empty where it is done, perhaps not with each message."""
    done: tuple[str, ...] = ()
    """The queue ids it was done with, the first ``IDS_MAX``."""
    count: int = 0
    """How many they are."""
    failed: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Why it was not done, by queue id, the first ``IDS_MAX``."""
    failed_count: int = 0


@dataclasses.dataclass(frozen=True)
class Usage:
    """How many recipients a login has sent to."""

    login: str
    """``*`` for all of them together."""
    at: int = 0
    """When it sent last: the windows are those that this is in."""
    minute: int = 0
    hour: int = 0
    day: int = 0
    month: int = 0


@dataclasses.dataclass(frozen=True)
class State:
    """What the queue comes to."""

    at: int
    """When the node looked."""
    messages: int = 0
    """All of them; the youngest are in no shard yet."""
    oldest_at: int = 0
    frozen: int = 0
    recipients: int = 0
    """Those that do not have their message yet."""
    domains: tuple[Domain, ...] = ()
    others: Domain = Domain()
    """The other domains as one."""
    results: tuple[Result, ...] = ()
    """Of the commands that the control plane still asks for, the oldest first."""
    documents: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """By collection, the largest revision of an index all of whose shards the node has."""
    usage: tuple[Usage, ...] = ()
    outbound: str = ""
    """Whether mail can leave, ``OK`` or ``BLOCKED``; empty while that is not known."""
    outbound_error: str = ""
    """What was tried where it cannot."""
    outbound_unknown: bool = False
    """Nothing is known of it now, whatever was told before: an image that says nothing, or cannot
    read it, leaves what was told."""


def row_uuid(node: sys_uuid.UUID, shard: Shard) -> sys_uuid.UUID:
    """Return the uuid of a row, which is the same for ever."""
    return sys_uuid.uuid5(node, f"{KIND}:{shard}")


def shard_of(queue_id: str) -> int:
    """Return which row a message is in."""
    return zlib.crc32(queue_id.encode("ascii")) % SHARDS


def seal(key: bytes, node: sys_uuid.UUID, shard: Shard, revision: int, content: bytes) -> Row:
    """Return *content*, JSON of at most ``RAW_SIZE_MAX`` octets, as a row.

    *key* is the node's own; each call gives another text.
    """
    return Row(shard, revision, _SEAL.seal(key, _bound_to(node, shard, revision), content))


def unseal(key: bytes, node: sys_uuid.UUID, row: Row) -> bytes:
    """Return what *row* tells as JSON; raises ValueError, without a word of it, if it cannot.

    It cannot where *row* was sealed with another key, for another node, place or
    revision, or is larger than it may be.
    """
    return _SEAL.unseal(key, _bound_to(node, row.shard, row.revision), row.content)


def render(row: Row) -> dict[str, tp.Any]:
    """Return *row* as the value of a row; ``parse`` is the inverse."""
    return {"version": _VERSION, **row._asdict()}


def parse(value: Mapping[str, tp.Any]) -> Row:
    """Return the row that *value* is; raises ValueError, without a word of it."""
    version, shard, revision, content = (
        value.get(name) for name in ("version", "shard", "revision", "content")
    )
    if type(version) is not int or version != _VERSION:
        raise ValueError("the report is of no version that is known")
    if shard != STATE and (type(shard) is not int or not 0 <= shard < SHARDS):
        raise ValueError("the report has no place")
    if type(revision) is not int or not 0 < revision <= bounded.NUMBER_MAX:
        raise ValueError("the report has no revision")
    if not isinstance(content, str) or len(content) > _SEAL.sealed_size_max:
        raise ValueError("the report has no content, or too much")
    return Row(tp.cast("Shard", shard), revision, content)


def render_items(items: Iterable[Item]) -> bytes:
    """Return what a shard tells; ``parse_items`` is the inverse."""
    return bounded.dump([bounded.told(item) for item in items])


def parse_items(data: bytes, shard: int) -> list[Item]:
    """Return the messages that the row *shard* tells; raises ValueError, without a word of it."""
    values = bounded.load(data, "the queue")
    if not isinstance(values, list) or len(values) > ITEMS_MAX:
        raise ValueError("the queue is no list, or too long")
    items = [_item(value) for value in values]
    ids = {item.queue_id for item in items}
    if len(ids) != len(items) or any(shard_of(queue_id) != shard for queue_id in ids):
        raise ValueError("a message is twice in the queue, or in another row's place")
    return items


def render_state(state: State) -> bytes:
    """Return what the row ``STATE`` tells; ``parse_state`` is the inverse."""
    return bounded.dump(
        {
            **bounded.told(state),
            "domains": [bounded.told(domain) for domain in state.domains],
            "others": bounded.told(state.others),
            "results": [{**bounded.told(one), "id": str(one.id)} for one in state.results],
            "usage": [bounded.told(one) for one in state.usage],
        }
    )


def parse_state(data: bytes) -> State:
    """Return what the row ``STATE`` tells; raises ValueError, without a word of it."""
    fields = bounded.Fields(bounded.load(data, "the state"), "the state")
    named = tuple(_domain(value) for value in fields.list("domains", DOMAINS_MAX))
    if len({domain.domain for domain in named} - {""}) != len(named):
        raise ValueError("a domain is twice in the state, or has no name")
    outbound = fields.text("outbound")
    if outbound not in {"", OUTBOUND_OK, OUTBOUND_BLOCKED}:
        raise fields.error("outbound")
    results = tuple(_result(value) for value in fields.list("results", RESULTS_MAX))
    return State(
        at=fields.number("at"),
        messages=fields.number("messages"),
        oldest_at=fields.number("oldest_at"),
        frozen=fields.number("frozen"),
        recipients=fields.number("recipients"),
        domains=named,
        others=dataclasses.replace(_domain(fields.object("others")), domain=""),
        results=results,
        documents=fields.numbers("documents", node_documents.COLLECTIONS_MAX),
        usage=tuple(_usage(value) for value in fields.list("usage", USAGE_MAX)),
        outbound=outbound,
        outbound_error=fields.text("outbound_error", OUTBOUND_SIZE_MAX),
        outbound_unknown=fields.flag("outbound_unknown"),
    )


def _item(value: object) -> Item:
    fields = bounded.Fields(value, "a message in the queue")
    queue_id = fields.text("queue_id")
    if not log_ids.is_queue_id(queue_id):
        raise fields.error("queue_id")
    return Item(
        queue_id=queue_id,
        account=fields.text("account"),
        sender=fields.text("sender"),
        recipients=fields.texts("recipients", RECIPIENTS_MAX),
        recipients_count=fields.number("recipients_count"),
        size=fields.number("size"),
        arrived_at=fields.number("arrived_at"),
        frozen=fields.flag("frozen"),
        attempts=fields.number("attempts"),
        last_error=fields.text("last_error", TEXT_SIZE_MAX),
        reason=fields.text("reason"),
        last_attempt_at=fields.number("last_attempt_at"),
        retry_at=fields.number("retry_at"),
        held=fields.flag("held"),
    )


def _domain(value: object) -> Domain:
    fields = bounded.Fields(value, "a domain of the queue")
    return Domain(
        domain=fields.text("domain", domains.MAX_LENGTH),
        messages=fields.number("messages"),
        oldest_at=fields.number("oldest_at"),
        last_error=fields.text("last_error", TEXT_SIZE_MAX),
        reason=fields.text("reason"),
        retry_at=fields.number("retry_at"),
        suspended_until=fields.number("suspended_until"),
        suspended_for=fields.text("suspended_for", TEXT_SIZE_MAX),
    )


def _usage(value: object) -> Usage:
    fields = bounded.Fields(value, "usage")
    login = fields.text("login")
    if not login:
        raise fields.error("login")
    numbers = {name: fields.number(name) for name in ("at", "minute", "hour", "day", "month")}
    if numbers["at"] > TIME_MAX:
        raise fields.error("at")
    return Usage(login, **numbers)


def _result(value: object) -> Result:
    fields = bounded.Fields(value, "a result")
    try:
        uuid = sys_uuid.UUID(fields.text("id"))
    except ValueError as error:
        raise fields.error("id") from error
    return Result(
        id=uuid,
        error=fields.text("error", TEXT_SIZE_MAX),
        done=fields.texts("done", IDS_MAX),
        count=fields.number("count"),
        failed=fields.pairs("failed", IDS_MAX, WHY_SIZE_MAX),
        failed_count=fields.number("failed_count"),
    )


def _bound_to(node: sys_uuid.UUID, shard: Shard, revision: int) -> str:
    return f"{node}:{KIND}:{shard}:{revision}"
