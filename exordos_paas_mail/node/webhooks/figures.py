# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Tells on the node how webhooks fare, for whoever writes its metrics."""

from __future__ import annotations

import time
import typing as tp

from exordos_paas_mail import atomic_files
from exordos_paas_mail.codecs import webhook_figures

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable

PERIOD: tp.Final = 15.0


class Teller:
    """Keeps the file at *path*."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self._next = 0.0

    def turn(self, read: Callable[[], webhook_figures.Figures]) -> str:
        """Write what *read* returns, if it is time; returns why it cannot be written."""
        now = time.monotonic()
        if now < self._next:
            return ""
        self._next = now + PERIOD
        content = webhook_figures.render(read())
        try:
            atomic_files.replace(self._path, content, 0o640, durable=False)
        except OSError as error:
            return f"cannot tell figures: {error}"
        return ""
