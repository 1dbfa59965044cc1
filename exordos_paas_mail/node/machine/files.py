# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The machine's files."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import grp
import os
import pathlib
import pwd
import stat
import time
import typing as tp

from exordos_paas_mail import atomic_files, constants
from exordos_paas_mail.codecs import proc_files
from exordos_paas_mail.node.machine import errors

if tp.TYPE_CHECKING:
    from collections.abc import Iterator


class Signature(tp.NamedTuple):
    """What stat(2) tells of a file; changes whenever the file does."""

    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    mode: int
    uid: int
    gid: int

    @property
    def mtime(self) -> int:
        """The modification time in whole seconds, as exim's ``${stat:}`` gives it."""
        return self.mtime_ns // 1_000_000_000


class Space(tp.NamedTuple):
    """What is left of a file system."""

    bytes: int
    files: int | None
    """How many more files; None where that is not limited."""


def _signature(status: os.stat_result) -> Signature:
    return Signature(
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        stat.S_IMODE(status.st_mode),
        status.st_uid,
        status.st_gid,
    )


@dataclasses.dataclass(frozen=True)
class Files:
    """The files of a machine, seen from its root directory.

    *user* and *group* own what is written: root, and the group exim runs as.
    Every method raises MachineError when a user or a group is unknown,
    and OSError when the file system refuses.
    """

    root: str = "/"
    user: str = "root"
    group: str = constants.EXIM_GROUP

    def path(self, name: str) -> pathlib.Path:
        """Return where the file *name*, an absolute path, is on this machine."""
        return pathlib.Path(self._location(name))

    def _location(self, name: str) -> str:
        # A settled pass looks at some hundred files: a Path costs more than its stat(2).
        return f"{self.root.rstrip('/')}/{name.lstrip('/')}"

    def signature(self, name: str) -> Signature | None:
        """Return the signature of the file *name*, None when there is no such file.

        A directory, a pipe and the like are no file. A symbolic link is told as
        itself: no file of ours has its mode, so one reads as a fault.
        """
        try:
            status = os.lstat(self._location(name))
        except (FileNotFoundError, NotADirectoryError):
            return None
        if stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode):
            return _signature(status)
        return None

    def directory_signature(self, name: str) -> Signature | None:
        """Return the signature of the directory *name*, None when there is no such directory."""
        try:
            status = os.stat(self._location(name))  # noqa: PTH116
        except (FileNotFoundError, NotADirectoryError):
            return None
        return _signature(status) if stat.S_ISDIR(status.st_mode) else None

    def read(self, name: str) -> bytes | None:
        """Return what the file holds, None when there is no such file (see ``signature``)."""
        path = self.path(name)
        try:
            # A pipe would have its reader wait for ever.
            return path.read_bytes() if stat.S_ISREG(path.stat().st_mode) else None
        except (FileNotFoundError, NotADirectoryError, ProcessLookupError):
            # The last one of a process that ends as its /proc file is read.
            return None

    def exists(self, name: str) -> bool:
        """Return whether there is anything of that name, file or not."""
        return os.path.lexists(self._location(name))

    def is_link(self, name: str) -> bool:
        """Return whether *name* is a symbolic link, wherever it leads."""
        return self.path(name).is_symlink()

    def link(self, name: str) -> str:
        """Return where the symbolic link *name* leads, as it says; empty where it is none."""
        path = self.path(name)
        return str(path.readlink()) if path.is_symlink() else ""

    def ensure_link(self, name: str, target: str) -> bool:
        """Make *name* a symbolic link to *target*, by one rename.

        Returns whether anything had to be changed.
        """
        if self.link(name) == target:
            return False
        path = self.path(name)
        aside = path.with_name(f".{path.name}.link")
        aside.unlink(missing_ok=True)
        aside.symlink_to(target)
        aside.rename(path)
        atomic_files.sync_directory(path.parent)
        return True

    def names(self, directory: str) -> list[str]:
        """Return the sorted names of the files in *directory*, none when there is none."""
        try:
            return sorted(entry.name for entry in self.path(directory).iterdir())
        except FileNotFoundError:
            return []

    def is_owned(self, signature: Signature, mode: int, *, exim: bool = False) -> bool:
        """Return whether a file has *mode*, our user, and exim's group where *exim* reads it."""
        return (signature.mode, signature.uid, signature.gid) == (mode, *self._owner(exim=exim))

    def ensure_file(self, name: str, content: bytes, mode: int, *, exim: bool = False) -> bool:
        """Make the file hold *content*, with *mode* and owner as ``is_owned`` has them.

        Returns whether anything had to be written. The file is replaced by one
        rename, and what a power cut leaves is the old file or the new one.
        """
        path = self.path(name)
        actual = self.signature(name)
        if (
            actual is not None
            and self.is_owned(actual, mode, exim=exim)
            and actual.size == len(content)
            and path.read_bytes() == content
        ):
            return False
        atomic_files.replace(path, content, mode, self._owner(exim=exim))
        return True

    def write_volatile(self, name: str, content: bytes, mode: int) -> None:
        """Make the file hold *content* by one rename, and do not wait for the disk.

        A reader sees the old file or the new one; what a power cut leaves is not known.
        """
        owner = self._owner(exim=False)
        atomic_files.replace(self.path(name), content, mode, owner, durable=False)

    def ensure_mounted_file(self, name: str, content: bytes) -> bool:
        """Make a world-readable file that may be a mount point hold *content*.

        A container's /etc/hosts is often bind-mounted from its host, and a
        rename over a mount point is EBUSY (rename(2)); a unit that may write
        nothing else beside it (ReadWritePaths=) gets EROFS. Then, and only then,
        it is rewritten in place. Returns whether anything had to be written.
        """
        path = self.path(name)
        if self.read(name) == content:
            return False
        try:
            return self.ensure_file(name, content, 0o644)
        except OSError as error:
            if error.errno not in {errno.EBUSY, errno.EROFS}:
                raise
        with path.open("r+b") as file:
            file.write(content)
            file.truncate()
            os.fsync(file.fileno())
        return True

    def ensure_directory(self, name: str, mode: int, *, exim: bool = False) -> bool:
        """Make *name* a directory, with *mode* and owner as ``is_owned`` has them.

        What is there and is none is moved aside. Returns whether anything had to
        be changed.
        """
        path = self.path(name)
        actual = self.directory_signature(name)
        if actual is not None and self.is_owned(actual, mode, exim=exim):
            return False
        if actual is None and os.path.lexists(path):
            path.rename(path.with_name(f"{path.name}.aside-{time.time_ns()}"))
        path.mkdir(parents=True, exist_ok=True)
        os.chown(path, *self._owner(exim=exim))
        path.chmod(mode)
        atomic_files.sync_directory(path.parent)
        return True

    def forget_retry_hints(self) -> None:
        """Have exim try all that waits whenever it is asked to; OSError where it is at them now.

        Whoever of exim's has the database open goes on with what was in it.
        """
        folder = self.path(constants.EXIM_SPOOL_DIR) / "db"
        try:
            lock = (folder / "retry.lockfile").open("r+b")
        except FileNotFoundError:
            # exim makes it before there is a hint.
            return
        with lock:
            # As exim does it (dbfn_open of 4.96), but for waiting.
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            (folder / "retry").unlink(missing_ok=True)

    def ensure_absent(self, name: str) -> bool:
        """Remove the file, or move aside a directory of its name; returns whether it was there."""
        path = self.path(name)
        if not atomic_files.move_aside(path):
            try:
                path.unlink()
            except FileNotFoundError:
                return False
        atomic_files.sync_directory(path.parent)
        return True

    def free_space(self, directory: str) -> Space:
        """Return what is free for anybody on the directory's file system."""
        space = os.statvfs(self.path(directory))
        # btrfs has no fixed number of files and counts none.
        files = space.f_favail if space.f_files else None
        return Space(space.f_bavail * space.f_frsize, files)

    def write_failure(self, directory: str) -> str:
        """Return why no file can be made in *directory*, empty when one can.

        Tried, with a file that never has a name: statvfs(3) does not tell. ext4
        that was stopped by an error (errors=remount-ro) is not flagged read-only
        since Linux 6.12.
        """
        flags = os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC
        try:
            os.close(os.open(self.path(directory), flags, 0o600))
        except OSError as error:
            # A file system that knows no such files may be written all the same.
            return "" if error.errno == errno.EOPNOTSUPP else str(error.strerror)
        return ""

    def process(self, number: int) -> proc_files.Process | None:
        """Return the process of that number, None when there is none."""
        stat_file = self.read(f"/proc/{number}/stat")
        return None if stat_file is None else proc_files.parse_process(stat_file.decode("latin-1"))

    def has_memory(self, octets: int) -> bool:
        """Return whether so much memory may be asked for, or that is not known."""
        told = self.read("/proc/meminfo") or b""
        available = proc_files.parse_available(told.decode("ascii"))
        return available is None or available >= octets

    def has_ipv6_loopback(self) -> bool:
        """Return whether somebody may listen on ::1."""
        table = self.read("/proc/net/if_inet6") or b""
        return any(line.startswith(b"0" * 31 + b"1 ") for line in table.splitlines())

    def listening(self) -> set[int]:
        """Return the TCP ports somebody listens on."""
        tables = [self.read(f"/proc/net/{name}") for name in ("tcp", "tcp6")]
        return set().union(
            *(proc_files.parse_listening(table.decode("ascii")) for table in tables if table)
        )

    @contextlib.contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold the lock file *name*; waits for whoever else does."""
        with self.path(name).open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def candidate(self, name: str, content: bytes) -> Iterator[pathlib.Path]:
        """Yield a file beside *name* that holds *content*, for a check before it counts."""
        candidate = f"{name}.candidate"
        self.ensure_file(candidate, content, 0o644)
        try:
            yield self.path(candidate)
        finally:
            self.ensure_absent(candidate)

    def _owner(self, *, exim: bool) -> tuple[int, int]:
        try:
            user = pwd.getpwnam(self.user)
            return user.pw_uid, grp.getgrnam(self.group).gr_gid if exim else user.pw_gid
        except KeyError as error:
            raise errors.MachineError(str(error.args[0])) from error
