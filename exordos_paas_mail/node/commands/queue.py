# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""exordos-mail-queue: tell the control plane of the queue, and do what it asks for.

A loop as exim's user, killed at any time: what it has begun is in its journal.
Mail never waits for it.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import sqlite3
import sys
import threading
import time
import typing as tp

from exordos_paas_mail import constants
from exordos_paas_mail.node import machine, status_api
from exordos_paas_mail.node.documents import holder as holder_
from exordos_paas_mail.node.queue import keeper as keeper_

if tp.TYPE_CHECKING:
    from collections.abc import Sequence

# The node's key may be another one by now, and is read at the start.
_REFUSALS_MAX = 600.0
_PAUSE = 1.0
_ERRORS = (
    OSError,
    sqlite3.Error,
    machine.MachineError,
    status_api.StatusError,
    holder_.DocumentError,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command until a signal ends it; returns an exit status otherwise."""
    options = _parser().parse_args(arguments)
    wake = threading.Event()
    try:
        api = status_api.of_agent(options.configuration, options.credentials)
        node = machine.Machine(root=str(options.root))
        keeper = keeper_.Keeper(node, api, options.store, wake.set)
    except (status_api.ConfigurationError, OSError, sqlite3.Error) as error:
        _say(str(error))
        return 1
    return run(keeper, wake)


def run(keeper: keeper_.Keeper, wake: threading.Event) -> int:
    """Go on until the control plane has refused the node for long."""
    said = ""
    while True:
        wrong, idle = "", _PAUSE
        # What ends from now on is seen by the turn after the next.
        wake.clear()
        try:
            idle = keeper.turn()
        except _ERRORS as error:
            wrong = str(error)
        # Once, not every second; and again when it was well meanwhile.
        if wrong and wrong != said:
            _say(wrong)
        said = wrong or ("" if keeper.is_heard else said)
        refused = keeper.refused_since
        if refused is not None and time.monotonic() - refused > _REFUSALS_MAX:
            return 1
        wake.wait(idle)


def _say(what: str) -> None:
    sys.stderr.write(f"exordos-mail-queue: {' '.join(what.split())}\n")
    sys.stderr.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="exordos-mail-queue",
        description="Tell the control plane of this node's queue, and do what it asks for.",
    )
    for name, default, what in (
        ("root", "/", "where the node's files are"),
        ("store", constants.EVENTS_DIR, "directory of exordos-mail-events' store and the journal"),
        ("configuration", constants.AGENT_CONFIG_FILE, "configuration of the node's agent"),
        (
            "credentials",
            os.environ.get("CREDENTIALS_DIRECTORY", ""),
            "directory of the node's uuid (node-uuid) and key (node-key)",
        ),
    ):
        parser.add_argument(f"--{name}", type=pathlib.Path, default=default, help=what)
    return parser
