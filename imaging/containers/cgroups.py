# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A control group for each node, and one for the machine's side of a site.

The group is what makes a power cut and a clean end possible: whatever a node
started, its whole process tree is in there.
"""

from __future__ import annotations

import errno
import os
import pathlib
import typing as tp

from clients import waiting

ROOT: tp.Final = pathlib.Path("/sys/fs/cgroup")
# Where the unified hierarchy is beside the old controllers (hybrid layout).
HYBRID: tp.Final = ROOT / "unified"
_END_SECONDS: tp.Final = 10


def unified() -> pathlib.Path:
    """Return the root of the unified (v2) hierarchy of this machine."""
    for root in (HYBRID, ROOT):
        if (root / "cgroup.procs").exists() and (root / "cgroup.subtree_control").exists():
            return root
    raise FileNotFoundError("this machine has no unified control group hierarchy")


def _memory(name: str) -> pathlib.Path | None:
    """Return the group that limits memory, if it is apart from the unified one."""
    legacy = ROOT / "memory"
    return legacy / name if (legacy / "memory.limit_in_bytes").exists() else None


def paths(name: str) -> list[pathlib.Path]:
    """Return the directories of group *name*: a process belongs in all of them."""
    legacy = _memory(name)
    return [unified() / name, *([legacy] if legacy else [])]


def ensure(name: str, memory: int | None = None) -> list[pathlib.Path]:
    """Make group *name*, limit it to *memory* megabytes, return its directories."""
    groups = paths(name)
    for group in groups:
        group.mkdir(parents=True, exist_ok=True)
    if memory is None:
        return groups
    limit = str(memory * 2**20)
    if legacy := _memory(name):
        (legacy / "memory.limit_in_bytes").write_text(limit)
        return groups
    group = groups[0]
    for above in reversed(group.relative_to(unified()).parents):
        (unified() / above / "cgroup.subtree_control").write_text("+memory")
    (group / "memory.max").write_text(limit)
    return groups


def processes(name: str) -> list[int]:
    """Return the processes of group *name* and of those below it."""
    found: list[int] = []
    # A service that ends takes its group along: os.walk passes over what is gone.
    for directory, _, _ in os.walk(unified() / name):
        try:
            members = pathlib.Path(directory, "cgroup.procs").read_text()
        except OSError as error:
            # ENODEV: it went between open(2) and read(2).
            if error.errno not in {errno.ENOENT, errno.ENODEV}:
                raise
            continue
        found.extend(int(pid) for pid in members.split())
    return sorted(found)


def children(name: str) -> list[str]:
    """Return the names of the groups right below *name*."""
    group = unified() / name
    return sorted(path.name for path in group.iterdir() if path.is_dir()) if group.exists() else []


def memory_used(name: str) -> int:
    """Return the resident memory, in bytes, of the processes in group *name*.

    Summed proportional set sizes: a page shared by two is counted once.
    """
    total = 0
    for pid in processes(name):
        try:
            text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended between the list and the look
        total += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return total * 1024


def memory_peak(name: str) -> int:
    """Return the most memory, in bytes, that group *name* had since it was made.

    With what the kernel keeps of files for it, which it gives back where it is needed.
    """
    if legacy := _memory(name):
        return int((legacy / "memory.max_usage_in_bytes").read_text())
    return int((unified() / name / "memory.peak").read_text())


def memory_available(name: str) -> int:
    """Return how many bytes more group *name*, which is limited, may ask for.

    What the kernel keeps of files for it counts as free: it gives that back where it is needed.
    """
    if legacy := _memory(name):
        limit, used = legacy / "memory.limit_in_bytes", legacy / "memory.usage_in_bytes"
        prefix = "total_"
    else:
        group = unified() / name
        limit, used, prefix = group / "memory.max", group / "memory.current", ""
    told = dict(line.split() for line in (used.parent / "memory.stat").read_text().splitlines())
    kept = sum(int(told[f"{prefix}{kind}_file"]) for kind in ("active", "inactive"))
    return int(limit.read_text()) - int(used.read_text()) + kept


def memory_kills(name: str) -> int:
    """Return how many processes of group *name* the kernel has ended for want of memory."""
    legacy = _memory(name)
    file = legacy / "memory.oom_control" if legacy else unified() / name / "memory.events"
    (found,) = (line for line in file.read_text().splitlines() if line.startswith("oom_kill "))
    return int(found.split()[1])


def kill(name: str) -> None:
    """End every process of group *name* at once, as a power cut would."""
    group = unified() / name
    if group.exists():
        (group / "cgroup.kill").write_text("1")
        _until_empty(name)


def remove(name: str) -> None:
    """End every process of group *name* and remove it with all below it."""
    kill(name)
    # systemd-nspawn makes groups in the old hierarchies as well, where there are any.
    for group in [unified() / name, *ROOT.glob(f"*/{name}")]:
        if group.exists():
            for path in sorted((p for p in group.rglob("*") if p.is_dir()), reverse=True):
                path.rmdir()
            group.rmdir()


def _until_empty(name: str) -> None:
    events = unified() / name / "cgroup.events"
    waiting.until(
        f"the end of the processes of {name}, after SIGKILL",
        lambda: processes(name) if "populated 1" in events.read_text() else None,
        _END_SECONDS,
        lambda left: left is None,
        pause=0.02,
    )
