# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""exordos-mail-sts: find out what recipients' domains publish about TLS (MTA-STS, RFC 8461).

A loop as exim's user, killed at any time: what it knows is in its store. exim looks in the
files that it writes, asks it by a socket for what is not there, and goes by what the files say
where it does not answer.
"""

from __future__ import annotations

import argparse
import contextlib
import pathlib
import sqlite3
import ssl
import sys
import time
import typing as tp

from exordos_paas_mail import atomic_files, constants
from exordos_paas_mail.codecs import mta_sts
from exordos_paas_mail.node import machine
from exordos_paas_mail.node.machine import listener as listener_
from exordos_paas_mail.node.machine import watchdog, watched
from exordos_paas_mail.node.sts import finder, shards, store
from exordos_paas_mail.node.sts import keeper as keeper_
from exordos_paas_mail.node.web import connections, networks, resolver

if tp.TYPE_CHECKING:
    from collections.abc import Sequence

    from exordos_paas_mail.codecs import public_addresses

BEAT: tp.Final = 1.0
"""Seconds between two signs of life (templates/exim4/acl/mta_sts.j2)."""
FIGURES_PERIOD: tp.Final = 15.0
_COMPLAINT_PERIOD: tp.Final = 60.0
_FIGURES_MODE: tp.Final = 0o644


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command until a signal ends it; returns an exit status otherwise."""
    options = _parser().parse_args(arguments)
    node = machine.Machine()
    settings = watched.Watched(node, str(options.configuration), _parse_settings)
    own = networks.Networks(node)
    asked = resolver.Resolver()

    def refuses(address: public_addresses.Address) -> bool:
        _, now = settings.read()
        return not networks.is_private(address) if now.private else own.refuses(address)

    opener = connections.Opener(asked.addresses, refuses, ssl.create_default_context())
    try:
        listener = listener_.Listener(options.socket)
        keeper = keeper_.Keeper(
            store.Store(options.store),
            shards.Shards(options.known),
            finder.Finder(asked.texts, opener),
            listener.wake,
        )
        _loop(keeper, listener, settings, options)
    except (OSError, sqlite3.Error) as error:
        _say(str(error))
    return 1


def _loop(
    keeper: keeper_.Keeper,
    listener: listener_.Listener,
    settings: watched.Watched[mta_sts.Settings],
    options: argparse.Namespace,
) -> tp.NoReturn:
    """Answer for ever; raises OSError where there can be no sign of life."""
    watched_ = watchdog.Watchdog()
    next_beat = next_figures = next_complaint = 0.0

    @contextlib.contextmanager
    def complained() -> tp.Iterator[None]:
        nonlocal next_complaint
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            # Not at each domain.
            if time.monotonic() >= next_complaint:
                next_complaint = time.monotonic() + _COMPLAINT_PERIOD
                _say(f"what is found out is not kept: {error}")

    def answer(line: str, waited: float) -> str | None:
        # Nothing is answered to what is no request.
        with contextlib.suppress(ValueError), complained():
            return keeper.answer(line, waited, time.time())
        return ""

    while True:
        listener.turn_patiently(answer, BEAT)
        now = time.monotonic()
        _, wanted = settings.read()
        if wanted.on:
            with complained():
                keeper.turn(time.time())
        if now >= next_beat:
            next_beat = now + BEAT
            # With nothing in it: exim looks at its time.
            options.alive.write_bytes(b"")
            watched_.turn()
        if now >= next_figures:
            next_figures = now + FIGURES_PERIOD
            with complained():
                figures = mta_sts.Figures(keeper.failing() if wanted.on else 0)
                atomic_files.replace(
                    options.figures, mta_sts.render_figures(figures), _FIGURES_MODE, durable=False
                )


def _parse_settings(data: bytes | None) -> mta_sts.Settings:
    return mta_sts.parse_settings((data or b"").decode("ascii", "replace"))


def _say(what: str) -> None:
    sys.stderr.write(f"exordos-mail-sts: {' '.join(what.split())}\n")
    sys.stderr.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="exordos-mail-sts",
        description="Find out what recipients' domains publish about TLS (MTA-STS).",
    )
    for name, default, what in (
        ("store", constants.EVENTS_DIR, "directory of what is found out"),
        ("known", constants.STS_DIR, "directory of the files that exim looks domains up in"),
        ("socket", constants.STS_SOCKET, "where exim asks, if systemd hands in no socket"),
        ("alive", constants.STS_ALIVE_FILE, "file whose time is the last sign of life"),
        ("figures", constants.STS_FIGURES_FILE, "file of figures, for the metrics"),
        ("configuration", constants.EXIM_CONFIG_FILE, "exim4.conf, which says the settings"),
    ):
        parser.add_argument(f"--{name}", type=pathlib.Path, default=default, help=what)
    return parser
