# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The messages that the log has told of, and not of their end: what the spool should have.

Most messages come and go within one reading of the log, and are never kept.
"""

from __future__ import annotations

import typing as tp

from exordos_paas_mail.codecs import mail_events

if tp.TYPE_CHECKING:
    from collections.abc import Iterable

# Whatever ends a message, this line of the log comes with it: after `exim -Mrm` as well.
_ENDS: tp.Final = frozenset({mail_events.Type.COMPLETED, mail_events.Type.UNACCOUNTED})


class Messages:
    """What is new."""

    def __init__(self) -> None:
        self._arrived: dict[str, None] = {}
        self._ended: dict[str, None] = {}
        self.are_all = False
        """Whether, with these, all are kept that are in the spool."""

    def add(self, events: Iterable[mail_events.Event]) -> None:
        """Take in what happened."""
        for event in events:
            if event.type is mail_events.Type.ACCEPTED:
                self._arrived[event.queue_id] = None
            elif event.type in _ENDS:
                self._ended[event.queue_id] = None

    def adopt(self, queue_ids: Iterable[str]) -> None:
        """Take in those that are in the spool, without an event."""
        self.are_all = True
        self._arrived.update(dict.fromkeys(queue_ids))

    @property
    def arrived(self) -> list[str]:
        """Those to be kept."""
        return [queue_id for queue_id in self._arrived if queue_id not in self._ended]

    @property
    def ended(self) -> list[str]:
        """Those not to be kept any more."""
        return [queue_id for queue_id in self._ended if queue_id not in self._arrived]
