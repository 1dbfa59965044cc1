# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The machine: files and services. Nothing else in the package has effects on it."""

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
import subprocess
import typing as tp

from exordos_paas_mail import constants

if tp.TYPE_CHECKING:
    from collections.abc import Iterator

# systemctl waits for the jobs it starts; exim stalls for 30 s on a name server
# that does not answer.
_COMMAND_TIMEOUT = 90.0


class NodeError(Exception):
    """The machine refused; the message is one line and holds no secret."""


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
class Node:
    """A machine seen from its root directory.

    *user* and *group* own what is written: root, and the group exim runs as.
    Every method raises NodeError when a command fails or a name is unknown,
    and OSError when the file system refuses.
    """

    root: str = "/"
    user: str = "root"
    group: str = constants.EXIM_GROUP

    def path(self, name: str) -> pathlib.Path:
        """Return where the file *name*, an absolute path, is on this machine."""
        return pathlib.Path(self.root, name.lstrip("/"))

    # Files

    def signature(self, name: str) -> Signature | None:
        """Return the file's signature, None when there is no such file."""
        try:
            return _signature(self.path(name).stat())
        except FileNotFoundError:
            return None

    def read(self, name: str) -> bytes | None:
        """Return what the file holds, None when there is no such file."""
        try:
            return self.path(name).read_bytes()
        except FileNotFoundError:
            return None

    def is_link(self, name: str) -> bool:
        """Return whether *name* is a symbolic link, wherever it leads."""
        return self.path(name).is_symlink()

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
        found = self.signature(name)
        if (
            found is not None
            and self.is_owned(found, mode, exim=exim)
            and found.size == len(content)
            and not path.is_symlink()
            and path.read_bytes() == content
        ):
            return False
        temporary = path.with_name(f".{path.name}.new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchown(file.fileno(), *self._owner(exim=exim))
                os.fchmod(file.fileno(), mode)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError:
            temporary.unlink()
            raise
        _sync_directory(path.parent)
        return True

    def ensure_mounted_file(self, name: str, content: bytes) -> bool:
        """Make a world-readable file that may be a mount point hold *content*.

        A container's /etc/hosts is often bind-mounted from its host, and a
        rename over a mount point is EBUSY (rename(2)): then, and only then, it
        is rewritten in place. Returns whether anything had to be written.
        """
        path = self.path(name)
        if self.read(name) == content:
            return False
        try:
            return self.ensure_file(name, content, 0o644)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
        with path.open("r+b") as file:
            file.write(content)
            file.truncate()
            os.fsync(file.fileno())
        return True

    def ensure_directory(self, name: str, mode: int, *, exim: bool = False) -> bool:
        """Make *name* a directory, with *mode* and owner as ``is_owned`` has them.

        Returns whether anything had to be changed.
        """
        path = self.path(name)
        found = self.signature(name)
        if found is not None and path.is_dir() and self.is_owned(found, mode, exim=exim):
            return False
        path.mkdir(parents=True, exist_ok=True)
        os.chown(path, *self._owner(exim=exim))
        path.chmod(mode)
        _sync_directory(path.parent)
        return True

    def ensure_absent(self, name: str) -> bool:
        """Remove the file; returns whether there was one."""
        path = self.path(name)
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        _sync_directory(path.parent)
        return True

    def free_space(self, directory: str) -> Space:
        """Return what is free for anybody on the directory's file system."""
        found = os.statvfs(self.path(directory))
        # btrfs has no fixed number of files and counts none.
        files = found.f_favail if found.f_files else None
        return Space(found.f_bavail * found.f_frsize, files)

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

    # Services

    def check_relay(self, configuration: pathlib.Path) -> None:
        """Have exim read a configuration file; NodeError with its words when it refuses."""
        self._run("exim4", "-bV", "-C", str(configuration))

    def reload_relay(self) -> None:
        """Have exim take over changed files; no client loses its connection."""
        self._run("systemctl", "reload", constants.EXIM_UNIT)

    def restart_relay(self) -> None:
        """Start exim, or start it anew, and see that it stays up."""
        self._run("systemctl", "restart", constants.EXIM_UNIT)
        self._run("systemctl", "is-active", constants.EXIM_UNIT)

    def start_relay(self) -> None:
        """Start what of exim does not run, and see that it stays up; what runs goes on."""
        self._run("systemctl", "start", constants.EXIM_UNIT)
        self._run("systemctl", "is-active", constants.EXIM_UNIT)

    def start_unit(self, unit: str) -> None:
        """Have systemd start *unit* anew, without waiting for it."""
        self._run("systemctl", "--no-block", "restart", unit)

    def unit_failure(self, unit: str) -> str:
        """Return why systemd says that *unit* failed, empty when it did not."""
        shown = self._run(
            "systemctl", "show", "--property=ActiveState,Result,AssertResult,AssertTimestamp", unit
        )
        properties = _properties(shown)
        asserted = properties.get("AssertTimestamp") and properties.get("AssertResult") == "no"
        if asserted:
            return f"{unit}: a mount or a file that it needs is missing"
        if properties.get("ActiveState") == "failed":
            return f"{unit}: {properties.get('Result', 'failed')}"
        return ""

    def relay_failure(self) -> str:
        """Return which of exim's units does not run, empty when all do."""
        shown = self._run(
            "systemctl", "show", "--property=Id,ActiveState", *constants.EXIM_PROCESS_UNITS
        )
        states = [_properties(unit) for unit in shown.split("\n\n")]
        return ", ".join(
            f"{unit.get('Id', 'exim4')} is {unit.get('ActiveState', 'unknown')}"
            for unit in states
            if unit.get("ActiveState") not in {"active", "reloading"}
        )

    def queue(self) -> str:
        """Return what exim lists of its queue, see ``codecs.queue_list``."""
        return self._run("exim4", "-bpr")

    def host_name(self) -> str:
        """Return the kernel's host name."""
        return self.path("/proc/sys/kernel/hostname").read_text("ascii").strip()

    def set_host_name(self, name: str) -> None:
        """Set the host name, now and for later boots."""
        self._run("hostnamectl", "hostname", name)

    def _run(self, *command: str) -> str:
        words = " ".join(command)
        try:
            done = subprocess.run(
                command,
                check=False,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_COMMAND_TIMEOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "LC_ALL": "C"},
            )
        except FileNotFoundError as error:
            raise NodeError(f"{words}: no such command") from error
        except subprocess.TimeoutExpired as error:
            raise NodeError(f"{words}: no answer in {_COMMAND_TIMEOUT:.0f} s") from error
        if done.returncode != 0:
            said = " ".join((done.stderr or done.stdout).split())
            raise NodeError(f"{words}: exit status {done.returncode}: {said[-400:]}")
        return done.stdout

    def _owner(self, *, exim: bool) -> tuple[int, int]:
        try:
            user = pwd.getpwnam(self.user)
            return user.pw_uid, grp.getgrnam(self.group).gr_gid if exim else user.pw_gid
        except KeyError as error:
            raise NodeError(str(error.args[0])) from error


def _properties(shown: str) -> dict[str, str]:
    return {key: value for key, _, value in (line.partition("=") for line in shown.splitlines())}


def _sync_directory(path: pathlib.Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
