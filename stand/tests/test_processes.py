# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import ipaddress
import os
import string
import typing as tp

import pytest

from imaging.containers import cgroups, nodes, sites
from stand import processes

if tp.TYPE_CHECKING:
    import pathlib

NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="control groups are root's")


@pytest.fixture
def site(tmp_path: pathlib.Path) -> tp.Iterator[sites.Site]:
    # Of this run alone: control groups are the machine's.
    letters = (string.ascii_lowercase[os.getpid() // 26**place % 26] for place in range(5))
    name = "t" + "".join(letters)
    made = sites.Site(name, tmp_path, ipaddress.IPv4Network("10.77.12.0/24"))
    yield made
    cgroups.remove(nodes.group(made))


@NEEDS_ROOT
def test_a_process_is_started_once_and_anew_when_it_would_be_another(site: sites.Site) -> None:
    process = processes.Process(site, "sleeper", ("sleep", "600"))
    started = [process.ensure(), process.ensure()]
    other = processes.Process(site, "sleeper", ("sleep", "601"))
    first = cgroups.processes(process.group)
    started += [other.ensure(), other.ensure()]
    assert started == [True, False, True, False]
    second = cgroups.processes(process.group)
    assert len(first) == len(second) == 1
    assert first != second
    other.stop()
    assert not process.is_up()


@NEEDS_ROOT
def test_a_process_runs_the_sources_as_they_are(
    site: sites.Site, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / "part.py").write_text("one")
    monkeypatch.setattr(processes, "_SOURCES", (sources,))
    process = processes.Process(site, "sleeper", ("sleep", "600"))
    started = [process.ensure()]
    (sources / "part.txt").write_text("no source")
    started.append(process.ensure())
    (sources / "part.py").write_text("two")
    started.append(process.ensure())
    assert started == [True, False, True]
    process.stop()
