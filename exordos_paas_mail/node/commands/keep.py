# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""exordos-mail-keep: keep the node as it was last told, with nobody to ask.

A loop beside the agent, which reaches its driver only while the control plane
answers. It repairs the parts from the kept target and has the relay repaired.
What it cannot repair is the agent's and exordos-mail-status's to tell, and the
node's metrics, which it writes as well: it knows all of them from its looks.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import typing as tp

from exordos_paas_mail import constants
from exordos_paas_mail.node import health, kept, kept_accounts, machine, metrics, parts
from exordos_paas_mail.node.machine import watched
from exordos_paas_mail.node.parts import domains

if tp.TYPE_CHECKING:
    from collections.abc import Sequence

PERIOD: tp.Final = 2.0
# The agent writes its report at each pass, every three seconds while all is well.
_REPORT_AGE = 6.0
_REPORT_FILE = f"{constants.AGENT_STATE_DIR}/{constants.AGENT_REPORT_FILE}"
# Of a queue of 100,000 messages the first look takes three minutes, next to much else.
_UNSCHEDULED_TIME = 180.0
_UNSCHEDULED_TIME_OF_MESSAGE = 0.003
_QUEUE_RUN_PERIOD = 60.0
# What systemd tells when a process started is told to the second.
_CLOCK_SET_MIN = 3.0
_FAILURES = (ValueError, OSError, machine.MachineError)


def _is_report(data: bytes | None) -> bool:
    if data is None:
        return True
    try:
        return isinstance(json.loads(data), dict)
    except ValueError:
        return False


class Keeper:
    """Keeps one machine as it was last told; ``turn`` is one look at it."""

    def __init__(self, node: machine.Machine) -> None:
        self._node = node
        self._parts = parts.of(node)
        self._kept = kept.Kept(node)
        self._health = health.Health(node)
        self._metrics = metrics.Metrics(node, self._health, domains.Domains(node))
        self._report = watched.Watched(node, _REPORT_FILE, _is_report)
        self._condition: health.Condition | None = None
        self._began = time.monotonic()
        self._next_queue_run = 0.0

    def turn(self) -> list[str]:
        """Repair what is not as it was told; returns what was done or could not be, in words."""
        steps = (
            *(self._keep_parts, self._keep_relay, self._keep_clock, self._keep_queue),
            *(self._keep_report, self._tell_metrics),
        )
        return [line for step in steps for line in self._try(step)]

    def _try(self, step: tp.Callable[[], list[str]]) -> list[str]:
        try:
            return step()
        except _FAILURES as error:
            return [" ".join(str(error).split())]

    def _keep_parts(self) -> list[str]:
        repaired = []
        with self._node.lock(constants.PARTS_LOCK_FILE):
            target = self._kept.read()
            if target is None:
                return []
            index = self._kept.index(target)
            for field, part in self._parts.items():
                if field == kept_accounts.FIELD and index is not None:
                    if self._kept.accounts.is_of(part.read(), index) and not part.faults():
                        continue
                    text = self._kept.accounts.text(index)
                else:
                    told = target.texts.get(field)
                    # A part that the image has and the target lacks, and the other way round.
                    if told is None or (part.read() == told and not part.faults()):
                        continue
                    text = told
                part.check(text, target.domain)
                part.ensure(text)
                repaired.append(f"{part.name} repaired")
        return repaired

    def _keep_relay(self) -> list[str]:
        # What is not known is not told: a reader sees the metrics grow old.
        self._condition = None
        condition = self._health.read(self._health.domain())
        self._condition = condition
        self._health.repair(condition)
        return [condition.error] if condition.error else []

    def _keep_clock(self) -> list[str]:
        """Have what accepts mail be started anew when the clock was set; sessions go on.

        It reads the clock when it starts, and names messages by how long ago that was (exim.c,
        exim_gettime): they would be of the time that the clock was in.
        """
        ahead = time.time() - time.monotonic()
        if all(abs(ahead - one) < _CLOCK_SET_MIN for one in self._health.started_ahead):
            return []
        # Whatever comes of it, once: until systemd is asked again, and tells when they started.
        self._health.started_ahead = ()
        self._node.reload_relay()
        return ["the clock was set: what accepts mail reads it anew"]

    def _keep_queue(self) -> list[str]:
        """Have exim try the whole queue, each minute, while nobody has what is due be tried."""
        if self._condition is None or not self._condition.configured:
            return []
        scheduled = self._node.signature(constants.QUEUE_SCHEDULED_FILE)
        # Either way: a clock that is set back leaves a time that is still to come.
        age = abs(time.time() - scheduled.mtime) if scheduled else float("inf")
        # It may be a boot, or its start: who sees to the queue reads all of it first.
        age = min(age, time.monotonic() - self._began)
        if age <= self._unscheduled_time() or time.monotonic() < self._next_queue_run:
            return []
        self._next_queue_run = time.monotonic() + _QUEUE_RUN_PERIOD
        self._node.start_unit(f"{constants.QUEUE_RUN_UNIT}.service")
        return [f"{constants.QUEUE_UNIT} does not see to the queue: exim tries all of it"]

    def _unscheduled_time(self) -> float:
        """Return for how many seconds it may be that nobody has seen to the queue."""
        queue = self._health.queue
        return _UNSCHEDULED_TIME + _UNSCHEDULED_TIME_OF_MESSAGE * (queue.messages if queue else 0)

    def _keep_report(self) -> list[str]:
        """Remove a report that cannot be read: the agent would fail on it at each pass."""
        file = self._node.signature(_REPORT_FILE)
        if file is None:
            is_lost = self._node.exists(_REPORT_FILE)
        else:
            # Either way, as above.
            age = abs(time.time() - file.mtime)
            is_lost = age > _REPORT_AGE and not self._report.read()[1]
        if not is_lost:
            return []
        self._node.ensure_absent(_REPORT_FILE)
        return ["the agent's last report could not be read: removed"]

    def _tell_metrics(self) -> list[str]:
        if self._condition is not None:
            self._metrics.turn(self._condition)
        return []


def main(arguments: Sequence[str] | None = None, node: machine.Machine | None = None) -> int:
    """Run the command until a signal ends it."""
    parser = argparse.ArgumentParser(
        prog="exordos-mail-keep",
        description="Keep this node as the control plane last told it, until a signal ends it.",
    )
    parser.parse_args(arguments)
    keeper = Keeper(node or machine.Machine())
    said: list[str] = []
    while True:
        lines = keeper.turn()
        # Once, not every two seconds.
        sys.stdout.writelines(f"{line}\n" for line in lines if line not in said)
        sys.stdout.flush()
        said = lines
        time.sleep(PERIOD)
