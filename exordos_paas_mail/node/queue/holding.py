# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What accounts have apart, as the file of holds says: moved there, back, or ended.

The file is the truth and nothing is kept beside it: what a kill has interrupted is done
by the next look. exim itself holds what an account has in the queue that is run, from
when the file says so; here it is only put where it costs no runner anything.
"""

from __future__ import annotations

import collections
import concurrent.futures
import time
import typing as tp

from exordos_paas_mail import atomic_files, constants
from exordos_paas_mail.codecs import holds
from exordos_paas_mail.node import machine
from exordos_paas_mail.node.machine import watched

if tp.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from exordos_paas_mail.node.queue import spool as spool_

MESSAGES_MAX: tp.Final = 10_000
SIZE_MAX: tp.Final = 512 * 2**20
"""Octets. An account that has so much apart, or so many messages, is told to wait (452)."""

AGAIN: tp.Final = 5.0
"""Seconds until what could not be done is tried again."""

# Messages of one command of exim's.
_SLICE = 200
_FULL_MODE = 0o644
_DIRECTORY_MODE = 0o750


def _parse(data: bytes | None) -> Mapping[str, holds.Hold] | None:
    """Return the holds by login; None for a file that is not whole."""
    if data is None:
        return {}
    try:
        return holds.by_login(data.decode("utf-8", errors="replace"))
    except ValueError:
        return None


class Plan(tp.NamedTuple):
    """What is to be done with messages, by their queue ids, those that came first."""

    apart: list[str]
    """To be put apart."""
    deliver: list[str]
    """To be moved back, and tried at once."""
    delete: list[str]
    """To be ended without a word."""


def plan(messages: Iterable[spool_.Message], held: Mapping[str, holds.Hold]) -> Plan:
    """Return what *held* means for *messages*."""
    made = Plan([], [], [])
    for message in sorted(messages, key=lambda one: (one.arrived_at, one.queue_id)):
        hold = held.get(message.account) if message.account else None
        # A journal is not moved along: exim takes it into the envelope by the next attempt.
        if hold is None or message.has_journal:
            continue
        if not message.held:
            if hold.state.is_held:
                made.apart.append(message.queue_id)
        elif hold.state.is_held or not _is_meant(message, hold):
            continue
        elif hold.state is holds.State.DELIVER:
            made.deliver.append(message.queue_id)
        else:
            made.delete.append(message.queue_id)
    return made


def _is_meant(message: spool_.Message, release: holds.Hold) -> bool:
    """Return whether a message that is apart was when its account was released.

    One that a limit has put apart since is to stay; one that was apart for the account's
    hold comes from a session that had not seen the release.
    """
    return message.hold in {"", holds.ACCOUNT} or message.arrived_at * 1000 <= release.at


def full(messages: Iterable[spool_.Message]) -> list[str]:
    """Return the logins that have as much apart as one may have."""
    counts: collections.Counter[str] = collections.Counter()
    sizes: collections.Counter[str] = collections.Counter()
    for message in messages:
        if message.held and message.account:
            counts[message.account] += 1
            sizes[message.account] += message.size
    return sorted(
        login for login in counts if counts[login] >= MESSAGES_MAX or sizes[login] >= SIZE_MAX
    )


class Holding:
    """Puts messages where the file of holds says, a slice of them at a time."""

    def __init__(
        self,
        node: machine.Machine,
        deliver: Callable[[Sequence[str]], None],
        finished: Callable[[], None] = lambda: None,
    ) -> None:
        """*deliver* has messages be tried at once.

        *finished* is called, by another thread, when ``end`` has something to do.
        """
        self._node = node
        self._deliver = deliver
        self._finished = finished
        self._file = watched.Watched(node, constants.HOLDS_FILE, _parse)
        self._worker = concurrent.futures.ThreadPoolExecutor(1)
        self._running: concurrent.futures.Future[None] | None = None
        self._slice: Sequence[str] = ()
        self._is_release = False
        self._not_before = 0.0
        self._full: list[str] | None = None

    def now(self) -> Mapping[str, holds.Hold]:
        """Return what the file says of each login; nothing for one that is not whole.

        Raises OSError when it cannot be read.
        """
        _, held = self._file.read()
        return held or {}

    def end(self) -> bool:
        """Take up what became of the last slice; returns whether it has ended.

        Raises MachineError or OSError when it could not be done, and it is done again.
        """
        if self._running is None or not self._running.done():
            return False
        slice_, self._running = self._running, None
        try:
            slice_.result()
        except machine.MachineError as error:
            self._not_before = time.monotonic() + AGAIN
            # The others of the slice are done.
            if "is locked" not in str(error):
                raise
        if self._is_release:
            self._deliver(self._slice)
        return True

    def begin(self, messages: Mapping[str, spool_.Message]) -> None:
        """Begin what is to be done next with *messages*, unless something is under way.

        Raises OSError when the disk refuses.
        """
        if self._running is not None or time.monotonic() < self._not_before:
            return
        held = self.now()
        if any(hold.state.is_held for hold in held.values()):
            # By it exim knows a file of holds that is lost from one that there never was.
            directory = self._node.path(constants.HOLD_SPOOL_DIR)
            directory.mkdir(mode=_DIRECTORY_MODE, exist_ok=True)
        self._tell_full(full(messages.values()))
        made = plan(messages.values(), held)
        for queue_ids, act in (
            (made.apart, self._put_apart),
            (made.delete, self._delete),
            (made.deliver, self._move_back),
        ):
            if queue_ids:
                self._submit(queue_ids[:_SLICE], act)
                break
        else:
            self._slice = ()

    def close(self) -> None:
        """Wait for what is under way."""
        self._worker.shutdown()

    def _submit(self, queue_ids: Sequence[str], act: Callable[[Sequence[str]], None]) -> None:
        if queue_ids == self._slice:
            # Whatever keeps it from being done, it is not tried without a pause.
            self._not_before = time.monotonic() + AGAIN
        self._slice, self._is_release = queue_ids, act == self._move_back
        self._running = self._worker.submit(act, queue_ids)
        self._running.add_done_callback(lambda _: self._finished())

    def _tell_full(self, logins: list[str]) -> None:
        """Have exim know who has too much apart."""
        if logins == self._full:
            return
        path = self._node.path(constants.HOLD_FULL_FILE)
        if logins:
            text = "".join(f"{login}:\n" for login in logins)
            atomic_files.replace(path, text.encode(), _FULL_MODE)
        else:
            path.unlink(missing_ok=True)
        self._full = logins

    def _put_apart(self, queue_ids: Sequence[str]) -> None:
        self._node.move_messages(queue_ids, "", holds.QUEUE)

    def _delete(self, queue_ids: Sequence[str]) -> None:
        self._node.delete_messages(queue_ids, holds.QUEUE)

    def _move_back(self, queue_ids: Sequence[str]) -> None:
        self._node.move_messages(queue_ids, holds.QUEUE, "")
