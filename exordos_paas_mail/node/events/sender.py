# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""From the store to the control plane, a row of its Status API a batch."""

from __future__ import annotations

import time
import typing as tp

from exordos_paas_mail.codecs import event_batches
from exordos_paas_mail.node import status_api

if tp.TYPE_CHECKING:
    import uuid

    from exordos_paas_mail.node.events import store as store_

PAUSE_MAX: tp.Final = 60.0
"""Seconds between two attempts to reach a control plane that does not answer."""
_PAUSE_MIN = 1.0


def send(api: status_api.StatusApi, stream: uuid.UUID, seq: int, events: bytes) -> None:
    """Have the batch of that number be a row; raises StatusError, and then it may be one or not.

    To send it again changes nothing.
    """
    batch = event_batches.seal(api.key, api.node, stream, seq, events)
    row = event_batches.row_uuid(api.node, stream, seq)
    value = event_batches.render(batch)
    if api.create(event_batches.KIND, row, value):
        return
    # It was sent before, or another node has put something into its place: the number is known
    # beforehand. Which of both it is does not matter to a row that is made anew.
    api.delete(event_batches.KIND, row)
    if not api.create(event_batches.KIND, row, value):
        raise status_api.StatusError("somebody else has made the row of a batch meanwhile")


class Sender:
    """Sends what *store* has, oldest first, and makes it forget what has arrived."""

    def __init__(self, api: status_api.StatusApi) -> None:
        self._api = api
        self._pause = 0.0
        self._next = 0.0
        self.refused_since: float | None = None
        """Since when (time.monotonic) nothing but refusals came back; None if it is not so."""

    def turn(self, store: store_.Store) -> bool:
        """Send one batch, if it is time; returns whether there may be more to send at once.

        Raises StatusError: the next attempts wait, for longer each time.
        """
        if time.monotonic() < self._next:
            return False
        batch = store.next()
        if batch is None:
            return False
        seq, events = batch
        try:
            send(self._api, store.stream, seq, events)
        except status_api.StatusError as error:
            self._pause = min(PAUSE_MAX, max(_PAUSE_MIN, 2 * self._pause))
            self._next = time.monotonic() + self._pause
            if not isinstance(error, status_api.RefusedError):
                self.refused_since = None
            elif self.refused_since is None:
                self.refused_since = time.monotonic()
            raise
        self._pause = self._next = 0.0
        self.refused_since = None
        store.forget(seq)
        return True
