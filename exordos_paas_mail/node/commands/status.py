# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""exordos-mail-status: the relay at a glance, one JSON object for a monitor to read.

Changes nothing. Exit status: 0 the relay serves its domain; 1 it does not, or
the machine does not answer (then one line on standard error and no object).
"""

from __future__ import annotations

import argparse
import json
import sys
import typing as tp

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import queue_list, webhook_figures
from exordos_paas_mail.node import health, machine, metrics, parts

if tp.TYPE_CHECKING:
    from collections.abc import Sequence


def read(node: machine.Machine) -> dict[str, str | int]:
    """Return what the command prints; raises MachineError or OSError when *node* refuses.

    ``domain`` and ``hostname`` are empty until the node is configured, ``error`` while
    nothing is wrong. A part that is not as the relay needs it is wrong too: the node
    repairs it within seconds. Sizes are in bytes; a panic log that is not empty is a
    fault of exim's. A webhook that fails is its receiver's fault, and no ``error``.
    """
    relay = health.Health(node, patience=0.0)
    domain = relay.domain()
    condition = relay.read(domain)
    # What nobody has told yet is no fault: an account file may still be on its way.
    faults = parts.of(node)["domains"].faults()
    hooks = metrics.parse_webhook_figures(node.read(constants.WEBHOOK_FIGURES_FILE))
    panic = node.signature(constants.EXIM_PANIC_LOG)
    return {
        "domain": domain,
        "hostname": condition.hostname,
        "error": "; ".join(filter(None, [condition.error, *faults])),
        **{f"queue_{k}": v for k, v in queue_list.parse(node.queue())._asdict().items()},
        "spool_free_bytes": node.free_space(constants.EXIM_SPOOL_DIR).bytes,
        "panic_log_bytes": 0 if panic is None else panic.size,
        "webhooks_failing": hooks.states[webhook_figures.FAILING] if hooks else 0,
    }


def main(arguments: Sequence[str] | None = None, node: machine.Machine | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="exordos-mail-status",
        description="Print the state of this node's mail relay as one JSON object.",
        epilog="Exit status: 0 the relay serves its domain, 1 it does not, 2 wrong usage.",
    )
    parser.parse_args(arguments)
    try:
        shown = read(node or machine.Machine())
    except (OSError, machine.MachineError) as error:
        sys.stderr.write(f"{parser.prog}: {' '.join(str(error).split())}\n")
        return 1
    sys.stdout.write(f"{json.dumps(shown, indent=2)}\n")
    return int(not shown["domain"] or bool(shown["error"]))
