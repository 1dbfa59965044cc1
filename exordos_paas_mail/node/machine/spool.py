# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The body of a message that exim is receiving, in its spool."""

from __future__ import annotations

import contextlib
import os
import pathlib
import tempfile
import typing as tp

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import holds

if tp.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CHUNK = 1 << 16


class Body:
    """A data file that exim has open: its name on the first line, then the body.

    It is written in place, because exim goes on with the file it has open. A write
    that does not end leaves neither the old body nor the new one, so whoever asked
    for it has to have exim refuse the message, which exim has not taken yet.
    """

    def __init__(self, file: tp.BinaryIO, folder: pathlib.Path) -> None:
        self.file = file
        self.start = len(file.readline())
        """Where the body starts, in octets."""
        self._folder = folder

    def replace(self, pieces: Iterable[bytes]) -> None:
        """Write *pieces*, which may come from the file itself, as the new body."""
        with tempfile.TemporaryFile(dir=self._folder) as aside:
            aside.writelines(pieces)
            aside.seek(0)
            self.file.seek(self.start)
            while chunk := aside.read(_CHUNK):
                self.file.write(chunk)
        self.file.truncate()
        self.file.flush()
        # Before exim answers 250: it synced what it wrote, not this
        os.fsync(self.file.fileno())


@contextlib.contextmanager
def body(message_id: str, root: str = "/") -> Iterator[Body]:
    """Give the body of the message *message_id* while exim asks about it.

    Raises OSError when there is no such message or the disk refuses.
    """
    spool = pathlib.Path(root, constants.EXIM_SPOOL_DIR.lstrip("/"))
    # split_spool_directory: by the last character of the time
    name = pathlib.Path("input", message_id[5], f"{message_id}-D")
    path = spool / name
    if not path.exists():
        # Of a message that is put apart
        path = spool / holds.QUEUE / name
    with path.open("r+b") as file:
        yield Body(file, path.parent)
