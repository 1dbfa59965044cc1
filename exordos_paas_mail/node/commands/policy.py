# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""exordos-mail-policy: say of each recipient whether it may be sent to, and count it.

A loop as exim's user, killed at any time: what it has counted is in its store. exim asks it
by a socket, and takes mail uncounted where it does not answer.
"""

from __future__ import annotations

import argparse
import pathlib
import sqlite3
import sys
import time
import typing as tp

from exordos_paas_mail import constants
from exordos_paas_mail.node.machine import listener as listener_
from exordos_paas_mail.node.machine import watchdog
from exordos_paas_mail.node.policy import counts as counts_
from exordos_paas_mail.node.policy import judge as judge_

if tp.TYPE_CHECKING:
    from collections.abc import Sequence

BEAT: tp.Final = 1.0
"""Seconds between two signs of life (templates/exim4/acl/limits.j2)."""
_FORGET: tp.Final = 3600.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command until a signal ends it; returns an exit status otherwise."""
    options = _parser().parse_args(arguments)
    try:
        counts = counts_.Counts(options.store)
        listener = listener_.Listener(options.socket)
        run(judge_.Judge(options.limits, counts), counts, listener, options.alive)
    except (OSError, sqlite3.Error) as error:
        _say(str(error))
    return 1


def run(
    judge: judge_.Judge,
    counts: counts_.Counts,
    listener: listener_.Listener,
    alive: pathlib.Path,
) -> tp.NoReturn:
    """Answer for ever; raises OSError where there can be no sign of life."""
    watched = watchdog.Watchdog()
    said = ""
    next_beat = next_forget = 0.0

    def answer(line: str) -> str:
        nonlocal said
        try:
            answered = judge.answer(line, time.time_ns() // 1_000_000)
        except (sqlite3.Error, ValueError) as error:
            # Once, not at each recipient; and again when it was well meanwhile.
            if str(error) != said:
                _say(f"cannot count: {error}")
            said = str(error)
            return ""
        said = ""
        return answered

    while True:
        listener.turn(answer, BEAT)
        now = time.monotonic()
        if now >= next_beat:
            next_beat = now + BEAT
            # With nothing in it: exim looks at its time.
            alive.write_bytes(b"")
            watched.turn()
        if now >= next_forget and not said:
            next_forget = now + _FORGET
            counts.forget(time.time_ns() // 1_000_000)


def _say(what: str) -> None:
    sys.stderr.write(f"exordos-mail-policy: {' '.join(what.split())}\n")
    sys.stderr.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="exordos-mail-policy",
        description="Count the recipients of this node's mail, and hold them to the limits.",
    )
    for name, default, what in (
        ("limits", constants.LIMITS_FILE, "the file of limits"),
        ("store", constants.EVENTS_DIR, "directory of what is counted"),
        ("socket", constants.POLICY_SOCKET, "where exim asks, if systemd hands in no socket"),
        ("alive", constants.POLICY_ALIVE_FILE, "file whose time is the last sign of life"),
    ):
        parser.add_argument(f"--{name}", type=pathlib.Path, default=default, help=what)
    return parser
