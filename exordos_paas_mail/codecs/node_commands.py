# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What the control plane has a node do with its queue.

One row of the Status API a node holds the commands that are not done yet. It is
sealed (``sealing``) and bound to its node and revision. Another node may put back an
older row: so a command has an end, ``not_after``, and a node does each once. What
became of it is in ``queue_reports``. The row says which documents there are for the
node, too.
"""

from __future__ import annotations

import dataclasses
import enum
import typing as tp
import uuid as sys_uuid

from exordos_paas_mail.codecs import bounded, domains, log_ids, node_documents, sealing

if tp.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KIND: tp.Final = "mail_node_commands"
RAW_SIZE_MAX: tp.Final = 1024 * 1024
"""Octets of all commands, as JSON."""
COMMANDS_MAX: tp.Final = 100
IDS_MAX: tp.Final = 500
"""Messages that a command names."""
REASON_SIZE_MAX: tp.Final = 200

_VERSION: tp.Final = 1
_SEAL: tp.Final = sealing.Seal("the box of commands", b"mailaas-commands", RAW_SIZE_MAX)


class Action(str, enum.Enum):
    """What to do; the values are the API's."""

    RETRY = "retry"
    """Try messages now, whatever their next time is."""
    BOUNCE = "bounce"
    """End messages with a report to their sender."""
    DELETE = "delete"
    """End messages without a word."""
    SUSPEND = "suspend"
    """Deliver nothing to a domain until a time."""
    RESUME = "resume"
    """Deliver to it again, and try what waits for it."""


class Row(tp.NamedTuple):
    """The value of a row."""

    revision: int
    content: str
    """Sealed, in base64."""
    documents: str = ""
    """The index of the node's documents (``node_documents``), sealed; empty where it has none."""


@dataclasses.dataclass(frozen=True)
class Command:
    """One command: for messages by their queue ids or for a recipient domain.

    A retry with neither is one of the whole queue. Times are milliseconds since
    1970, UTC.
    """

    id: sys_uuid.UUID
    action: Action
    not_after: int
    """It is not begun later."""
    queue_ids: tuple[str, ...] = ()
    domain: str = ""
    """Lower case, of A-labels."""
    until: int = 0
    """The end of a suspension."""
    reason: str = ""
    """Why a domain is suspended."""


def row_uuid(node: sys_uuid.UUID) -> sys_uuid.UUID:
    """Return the uuid of the node's row, which is the same for ever."""
    return sys_uuid.uuid5(node, KIND)


def seal(key: bytes, node: sys_uuid.UUID, revision: int, content: bytes) -> Row:
    """Return *content*, JSON of at most ``RAW_SIZE_MAX`` octets, as a row.

    *key* is the node's own; each call gives another text.
    """
    return Row(revision, _SEAL.seal(key, _bound_to(node, revision), content))


def unseal(key: bytes, node: sys_uuid.UUID, row: Row) -> bytes:
    """Return what *row* holds as JSON; raises ValueError, without a word of it, if it cannot.

    It cannot where *row* was sealed with another key, for another node or revision,
    or is larger than it may be.
    """
    return _SEAL.unseal(key, _bound_to(node, row.revision), row.content)


def render(row: Row) -> dict[str, tp.Any]:
    """Return *row* as the value of a row; ``parse`` is the inverse."""
    value = {"version": _VERSION, **row._asdict()}
    if not row.documents:
        del value["documents"]
    return value


def parse(value: Mapping[str, tp.Any]) -> Row:
    """Return the row that *value* is; raises ValueError, without a word of it."""
    version, revision, content = (value.get(name) for name in ("version", "revision", "content"))
    if type(version) is not int or version != _VERSION:
        raise ValueError("the box of commands is of no version that is known")
    if type(revision) is not int or not 0 < revision <= bounded.NUMBER_MAX:
        raise ValueError("the box of commands has no revision")
    if not isinstance(content, str) or len(content) > _SEAL.sealed_size_max:
        raise ValueError("the box of commands has no content, or too much")
    indexed = value.get("documents", "")
    if not isinstance(indexed, str) or len(indexed) > node_documents.INDEX_SEALED_SIZE_MAX:
        raise ValueError("the box of commands has no index of documents, or too much of it")
    return Row(revision, content, indexed)


def render_commands(commands: Iterable[Command]) -> bytes:
    """Return *commands* as JSON; ``parse_commands`` is the inverse."""
    return bounded.dump(
        [{**bounded.told(one), "id": str(one.id), "action": one.action.value} for one in commands]
    )


def parse_commands(data: bytes) -> list[Command]:
    """Return the commands of *data*, but for actions of a later release.

    Raises ValueError, without a word of it, when one of them is no command.
    """
    values = bounded.load(data, "the box of commands")
    if not isinstance(values, list) or len(values) > COMMANDS_MAX:
        raise ValueError("the box of commands is no list, or too long")
    commands = [_command(value) for value in values]
    return [command for command in commands if command is not None]


def _command(value: object) -> Command | None:
    fields = bounded.Fields(value, "a command")
    try:
        action = Action(fields.text("action"))
    except ValueError:
        return None
    try:
        uuid = sys_uuid.UUID(fields.text("id"))
    except ValueError as error:
        raise fields.error("id") from error
    command = Command(
        id=uuid,
        action=action,
        not_after=fields.number("not_after"),
        queue_ids=fields.texts("queue_ids", IDS_MAX),
        domain=fields.text("domain", domains.MAX_LENGTH),
        until=fields.number("until"),
        reason=fields.text("reason", REASON_SIZE_MAX),
    )
    if not all(map(log_ids.is_queue_id, command.queue_ids)):
        raise fields.error("queue_ids")
    if command.domain and not domains.is_host_name(command.domain):
        raise fields.error("domain")
    if not _is_whole(command):
        raise ValueError("a command does not say what for")
    return command


def _is_whole(command: Command) -> bool:
    if command.queue_ids and command.domain:
        return False
    if command.action is Action.SUSPEND:
        return bool(command.domain and command.until)
    if command.action is Action.RESUME:
        return bool(command.domain)
    # All that is in the queue may be tried, never ended.
    return bool(command.queue_ids or command.domain or command.action is Action.RETRY)


def _bound_to(node: sys_uuid.UUID, revision: int) -> str:
    return f"{node}:{KIND}:{revision}"
