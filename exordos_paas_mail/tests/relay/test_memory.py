# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Memory: where it is scarce mail is delivered a little at a time, and sessions do not grow."""

from __future__ import annotations

import contextlib
import pathlib
import re
import subprocess
import time
import typing as tp
import uuid

import pytest

from exordos_paas_mail.codecs import exim_conf, proc_files
from exordos_paas_mail.node import machine, status_api
from exordos_paas_mail.node.queue import keeper as keeper_
from exordos_paas_mail.node.queue import spool as spool_
from exordos_paas_mail.tests.relay import relay as relay_
from exordos_paas_mail.tests.relay import units

if tp.TYPE_CHECKING:
    from collections.abc import Iterator

    from exordos_paas_mail.tests.relay import internet as internet_

_MEMORY: tp.Final = "/proc/meminfo"


class Memory:
    """What the kernel is said to tell of this machine's memory, in the file *path*."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self._told = pathlib.Path(_MEMORY).read_text()
        path.write_text(self._told)

    def have(self, octets: int) -> None:
        """Have so much of it be available."""
        line = f"MemAvailable: {octets // 1024:8} kB"
        self._path.write_text(re.sub(proc_files.AVAILABLE_PATTERN, line, self._told))

    def tell(self, text: str) -> None:
        """Have the kernel tell *text*."""
        self._path.write_text(text)


@pytest.fixture
def memory(tmp_path: pathlib.Path) -> Iterator[Memory]:
    path = tmp_path / "meminfo"
    made = Memory(path)
    subprocess.run(["mount", "--bind", path, _MEMORY], check=True)
    try:
        yield made
    finally:
        # Lazily: some process may just be reading it.
        subprocess.run(["umount", "--lazy", _MEMORY], check=True)


@pytest.fixture
def keeper(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[keeper_.Keeper]:
    """Give who sees to the queue, to young messages as well; its control plane is away."""
    monkeypatch.setattr(spool_, "YOUNG", 0)
    api = status_api.StatusApi("http://127.0.0.1:9", uuid.uuid4(), bytes(32))
    keeper = keeper_.Keeper(machine.Machine(), api, tmp_path)
    yield keeper
    keeper.close()


def submit(relay: relay_.Relay, recipient: str) -> str:
    """Send a message; returns its queue id."""
    code, text = relay.send(recipients=[recipient])
    assert code == 250
    return text.rpartition("id=")[2].strip()


def test_a_message_waits_for_the_queue_where_memory_is_scarce_and_no_other_does(
    relay: relay_.Relay,
    internet: internet_.Internet,
    memory: Memory,
    keeper: keeper_.Keeper,
) -> None:
    memory.have(exim_conf.RESERVE - 2**20)
    waiting = [submit(relay, f"late{number}@elsewhere.example") for number in range(3)]
    memory.have(exim_conf.RESERVE)
    submit(relay, "one@elsewhere.example")
    # What it cannot be known of is no reason to wait.
    memory.tell("")
    submit(relay, "two@elsewhere.example")

    assert {one.recipients[0] for one in internet.wait_for(2)} == {
        "one@elsewhere.example",
        "two@elsewhere.example",
    }
    relay.wait_until_idle()
    assert sorted(relay.queue()) == sorted(waiting)
    for name in waiting:
        assert [line for line in relay.log_lines(name) if re.search(r" (?:[=-]>|==) ", line)] == []

    # Scarce as it still is, they go on.
    memory.have(exim_conf.RESERVE - 2**20)
    deadline = time.monotonic() + units.PATIENCE
    while len(internet.received()) < 5:
        assert time.monotonic() < deadline
        with contextlib.suppress(status_api.StatusError):
            keeper.turn()
        time.sleep(0.1)
    relay.wait_for_queue(0)


def children(pid: int) -> set[int]:
    told = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return {int(number) for number in told.split()}


def anonymous(pid: int) -> int:
    """Return the octets of memory that are a process's own."""
    # Not RssAnon of its status, which some kernels count by the processor and tell roughly.
    told = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    (found,) = re.findall(r"^Anonymous:\s+(\d+) kB$", told, re.MULTILINE)
    return int(found) * 1024


def test_a_session_does_not_grow_with_each_message(relay: relay_.Relay) -> None:
    listener = relay.units.listeners[587].pid
    others = children(listener)
    with relay.login() as client:
        (session,) = children(listener) - others
        sizes = []
        for _ in range(2):
            for _ in range(20):
                client.sendmail(relay_.ALICE, "a@elsewhere.example", relay_.message())
            sizes.append(anonymous(session))
    # 85 kB a message by the distribution's exim4: see exim_4.96_regex_memory.patch.
    assert sizes[1] - sizes[0] < 20 * 20_000
