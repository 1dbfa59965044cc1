# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What exordos-mail-configure leaves for the agent and for its own next run."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import typing as tp

if tp.TYPE_CHECKING:
    from collections.abc import Iterable


@dataclasses.dataclass(frozen=True, kw_only=True)
class State:
    """How the last configuration of the relay went."""

    domain: str = ""
    """The domain the relay serves, empty before the first success."""
    hostname: str = ""
    """What the relay calls itself, empty before the first success."""
    running: str = ""
    """By ``running``, the files that exim was last started with."""
    finished: bool = False
    """False while a run is under way, and for ever when it was killed."""
    error: str = ""
    """Why the last run failed, one line; empty when it did not."""


def render(state: State) -> str:
    """Return *state* as JSON; ``parse`` is the inverse."""
    return json.dumps(dataclasses.asdict(state), indent=2) + "\n"


def parse(text: str) -> State:
    """Return the state that *text* holds; ValueError when it holds none.

    Fields of a later release are passed over.
    """
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise ValueError("the state of configure is not JSON") from error
    kinds = {"domain": str, "hostname": str, "running": str, "finished": bool, "error": str}
    if not isinstance(fields, dict) or any(
        not isinstance(fields.get(name), kind) for name, kind in kinds.items()
    ):
        raise ValueError("the state of configure lacks a field")
    return State(**{name: fields[name] for name in kinds})


def fingerprint(content: bytes | None) -> str:
    """Return what tells *content* from any other, empty for a file that is not there."""
    return "" if content is None else hashlib.sha256(content).hexdigest()


def running(fingerprints: Iterable[str]) -> str:
    """Return ``State.running`` for the fingerprints of the files exim reads at its start."""
    return ",".join(fingerprints)
