# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""exordos-mail-events: tell the control plane what became of mail.

A loop as exim's user, killed at any time: what it has read and what it has sent
is in its store. Mail never waits for it.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import sqlite3
import sys
import time
import typing as tp

from exordos_paas_mail import constants
from exordos_paas_mail.node import machine, status_api
from exordos_paas_mail.node.events import figures
from exordos_paas_mail.node.events import recorder as recorder_
from exordos_paas_mail.node.events import sender as sender_
from exordos_paas_mail.node.events import store as store_

if tp.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PERIOD: tp.Final = 0.5
# The node's key may be another one by now, and is read at the start.
_REFUSALS_MAX = 600.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command until a signal ends it; returns an exit status otherwise."""
    options = _parser().parse_args(arguments)
    try:
        api = status_api.of_agent(options.configuration, options.credentials)
        recorder = recorder_.Recorder(options.log, options.store, _free_space(options.store))
        teller = figures.Teller(options.figures)
    except (status_api.ConfigurationError, OSError, sqlite3.Error, store_.DamagedError) as error:
        sys.stderr.write(f"exordos-mail-events: {' '.join(str(error).split())}\n")
        return 1
    return run(recorder, sender_.Sender(api), teller)


def run(recorder: recorder_.Recorder, sender: sender_.Sender, teller: figures.Teller) -> int:
    """Record and send until the control plane has refused the node for long."""
    said = ""
    while True:
        more, unrecorded = _try(recorder, "record", recorder.turn)
        sent, unsent = _try(recorder, "send", lambda: sender.turn(recorder.store))
        _, untold = _try(recorder, "tell figures", lambda: teller.turn(recorder))
        wrong = unsent or unrecorded or untold
        # Once, not twice a second; and again when it was well meanwhile.
        if sent:
            said = ""
        if wrong and wrong != said:
            sys.stderr.write(f"exordos-mail-events: {' '.join(wrong.split())}\n")
            sys.stderr.flush()
        said = wrong or said
        refused = sender.refused_since
        if refused is not None and time.monotonic() - refused > _REFUSALS_MAX:
            return 1
        if not more and not sent:
            time.sleep(PERIOD)


def _try(recorder: recorder_.Recorder, what: str, act: Callable[[], object]) -> tuple[bool, str]:
    """Return whether *act* returned something true, and why it could not do what it is to."""
    try:
        return bool(act()), ""
    except status_api.StatusError as error:
        return False, str(error)
    except (OSError, sqlite3.OperationalError) as error:
        return False, f"cannot {what}: {error}"
    except store_.DamagedError as error:
        recorder.renew()
        return False, str(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="exordos-mail-events",
        description="Tell the control plane what became of this node's mail, from exim's log.",
    )
    for name, default, what in (
        ("log", constants.EXIM_MAIN_LOG, "exim's main log"),
        ("store", constants.EVENTS_DIR, "directory of the events that are not sent yet"),
        ("figures", constants.EVENT_FIGURES_FILE, "file of what was counted, for the metrics"),
        ("configuration", constants.AGENT_CONFIG_FILE, "configuration of the node's agent"),
        (
            "credentials",
            os.environ.get("CREDENTIALS_DIRECTORY", ""),
            "directory of the node's uuid (node-uuid) and key (node-key)",
        ),
    ):
        parser.add_argument(f"--{name}", type=pathlib.Path, default=default, help=what)
    return parser


def _free_space(directory: pathlib.Path) -> Callable[[], int]:
    node = machine.Machine()
    return lambda: node.free_space(str(directory.absolute())).bytes
