# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What a run of clients through faults comes to, in the figures that are printed."""

from __future__ import annotations

import collections
import dataclasses
import typing as tp
from http import HTTPStatus

from passlib import hash as passlib_hash

from clients import mail
from exordos_paas_mail.tests.functional import (
    account_writing,
    pages,
    provisioning,
    submission,
)
from exordos_paas_mail.tests.survival import sending

if tp.TYPE_CHECKING:
    from clients import iam, rest, waiting
    from clients import internet as internet_client
    from exordos_paas_mail.tests.functional import stand_control, suffering

# Until a fault is carried out, in so many seconds clients do half of what is theirs to do at it:
# to have the stand's shell do it takes some.
PACE: tp.Final = 10

# An account may send 500 an hour (docs/relay.md); a message that nobody heard of counts, too.
_OF_AN_ACCOUNT: tp.Final = 400
# Of each message, however often and late it was delivered.
_ONCE: tp.Final = ("submitted", "accepted", "completed")
_NO_MESSAGE: tp.Final = ""
_RECIPIENT: tp.Final = "survivor@example.net"
_HASH: tp.Final = passlib_hash.sha512_crypt.using(rounds=5000).hash("of nobody")

_Told: tp.TypeAlias = "dict[str, collections.Counter[str]]"


def tell(seed: int, seconds: float, suffered: suffering.Suffered, *figures: str) -> None:
    """Print the figures of a run."""
    lines = "\n".join(figures)
    print(f"\n{lines}\nin {seconds:.0f} s (SEED={seed}), over {suffered}")  # noqa: T201 - a command


@dataclasses.dataclass
class Mail:
    """Messages that are sent through the relay of *instance*, until *count* are accepted."""

    owner: rest.Api
    instance: rest.Json
    relay: submission.Relay
    accounts: provisioning.Accounts
    internet: internet_client.Client
    poll: waiting.Poll
    count: int
    _before: _Told = dataclasses.field(default_factory=dict, init=False)

    def begin(self) -> sending.Clients:
        """Return who sends."""
        self._before = self._told()
        senders = [self.accounts.make() for _ in range(-(-self.count // _OF_AN_ACCOUNT))]
        for account in senders:
            self.accounts.wait_login(account)
        return sending.Clients(self.relay, senders, _RECIPIENT, self.count)

    def end(self, clients: sending.Clients) -> tuple[str, dict[str, tp.Any]]:
        """Return the figures in words, and what should not be, by what is wrong with it."""
        sent, accepted = clients.sent, clients.sent.accepted
        self.poll.until(
            "each is told as delivered",
            lambda: self._statuses(accepted),
            lambda found: set(found) == {"DELIVERED"},
        )
        told = self._told()
        gaps = _of(told, _NO_MESSAGE)["gap"] - _of(self._before, _NO_MESSAGE)["gap"]
        wrong = {
            queue_id: dict(_of(told, queue_id))
            for queue_id in accepted
            if any(_of(told, queue_id)[kind] != 1 for kind in _ONCE)
        }
        # What the relay has taken, and its client never heard so.
        known = {_NO_MESSAGE, *accepted, *self._before}
        strays = {
            queue_id
            for queue_id, types in told.items()
            if queue_id not in known and any(types[kind] for kind in _ONCE)
        }
        wrong |= {
            queue_id: dict(told[queue_id])
            for queue_id in strays
            if any(told[queue_id][kind] > 1 for kind in _ONCE)
        }
        arrived = collections.Counter(
            each["subject"] for each in self.internet.messages(_RECIPIENT)
        )
        lost = [queue_id for queue_id, subject in accepted.items() if not arrived[subject]]
        twice = sum(arrived[subject] > 1 for subject in (*accepted.values(), *sent.unanswered))
        figures = (
            f"{len(accepted)} messages accepted, {len(sent.refused)} refused; {sent.cut} sessions"
            f" cut off, {len(sent.unanswered)} of them before an answer to a message, of which"
            f" {sum(arrived[subject] > 0 for subject in sent.unanswered)} arrived and"
            f" {len(strays)} were told; {len(lost)} lost, {twice} arrived more than once,"
            f" {gaps} gaps told, {len(wrong)} with events missing or doubled"
        )
        return figures, {
            "lost": lost,
            "told": wrong,
            "gaps": ["gap"] * gaps,
            "of nobody": sorted(strays)[len(sent.unanswered) :],
        }

    def _told(self) -> _Told:
        """Return how often each type of event is told, by queue id."""
        found: _Told = {}
        path = f"{mail.instance_path(self.instance)}/events/"
        for event in pages.everything(self.owner, path, self.poll):
            types = found.setdefault(event["queue_id"] or _NO_MESSAGE, collections.Counter())
            types[event["type"]] += 1
        return found

    def _statuses(self, accepted: tp.Iterable[str]) -> collections.Counter[str]:
        path = f"{mail.instance_path(self.instance)}/messages/"
        messages = pages.everything(self.owner, path, self.poll)
        found = {each["queue_id"]: each["status"] for each in messages}
        return collections.Counter(found.get(queue_id, "missing") for queue_id in accepted)


def _of(told: _Told, queue_id: str) -> collections.Counter[str]:
    return told.get(queue_id, collections.Counter())


@dataclasses.dataclass
class Accounts:
    """Accounts of *instance* that are written, *count* times, beside *beside* others."""

    session: iam.Session
    url: str
    instance: rest.Json
    relay: submission.Relay
    stand: stand_control.Stand
    poll: waiting.Poll
    count: int
    beside: int
    seed: int
    _others: dict[str, str] = dataclasses.field(default_factory=dict, init=False)

    def begin(self) -> account_writing.Writers:
        """Return who writes."""
        known = {
            *provisioning.add_past_the_api(self.stand, self.instance, "other-", self.beside, _HASH)
        }
        self._others = self.poll.until(
            "the others are on the node", self._node.accounts, lambda held: held.keys() >= known
        )
        return account_writing.Writers(
            lambda: self.session.api(self.url),
            self._path,
            self.instance["domain"],
            "survivor",
            self.count,
            self.seed,
        )

    def end(self, writers: account_writing.Writers) -> tuple[str, dict[str, tp.Any]]:
        """Return the figures in words, and what should not be, by what is wrong with it."""
        written = writers.written
        owner = self.session.api(self.url)
        listed = account_writing.listed_otherwise(
            pages.everything(owner, self._path, self.poll), written, self._others
        )
        differences = self.poll.until(
            "the node has what was written",
            lambda: self._node.differences(written, self._others),
            lambda found: found == [],
        )
        self.poll.until(
            "the instance is well",
            lambda: owner.call("GET", mail.instance_path(self.instance)),
            lambda found: (
                found.status_code == HTTPStatus.OK
                and (found.json()["status"], found.json()["error"]) == ("ACTIVE", "")
            ),
        )
        active = [each for each in written.accounts.values() if each.active]
        domain = self.instance["domain"]
        codes = {
            self.relay.login(f"{each.username}@{domain}", each.password) for each in active[:3]
        }
        figures = (
            f"{written.done} writes, {len(written.accounts)} accounts left beside"
            f" {len(self._others)} others; repeated: {dict(written.repeated)};"
            f" had been done: {dict(written.found_done)}"
        )
        return figures, {
            "listed": listed,
            "on the node": differences,
            "logins": sorted(codes - {submission.OK}),
        }

    @property
    def _path(self) -> str:
        return mail.accounts_path(self.instance)

    @property
    def _node(self) -> account_writing.Node:
        return account_writing.Node(self.stand, self.instance["ipsv4"][0], self.instance["domain"])
