# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The messages in exim's spool, each file read once for each of its versions.

A look costs little while nothing changes: a directory in which nothing was made,
renamed or removed is passed over by its time stamp. exim writes -H files aside and
renames them; a -J file, which is written to in place, has its directory looked at.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import stat
import typing as tp

from exordos_paas_mail.codecs import holds, log_ids, spool_headers

if tp.TYPE_CHECKING:
    from collections.abc import Iterator

YOUNG: tp.Final = 10
"""Seconds for which a message is counted and not read: most mail has gone by then."""

# As in ``machine.watched``: a change that follows another at once may leave the same stamp.
_SETTLING_TIME = 1_000_000_000
# The name of the file, which a -D file begins with.
_NAME_LINE_SIZE = len("1tFxyz-0000Ab-2C-D\n")
_JOURNAL_SIZE_MAX = 16 * 2**20
_HEADER_SIZE_MAX = 16 * 2**20

_Stamp = tuple[int, int, int]
_UNREAD: tp.Final[tuple[_Stamp, None]] = ((-1, -1, -1), None)


class Message(tp.NamedTuple):
    """A message that waits."""

    queue_id: str
    sender: str
    account: str
    arrived_at: int
    """Seconds since 1970."""
    frozen: bool
    recipients: tuple[str, ...]
    """Those that do not have it yet."""
    size: int
    """Octets."""
    held: bool = False
    """Whether it is apart, in the queue that nothing runs (``codecs.holds``)."""
    hold: str = ""
    """Why it was put apart as it came, in a word."""
    has_journal: bool = False
    """Whether a delivery has been under way, or is: nothing else takes its journal along."""
    tls_optional: bool = False
    """Whether it says that it may leave in clear (``TLS-Required: No``)."""
    readable: bool = True
    """Whether its files could be read; else it is looked at again, whatever its stamps are."""


@dataclasses.dataclass
class _Directory:
    changed_at: int = -1
    """Its time stamp when it was looked at; -1 where it has to be again."""
    stamps: dict[str, tuple[_Stamp, _Stamp | None]] = dataclasses.field(default_factory=dict)
    """Of the -H and the -J file of each message that was read."""
    young: set[str] = dataclasses.field(default_factory=set)
    messages: dict[str, Message] = dataclasses.field(default_factory=dict)


class Spool:
    """The spool at *path*. Raises OSError when it cannot be read."""

    def __init__(self, path: str) -> None:
        # A message that is being moved is in both; it is apart until it is not any more.
        self._inputs = (
            os.path.join(path, holds.QUEUE, "input"),  # noqa: PTH118 - a look makes thousands
            os.path.join(path, "input"),  # noqa: PTH118
        )
        self._directories: dict[str, _Directory] = {}
        self.messages: dict[str, Message] = {}

    @property
    def young(self) -> set[str]:
        """The messages that are not in ``messages`` yet."""
        return set().union(*(directory.young for directory in self._directories.values()))

    def look(self, now: float) -> set[str]:
        """Bring ``messages`` up to date; returns the ids of what came, changed or went."""
        changed: set[str] = set()
        names = {*self._inputs, *self._subdirectories()}
        for name in self._directories.keys() - names:
            changed.update(self._directories.pop(name).stamps)
        for name in sorted(names):
            changed |= self._look_at(name, self._directories.setdefault(name, _Directory()), now)
        for queue_id in changed:
            found = (self._directories.get(name) for name in self._folders(queue_id))
            message = next(
                (one.messages[queue_id] for one in found if one and queue_id in one.messages), None
            )
            if message is None:
                self.messages.pop(queue_id, None)
            else:
                self.messages[queue_id] = message
        return changed

    def read(self, queue_id: str) -> Message | None:
        """Return a message as it is now, None where it is not in the spool."""
        for name in self._folders(queue_id):
            message = _read(name, queue_id, held=self._is_apart(name))
            if message is not None:
                return message
        return None

    def has(self, queue_id: str) -> bool:
        """Return whether the envelope of a message is in the spool now, whatever else is."""
        # Twice where it may be moved to: it is in one or the other of both at any time.
        names = [*self._folders(queue_id)]
        paths = [os.path.join(name, f"{queue_id}-H") for name in [*names, *names]]  # noqa: PTH118
        return any(os.path.exists(path) for path in paths)  # noqa: PTH110

    def arrival(self, queue_id: str) -> tuple[spool_headers.Arrival, int, bool] | None:
        """Return how a message came, its size in octets, and whether it is apart now.

        None where that cannot be read.
        """
        for name in self._folders(queue_id):
            path = os.path.join(name, queue_id)  # noqa: PTH118
            try:
                data = _content(f"{path}-H", _HEADER_SIZE_MAX)
                body = max(os.stat(f"{path}-D").st_size - _NAME_LINE_SIZE, 0)  # noqa: PTH116
                size = spool_headers.parse(data).size + body
                return spool_headers.parse_arrival(data), size, self._is_apart(name)
            except (OSError, ValueError):
                continue
        return None

    def _folders(self, queue_id: str) -> Iterator[str]:
        """Return where a message may be."""
        for name in self._inputs:
            # split_spool_directory: by the last character of the time
            yield from (os.path.join(name, queue_id[5]), name)  # noqa: PTH118

    def _is_apart(self, name: str) -> bool:
        return name.startswith(self._inputs[0])

    def _subdirectories(self) -> Iterator[str]:
        for name in self._inputs:
            with contextlib.suppress(FileNotFoundError), os.scandir(name) as entries:
                for entry in entries:
                    if len(entry.name) == 1 and entry.is_dir(follow_symlinks=False):
                        yield entry.path

    def _look_at(self, name: str, directory: _Directory, now: float) -> set[str]:
        try:
            stamp = os.stat(name).st_mtime_ns  # noqa: PTH116 - a look makes thousands
            if stamp == directory.changed_at:
                return set()
            headers, journals = _files(name)
        except FileNotFoundError:
            stamp, headers, journals = -1, {}, {}
        # Either way: an id from before the clock was set back is not young until then.
        directory.young = {one for one in headers if abs(now - log_ids.arrived(one)) < YOUNG}
        changed = directory.stamps.keys() - headers.keys()
        for queue_id in changed:
            del directory.stamps[queue_id]
            directory.messages.pop(queue_id, None)
        unread = False
        for queue_id in headers.keys() - directory.young:
            stamps = headers[queue_id], journals.get(queue_id)
            if directory.stamps.get(queue_id) == stamps:
                continue
            message = _read(name, queue_id, held=self._is_apart(name))
            if message is None:
                changed.add(queue_id)
                directory.messages.pop(queue_id, None)
                directory.stamps.pop(queue_id, None)
                continue
            if message.readable or directory.messages.get(queue_id) != message:
                changed.add(queue_id)
            # Who owns a file is in no stamp, and a lack of descriptors or memory passes.
            unread |= not message.readable
            directory.messages[queue_id] = message
            directory.stamps[queue_id] = stamps if message.readable else _UNREAD
        settled = abs(now * 1e9 - stamp) > _SETTLING_TIME
        again = unread or directory.young or journals or not settled
        directory.changed_at = -1 if again else stamp
        return changed


def _files(directory: str) -> tuple[dict[str, _Stamp], dict[str, _Stamp]]:
    """Return the stamps of the -H and of the -J files in *directory*, by queue id."""
    found: dict[str, dict[str, _Stamp]] = {"-H": {}, "-J": {}}
    with os.scandir(directory) as entries:
        for entry in entries:
            of_kind = found.get(entry.name[-2:])
            if of_kind is None or not log_ids.is_queue_id(entry.name[:-2]):
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            # exim makes no others
            if stat.S_ISREG(status.st_mode):
                of_kind[entry.name[:-2]] = status.st_ino, status.st_size, status.st_mtime_ns
    return found["-H"], found["-J"]


def _read(directory: str, queue_id: str, *, held: bool) -> Message | None:
    """Return the message, None where it has gone."""
    path = os.path.join(directory, queue_id)  # noqa: PTH118
    done: frozenset[str] = frozenset()
    has_journal = True
    try:
        # Before the envelope: exim removes the journal once the envelope says as much.
        done = spool_headers.journalled(_content(f"{path}-J", _JOURNAL_SIZE_MAX))
    except FileNotFoundError:
        has_journal = False
    except OSError:
        return _unread(queue_id, held=held, readable=False)
    try:
        envelope = spool_headers.parse(_content(f"{path}-H", _HEADER_SIZE_MAX))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        return _unread(queue_id, held=held, readable=isinstance(error, ValueError))
    return Message(
        queue_id,
        envelope.sender,
        envelope.account,
        envelope.arrived_at,
        envelope.frozen,
        tuple(one for one in envelope.recipients if spool_headers.key(one) not in done),
        envelope.size + _body_size(path),
        held=held,
        hold=envelope.hold,
        has_journal=has_journal,
        tls_optional=envelope.tls_optional,
    )


def _unread(queue_id: str, *, held: bool, readable: bool) -> Message:
    # exim cannot read it either, and says so in its panic log: somebody has put it there, as root
    # from a backup, or the disk is damaged. All others are looked at.
    return Message(
        queue_id,
        "",
        "",
        log_ids.arrived(queue_id),
        frozen=False,
        recipients=(),
        size=0,
        held=held,
        readable=readable,
    )


def _body_size(path: str) -> int:
    """Return the octets of the body of a message, 0 where that is lost, or just goes."""
    try:
        return max(os.stat(f"{path}-D").st_size - _NAME_LINE_SIZE, 0)  # noqa: PTH116
    except FileNotFoundError:
        return 0


def _content(path: str, size: int) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123
        return file.read(size)
