# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The agent's state file, before the SDK reads it: nothing in it keeps the agent from starting.

It is on the data disk. A power cut, a hand or another release may have left what
this one cannot read, and an agent that does not start repairs nothing.
"""

from __future__ import annotations

import json
import time
import typing as tp
import uuid as sys_uuid

from exordos_paas_mail import atomic_files

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Collection

# What an entry of any release has.
_STRINGS = ("uuid", "name", "domain")


def prepare(path: pathlib.Path, kind: str, known: Collection[str]) -> list[str]:
    """Make the state file at *path* one that can be read; returns remarks on it.

    A file that is no state is moved aside; an entry of *kind* that is none is
    left out, and the node takes its target as a new one. A name that is not
    among *known* is a later release's: it stays, for when that is back.
    """
    if atomic_files.move_aside(path):
        return [f"{path}: not a file; moved aside"]
    if not path.exists():
        return []
    try:
        state = json.loads(path.read_bytes())
        resources = state.setdefault(kind, {}).setdefault("resources", {})
        usable = {key: value for key, value in resources.items() if _is_usable(value)}
    except (ValueError, AttributeError) as error:
        path.rename(path.with_name(f"{path.name}.aside-{time.time_ns()}"))
        return [f"{path}: not the state of an agent ({error}); moved aside"]
    remarks = []
    if usable != resources:
        remarks.append(f"{path}: {len(resources) - len(usable)} entries cannot be read; left out")
        state[kind]["resources"] = usable
        atomic_files.replace(path, json.dumps(state, indent=2).encode(), 0o600)
    unknown = sorted({name for value in usable.values() for name in value} - set(known))
    if unknown:
        remarks.append(f"{path}: passed over, of another release: {', '.join(unknown)}")
    return remarks


def _is_usable(entry: object) -> bool:
    if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in _STRINGS):
        return False
    try:
        sys_uuid.UUID(entry["uuid"])
    except ValueError:
        return False
    return isinstance(entry.get("target_fields", []), (dict, list))
