# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What is said of a virtual machine whose boot does not end as it should.

Programs stand for QEMU and SSH: a disk that boots badly takes minutes to boot.
"""

from __future__ import annotations

import contextlib
import pathlib
import subprocess
import time
import typing as tp

import pytest

from clients import waiting
from exordos_paas_mail.tests.image import machines
from imaging import commands

_BOOTS: tp.Final = """
for word; do
  case $word in file:*console.log) echo 'Loading Linux' >"${word#file:}" ;; esac
done
exec sleep 600
"""
# No machine answers before it has begun to boot: SSH's stand-in waits for QEMU's, which a loaded
# machine may start later. One that never says anything is answered for at last.
_BOOTED: tp.Final = """
for _ in $(seq 1200); do [ -s '{console}' ] && break; sleep 0.05; done
"""
_ENDS: tp.Final = "echo 'Could not open disk' >&2; exit 1"
_JOBS: tp.Final = """
printf '%s\\n' starting '81 multi-user.target start waiting' '93 cloud-init.service start running'
"""
_DEGRADED: tp.Final = """
case $* in *--state=failed*) echo '* cloud-init.service'; exit 3 ;; *) echo degraded ;; esac
"""


@pytest.fixture
def machine(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> tp.Iterator[machines.Machine]:
    image = tmp_path / "disk.raw"
    image.touch()
    made = machines.Machine(tmp_path, image, 2**20)
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(machines, "_BOOT_SECONDS", 0.5)
    yield made
    made.destroy()


def stand_in(home: pathlib.Path, qemu: str, ssh: str = "exit 0") -> None:
    """Put programs in place of QEMU and SSH."""
    for name, text in (("qemu-system-x86_64", qemu), ("ssh", ssh)):
        program = home / "bin" / name
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)


@pytest.mark.parametrize(
    ("ssh", "expected"),
    [
        pytest.param(
            "echo 'Connection refused' >&2; exit 255",
            "no boot that is over: no way in: Connection refused",
            id="no-way-in",
        ),
        pytest.param(
            "echo 'Failed to connect to bus' >&2; exit 1",
            r"no boot that is over: systemd does not answer: .*exit 1: Failed to connect to bus",
            id="no-systemd",
        ),
        pytest.param(_JOBS, r"no boot that is over: starting: cloud-init\.service", id="under-way"),
        pytest.param(_DEGRADED, r"the boot ended degraded:\n\* cloud-init\.service", id="degraded"),
    ],
)
def test_a_boot_that_goes_wrong_says_where_it_is_and_what_the_console_said(
    machine: machines.Machine, tmp_path: pathlib.Path, ssh: str, expected: str
) -> None:
    stand_in(tmp_path, _BOOTS, _BOOTED.format(console=tmp_path / "console.log") + ssh)

    with pytest.raises(machines.BootError, match=f"(?s)^{expected}.*Loading Linux"):
        machine.boot()


def test_a_boot_without_a_console_says_so(
    machine: machines.Machine, tmp_path: pathlib.Path
) -> None:
    stand_in(tmp_path, "exec sleep 600", "echo 'Connection refused' >&2; exit 255")

    with pytest.raises(
        machines.BootError,
        match=r"^no boot that is over: no way in: Connection refused\nthere is no console yet$",
    ):
        machine.boot()


def test_a_boot_without_a_machine_says_why(
    machine: machines.Machine, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The end of QEMU is seen long before; a loaded machine may need a while to start its stand-in.
    monkeypatch.setattr(machines, "_BOOT_SECONDS", 60.0)
    stand_in(tmp_path, _ENDS, "echo 'Connection refused' >&2; exit 255")

    with pytest.raises(machines.BootError, match="Could not open disk"):
        machine.boot()


def test_a_connection_that_is_cut_is_told_from_a_command_that_fails(
    machine: machines.Machine, tmp_path: pathlib.Path
) -> None:
    stand_in(tmp_path, _BOOTS, "echo running")
    machine.boot()

    stand_in(tmp_path, _BOOTS, "echo 'Broken pipe' >&2; exit 255")
    with pytest.raises(machines.NoWayInError, match="Broken pipe"):
        machine.run("true", check=False)
    stand_in(tmp_path, _BOOTS, "echo 'No such file' >&2; exit 2")
    with pytest.raises(commands.CommandError, match="exit 2: No such file"):
        machine.run("cat", "/nowhere")
    assert machine.run("cat", "/nowhere", check=False) == ""


def test_a_command_has_as_long_as_the_machine_itself_takes(
    machine: machines.Machine, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, _BOOTS, "echo running")
    machine.boot()
    monkeypatch.setattr(machines, "_COMMAND_SECONDS", 0.5)

    stand_in(tmp_path, _BOOTS, f"echo $$ >{tmp_path}/pid; exec sleep 600")
    with pytest.raises(subprocess.TimeoutExpired):
        machine.run("true")
    assert not pathlib.Path("/proc", (tmp_path / "pid").read_text().strip()).exists()

    # It had no processor for all that time.
    monkeypatch.setattr(machines._Clock, "seconds", lambda _: 0.0)
    stand_in(tmp_path, _BOOTS, "cat; sleep 2; echo done")
    assert machine.run("cat", stdin="given, ") == "given, done\n"


def test_what_a_machine_waits_for_a_processor_is_not_its_time() -> None:
    busy = ["taskset", "--cpu-list", "0", "sh", "-c", "while :; do :; done"]
    with contextlib.ExitStack() as stack:
        one, other = (stack.enter_context(subprocess.Popen(busy)) for _ in range(2))
        stack.callback(other.kill)
        stack.callback(one.kill)
        begun = time.monotonic()
        clock = machines._Clock(one.pid)
        waiting.until(
            "a second that the other had",
            lambda: time.monotonic() - begun - clock.seconds() > 1,
            60,
        )
