# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A virtual machine under QEMU, with a root disk that can be replaced and a data disk.

It reaches nothing (``restrict=on``); this machine reaches its SMTP ports and its
SSH through loopback. What Core writes to a node before its first boot, and the
key to SSH, come as credentials in its SMBIOS tables
(systemd.system-credentials(7)), so the image under test is booted as it is.
"""

from __future__ import annotations

import base64
import contextlib
import os
import pathlib
import shlex
import socket
import subprocess
import time

from imaging import commands

# Of the machine's own time; see _Clock.
_BOOT_SECONDS = 420.0
_STOP_SECONDS = 90
_COMMAND_SECONDS = 180.0
# ssh(1): its own status where it does not get there.
_NO_CONNECTION = 255
# What the manager says of itself (systemctl(1), is-system-running) before the boot is over.
_UNDER_WAY = ("initializing", "starting")
_OVER = ("running", "degraded", "maintenance", "stopping", "offline", "unknown")
# Of the manager's own socket: is-system-running asks by the system bus, which comes later.
_STATE = """
systemctl show --property=SystemState --value
systemctl list-jobs --plain --no-legend
"""
_GUEST_PORTS = (22, 25, 465, 587)
# Without KVM by default: a machine may show one that no guest runs on.
_ACCELERATOR = os.environ.get("MAILAAS_VM_ACCELERATOR", "tcg,thread=multi")


# Agents end at once without the key that Core gives a node; nobody knows this one.
AGENT_KEY = "/var/lib/exordos/universal_agent/private_key"


def agent_key() -> str:
    """Return a new key as Core writes it."""
    return base64.b64encode(os.urandom(32)).decode()


class NoWayInError(RuntimeError):
    """SSH did not get into the machine; the message is what it says."""


class BootError(RuntimeError):
    """A boot did not end as it should; the message says where it is, and what the machine said."""


class _Clock:
    """A process's own time: what it waits for a processor of this machine does not count.

    An emulated machine needs minutes of a processor, and others may want it as well.
    """

    def __init__(self, pid: int) -> None:
        self._threads = pathlib.Path(f"/proc/{pid}/task")
        self._begun = time.monotonic()
        self._waited = self._waiting()

    def seconds(self) -> float:
        """Return the seconds since the clock was made."""
        return time.monotonic() - self._begun - (self._waiting() - self._waited)

    def _waiting(self) -> float:
        # Of the thread that waited longest, in ns (Documentation/scheduler/sched-stats.rst).
        longest = 0
        for thread in self._threads.iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile
                longest = max(longest, int((thread / "schedstat").read_text().split()[1]))
        return longest / 1e9


def _communicate(called: subprocess.Popen[str], given: str | None) -> tuple[str, str] | None:
    """Return what a program has said when it has ended, None if it has not within a second."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        return called.communicate(given, timeout=1)
    return None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Machine:
    """One virtual machine whose disks are files in *home*."""

    host = "127.0.0.1"

    def __init__(self, home: pathlib.Path, image: pathlib.Path, data_bytes: int) -> None:
        self._home = home
        self._image = image
        self._process: subprocess.Popen[bytes] | None = None
        self.ports: dict[int, int] = {}
        self._key = home / "key"
        commands.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self._key))
        self._data = home / "data.raw"
        self.resize_data(data_bytes)
        self.replace_root()

    def resize_data(self, size: int) -> None:
        """Make the data disk *size* bytes large; the machine is off."""
        self._data.touch()
        os.truncate(self._data, size)

    def replace_root(self) -> None:
        """Give the machine, which is off, the image as its root disk, unused."""
        root = self._home / "root.qcow2"
        root.unlink(missing_ok=True)
        commands.run(
            *("qemu-img", "create", "-q", "-f", "qcow2"),
            *("-F", "raw", "-b", str(self._image), str(root)),
        )

    def boot(self) -> None:
        """Start the machine; return when its boot is over."""
        self.ports = {port: _free_port() for port in _GUEST_PORTS}
        forwards = "".join(
            f",hostfwd=tcp:{self.host}:{here}-:{there}" for there, here in self.ports.items()
        )
        # Not by ssh.authorized_keys.root: cloud-init may have left root a file of that name.
        files = (
            f"f+ {AGENT_KEY} 0600 root root - {agent_key()}\n"
            "d /root/.ssh 0700 root root -\n"
            "f+ /root/.ssh/authorized_keys 0600 root root - "
            f"{self._key.with_suffix('.pub').read_text().strip()}\n"
        )
        credential = base64.b64encode(files.encode()).decode()
        with (self._home / "qemu.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *("qemu-system-x86_64", "-accel", _ACCELERATOR, "-machine", "q35"),
                    *("-cpu", "max,la57=off", "-smp", "2", "-m", "1024"),
                    *("-display", "none", "-monitor", "none", "-no-reboot"),
                    *("-serial", f"file:{self._home / 'console.log'}"),
                    *("-drive", f"file={self._home / 'root.qcow2'},if=virtio,format=qcow2"),
                    *("-drive", f"file={self._data},if=virtio,format=raw"),
                    *("-netdev", f"user,id=net,restrict=on{forwards}"),
                    *("-device", "virtio-net-pci,netdev=net"),
                    *("-uuid", "5f0c2f2e-6f0e-4d3a-9c51-00000000b007"),
                    *(
                        "-smbios",
                        f"type=11,value=io.systemd.credential.binary:tmpfiles.extra={credential}",
                    ),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        clock = _Clock(self._process.pid)
        while (state := self._state()) not in _OVER:
            if clock.seconds() > _BOOT_SECONDS:
                raise BootError(f"no boot that is over: {state}\n{self._last_words()}")
            time.sleep(1)
        if state != "running":
            failed = self.run(
                *("systemctl", "status", "--state=failed", "--no-pager", "--full", "--lines=20"),
                check=False,
            )
            raise BootError(f"the boot ended {state}:\n{failed}\n{self._last_words()}")

    def shut_down(self) -> None:
        """Power the machine off in order."""
        assert self._process is not None
        # The connection ends with the machine.
        with contextlib.suppress(NoWayInError):
            self.run("systemctl", "poweroff")
        clock = _Clock(self._process.pid)
        while self._process.poll() is None:
            if clock.seconds() > _STOP_SECONDS:
                raise BootError(f"it does not end\n{self._last_words()}")
            time.sleep(1)
        self._process = None

    def destroy(self) -> None:
        """End the machine, if it runs, at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def run(self, *command: str, stdin: str = "", check: bool = True) -> str:
        """Run *command* in the machine as root, return its output.

        Raises NoWayInError, CommandError when the command fails, unless *check* is off,
        and subprocess.TimeoutExpired when the machine has had its time for it.
        """
        done = self._call(
            *("ssh", "-p", str(self.ports[22]), "-i", str(self._key), "-o", "LogLevel=ERROR"),
            *("-o", "BatchMode=yes", "-o", "ConnectTimeout=20"),
            *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
            # One log-in for all, which costs an emulated machine seconds; it ends with the machine.
            *("-o", "ControlMaster=auto", "-o", "ControlPersist=yes"),
            *("-o", f"ControlPath={self._home / 'ssh-%p'}"),
            *(f"root@{self.host}", "--", shlex.join(command)),
            stdin=stdin,
        )
        if done.returncode == _NO_CONNECTION:
            raise NoWayInError(done.stderr.strip())
        if check:
            commands.require_success(done)
        return done.stdout

    def _call(self, *command: str, stdin: str) -> subprocess.CompletedProcess[str]:
        """Run *command* here for as long as the machine may take, by its own clock."""
        assert self._process is not None
        clock = _Clock(self._process.pid)
        given: str | None = stdin
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as called:
            while (said := _communicate(called, given)) is None:
                given = None  # it is on its way
                if clock.seconds() > _COMMAND_SECONDS:
                    called.kill()
                    raise subprocess.TimeoutExpired(command, _COMMAND_SECONDS)
            return subprocess.CompletedProcess(command, called.returncode, *said)

    def _state(self) -> str:
        """Return one of _OVER, or what keeps the boot from being over."""
        assert self._process is not None
        if self._process.poll() is not None:
            raise BootError(f"QEMU ended: {(self._home / 'qemu.log').read_text()}")
        try:
            state, *jobs = self.run("sh", "-ec", _STATE).splitlines()
        except (NoWayInError, subprocess.TimeoutExpired) as error:
            return f"no way in: {error}"
        except commands.CommandError as error:
            return f"systemd does not answer: {error}"
        running = [job.split()[1] for job in jobs if job.endswith(" running")]
        return f"{state}: {', '.join(running)}" if state in _UNDER_WAY else state

    def _last_words(self) -> str:
        try:
            said = (self._home / "console.log").read_text(errors="replace")
        except FileNotFoundError:
            # QEMU makes it, and may not have come that far.
            return "there is no console yet"
        return f"the console's last words:\n{said[-2000:]}"


def unpack(compressed: pathlib.Path, home: pathlib.Path) -> pathlib.Path:
    """Return the raw disk in *compressed*, unpacked into *home*."""
    disk = home / compressed.with_suffix("").name
    commands.run("zstd", "--decompress", "--quiet", "--sparse", str(compressed), "-o", str(disk))
    return disk
