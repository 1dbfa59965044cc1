# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Files of the documents on the data disk, and what they should be: revision and digest.

A file counts as long as it is what was written. One that is lost, was cut or edited
has the revision 0, and is written again.
"""

from __future__ import annotations

import hashlib
import typing as tp

from exordos_paas_mail import atomic_files
from exordos_paas_mail.codecs import bounded, node_documents

if tp.TYPE_CHECKING:
    import os
    import pathlib

FILE_NAME: tp.Final = "documents/ledger.json"
"""No collection has a name with a dot."""

_VERSION = 1
_FILE_MODE = 0o600
_DIRECTORY_MODE = 0o700


class _File(tp.NamedTuple):
    revision: int
    digest: str


class Ledger:
    """The files below *directory*, which is made if it is not there.

    Each method raises OSError when the disk refuses. A ledger that is lost, or cannot
    be read, knows no file: all are written again.
    """

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.revision = 0
        """Of the newest index that was seen."""
        self.index: node_documents.Index = {}
        """That index."""
        self._files: dict[str, _File] = {}
        self._verified: dict[str, tuple[int, ...]] = {}
        """The file's status when it was last what it should be."""
        self._written: bytes | None = None
        self._load()

    def note(self, revision: int, index: node_documents.Index) -> None:
        """Have *index* be the newest that was seen."""
        self.revision, self.index = revision, index

    def present(self, folder: str) -> list[str]:
        """Return the files that are in *folder*, whoever has written them."""
        try:
            found = [path.name for path in (self.directory / folder).iterdir() if path.is_file()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [f"{folder}/{name}" for name in sorted(found) if not name.startswith(".")]

    def revision_of(self, name: str) -> int:
        """Return the revision of the file *name*, 0 where it is not there as it was written."""
        known = self._files.get(name)
        if known is None:
            return 0
        path = self.directory / name
        try:
            status = _stamp(path.lstat())
            if self._verified.get(name) == status:
                return known.revision
            content = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return 0
        if _digest(content) != known.digest:
            return 0
        self._verified[name] = status
        return known.revision

    def read(self, name: str) -> bytes:
        """Return what is in the file *name*."""
        return (self.directory / name).read_bytes()

    def write(self, name: str, content: bytes, revision: int) -> None:
        """Make *content* the file *name*; a reader has the old one or this."""
        path = self._place(name)
        atomic_files.replace(path, content, _FILE_MODE)
        self._files[name] = _File(revision, _digest(content))
        self._verified[name] = _stamp(path.lstat())

    def remove(self, name: str) -> None:
        """Have there be no file *name*."""
        self._files.pop(name, None)
        self._verified.pop(name, None)
        (self.directory / name).unlink(missing_ok=True)

    def save(self) -> None:
        """Have all this be known after a restart, if anything of it is new."""
        content = bounded.dump(
            {
                "version": _VERSION,
                "revision": self.revision,
                "index": {name: dict(shards) for name, shards in self.index.items()},
                "files": self._files,
            }
        )
        if content != self._written or not (self.directory / FILE_NAME).is_file():
            atomic_files.replace(self._place(FILE_NAME), content, _FILE_MODE)
            self._written = content

    def _place(self, name: str) -> pathlib.Path:
        """Return the path of *name*, in a directory that is there."""
        path = self.directory / name
        for folder in (path.parent.parent, path.parent):
            if folder != self.directory and not folder.is_dir():
                folder.unlink(missing_ok=True)
                folder.mkdir(mode=_DIRECTORY_MODE, parents=True)
        return path

    def _load(self) -> None:
        path = self.directory / FILE_NAME
        try:
            atomic_files.move_aside(path)
            content = path.read_bytes()
            value = bounded.load(content, "the ledger")
            fields = bounded.Fields(value, "the ledger")
            index = node_documents.parse_index(bounded.dump(fields.object("index")))
            files = {
                str(name): _File(int(revision), str(digest))
                for name, (revision, digest) in dict(value["files"]).items()
            }
            revision = fields.number("revision")
        except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
            return
        self.revision, self.index, self._files, self._written = revision, index, files, content


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_ctime_ns, status.st_ino, status.st_size, status.st_mtime_ns, status.st_mode)
