# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What a node tells of its relay: configured or not, its DKIM key, room for mail."""

from __future__ import annotations

import dataclasses
import datetime
import time
import typing as tp

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import configure_state, dkim, queue_list
from exordos_paas_mail.node import machine, pace, relay_files, timely_pairs
from exordos_paas_mail.node.machine import watched

if tp.TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# To ask systemd costs more than all the rest of a pass. In between, the processes
# it named are looked at.
_RELAY_PERIOD = 60.0
# A unit that is being restarted is no failure yet.
_CHANGE_TIME = 5.0
# To list a queue costs by the message: a share of the time, at most.
_QUEUE_PERIOD = 60.0
_QUEUE_SHARE = 0.02
# What exim cannot serve without.
_SERVED = (
    constants.EXIM_CONFIG_FILE,
    constants.TLS_SERVED_FILE,
    constants.TLS_OTHER_SERVED_FILE,
)


@dataclasses.dataclass(frozen=True)
class Condition:
    """The relay's state for one domain."""

    configured: bool
    """False while the node waits for its first configuration."""
    hostname: str = ""
    """What the relay calls itself; empty until it is configured."""
    dkim_public_key: str = ""
    """The TXT value to publish; empty when there is none for the domain."""
    dkim_fault: str = ""
    """What is wrong with that key, which is one of ``faults``."""
    faults: tuple[str, ...] = ()
    """What is wrong, a line for each."""

    @property
    def error(self) -> str:
        """What is wrong, one line; empty when nothing is."""
        return "; ".join(self.faults)


class _Record(tp.NamedTuple):
    domain: str
    value: str
    error: str


def _parse_state(data: bytes | None) -> configure_state.State | None:
    if data is None:
        return None
    try:
        return configure_state.parse(data.decode("utf-8", errors="replace"))
    except ValueError:
        # Half a file is no state; the next configuration writes a new one.
        return None


def _parse_record(data: bytes | None) -> _Record:
    if data is None:
        return _Record("", "", "the DKIM record is missing")
    try:
        domain, value = dkim.parse(data.decode("utf-8", errors="replace"))
    except ValueError as error:
        return _Record("", "", str(error))
    return _Record(domain, value, "")


def _parse_key(data: bytes | None) -> str:
    """Return the TXT value of a private key, empty for what is none."""
    try:
        return "" if data is None else dkim.value_of(data)
    except ValueError:
        return ""


class Health:
    """The relay's health on one machine; a settled look costs a few system calls.

    *patience* is how many seconds a unit may be on its way from one state to
    another before that is a failure.
    """

    def __init__(self, node: machine.Machine, patience: float = _CHANGE_TIME) -> None:
        self._node = node
        self._patience = patience
        self._state = watched.Watched(node, constants.CONFIGURE_STATE_FILE, _parse_state)
        self._record = watched.Watched(node, constants.DKIM_RECORD_FILE, _parse_record)
        self._key = watched.Watched(node, constants.DKIM_PRIVATE_KEY_FILE, _parse_key)
        self._relay = [
            watched.Watched(node, name, configure_state.fingerprint)
            for name in constants.RELAY_FILES
        ]
        self._told = watched.Watched(node, constants.TLS_TOLD_FILE, configure_state.fingerprint)
        self._timely = timely_pairs.TimelyPairs(node)
        self._pace = pace.Pace()
        self._seen_running_at: float | None = None
        self._processes: dict[int, str] = {}
        self._changing_since: float | None = None
        self._queue_read_at: float | None = None
        self._queue_wait = 0.0
        self._queue_failure = ""
        self.queue: queue_list.Queue | None = None
        """The queue as ``read`` listed it last; None while it could not."""
        self.started_ahead: tuple[float, ...] = ()
        """``Unit.ahead`` of what accepts mail, as far as it is known."""

    def domain(self) -> str:
        """Return the domain the relay is configured for, empty when it is not."""
        _, state = self._state.read()
        return "" if state is None else state.domain

    def read(self, domain: str) -> Condition:
        """Return how the relay serves *domain*.

        The key is reported as long as it is there, whatever else is wrong: what
        is published must not come and go. Raises OSError when a file cannot be
        read.
        """
        _, state = self._state.read()
        failures = [self._disk_failure()]
        if state is None or not state.finished:
            failures.append(self._ask(lambda: self._node.unit_failure(constants.CONFIGURE_UNIT)))
        if state is not None and state.error:
            failures.append(f"configure: {state.error}")
        if state is None or not state.domain:
            return Condition(configured=False, faults=_said(failures))
        if state.domain != domain:
            failures.append(f"the relay is configured for {state.domain}")
            return Condition(configured=True, hostname=state.hostname, faults=_said(failures))
        value, failure = self._dkim(domain)
        failures += [
            failure,
            *(relay_files.fault(self._node, name) for name in _SERVED),
            self._relay_failure(),
            self._frozen(),
        ]
        return Condition(
            configured=True,
            hostname=state.hostname,
            dkim_public_key=value,
            dkim_fault=failure,
            faults=_said(failures),
        )

    def repair(self, condition: Condition) -> None:
        """Have what is wrong repaired, each fault at its own pace; waits for nothing.

        That is what *condition* names, and files of the relay that are not those exim
        runs with. What does not run is started, and the relay is configured anew.
        """
        if not self._pace.due([*condition.faults, *_said([self._outdated()])]):
            return
        # Without configure: an input it refuses is no reason to keep a relay down.
        if self._seen_running_at is None and self._node.signature(constants.EXIM_CONFIG_FILE):
            self._node.start_unit(constants.EXIM_UNIT)
        self._node.start_unit(constants.CONFIGURE_UNIT)

    def _outdated(self) -> str:
        """Return what configure has to do although nothing need be wrong, empty for nothing.

        exim runs with other files than there are: a certificate was renewed, or
        somebody has edited exim4.conf. Or the time has come for a certificate. Or
        nobody knows what it runs with, because a run of configure ended
        half-way or what it left is lost.
        """
        _, state = self._state.read()
        if state is None or not state.finished:
            is_told = self._node.exists(constants.MAIL_ENV_FILE)
            return "no run of configure has finished" if is_told else ""
        if state.error:
            return ""
        _, told = self._told.read()
        found = configure_state.running(
            [*(file.read()[1] for file in self._relay), *([told] if told else [])]
        )
        if state.running != found:
            return f"exim does not run with {found}"
        now = datetime.datetime.now(datetime.timezone.utc)
        if outdated := self._timely.outdated(state.hostname, now):
            return outdated
        return "; ".join(
            filter(None, (relay_files.fault(self._node, name) for name in relay_files.FILES))
        )

    def _disk_failure(self) -> str:
        """Return why exim cannot take mail in; no number in it that changes by the minute."""
        if failure := self._node.write_failure(constants.EXIM_SPOOL_DIR):
            return f"the data disk cannot be written: {failure}"
        space = self._node.free_space(constants.EXIM_SPOOL_DIR)
        if space.bytes < constants.EXIM_SPOOL_FREE_BYTES_MIN:
            least = f"{constants.EXIM_SPOOL_FREE_BYTES_MIN >> 20} MB"
        elif space.files is not None and space.files < constants.EXIM_SPOOL_FREE_FILES_MIN:
            least = f"{constants.EXIM_SPOOL_FREE_FILES_MIN} files"
        else:
            return ""
        return f"the data disk is full: mail is refused with less than {least} free"

    def _relay_failure(self) -> str:
        """Ask systemd once a minute, and whenever a process that it named is gone."""
        now = time.monotonic()
        is_recent = self._seen_running_at is not None and now - self._seen_running_at < (
            _RELAY_PERIOD
        )
        if is_recent and not self._lost():
            return ""
        self._seen_running_at = None
        try:
            units = self._node.relay_units()
        except machine.MachineError as error:
            return str(error)
        down = [unit for unit in units if not unit.runs]
        if down and all(unit.changes for unit in down):
            self._changing_since = self._changing_since or now
            if now - self._changing_since < self._patience:
                return ""
        else:
            self._changing_since = None
        if down:
            return ", ".join(f"{unit.name} is {unit.state}" for unit in down)
        self._processes = {
            unit.process: process.started
            for unit in units
            if (process := self._node.process(unit.process)) is not None
        }
        lost = self._lost()
        if not lost:
            self._seen_running_at = now
            self.started_ahead = tuple(
                unit.ahead
                for unit in units
                if unit.ahead is not None and unit.name in constants.EXIM_LISTENER_UNITS
            )
        return lost

    def _lost(self) -> str:
        """Return which process or port of the relay there is no more, empty when all are there."""
        for number, started in self._processes.items():
            process = self._node.process(number)
            if process is None or process.started != started or not process.runs:
                return f"process {number} of exim4 does not run"
        closed = sorted(set(constants.EXIM_PORTS) - self._node.listening())
        return f"nothing listens on {', '.join(map(str, closed))}" if closed else ""

    def _frozen(self) -> str:
        """Return what stays in the queue without being tried."""
        now = time.monotonic()
        if self._queue_read_at is None or now - self._queue_read_at >= self._queue_wait:
            self._queue_read_at = now
            try:
                self.queue = queue_list.parse(self._node.queue())
            except machine.MachineError as error:
                self.queue = None
                self._queue_failure = str(error)
            else:
                self._queue_failure = queue_failure(self.queue.stuck)
            spent = time.monotonic() - now
            self._queue_wait = max(_QUEUE_PERIOD, spent / _QUEUE_SHARE)
        return self._queue_failure

    def _ask(self, question: Callable[[], str]) -> str:
        try:
            return question()
        except machine.MachineError as error:
            return str(error)

    def _dkim(self, domain: str) -> tuple[str, str]:
        """Return the TXT value to publish, and what is wrong with the key."""
        _, record = self._record.read()
        if record.error:
            return "", record.error
        if record.domain != domain:
            return "", "the DKIM record is another domain's"
        return record.value, self._key_failure(record.value)

    def _key_failure(self, published: str) -> str:
        key, value = self._key.read()
        if key is None:
            return "the DKIM private key is missing: mail waits in the queue"
        if not self._node.is_owned(key, 0o640, exim=True):
            return "the DKIM private key has another mode or owner"
        if not value:
            return "the DKIM private key is damaged: mail waits in the queue"
        return "" if value == published else "the DKIM record is another key's"


def queue_failure(stuck: int) -> str:
    """Return what an operator is told of *stuck* messages, empty for none."""
    if not stuck:
        return ""
    messages = "message stays" if stuck == 1 else "messages stay"
    return f"{stuck} {messages} frozen in the queue (exim4 -bp, exim4 -Mt)"


def _said(failures: Iterable[str]) -> tuple[str, ...]:
    return tuple(filter(None, failures))
