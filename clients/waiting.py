# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Waiting for something another process brings about."""

from __future__ import annotations

import dataclasses
import time
import typing as tp

_PAUSE: tp.Final = 0.2
Answer = tp.TypeVar("Answer")


def until(
    what: str,
    look: tp.Callable[[], Answer | None],
    seconds: float,
    accept: tp.Callable[[tp.Any], bool] = bool,
    pause: float = _PAUSE,
) -> Answer:
    """Return the first answer of *look* that *accept* takes; by default, the first true one.

    Looks every *pause* seconds, and once more when *seconds* are over. Raises
    TimeoutError, which names *what* and the last answer.
    """
    end = time.monotonic() + seconds
    while True:
        last = time.monotonic() >= end
        answer = look()
        if accept(answer):
            return tp.cast("Answer", answer)
        if last:
            raise TimeoutError(f"{what}: not within {seconds:g} s; the last answer was {answer!r}")
        time.sleep(pause)


@dataclasses.dataclass(frozen=True)
class Poll:
    """How long, and how often, to look for what a machine has to do; in seconds."""

    seconds: float
    pause: float = _PAUSE

    def until(
        self,
        what: str,
        look: tp.Callable[[], Answer | None],
        accept: tp.Callable[[tp.Any], bool] = bool,
    ) -> Answer:
        """Return the first answer that is accepted; see the function."""
        return until(what, look, self.seconds, accept, self.pause)
