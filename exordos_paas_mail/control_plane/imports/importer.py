# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Takes in the lists of suppressions that wait, one after the other.

What a text says is put in an order that follows from the text alone, so who goes on with
one, after a kill as well, needs to know no more than how far it was.
"""

from __future__ import annotations

import dataclasses
import logging
import typing as tp

import psycopg

from exordos_paas_mail.codecs import rules, suppression_lists, suppressions
from exordos_paas_mail.control_plane.records import errors, suppression_imports
from exordos_paas_mail.control_plane.runtime import causes, threads

if tp.TYPE_CHECKING:
    import threading
    import uuid as sys_uuid

LOG = logging.getLogger(__name__)

# Seconds between two looks.
PERIOD: tp.Final = 1.0
# Lines in a transaction: nobody else who writes the instance waits for all of them.
SLICE: tp.Final = 1_000
FAILED: tp.Final = "the import could not be carried out"


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a text says."""

    lines: list[suppression_imports.Numbered]
    """In the order in which they are put; of those for one recipient the last."""
    refused: dict[int, str]
    """The first of the lines that are none, and why."""
    refused_count: int


def plan(text: str) -> Plan:
    """Return what *text* says: shard by shard, so that each is told to the node once or twice."""
    refused: dict[int, str] = {}
    refused_count = 0
    entries: dict[tuple[str, tp.Any], suppression_imports.Numbered] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            parsed = suppression_lists.parse(line)
        except rules.RuleError as error:
            refused_count += 1
            if len(refused) < suppression_imports.REFUSED_MAX:
                refused[number] = str(error)
            continue
        if parsed is not None:
            entries[parsed.address, parsed.account] = number, parsed
    lines = sorted(
        entries.values(), key=lambda one: (suppressions.shard_of(one[1].address), one[0])
    )
    return Plan(lines, refused, refused_count)


class Importer:
    """What the thread of the imports does."""

    def __init__(self) -> None:
        self._last: sys_uuid.UUID | None = None

    def run(self, stop: threading.Event) -> None:
        """Take in what waits until *stop* is set."""
        threads.repeat(stop, PERIOD, lambda: self._take_all(stop), of="imports")

    def _take_all(self, stop: threading.Event) -> None:
        while not stop.is_set() and self.run_once(stop):
            pass

    def run_once(self, stop: threading.Event) -> bool:
        """Take in the text whose turn it is, or what of it is left; return whether there was one.

        No instance has two turns while another waits.
        """
        waiting = suppression_imports.find_next(self._last)
        if waiting is None:
            return False
        self._last = waiting.instance
        try:
            _take(waiting, stop)
        except (psycopg.OperationalError, psycopg.InterfaceError):
            raise
        except errors.FieldError as error:
            suppression_imports.fail(waiting, str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, no other text waits for it
            cause = causes.cause_of(error)
            LOG.error("An import of %s cannot be carried out: %s", waiting.instance, cause)  # noqa: TRY400
            suppression_imports.fail(waiting, FAILED)
        return True


def _take(waiting: suppression_imports.Import, stop: threading.Event) -> None:
    text = suppression_imports.read(waiting)
    if text is None:
        return
    wanted = plan(text)
    position: int | None = waiting.position
    while position is not None and position < len(wanted.lines):
        if stop.is_set():
            return
        part = wanted.lines[position : position + SLICE]
        position = suppression_imports.put(waiting, position, part)
    if position is not None:
        suppression_imports.finish(waiting, wanted.refused, wanted.refused_count)
