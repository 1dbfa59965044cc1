# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The machine's services and commands: systemd, exim, the host name."""

from __future__ import annotations

import os
import subprocess
import typing as tp

from exordos_paas_mail import constants
from exordos_paas_mail.node.machine import errors

if tp.TYPE_CHECKING:
    import pathlib

# systemctl waits for the jobs it starts; exim stalls for 30 s on a name server
# that does not answer.
_COMMAND_TIMEOUT = 90.0


class Services:
    """What a machine runs. Every method raises MachineError when a command fails."""

    def check_relay(self, configuration: pathlib.Path) -> None:
        """Have exim read a configuration file; MachineError with its words when it refuses."""
        self._run("exim4", "-bV", "-C", str(configuration))

    def reload_relay(self) -> None:
        """Have exim take over changed files; no client loses its connection."""
        self._run("systemctl", "reload", constants.EXIM_UNIT)

    def restart_relay(self) -> None:
        """Start exim, or start it anew, and see that it stays up."""
        self._run("systemctl", "restart", constants.EXIM_UNIT)
        self._run("systemctl", "is-active", constants.EXIM_UNIT)

    def start_relay(self) -> None:
        """Start what of exim does not run, and see that it stays up; what runs goes on."""
        self._run("systemctl", "start", constants.EXIM_UNIT)
        self._run("systemctl", "is-active", constants.EXIM_UNIT)

    def start_unit(self, unit: str) -> None:
        """Have systemd start *unit* anew, without waiting for it."""
        self._run("systemctl", "--no-block", "restart", unit)

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

    def relay_failure(self) -> str:
        """Return which of exim's units does not run, empty when all do."""
        shown = self._run(
            "systemctl", "show", "--property=Id,ActiveState", *constants.EXIM_PROCESS_UNITS
        )
        states = [_properties(unit) for unit in shown.split("\n\n")]
        return ", ".join(
            f"{unit.get('Id', 'exim4')} is {unit.get('ActiveState', 'unknown')}"
            for unit in states
            if unit.get("ActiveState") not in {"active", "reloading"}
        )

    def queue(self) -> str:
        """Return what exim lists of its queue, see ``codecs.queue_list``."""
        return self._run("exim4", "-bpr")

    def set_host_name(self, name: str) -> None:
        """Set the host name, now and for later boots."""
        self._run("hostnamectl", "hostname", name)

    def _run(self, *command: str) -> str:
        words = " ".join(command)
        try:
            done = subprocess.run(
                command,
                check=False,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_COMMAND_TIMEOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "LC_ALL": "C"},
            )
        except FileNotFoundError as error:
            raise errors.MachineError(f"{words}: no such command") from error
        except subprocess.TimeoutExpired as error:
            raise errors.MachineError(f"{words}: no answer in {_COMMAND_TIMEOUT:.0f} s") from error
        if done.returncode != 0:
            said = " ".join((done.stderr or done.stdout).split())
            raise errors.MachineError(f"{words}: exit status {done.returncode}: {said[-400:]}")
        return done.stdout


def _properties(shown: str) -> dict[str, str]:
    return {key: value for key, _, value in (line.partition("=") for line in shown.splitlines())}
