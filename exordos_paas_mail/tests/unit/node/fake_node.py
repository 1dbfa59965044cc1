# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A machine in a directory: real files, and commands that keep to their exit codes.

``systemctl`` and ``exim4`` are scripts on PATH: they note how
they were called, and fail where a test asked for it.
"""

from __future__ import annotations

import datetime
import errno
import functools
import grp
import os
import pwd
import shutil
import textwrap
import typing as tp

from exordos_paas_mail import atomic_files, constants
from exordos_paas_mail.codecs import certificates, configure_state, dkim
from exordos_paas_mail.node import machine, relay_files

if tp.TYPE_CHECKING:
    import pathlib

    import pytest

FIRST_PID: tp.Final = 4001

a_key = functools.cache(dkim.generate)


@functools.cache
def another_pair(domain: str) -> bytes:
    """Return what the relay of *domain* may have beside an EC key; it takes less to read."""
    now = datetime.datetime.now(datetime.timezone.utc)
    first = certificates.plan(None, None, [domain], now)
    return certificates.plan_other(first, dkim.generate(), [domain], now)


_QUESTIONS = (
    "systemctl show --property=Id,ActiveState,MainPID,",
    "exim4 -bpr",
)

_COMMAND = """\
#!/bin/sh
directory=${0%/*}/..
command=${0##*/}
echo "$command $*" >>"$directory/calls"
verb=$1
[ "$verb" = --no-block ] && verb=$2
if [ -e "$directory/fail-$command-$verb" ]; then
  cat "$directory/fail-$command-$verb" >&2
  exit 1
fi
case $command-$verb in
systemctl-show)
  case $2 in
  --property=Id,*) cat "$directory/relay" ;;
  *) cat "$directory/unit" ;;
  esac
  ;;
systemctl-start | systemctl-restart)
  [ "$1" = --no-block ] || cp "$directory/started" "$directory/relay"
  ;;
exim4--bpr) cat "$directory/queue" ;;
exim4--bV) cp "$3" "$directory/checked" && ! grep -q '^refuse' "$3" ;;
esac
"""


class FakeNode:
    """A node below *directory*; ``machine`` is what the code under test gets."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.questions = 0
        self.root = directory / "root"
        self.machine = machine.Machine(
            str(self.root),
            pwd.getpwuid(os.getuid()).pw_name,
            grp.getgrgid(os.getgid()).gr_name,
            pwd.getpwuid(os.getuid()).pw_name,
        )
        for name in ("etc/exim4/dkim", "etc/exim4/tls", "etc/exordos_metapaas", "run"):
            (self.root / name).mkdir(parents=True)
        self.write("/etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n")
        commands = directory / "bin"
        commands.mkdir()
        for name in ("systemctl", "exim4"):
            (commands / name).write_text(_COMMAND)
            (commands / name).chmod(0o755)
        self.unit("active")
        self.relay()
        shutil.copy(directory / "relay", directory / "started")
        (directory / "calls").touch()
        (directory / "queue").touch()
        self.path(constants.EXIM_SPOOL_DIR).mkdir(parents=True)
        # On another disk, as far as what is below the root is looked through.
        (directory / "state").mkdir()
        self.path(constants.AGENT_STATE_DIR).parent.mkdir(parents=True)
        self.path(constants.AGENT_STATE_DIR).symlink_to(directory / "state")

    @property
    def search_path(self) -> str:
        return f"{self.directory / 'bin'}:{os.environ['PATH']}"

    def path(self, name: str) -> pathlib.Path:
        return self.machine.path(name)

    def write(self, name: str, text: str) -> None:
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        self.path(name).write_text(text)

    def read(self, name: str) -> str:
        return self.path(name).read_text()

    def calls(self) -> list[str]:
        """Return the commands since the last call of this method.

        Not the questions whether exim runs and what is in its queue, which change
        nothing: ``questions`` counts them.
        """
        calls = self.directory / "calls"
        lines = calls.read_text().splitlines()
        calls.write_text("")
        acts = [line for line in lines if not line.startswith(_QUESTIONS)]
        self.questions += len(lines) - len(acts)
        return acts

    def fail(self, command: str, verb: str, message: str) -> None:
        (self.directory / f"fail-{command}-{verb}").write_text(message)

    def heal(self, command: str, verb: str) -> None:
        (self.directory / f"fail-{command}-{verb}").unlink()

    def unit(self, state: str, result: str = "success", asserted: str = "yes") -> None:
        (self.directory / "unit").write_text(
            textwrap.dedent(f"""\
                Result={result}
                ActiveState={state}
                AssertTimestamp=Sun 2026-11-22 14:00:00 UTC
                AssertResult={asserted}
                """)
        )

    def relay(self, **states: str) -> None:
        """Have systemd say that exim's units are active, all but those of *states*.

        A unit is named by its port, or in full.
        """
        self.relay_says(**states)
        for pid in range(FIRST_PID, FIRST_PID + len(constants.EXIM_PROCESS_UNITS)):
            self.process(pid)
        self.listen(*constants.EXIM_PORTS)

    def relay_started(self, ahead: float) -> None:
        """Have systemd say that exim's processes started when the clock was so far ahead.

        That is of ``time.monotonic``, which was 5000 seconds then.
        """
        shown = f"""
            ExecMainStartTimestamp=@{ahead + 5000:.0f}
            ExecMainStartTimestampMonotonic=5000000000
            """
        path = self.directory / "relay"
        blocks = path.read_text().split("\n\n")
        path.write_text("\n\n".join(one.rstrip() + textwrap.dedent(shown) for one in blocks))

    def relay_says(self, **states: str) -> None:
        """Have systemd say so, whatever the processes are."""
        units = dict.fromkeys(constants.EXIM_PROCESS_UNITS, "active")
        for name, state in states.items():
            units[name if name in units else f"exim4@{name}.service"] = state
        blocks = []
        for pid, (unit, state) in enumerate(units.items(), start=FIRST_PID):
            blocks.append(f"Id={unit}\nActiveState={state}\nMainPID={pid}\n")
        (self.directory / "relay").write_text("\n".join(blocks))

    def relay_starts_as(self, **states: str) -> None:
        """Have that be what a start makes of exim's units."""
        self.relay_says(**states)
        shutil.copy(self.directory / "relay", self.directory / "started")

    def process(self, pid: int, state: str = "S", started: int = 1234) -> None:
        """Have process *pid* be in *state*, see proc(5)."""
        zeros = " 0" * 18
        self.write(f"/proc/{pid}/stat", f"{pid} (exim (4)) {state}{zeros} {started}{zeros}\n")

    def end_process(self, pid: int) -> None:
        self.path(f"/proc/{pid}/stat").unlink()

    def listen(self, *ports: int) -> None:
        """Have *ports* be all that is listened on, by either protocol."""
        head = "  sl  local_address rem_address   st tx_queue rx_queue\n"
        tail = "00000000:00000000 00:00000000 00000000     0        0 1 1 0000 100 0 0 10 0\n"
        lines = [f"   0: {0:032X}:{port:04X} {0:032X}:0000 0A {tail}" for port in ports]
        self.write("/proc/net/tcp6", head + "".join(lines))
        session = f"   0: 0100007F:{constants.EXIM_PORTS[0]:04X} 0100007F:C350 01 {tail}"
        self.write("/proc/net/tcp", head + session)

    def configured(self, domain: str, error: str = "", hostname: str | None = None) -> str:
        """Leave what a successful configuration leaves; returns the DKIM TXT value."""
        key = a_key()
        value = dkim.value_of(key)
        record = dkim.render(value, constants.DKIM_SELECTOR, domain).encode()
        relay_files.ensure(self.machine, constants.DKIM_PRIVATE_KEY_FILE, key)
        relay_files.ensure(self.machine, constants.DKIM_RECORD_FILE, record)
        for name in constants.RELAY_FILES:
            relay_files.ensure(self.machine, name, name.encode())
        running = configure_state.running(
            configure_state.fingerprint(name.encode()) for name in constants.RELAY_FILES
        )
        state = configure_state.State(
            domain=domain,
            hostname=hostname or domain,
            running=running,
            finished=True,
            error=error,
        )
        self.write(constants.CONFIGURE_STATE_FILE, configure_state.render(state))
        return value


def signature(path: pathlib.Path) -> tuple[int, ...]:
    """Return all that stat(2) tells of a file but when it was last read."""
    found = path.stat()
    return (
        found.st_ino,
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
        found.st_mode,
        found.st_uid,
        found.st_gid,
    )


def signatures(fake: FakeNode) -> dict[pathlib.Path, tuple[int, ...]]:
    """Return the signatures of all there is on a node but its agent's own state."""
    state = fake.path(constants.AGENT_STATE_DIR)
    return {path: signature(path) for path in fake.root.rglob("*") if path != state}


def full_root_disk(patch: pytest.MonkeyPatch) -> None:
    """Have no file be written, as on a full disk."""

    def replace(*_: tp.Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    patch.setattr(atomic_files, "replace", replace)


def data_disk(
    patch: pytest.MonkeyPatch,
    *,
    free: int = 2**30,
    files: int | None = 10_000,
    read_only: bool = False,
    unnamed: bool = True,
) -> None:
    """Give the spool's disk *free* bytes and *files*; errors as the kernel gives them.

    *files* is None where they are not counted; *unnamed* tells whether the file
    system knows files without a name.
    """
    counted = (0, 0, 0) if files is None else (2 * files, files, files)
    found = os.statvfs_result((4096, 4096, 2**20, free // 4096, free // 4096, *counted, 0, 255))
    patch.setattr(os, "statvfs", lambda _: found)
    whole = os.open

    def opened(path: tp.Any, flags: int, mode: int = 0o777, **kwargs: tp.Any) -> int:
        refusal = errno.EROFS if read_only else 0 if unnamed else errno.EOPNOTSUPP
        if flags & os.O_TMPFILE == os.O_TMPFILE and refusal:
            raise OSError(refusal, os.strerror(refusal))
        return whole(path, flags, mode, **kwargs)

    patch.setattr(os, "open", opened)
