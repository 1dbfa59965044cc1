# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Files that hold their old content or their new one, whatever happens between."""

from __future__ import annotations

import os
import stat
import time
import typing as tp

if tp.TYPE_CHECKING:
    import pathlib


def replace(
    path: pathlib.Path,
    content: bytes,
    mode: int,
    owner: tuple[int, int] | None = None,
    *,
    durable: bool = True,
) -> None:
    """Make *path* a file that holds *content*, with *mode* and, if given, *owner* (uid, gid).

    A reader sees the old file or the new one, and so does whoever comes after a
    power cut, unless *durable* is false. A directory in the way is moved aside, see
    ``move_aside``. Two writers of one file at the same time are the callers' to
    prevent. Raises OSError; the old file is then as it was.
    """
    temporary = path.with_name(f".{path.name}.new")
    # What a crash has left, or anything else.
    move_aside(temporary)
    temporary.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if owner is not None:
                os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        move_aside(path)
        temporary.replace(path)
    except OSError:
        temporary.unlink()
        raise
    if durable:
        sync_directory(path.parent)


def move_aside(path: pathlib.Path) -> bool:
    """Rename what is at *path* if it can be neither opened nor renamed over as a file.

    That is a directory, and nothing is lost by it: somebody may have made it for
    a reason. Other things that are no files, such as a pipe, are removed: to open
    one may wait for ever. Returns whether there was such a thing.
    """
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(kind):
        path.rename(path.with_name(f"{path.name}.aside-{time.time_ns()}"))
    elif stat.S_ISREG(kind) or stat.S_ISLNK(kind):
        return False
    else:
        path.unlink()
    return True


def sync_directory(path: pathlib.Path) -> None:
    """Have the names in the directory *path* outlive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
