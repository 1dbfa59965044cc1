# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What a node leaves for itself, and what the kernel tells it."""

from __future__ import annotations

import json
import os
import pathlib
import socket

import hypothesis
import pytest
from hypothesis import strategies as st

from exordos_paas_mail.codecs import configure_state, kept_target, proc_files


@hypothesis.given(st.text(), st.dictionaries(st.text(), st.text()))
def test_a_kept_target_is_read_as_it_was_written(domain: str, texts: dict[str, str]) -> None:
    target = kept_target.Target(domain, texts)

    assert kept_target.parse(kept_target.render(target)) == target


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"domain": 1, "texts": {}}'])
def test_half_a_kept_target_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="the kept target"):
        kept_target.parse(text)


def test_configures_state_of_a_later_release_is_read() -> None:
    state = configure_state.State(
        domain="a.example", hostname="b.example", running="x", finished=True
    )
    fields = json.loads(configure_state.render(state))

    assert configure_state.parse(json.dumps({**fields, "later": 1})) == state
    del fields["running"]
    with pytest.raises(ValueError, match="lacks a field"):
        configure_state.parse(json.dumps(fields))


def test_this_process_runs_and_is_another_than_the_first_one() -> None:
    mine = pathlib.Path(f"/proc/{os.getpid()}/stat").read_text()
    first = pathlib.Path("/proc/1/stat").read_text()

    assert proc_files.parse_process(mine).runs
    assert proc_files.parse_process(mine).started != proc_files.parse_process(first).started


def test_some_of_this_machines_memory_is_available() -> None:
    told = pathlib.Path("/proc/meminfo").read_text()

    available = proc_files.parse_available(told)
    assert available is not None
    assert 2**20 < available < 2**50
    assert proc_files.parse_available("MemFree: 1 kB\nMemAvailable:    2 kB\n") == 2048


@pytest.mark.parametrize("told", ["", "MemTotal: 2 kB\nMemFree: 1 kB\n"])
def test_memory_that_is_not_told_of_is_not_known(told: str) -> None:
    assert proc_files.parse_available(told) is None


@pytest.mark.parametrize("text", ["", "1 (init", "1 (init) S 0"])
def test_half_a_process_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="not the status"):
        proc_files.parse_process(text)


@pytest.mark.parametrize(
    ("family", "table", "address"),
    [(socket.AF_INET, "tcp", "127.0.0.1"), (socket.AF_INET6, "tcp6", "::")],
)
def test_a_port_is_listened_on_while_somebody_does(
    family: socket.AddressFamily, table: str, address: str
) -> None:
    path = pathlib.Path("/proc/net") / table
    if not path.exists():
        pytest.skip("no IPv6 here")
    with socket.socket(family) as held:
        held.bind((address, 0))
        port = held.getsockname()[1]
        assert port not in proc_files.parse_listening(path.read_text())
        held.listen()
        assert port in proc_files.parse_listening(path.read_text())
