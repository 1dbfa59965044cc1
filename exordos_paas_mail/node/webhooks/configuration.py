# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The webhooks of the instance, in the file that the control plane's document is kept in."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail.codecs import webhook_config

if tp.TYPE_CHECKING:
    import pathlib


class Configuration:
    """The file at *path*; without one there are no webhooks."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self.current: webhook_config.Config | None = None
        """None where there is no file."""

    def read(self) -> bool:
        """Read the file where it has changed; returns whether it has.

        Raises OSError, and ValueError where it is no configuration: nothing changes then.
        """
        try:
            status = self._path.stat()
        except FileNotFoundError:
            changed = self.current is not None
            self._seen = self.current = None
            return changed
        seen = status.st_ino, status.st_mtime_ns, status.st_size
        if seen == self._seen:
            return False
        data = self._path.read_bytes()
        # What cannot be read is not read again until it has changed.
        self._seen = seen
        self.current = webhook_config.parse(data) if data else None
        return True
