# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What became of mail: the events of a node, and how they travel to the control plane.

A node makes them of its log (``of``) and sends them as JSON (``render``). A node
belongs to its tenant, so the control plane takes nothing for granted (``parse``):
whatever a node sends is an event in these bounds, or is refused as a whole.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import types
import typing as tp

from exordos_paas_mail.codecs import (
    answers,
    bounded,
    delivery_reports,
    encoded_words,
    feedback_reports,
    holds,
    limit_signals,
    log_ids,
    main_log,
    return_paths,
    tls_policies,
)

if tp.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from exordos_paas_mail.codecs import spool_headers

TEXT_SIZE_MAX: tp.Final = 512
"""Characters of the other server's words that are kept."""

HELD: tp.Final = "Delivery to the domain is suspended"
"""Why a recipient waits whose domain the control plane has suspended."""
HELD_BACK: tp.Final = "Delivery to the domain is suspended, or the account is on hold"
"""The text of a delay that the control plane has asked for."""
FOUND: tp.Final = "found in the spool"
"""The text of an arrival that the log does not tell of: it was read from the spool."""
THE_CONTROL_PLANE: tp.Final = "the control plane"
"""The text of a deletion that it has asked for."""

TAGS_MAX: tp.Final = 3
TAG_SIZE_MAX: tp.Final = 64
"""Characters of a tag that are kept."""

MTA_STS: tp.Final = "mta_sts"
"""``verified`` of a server that has proven a name which the recipient's domain publishes."""

_BY_NAME: tp.Final = "yes"
_EXIM_USER: tp.Final = "Debian-exim"


class Type(str, enum.Enum):
    """What happened; the values are the API's."""

    SUBMITTED = "submitted"
    """An account has sent a message and acl_data let it in: how many it is for."""
    ACCEPTED = "accepted"
    """A message is in the spool, and its sender was told so."""
    DELIVERED = "delivered"
    DEFERRED = "deferred"
    FAILED = "failed"
    COMPLETED = "completed"
    """Nothing of a message is left in the spool."""
    DELETED = "deleted"
    """Somebody on the node has ended a message, and will not have it delivered."""
    UNACCOUNTED = "unaccounted"
    """A message is not in the spool any more, and the log does not tell how it ended."""
    BOUNCED = "bounced"
    """Another server reports that a recipient will not get a message that it had taken."""
    DELAY_REPORTED = "delay_reported"
    """Another server reports that it still tries."""
    DELIVERY_REPORTED = "delivery_reported"
    """Another server reports that it has delivered a message, or handed it on."""
    COMPLAINED = "complained"
    """The operator of a mailbox reports that its user does not want a message."""
    COMPLAINT_IGNORED = "complaint_ignored"
    """So does a report that names several messages, and is of none for that."""
    REJECTED = "rejected"
    LOGIN_FAILED = "login_failed"
    LIMIT_NEAR = "limit_near"
    """Four fifths of a limit are used: of an account, or without one, of the instance."""
    LIMIT_REACHED = "limit_reached"
    GAP = "gap"
    """Events are missing here: ``text`` says why, ``count`` how many."""
    HELD = "held"
    """A message was put apart, or an account on hold: ``text`` says why."""
    RELEASED = "released"
    """A message is to be delivered after all, or an account is not on hold any more."""
    REPUTATION_LOW = "reputation_low"
    """Of what an account sends, more fails than should: it is put on hold if that goes on."""
    SUPPRESSED = "suppressed"
    """A recipient gets nothing, because it is suppressed: refused, or taken out of a message."""


@dataclasses.dataclass(frozen=True)
class Event:
    """One event; what it does not have is empty or 0."""

    at: int
    """Milliseconds since 1970, UTC."""
    type: Type
    queue_id: str = ""
    account: str = ""
    sender: str = ""
    """The envelope's; empty for reports too."""
    recipient: str = ""
    recipients: int = 0
    size: int = 0
    """Octets."""
    client: str = ""
    """The address a message or a command came from."""
    command: str = ""
    temporary: bool = False
    """That the command may be tried again later."""
    mx: str = ""
    mx_address: str = ""
    tls: str = ""
    cipher: str = ""
    verified: str = ""
    """How the MX's certificate was verified: ``yes``, ``no``, ``dane`` or ``mta_sts``."""
    tls_policy: str = ""
    """How an attempt by MX records was to leave, a word of ``tls_policies.Mode``."""
    code: int = 0
    enhanced: str = ""
    text: str = ""
    reason: str = ""
    """The class of a failure or a delay (``answers.Class``)."""
    queued: int = 0
    """Milliseconds from the arrival to the delivery."""
    about: str = ""
    """The queue id of the message that this one, made by the relay, is a report of."""
    header_from: str = ""
    """The header field From of a message that was submitted, as it was sent."""
    message_id: str = ""
    """Its Message-ID, without the angle brackets; of a report that of the message it is about."""
    tags: tuple[str, ...] = ()
    """Its X-Mail-Tag fields, one each."""
    credential: str = ""
    """The prefix of the credential that a message was submitted with, from ``client``."""
    count: int = 1
    """How many equal ones this event stands for; 0 of a gap where nobody knows."""


def of(line: main_log.Line) -> list[Event]:
    """Return the events of a line of the log: mostly one, of a report as many as it tells of."""
    at = _milliseconds(line.at)
    make_several = _MAKERS_OF_SEVERAL.get(type(line.entry))
    if make_several is not None:
        return make_several(at, line.entry)
    if isinstance(line.entry, main_log.LimitSigns):
        return [_limit(at, line.entry.account, signal) for signal in line.entry.signals]
    if isinstance(line.entry, main_log.Accepted) and line.entry.hold:
        submitted = _submitted(at, line.queue_id, line.entry)
        held = Event(at, Type.HELD, line.queue_id, account=submitted.account, text=line.entry.hold)
        return [submitted, held]
    return [_MAKERS[type(line.entry)](at, line.queue_id, line.entry)]


def found(
    message: spool_headers.Arrival, queue_id: str, size: int, *, apart: bool = False
) -> list[Event]:
    """Return the arrival of a message that is in the spool, and in no line of the log.

    *size* is in octets. It has what an arrival and a submission would have told together. What no
    account has sent, a report say, has no submission, and so no number of recipients. Of a message
    that is *apart* there is a second event, which says so.
    """
    arrival = Event(
        message.arrived_at,
        Type.ACCEPTED,
        queue_id,
        account=message.account,
        sender=message.sender,
        recipients=message.recipients if message.account else 0,
        size=min(size, bounded.NUMBER_MAX),
        client=message.client,
        text=FOUND,
        header_from=_unfolded(message.header_from),
        message_id=_unfolded(message.message_id).removeprefix("<").removesuffix(">"),
        # Those of mail that no account has sent are a stranger's.
        tags=tuple(_tags(message.tags)) if message.account else (),
        credential=message.credential if message.account else "",
    )
    if not apart:
        return [arrival]
    why = message.hold or holds.ACCOUNT
    return [arrival, Event(arrival.at, Type.HELD, queue_id, account=arrival.account, text=why)]


def unaccounted(at: int, queue_id: str) -> Event:
    """Return that a message was found gone at a time, in milliseconds since 1970."""
    return Event(at, Type.UNACCOUNTED, queue_id)


def render(events: Iterable[Event]) -> bytes:
    """Return *events* as JSON; ``parse`` is the inverse."""
    values = [
        {name: value for name, value in vars(event).items() if value != _DEFAULTS.get(name)}
        for event in events
    ]
    return bounded.dump(values)


def parse(data: bytes) -> list[Event]:
    """Return the events of *data*.

    Raises ValueError, without a word of it, when one of them is none. Types and fields
    of a later release are passed over.
    """
    values = bounded.load(data, "the list of events")
    if not isinstance(values, list):
        raise ValueError("the events are no list")  # noqa: TRY004 - codecs raise ValueError
    events = [_event(value) for value in values]
    return [event for event in events if event is not None]


def _event(value: object) -> Event | None:
    if not isinstance(value, dict):
        raise ValueError("an event is no object")  # noqa: TRY004 - as above
    fields = {name: field for name, field in value.items() if name in _FIELDS}
    for name, field in fields.items():
        if not _is_sound(field, _FIELDS[name]):
            raise ValueError(f"{name} of an event is out of its bounds")
    tags = tuple(fields.get("tags", ()))
    kind = fields.get("type")
    if isinstance(kind, str) and kind not in _TYPES:
        return None
    try:
        return Event(**{**fields, "at": fields["at"], "type": Type(fields["type"]), "tags": tags})
    except (KeyError, ValueError) as error:
        raise ValueError("an event has no time or no known type") from error


def _is_sound(field: object, kind: str) -> bool:
    if kind == "bool":
        return isinstance(field, bool)
    if kind == "int":
        return (
            isinstance(field, int)
            and not isinstance(field, bool)
            and 0 <= field <= bounded.NUMBER_MAX
        )
    if kind == "tuple[str, ...]":
        return (
            isinstance(field, list)
            and len(field) <= TAGS_MAX
            and all(_is_sound(tag, "str") and 0 < len(tag) <= TAG_SIZE_MAX for tag in field)
        )
    return bounded.is_plain(field)


_TYPES: tp.Final = frozenset(kind.value for kind in Type)
_FIELDS: tp.Final[Mapping[str, str]] = types.MappingProxyType(
    {field.name: tp.cast("str", field.type) for field in dataclasses.fields(Event)}
)
_DEFAULTS: tp.Final[Mapping[str, object]] = types.MappingProxyType(
    {field.name: field.default for field in dataclasses.fields(Event)}
)


def _milliseconds(at: datetime.datetime) -> int:
    return (at - _EPOCH) // datetime.timedelta(milliseconds=1)


_EPOCH: tp.Final = datetime.datetime.fromtimestamp(0, datetime.timezone.utc)


def _submitted(at: int, queue_id: str, entry: main_log.Accepted) -> Event:
    return Event(
        at,
        Type.SUBMITTED,
        queue_id,
        account=bounded.plain(entry.account),
        recipients=entry.recipients,
        size=max(entry.size, 0),
        header_from=_unfolded(entry.header_from),
        message_id=_unfolded(entry.message_id).removeprefix("<").removesuffix(">"),
        tags=tuple(_tags(entry.tags)),
        credential=entry.credential,
        client=entry.client,
    )


def _unfolded(field: str) -> str:
    """Return the text of a header field in one line."""
    return bounded.plain(" ".join(field.split()))


def _tags(fields: Iterable[str]) -> list[str]:
    texts = (_read(" ".join(field.split())) for field in fields)
    tags = [bounded.plain(" ".join(text.split()), TAG_SIZE_MAX).strip() for text in texts]
    return [tag for tag in dict.fromkeys(tags) if tag][:TAGS_MAX]


def _read(field: str) -> str:
    """Return what a reader sees of *field*, or itself where that cannot be known."""
    if "=?" not in field:
        return field
    try:
        return encoded_words.decode(field.encode())
    except ValueError:
        return field


def _accepted(at: int, queue_id: str, entry: main_log.Arrival) -> Event:
    return Event(
        at,
        Type.ACCEPTED,
        queue_id,
        account=bounded.plain(entry.account),
        sender=bounded.plain(entry.sender),
        size=entry.size,
        client=entry.client,
        about=entry.about,
        **_tls(entry.tls),
    )


def _reports(at: int, entry: main_log.Reported) -> list[Event]:
    return _of_reports(
        at,
        entry.returned if log_ids.is_queue_id(entry.returned) else "",
        entry.said,
        account=bounded.plain(entry.account),
        client=entry.client,
        message_id=_unfolded(entry.message_id),
    )


def _returned(at: int, entry: main_log.Returned) -> list[Event]:
    path = return_paths.parse_path(entry.path)
    if path is None:
        return []
    return _of_reports(at, path.queue_id, entry.said, client=entry.client)


def _complained(at: int, entry: main_log.Complained) -> list[Event]:
    report = feedback_reports.parse(entry.said)
    if report.type not in feedback_reports.COMPLAINTS:
        return []
    queue_id = feedback_reports.message(entry.good, entry.named)
    said = " ".join(filter(None, (report.type, report.agent and f"by {report.agent}")))
    return [
        Event(
            at,
            Type.COMPLAINED if queue_id else Type.COMPLAINT_IGNORED,
            queue_id,
            recipient=bounded.plain(report.recipient) if queue_id else "",
            client=entry.client,
            text=bounded.plain(said, TEXT_SIZE_MAX),
        )
    ]


def _nothing(at: int, entry: main_log.Entry) -> list[Event]:  # noqa: ARG001
    return []


def _of_reports(at: int, queue_id: str, said: str, **more: tp.Any) -> list[Event]:
    return [
        Event(
            at,
            _REPORTS.get(report.action, Type.DELIVERY_REPORTED),
            queue_id,
            recipient=bounded.plain(report.recipient),
            mx=bounded.plain(report.server),
            code=report.answer.code,
            enhanced=report.answer.enhanced,
            text=bounded.plain(report.answer.text, TEXT_SIZE_MAX),
            reason="" if report.action in delivery_reports.DONE else report.reason.value,
            **more,
        )
        for report in delivery_reports.parse(said)
    ]


_REPORTS: tp.Final[Mapping[str, Type]] = types.MappingProxyType(
    {
        delivery_reports.FAILED: Type.BOUNCED,
        delivery_reports.DELAYED: Type.DELAY_REPORTED,
    }
)


def _delivered(at: int, queue_id: str, entry: main_log.Delivery) -> Event:
    said = answers.parse(entry.words) or answers.Answer(0, "", entry.words)
    more = {"queued": round(entry.queued * 1000), "sender": bounded.plain(entry.sender)}
    return _attempt(at, Type.DELIVERED, queue_id, entry, said, **more, **_tls_of_attempt(entry))


def _deferred(at: int, queue_id: str, entry: main_log.Deferral) -> Event:
    reason = answers.classify(entry.words, entry.errno).value
    held = answers.Answer(0, "", HELD_BACK) if entry.errno == main_log.HELD else None
    said = held or _quoted(entry.words)
    mode = tls_policies.TRANSPORTS.get(entry.transport, tls_policies.Mode.AUTO)
    if reason == answers.Class.TLS.value and mode not in tls_policies.WEAK:
        said = said._replace(text=f"TLS policy {mode.value}: {said.text}")
    return _attempt(at, Type.DEFERRED, queue_id, entry, said, reason=reason)


def _failed(at: int, queue_id: str, entry: main_log.Failure) -> Event:
    reason = answers.classify(entry.words).value
    more = {"reason": reason, "sender": bounded.plain(entry.sender or "")}
    return _attempt(
        at, Type.FAILED, queue_id, entry, _quoted(entry.words), **more, **_tls_of_attempt(entry)
    )


def _withheld(at: int, queue_id: str, entry: main_log.Withheld) -> Event:
    said = answers.parse(entry.words) or answers.Answer(0, "", entry.words)
    return Event(
        at,
        Type.SUPPRESSED,
        queue_id,
        sender=bounded.plain(entry.sender),
        recipient=bounded.plain(entry.recipient),
        code=said.code,
        enhanced=said.enhanced,
        text=bounded.plain(said.text, TEXT_SIZE_MAX),
    )


def _suppressed(at: int, queue_id: str, entry: main_log.Suppressed) -> Event:  # noqa: ARG001
    return Event(
        at,
        Type.SUPPRESSED,
        account=bounded.plain(entry.account),
        sender=bounded.plain(entry.sender),
        recipient=bounded.plain(entry.recipient),
        client=entry.client,
        code=550,
        enhanced="5.7.1",
        text=bounded.plain(f"since {entry.since} ({entry.reason})", TEXT_SIZE_MAX),
    )


def _attempt(
    at: int,
    kind: Type,
    queue_id: str,
    entry: main_log.Delivery | main_log.Deferral | main_log.Failure,
    said: answers.Answer,
    **more: tp.Any,
) -> Event:
    return Event(
        at,
        kind,
        queue_id,
        recipient=bounded.plain(entry.recipient),
        code=said.code,
        enhanced=said.enhanced,
        text=bounded.plain(said.text, TEXT_SIZE_MAX),
        tls_policy=_policy(entry.transport),
        **_remote(entry.remote),
        **more,
    )


def _quoted(words: str) -> answers.Answer:
    """Return the answer that exim's *words* quote, or else the words."""
    return answers.answer(words) or answers.Answer(0, "", words)


def _completed(at: int, queue_id: str, entry: main_log.Completed) -> Event:  # noqa: ARG001
    return Event(at, Type.COMPLETED, queue_id)


def _deleted(at: int, queue_id: str, entry: main_log.Removal) -> Event:
    # A person on the node is root; what runs as exim's user does what it is told.
    by = THE_CONTROL_PLANE if entry.by == _EXIM_USER else entry.by
    return Event(at, Type.DELETED, queue_id, text=bounded.plain(by, TEXT_SIZE_MAX))


def _moved(at: int, queue_id: str, entry: main_log.Move) -> Event:
    if entry.queue == holds.QUEUE:
        return Event(at, Type.HELD, queue_id, text=holds.ACCOUNT)
    return Event(at, Type.RELEASED, queue_id)


def _rejected(at: int, queue_id: str, entry: main_log.Refusal) -> Event:  # noqa: ARG001
    # The message of a refusal after DATA is none that is there.
    return Event(
        at,
        Type.REJECTED,
        account=bounded.plain(entry.account),
        sender=bounded.plain(entry.sender or ""),
        client=entry.client,
        command=entry.command,
        temporary=entry.temporary,
        text=bounded.plain(entry.words, TEXT_SIZE_MAX),
    )


def _login_failed(at: int, queue_id: str, entry: main_log.FailedLogin) -> Event:  # noqa: ARG001
    return Event(at, Type.LOGIN_FAILED, account=bounded.plain(entry.account), client=entry.client)


def _limit(at: int, account: str, signal: limit_signals.Signal) -> Event:
    kind = Type.LIMIT_REACHED if signal.what == limit_signals.REACHED else Type.LIMIT_NEAR
    own = signal.scope == limit_signals.ACCOUNT
    text = limit_signals.said(signal)
    return Event(at, kind, account=bounded.plain(account) if own else "", text=text)


def _remote(remote: main_log.Remote | None) -> dict[str, tp.Any]:
    return {"mx": bounded.plain(remote.name), "mx_address": remote.address} if remote else {}


def _tls(tls: main_log.Tls | None) -> dict[str, tp.Any]:
    if tls is None:
        return {}
    return {"tls": tls.version, "cipher": tls.cipher, "verified": tls.verified}


def _tls_of_attempt(entry: main_log.Delivery | main_log.Failure) -> dict[str, tp.Any]:
    """Return the TLS of an attempt.

    exim says alike of a certificate that has the name of a server and of one that has the name
    of a server which the recipient's domain publishes (RFC 8461): the policy tells them apart.
    """
    found = _tls(entry.tls)
    if _policy(entry.transport) == MTA_STS and found.get("verified") == _BY_NAME:
        return {**found, "verified": MTA_STS}
    return found


def _policy(transport: str) -> str:
    mode = tls_policies.TRANSPORTS.get(transport)
    return "" if mode is None else mode.value


_MAKERS: tp.Final[Mapping[type, Callable[[int, str, tp.Any], Event]]] = types.MappingProxyType(
    {
        main_log.Accepted: _submitted,
        main_log.Arrival: _accepted,
        main_log.Delivery: _delivered,
        main_log.Deferral: _deferred,
        main_log.Failure: _failed,
        main_log.Withheld: _withheld,
        main_log.Completed: _completed,
        main_log.Removal: _deleted,
        main_log.Move: _moved,
        main_log.Refusal: _rejected,
        main_log.Suppressed: _suppressed,
        main_log.FailedLogin: _login_failed,
    }
)
_MAKERS_OF_SEVERAL: tp.Final[Mapping[type, Callable[[int, tp.Any], list[Event]]]] = (
    types.MappingProxyType(
        {
            main_log.Reported: _reports,
            main_log.Returned: _returned,
            main_log.Complained: _complained,
            main_log.Dropped: _nothing,
            # Counted on the node: there is one for each session.
            main_log.Login: _nothing,
            # Of a server: what comes of it for recipients are lines that follow.
            main_log.Unreached: _nothing,
            main_log.LoginRefused: _nothing,
        }
    )
)
