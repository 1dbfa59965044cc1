# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What a node tells of its relay: configured or not, its DKIM key, room for mail."""

from __future__ import annotations

import dataclasses
import time
import typing as tp

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import configure_state, dkim
from exordos_paas_mail.node import machine
from exordos_paas_mail.node.machine import watched

if tp.TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# A full disk is cleaned, an installed certificate is corrected: configure is
# worth another run now and then.
_REPAIR_PERIOD = 60.0
# To ask systemd costs more than all the rest of a pass.
_RELAY_PERIOD = 60.0


@dataclasses.dataclass(frozen=True)
class Condition:
    """The relay's state for one domain."""

    configured: bool
    """False while the node waits for its first configuration."""
    dkim_public_key: str = ""
    """The TXT value to publish; empty when there is none for the domain."""
    error: str = ""
    """What is wrong, one line; empty when nothing is."""


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


class Health:
    """The relay's health on one machine; a settled look costs a few system calls."""

    def __init__(self, node: machine.Machine) -> None:
        self._node = node
        self._state = watched.Watched(node, constants.CONFIGURE_STATE_FILE, _parse_state)
        self._record = watched.Watched(node, constants.DKIM_RECORD_FILE, _parse_record)
        self._relay = [
            watched.Watched(node, name, configure_state.fingerprint)
            for name in constants.RELAY_FILES
        ]
        self._repaired_at: float | None = None
        self._seen_running_at: float | None = None

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
            return Condition(configured=False, error=_join(failures))
        if state.domain != domain:
            failures.append(f"the relay is configured for {state.domain}")
            return Condition(configured=True, error=_join(failures))
        value, failure = self._dkim(domain)
        failures += [failure, self._relay_failure()]
        return Condition(configured=True, dkim_public_key=value, error=_join(failures))

    def is_outdated(self) -> bool:
        """Return whether exim runs with other files than there are.

        A certificate was renewed, or somebody has edited exim4.conf.
        """
        _, state = self._state.read()
        if state is None or not state.finished or state.error:
            return False
        return state.running != configure_state.running(file.read()[1] for file in self._relay)

    def repair(self) -> None:
        """Have the relay configured anew, at most once a minute, without waiting for it."""
        now = time.monotonic()
        if self._repaired_at is None or now - self._repaired_at >= _REPAIR_PERIOD:
            self._repaired_at = now
            self._node.start_unit(constants.CONFIGURE_UNIT)

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
        """Ask systemd once a minute, and at each pass while exim does not run."""
        now = time.monotonic()
        if self._seen_running_at is not None and now - self._seen_running_at < _RELAY_PERIOD:
            return ""
        failure = self._ask(self._node.relay_failure)
        self._seen_running_at = None if failure else now
        return failure

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
        key = self._node.signature(constants.DKIM_PRIVATE_KEY_FILE)
        if key is None:
            return record.value, "the DKIM private key is missing: mail waits in the queue"
        if not self._node.is_owned(key, 0o640, exim=True):
            return record.value, "the DKIM private key has another mode or owner"
        return record.value, ""


def _join(failures: Iterable[str]) -> str:
    return "; ".join(filter(None, failures))
