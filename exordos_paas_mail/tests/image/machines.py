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
import shlex
import socket
import subprocess
import time
import typing as tp

from imaging import commands

if tp.TYPE_CHECKING:
    import pathlib

_BOOT_SECONDS = 420
_STOP_SECONDS = 90
_GUEST_PORTS = (22, 25, 465, 587)
# Without KVM by default: a machine may show one that no guest runs on.
_ACCELERATOR = os.environ.get("MAILAAS_VM_ACCELERATOR", "tcg,thread=multi")


# Agents end at once without the key that Core gives a node; nobody knows this one.
AGENT_KEY = "/var/lib/exordos/universal_agent/private_key"


def agent_key() -> str:
    """Return a new key as Core writes it."""
    return base64.b64encode(os.urandom(32)).decode()


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
                    *("-cpu", "max", "-smp", "2", "-m", "1024"),
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
        end = time.monotonic() + _BOOT_SECONDS
        while True:
            if self._process.poll() is not None:
                raise RuntimeError((self._home / "qemu.log").read_text())
            with contextlib.suppress(commands.CommandError, subprocess.TimeoutExpired):
                self.run("true")
                break
            if time.monotonic() > end:
                raise TimeoutError(f"no way in: {self._last_words()}")
            time.sleep(1)
        state = self.run("systemctl", "is-system-running", "--wait", check=False).strip()
        if state != "running":
            failed = self.run("systemctl", "--failed", "--plain", "--no-legend")
            raise RuntimeError(f"the boot ended {state}: {failed}")

    def shut_down(self) -> None:
        """Power the machine off in order."""
        assert self._process is not None
        # The connection ends with the machine.
        self.run("systemctl", "poweroff", check=False)
        self._process.wait(_STOP_SECONDS)
        self._process = None

    def destroy(self) -> None:
        """End the machine, if it runs, at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def run(self, *command: str, stdin: str = "", check: bool = True) -> str:
        """Run *command* in the machine as root, return its output."""
        return commands.run(
            *("ssh", "-q", "-p", str(self.ports[22]), "-i", str(self._key)),
            *("-o", "BatchMode=yes", "-o", "ConnectTimeout=20"),
            *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
            *(f"root@{self.host}", "--", shlex.join(command)),
            stdin=stdin,
            check=check,
            timeout=180,
        ).stdout

    def _last_words(self) -> str:
        return (self._home / "console.log").read_text(errors="replace")[-2000:]


def unpack(compressed: pathlib.Path, home: pathlib.Path) -> pathlib.Path:
    """Return the raw disk in *compressed*, unpacked into *home*."""
    disk = home / compressed.with_suffix("").name
    commands.run("zstd", "--decompress", "--quiet", "--sparse", str(compressed), "-o", str(disk))
    return disk
