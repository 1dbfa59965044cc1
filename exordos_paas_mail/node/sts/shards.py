# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The files that exim looks domains up in, one a shard (``templates/exim4/acl/mta_sts.j2``)."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail import atomic_files
from exordos_paas_mail.codecs import mta_sts

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterable, Iterator

_MODE: tp.Final = 0o600


class Shards:
    """The files in *folder*, which follow from the store: a power cut may take them back."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder

    def prepare(self) -> None:
        """Make the folder; raises OSError."""
        self._folder.mkdir(mode=0o700, exist_ok=True)

    def write(self, shard: str, lines: Iterable[str]) -> bool:
        """Make *lines* the file of *shard*; returns whether it had others. Raises OSError."""
        content = "".join(sorted(lines)).encode("ascii")
        path = self._folder / shard
        if self._read(path) == content:
            return False
        atomic_files.replace(path, content, _MODE, durable=False)
        return True

    def domains(self) -> Iterator[str]:
        """Give the domains that there are lines of."""
        for shard in mta_sts.SHARDS:
            for line in self._read(self._folder / shard).decode("ascii", "replace").splitlines():
                yield line.partition(":")[0]

    @staticmethod
    def _read(path: pathlib.Path) -> bytes:
        try:
            return path.read_bytes()
        except (FileNotFoundError, IsADirectoryError):
            return b""
