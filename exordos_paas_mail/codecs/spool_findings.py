# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Where exim's spool and exim's log disagree: from who may read the one to who reads the other.

A power cut takes lines of the log with it, and not the messages they tell of. Who has
looked at the spool says what he found; who reads the log judges it, once he has read on.
"""

from __future__ import annotations

import dataclasses
import typing as tp

from exordos_paas_mail.codecs import bounded, log_ids, mail_events

if tp.TYPE_CHECKING:
    from collections.abc import Iterable

FILE_NAME: tp.Final = "spool_findings.json"
ADOPTED_MAX: tp.Final = 200_000
"""As many as who judges has the memory for: 87 MB of 128 with so many, 30 without."""
FOUND_MAX: tp.Final = 500
"""Messages. Each has two events at most."""
UNACCOUNTED_MAX: tp.Final = 10_000


@dataclasses.dataclass(frozen=True)
class Findings:
    """What one look at the spool comes to."""

    adopted: tuple[str, ...] | None = None
    """All that is there, where nobody has compared before: no line is missed of any of it."""
    found: tuple[mail_events.Event, ...] = ()
    """What there is to tell of messages that the log did not tell of (``mail_events.found``)."""
    unaccounted: tuple[str, ...] = ()
    """Messages that the log told of, and not of their end; they are not there."""


def render(findings: Findings) -> bytes:
    """Return *findings* as JSON; ``parse`` is the inverse."""
    return bounded.dump(
        {
            **({} if findings.adopted is None else {"adopted": list(findings.adopted)}),
            "found": mail_events.render(findings.found).decode("ascii"),
            "unaccounted": list(findings.unaccounted),
        }
    )


def parse(data: bytes) -> Findings:
    """Return the findings that *data* is; ValueError, without a word of it, if it is none."""
    value = bounded.load(data, "the findings")
    fields = bounded.Fields(value, "the findings")
    text = value.get("found", "[]")
    if not isinstance(text, str):
        raise fields.error("found")
    events = mail_events.parse(text.encode("utf-8", "replace"))
    adopted = fields.list("adopted", ADOPTED_MAX) if "adopted" in value else None
    unaccounted = fields.list("unaccounted", UNACCOUNTED_MAX)
    if len(events) > 2 * FOUND_MAX or not _are_queue_ids(event.queue_id for event in events):
        raise fields.error("found")
    if not _are_queue_ids(adopted or ()):
        raise fields.error("adopted")
    if not _are_queue_ids(unaccounted):
        raise fields.error("unaccounted")
    return Findings(None if adopted is None else tuple(adopted), tuple(events), tuple(unaccounted))


def _are_queue_ids(values: Iterable[object]) -> bool:
    return all(isinstance(value, str) and log_ids.is_queue_id(value) for value in values)
