# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""exordos-mail-keep-resolver: keep the node's own resolver, and have the node ask it.

A loop, killed at any time: the resolver and resolv.conf stay as they are meanwhile.
"""

from __future__ import annotations

import argparse
import sys
import time
import typing as tp

from exordos_paas_mail.node import machine
from exordos_paas_mail.node.machine import watchdog
from exordos_paas_mail.node.resolver import keeper as keeper_

if tp.TYPE_CHECKING:
    from collections.abc import Sequence

PERIOD: tp.Final = 2.0


def main(arguments: Sequence[str] | None = None, node: machine.Machine | None = None) -> int:
    """Run the command until a signal ends it."""
    parser = argparse.ArgumentParser(
        prog="exordos-mail-keep-resolver",
        description="Keep this node's own resolver, and have the node ask it while it works.",
    )
    parser.parse_args(arguments)
    keeper = keeper_.Keeper(node or machine.Machine())
    watched = watchdog.Watchdog()
    while True:
        sys.stdout.writelines(f"{line}\n" for line in keeper.turn())
        sys.stdout.flush()
        watched.turn()
        time.sleep(PERIOD)
