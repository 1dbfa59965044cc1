# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What the control plane is told of the queue, made anew of the messages that have changed."""

from __future__ import annotations

import collections
import dataclasses
import types
import typing as tp

from exordos_paas_mail.codecs import (
    answers,
    bounded,
    log_ids,
    mail_events,
    queue_reports,
    retry_hints,
    smarthosts,
    spool_headers,
)
from exordos_paas_mail.codecs import suspensions as suspensions_
from exordos_paas_mail.node.queue import ways as ways_

if tp.TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from exordos_paas_mail.node.events import deferrals
    from exordos_paas_mail.node.queue import attempts as attempts_
    from exordos_paas_mail.node.queue import spool as spool_

    Suspensions = Mapping[str, suspensions_.Suspension]
    Servers = Mapping[str, tuple[str, str]]
    """Name and address of the server that a domain, in lower case, was reached at last."""

_NO_SERVERS: tp.Final[Servers] = types.MappingProxyType({})
_NAMED_DOMAINS_MAX = queue_reports.DOMAINS_MAX - suspensions_.MAX


class Listing:
    """The items of the queue, and what they come to."""

    def __init__(self) -> None:
        self._shards: list[dict[str, queue_reports.Item]] = [
            {} for _ in range(queue_reports.SHARDS)
        ]
        self._of_domains: dict[str, list[_Waiting]] = {}

    def put(self, message: spool_.Message, waits: Waits) -> None:
        """Take in a message, or what is new of it."""
        self._shards[queue_reports.shard_of(message.queue_id)][message.queue_id] = waits.item
        self._of_domains[message.queue_id] = waits.domains

    def drop(self, queue_id: str) -> None:
        """Take out a message; one that is not there is none."""
        self._shards[queue_reports.shard_of(queue_id)].pop(queue_id, None)
        self._of_domains.pop(queue_id, None)

    def waiting_for(self, domain: str) -> tuple[list[str], list[str]]:
        """Return the messages that wait for *domain* alone, and those that wait for others too."""
        alone: list[str] = []
        mixed: list[str] = []
        for queue_id, each in self._of_domains.items():
            names = [one.told.domain for one in each]
            if domain in names:
                (alone if len(names) == 1 else mixed).append(queue_id)
        return alone, mixed

    def ids(self) -> list[str]:
        """Return all messages."""
        return list(self._of_domains)

    def content(self, shard: int) -> bytes:
        """Return what a shard tells; of too many messages the oldest."""
        items = sorted(self._shards[shard].values(), key=lambda item: item.arrived_at)
        items = items[: queue_reports.ITEMS_MAX]
        data = queue_reports.render_items(items)
        while len(data) > queue_reports.RAW_SIZE_MAX:
            items = items[: len(items) // 2]
            data = queue_reports.render_items(items)
        return data

    def state(self, young: Iterable[str], suspensions: Suspensions) -> queue_reports.State:
        """Return what the queue comes to; *young* are messages that were not read."""
        items = [item for shard in self._shards for item in shard.values()]
        fresh = [log_ids.arrived(queue_id) * 1000 for queue_id in young]
        arrivals = [item.arrived_at for item in items] + fresh
        named, others = _by_domain(self._of_domains.values(), suspensions)
        return queue_reports.State(
            at=0,
            messages=len(arrivals),
            oldest_at=min(arrivals, default=0),
            frozen=sum(item.frozen for item in items),
            recipients=sum(item.recipients_count for item in items),
            domains=named,
            others=others,
        )


class _Waiting(tp.NamedTuple):
    """A domain that a message waits for."""

    at: int
    """When it was tried at last."""
    told: queue_reports.Domain


class Waits(tp.NamedTuple):
    """What is told of a message."""

    item: queue_reports.Item
    domains: list[_Waiting]
    due_at: int
    """When it is tried, in seconds since 1970; 0 where nothing holds it back."""
    server: str
    """The server that it is tried at first, or the domain where none is known."""


def waits(  # noqa: PLR0913 - all that is known
    message: spool_.Message,
    attempts: attempts_.Of,
    hints: Mapping[str, int],
    suspensions: Suspensions,
    servers: Servers = _NO_SERVERS,
    ways: ways_.Ways = ways_.NOTHING,
    smarthost: smarthosts.Route | None = None,
    rerouted: Container[str] = frozenset(),
) -> Waits:
    """Return what is told of *message*: for whom it waits, why, and until when.

    exim names the server of a message that it tried, and not of one that it has put
    off because the server had just failed. *servers* says what that waits for.
    """
    by_domain: dict[str, list[_Recipient]] = collections.defaultdict(list)
    for recipient in message.recipients:
        known = attempts.get(spool_headers.key(recipient))
        attempt = _attempt(message, recipient, known, servers, ways, smarthost)
        attempt = attempt._replace(is_rerouted=recipient in rerouted)
        one = _recipient(attempt, known, hints, suspensions)
        by_domain[one.domain].append(one)
    everybody = [one for each in by_domain.values() for one in each]
    last = max(everybody, key=lambda one: one.at, default=_Recipient())
    arrived_at = message.arrived_at * 1000
    item = queue_reports.Item(
        message.queue_id,
        account=bounded.plain(message.account),
        sender=message.sender,
        recipients=message.recipients[: queue_reports.RECIPIENTS_MAX],
        recipients_count=len(message.recipients),
        size=message.size,
        arrived_at=arrived_at,
        frozen=message.frozen,
        held=message.held,
        attempts=max((one.attempts for one in everybody), default=0),
        last_error=last.text,
        reason=last.reason,
        last_attempt_at=last.at,
        retry_at=0 if message.held else _first(one.retry_at for one in everybody),
    )
    told = []
    for domain, each in by_domain.items():
        last = max(each, key=lambda one: one.at)
        retry_at = 0 if message.held else _first(one.retry_at for one in each)
        of_it = queue_reports.Domain(domain, 1, arrived_at, last.text, last.reason, retry_at)
        told.append(_Waiting(last.at, of_it))
    soonest = min(everybody, key=lambda one: one.retry_at, default=_Recipient())
    return Waits(item, told, soonest.retry_at // 1000, soonest.server)


@dataclasses.dataclass(frozen=True)
class _Recipient:
    domain: str = ""
    attempts: int = 0
    at: int = 0
    text: str = ""
    reason: str = ""
    retry_at: int = 0
    server: str = ""


def _recipient(
    attempt: retry_hints.Attempt,
    known: deferrals.Deferral | None,
    hints: Mapping[str, int],
    suspensions: Suspensions,
) -> _Recipient:
    domain = ways_.spelled(attempt.recipient.rpartition("@")[2])
    suspension = suspensions.get(domain)
    retry_at = suspension.until if suspension else retry_hints.due(hints, attempt)
    server = attempt.mx or domain
    if known is None:
        text = mail_events.HELD if suspension else ""
        reason = answers.Class.OTHER.value if suspension else ""
        return _Recipient(domain, 0, 0, text, reason, retry_at * 1000, server)
    text = known.text or (mail_events.HELD if known.held else "")
    return _Recipient(domain, known.attempts, known.at, text, known.reason, retry_at * 1000, server)


def _attempt(  # noqa: PLR0913 - as above
    message: spool_.Message,
    recipient: str,
    known: deferrals.Deferral | None,
    servers: Servers,
    ways: ways_.Ways,
    smarthost: smarthosts.Route | None,
) -> retry_hints.Attempt:
    mx, mx_address = (known.mx, known.mx_address) if known else ("", "")
    if not mx:
        mx, mx_address = servers.get(recipient.rpartition("@")[2].lower(), ("", ""))
    domain = ways_.spelled(recipient.rpartition("@")[2])
    mode = ways.of(domain, message.account, optional=message.tls_optional).transport
    port = smarthost.port if smarthost is not None and smarthost.takes(domain) else 0
    return retry_hints.Attempt(
        message.queue_id, message.sender, recipient, mx, mx_address, mode, port
    )


def is_put_off_by(  # noqa: PLR0913 - as above
    keys: Container[str],
    message: spool_.Message,
    attempts: attempts_.Of,
    servers: Servers,
    ways: ways_.Ways,
    smarthost: smarthosts.Route | None = None,
) -> bool:
    """Return whether one of *keys*, of retry hints, is of a recipient of *message*."""
    return any(
        retry_hints.is_of(
            keys,
            _attempt(message, one, attempts.get(spool_headers.key(one)), servers, ways, smarthost),
        )
        for one in message.recipients
    )


def domains_of(recipients: Iterable[str]) -> list[str]:
    """Return the domains of addresses as the API spells them, each once."""
    return list(dict.fromkeys(ways_.spelled(one.rpartition("@")[2]) for one in recipients))


def _by_domain(
    messages: Iterable[Sequence[_Waiting]], suspensions: Suspensions
) -> tuple[tuple[queue_reports.Domain, ...], queue_reports.Domain]:
    """Return the domains that are told by name, those with the most messages first, and the rest.

    A message that waits for several of the rest counts once for each.
    """
    by_name: dict[str, list[_Waiting]] = collections.defaultdict(list)
    for each in messages:
        for one in each:
            by_name[one.told.domain].append(one)
    for name in suspensions:
        by_name.setdefault(name, [])
    ranked = sorted(by_name, key=lambda name: (-len(by_name[name]), name))
    common = [name for name in ranked if name not in suspensions and name]
    told = [*common[:_NAMED_DOMAINS_MAX], *suspensions]
    rest = [one for name in set(ranked).difference(told) for one in by_name[name]]
    named = [_summed(name, by_name[name], suspensions.get(name)) for name in told]
    named.sort(key=lambda one: (-one.messages, one.domain))
    return tuple(named), _summed("", rest, None)


def _summed(
    name: str, each: Sequence[_Waiting], suspension: suspensions_.Suspension | None
) -> queue_reports.Domain:
    failed = [one for one in each if one.told.last_error]
    last = max(failed, key=lambda one: one.at).told if failed else queue_reports.Domain()
    return queue_reports.Domain(
        name,
        messages=len(each),
        oldest_at=min((one.told.oldest_at for one in each), default=0),
        last_error=last.last_error,
        reason=last.reason,
        retry_at=_first(one.told.retry_at for one in each),
        suspended_until=suspension.until * 1000 if suspension else 0,
        suspended_for=suspension.reason if suspension else "",
    )


def _first(times: Iterable[int]) -> int:
    return min((time for time in times if time), default=0)
