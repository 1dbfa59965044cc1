# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""exordos-mail-configure: make the node the relay of the domain in mail.env.

Everything is read, planned and checked before anything is changed, so that a
broken input leaves the running relay as it was. Running it again changes nothing.
The host name is the platform's, whose agent sets it back: exim has its name from
exim4.conf.

Exit status: 0 done or nothing to do; 1 the machine refused (a command failed, a
disk is full); 2 wrong usage; 78 an input is refused (EX_CONFIG of sysexits.h).
A failure is one line on standard error.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import sys
import typing as tp

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import configure_state
from exordos_paas_mail.node import machine, relay_plan

if tp.TYPE_CHECKING:
    from collections.abc import Sequence

EX_OK: tp.Final = 0
EX_MACHINE: tp.Final = 1
EX_CONFIG: tp.Final = 78

_LOCK_FILE = "/run/exordos-mail-configure.lock"


def run(node: machine.Machine) -> str:
    """Configure *node*; returns what was done, one line.

    Raises ValueError for an input that is refused, MachineError and OSError when
    the machine refuses. Either way the outcome is left for the agent.
    """
    with node.lock(_LOCK_FILE):
        before = _read_state(node)
        # Until the end: whoever kills this leaves a state that says so.
        _write_state(node, dataclasses.replace(before, finished=False))
        try:
            target = relay_plan.plan(node, datetime.datetime.now(datetime.timezone.utc))
            changed = relay_plan.apply(node, target)
            if before.running != target.running:
                if target.is_reloaded(before.running) and not node.relay_failure():
                    node.reload_relay()
                    changed.append("exim4 reloaded")
                else:
                    node.restart_relay()
                    changed.append("exim4 restarted")
            # systemd does not try again what an assert has kept from starting: it is
            # this that brings a relay back once the data disk is there.
            elif node.relay_failure():
                node.start_relay()
                changed.append("exim4 started")
            before = dataclasses.replace(
                before, domain=target.domain, hostname=target.hostname, running=target.running
            )
        except (ValueError, OSError, machine.MachineError) as error:
            failed = dataclasses.replace(before, finished=True, error=_one_line(error))
            _write_state(node, failed)
            raise
        _write_state(node, dataclasses.replace(before, finished=True, error=""))
    done = f"changed: {', '.join(changed)}" if changed else "nothing to do"
    return "; ".join([f"{target.domain}: {done}", *target.remarks])


def main(arguments: Sequence[str] | None = None, node: machine.Machine | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="exordos-mail-configure",
        description=f"Make this node the mail relay of the domain in {constants.MAIL_ENV_FILE}.",
        epilog="Exit status: 0 done or nothing to do, 1 the machine refused, 2 wrong usage, "
        "78 an input is refused.",
    )
    parser.parse_args(arguments)
    try:
        sys.stdout.write(f"{run(node or machine.Machine())}\n")
    except ValueError as error:
        sys.stderr.write(f"{parser.prog}: {_one_line(error)}\n")
        return EX_CONFIG
    except (OSError, machine.MachineError) as error:
        sys.stderr.write(f"{parser.prog}: {_one_line(error)}\n")
        return EX_MACHINE
    return EX_OK


def _read_state(node: machine.Machine) -> configure_state.State:
    data = node.read(constants.CONFIGURE_STATE_FILE)
    if data is None:
        return configure_state.State()
    try:
        return configure_state.parse(data.decode("utf-8", errors="replace"))
    except ValueError:
        # It holds nothing that this run does not find out again.
        return configure_state.State()


def _write_state(node: machine.Machine, state: configure_state.State) -> None:
    content = configure_state.render(state).encode()
    node.ensure_file(constants.CONFIGURE_STATE_FILE, content, 0o644)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
