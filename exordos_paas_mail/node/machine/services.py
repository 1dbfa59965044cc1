# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The machine's services and commands: systemd and exim."""

from __future__ import annotations

import os
import pathlib
import pwd
import subprocess
import typing as tp

from exordos_paas_mail import constants
from exordos_paas_mail.node.machine import errors

if tp.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# systemctl waits for the jobs it starts; exim stalls for 30 s on a name server
# that does not answer.
_COMMAND_TIMEOUT = 90.0
_SHOWN = (
    *("Id", "ActiveState", "MainPID"),
    *("ExecMainStartTimestamp", "ExecMainStartTimestampMonotonic"),
)
# Of a command, in an error: it may name many messages.
_WORDS_MAX = 16


class Unit(tp.NamedTuple):
    """A unit as systemd shows it."""

    name: str
    state: str
    """ActiveState, systemctl(1)."""
    process: int
    """The number of its main process, 0 when there is none."""
    ahead: float | None = None
    """By how many seconds the clock was ahead of ``time.monotonic`` when that process started.

    None where it is not known. To a second.
    """

    @property
    def runs(self) -> bool:
        """Whether it does its work."""
        return self.state in {"active", "reloading"}

    @property
    def changes(self) -> bool:
        """Whether it is on its way from one state to another."""
        return self.state in {"activating", "deactivating"}


class Delivery:
    """A delivery that was begun; it goes on whatever becomes of this process."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def is_over(self) -> bool:
        """Return whether it has ended; how is in exim's log."""
        return self._process.poll() is not None


class Services:
    """What a machine runs. Every method raises MachineError when a command fails."""

    root: str
    exim_user: str

    def check_relay(self, configuration: pathlib.Path) -> None:
        """Have exim read a configuration file; MachineError with its words when it refuses."""
        self._run_as_exim("exim4", "-bV", "-C", str(configuration))

    def reload_relay(self) -> None:
        """Have exim take over changed files; no client loses its connection."""
        self._run("systemctl", "reload", constants.EXIM_UNIT)

    def restart_relay(self) -> None:
        """Start exim, or start it anew, and see that it stays up."""
        self._run("systemctl", "restart", constants.EXIM_UNIT)
        self._check_relay_runs()

    def start_relay(self) -> None:
        """Start what of exim does not run, and see that it stays up; what runs goes on."""
        self._run("systemctl", "start", constants.EXIM_UNIT)
        self._check_relay_runs()

    def start_unit(self, unit: str) -> None:
        """Have systemd start *unit*, without waiting for it; one that runs goes on."""
        self._run("systemctl", "--no-block", "start", unit)

    def restart_unit(self, unit: str) -> None:
        """Have systemd start *unit* anew, and wait until it is up."""
        self._run("systemctl", "restart", unit)

    def stop_unit(self, unit: str) -> None:
        """Have systemd stop *unit*, and wait for its end."""
        self._run("systemctl", "stop", unit)

    def unit_failure(self, unit: str) -> str:
        """Return why systemd says that *unit* failed, empty when it did not."""
        shown = self._run(
            "systemctl", "show", "--property=ActiveState,Result,AssertResult,AssertTimestamp", unit
        )
        properties = _properties(shown)
        asserted = properties.get("AssertTimestamp") and properties.get("AssertResult") == "no"
        if asserted:
            return f"{unit}: a mount or a file that it needs is missing"
        if properties.get("ActiveState") == "failed":
            return f"{unit}: {properties.get('Result', 'failed')}"
        return ""

    def relay_units(self) -> list[Unit]:
        """Return what systemd says of the units that exim's processes are in."""
        shown = self._run(
            *("systemctl", "show", f"--property={','.join(_SHOWN)}", "--timestamp=unix"),
            *constants.EXIM_PROCESS_UNITS,
        )
        units = [_properties(unit) for unit in shown.split("\n\n")]
        return [
            Unit(
                unit.get("Id", "exim4"),
                unit.get("ActiveState", "unknown"),
                int(unit.get("MainPID", "0")),
                _ahead(unit),
            )
            for unit in units
        ]

    def relay_failure(self) -> str:
        """Return which of exim's units does not run, empty when all do."""
        return ", ".join(
            f"{unit.name} is {unit.state}" for unit in self.relay_units() if not unit.runs
        )

    def queue(self) -> str:
        """Return what exim lists of its queue, see ``codecs.queue_list``."""
        return self._run_as_exim("exim4", "-bpr")

    def retry_hints(self) -> str:
        """Return when exim tries again, see ``codecs.retry_hints``."""
        return self._run_as_exim("exim_dumpdb", "-z", constants.EXIM_SPOOL_DIR, "retry")

    def delete_messages(self, queue_ids: Sequence[str], queue: str = "") -> None:
        """End messages without a word; MachineError where one of them is being delivered.

        They are in *queue*; the empty one is that which exim runs.
        """
        self._run_as_exim("exim4", *_source(queue), "-Mrm", *queue_ids)

    def move_messages(self, queue_ids: Sequence[str], source: str, queue: str) -> None:
        """Move messages from one queue to another; MachineError where one is being delivered."""
        self._run_as_exim("exim4", *_source(source), "-MG", queue, *queue_ids)

    def bounce_messages(self, queue_ids: Sequence[str]) -> None:
        """End messages with a report to their sender, but for those that are being delivered."""
        self._check_configured()
        self._run_as_exim("exim4", "-Mg", *queue_ids)

    def begin_delivery(self, queue_ids: Sequence[str]) -> Delivery:
        """Have exim try messages, one after the other, whatever their next time is."""
        return self._begin("exim4", "-M", *queue_ids)

    def begin_due_delivery(self, queue_ids: Sequence[str]) -> Delivery:
        """Have exim try messages, one after the other, where it does not know a later time."""
        return self._begin("exim4", "-Mc", *queue_ids)

    def _begin(self, *command: str) -> Delivery:
        """Begin a delivery, which nobody waits for."""
        self._check_configured()
        try:
            return Delivery(
                subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env=_environment(),
                    cwd="/",
                    start_new_session=True,
                    **self._as_exim(),
                )
            )
        except OSError as error:
            words = " ".join(command[:2])
            raise errors.MachineError(f"{words}: {error.strerror}") from error

    def _check_configured(self) -> None:
        """Refuse to have exim deliver by the configuration of its distribution."""
        if not pathlib.Path(f"{self.root}{constants.EXIM_CONFIG_FILE}").exists():
            raise errors.MachineError("the relay is not configured yet")

    def _check_relay_runs(self) -> None:
        if failure := self.relay_failure():
            raise errors.MachineError(failure)

    def _run_as_exim(self, *command: str) -> str:
        """Run *command* as exim's user: what it parses came in from strangers."""
        return self._run(*command, identity=self._as_exim())

    def _as_exim(self) -> dict[str, tp.Any]:
        """Return what makes a process exim's user's; nothing where this one is."""
        try:
            user = pwd.getpwnam(self.exim_user)
        except KeyError as error:
            raise errors.MachineError(str(error.args[0])) from error
        if user.pw_uid == os.geteuid():
            return {}
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    def _run(self, *command: str, identity: Mapping[str, tp.Any] | None = None) -> str:
        words = " ".join(command[:_WORDS_MAX])
        try:
            done: subprocess.CompletedProcess[str] = subprocess.run(
                command,
                check=False,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_COMMAND_TIMEOUT,
                stdin=subprocess.DEVNULL,
                env=_environment(),
                # Root may be in a folder that exim's user cannot enter.
                cwd="/",
                **(identity or {}),
            )
        except FileNotFoundError as error:
            raise errors.MachineError(f"{words}: no such command") from error
        except PermissionError as error:
            raise errors.MachineError(f"{words}: {error.strerror}") from error
        except subprocess.TimeoutExpired as error:
            raise errors.MachineError(f"{words}: no answer in {_COMMAND_TIMEOUT:.0f} s") from error
        if done.returncode != 0:
            said = " ".join((done.stderr or done.stdout).split())
            raise errors.MachineError(f"{words}: exit status {done.returncode}: {said[-400:]}")
        return done.stdout


def _ahead(unit: Mapping[str, str]) -> float | None:
    """Return what ``Unit.ahead`` is, of the properties that systemd shows."""
    at = unit.get("ExecMainStartTimestamp", "").removeprefix("@")
    monotonic = unit.get("ExecMainStartTimestampMonotonic", "")
    if not (at.isdecimal() and monotonic.isdecimal()):
        return None
    return int(at) - int(monotonic) / 1e6


def _source(queue: str) -> tuple[str, ...]:
    return (f"-qG{queue}",) if queue else ()


def _environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C"}


def _properties(shown: str) -> dict[str, str]:
    return {key: value for key, _, value in (line.partition("=") for line in shown.splitlines())}
