# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""exordos-mail-webhooks: hand events over to the servers that the tenant has named.

A loop as exim's user, killed at any time: what is not sent yet is in its outbox, or
still in the store of events. Neither mail nor events wait for it.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import sqlite3
import ssl
import sys
import time
import typing as tp

from exordos_paas_mail import constants
from exordos_paas_mail.node import machine, status_api
from exordos_paas_mail.node.web import connections, networks, resolver
from exordos_paas_mail.node.webhooks import client as client_
from exordos_paas_mail.node.webhooks import (
    configuration,
    dispatcher,
    erased,
    figures,
    history,
    notices,
    outbox,
    teller,
)

if tp.TYPE_CHECKING:
    from collections.abc import Sequence

# The node's key may be another one by now, and is read at the start.
_REFUSALS_MAX = 600.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command until a signal ends it; returns an exit status otherwise."""
    opener = connections.Opener(
        resolver.Resolver().addresses,
        networks.Networks(machine.Machine()).refuses,
        ssl.create_default_context(),
    )
    return run(parser().parse_args(arguments), opener)


def run(options: argparse.Namespace, opener: connections.Opener) -> int:
    """Hand events over, each by a connection of *opener*'s, until it cannot go on."""
    try:
        api = status_api.of_agent(options.configuration, options.credentials)
        box = outbox.Outbox(options.store)
        sending = dispatcher.Dispatcher(
            configuration.Configuration(options.webhooks),
            history.History(options.store),
            box,
            lambda url: client_.Client(url, opener),
            notices.Notices(options.notices),
            erased.Erased(options.erased),
        )
        return _loop(sending, teller.Teller(api, box), figures.Teller(options.figures))
    except (status_api.ConfigurationError, OSError, sqlite3.Error) as error:
        # What it knew may not be what the disk has: it begins anew.
        _say(str(error))
        return 1


def _loop(sending: dispatcher.Dispatcher, telling: teller.Teller, adding_up: figures.Teller) -> int:
    said = ""
    while True:
        wrong = sending.turn() or telling.check() or adding_up.turn(sending.figures)
        if telling.is_due:
            telling.offer(sending.report())
        # Once, not twice a second.
        if wrong and wrong != said:
            _say(wrong)
            said = wrong
        refused = telling.refused_since
        if refused is not None and time.monotonic() - refused > _REFUSALS_MAX:
            sending.close()
            return 1


def _say(what: str) -> None:
    sys.stderr.write(f"exordos-mail-webhooks: {' '.join(what.split())}\n")
    sys.stderr.flush()


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's options."""
    made = argparse.ArgumentParser(
        prog="exordos-mail-webhooks",
        description="Hand this node's events over to the tenant's webhooks.",
    )
    for name, default, what in (
        ("store", constants.EVENTS_DIR, "directory of exordos-mail-events' store and the outbox"),
        ("webhooks", constants.WEBHOOKS_FILE, "file of the webhooks"),
        ("notices", constants.NOTICES_DIR, "directory of what the control plane tells them"),
        ("erased", constants.ERASED_DIR, "directory of whom nothing is sent of"),
        ("figures", constants.WEBHOOK_FIGURES_FILE, "file of how they fare, for the metrics"),
        ("configuration", constants.AGENT_CONFIG_FILE, "configuration of the node's agent"),
        (
            "credentials",
            os.environ.get("CREDENTIALS_DIRECTORY", ""),
            "directory of the node's uuid (node-uuid) and key (node-key)",
        ),
    ):
        made.add_argument(f"--{name}", type=pathlib.Path, default=default, help=what)
    return made
