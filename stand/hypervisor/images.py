# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What a machine was last flashed with, kept beside its node."""

from __future__ import annotations

import dataclasses
import json
import typing as tp

from clients import files

if tp.TYPE_CHECKING:
    from imaging.containers import nodes

_FILE: tp.Final = "flashed.json"


@dataclasses.dataclass(frozen=True)
class Flashed:
    """An image's address and layers, and the key that was put on the disk with it."""

    image: str
    layers: list[str]
    key: str


def read(node: nodes.Node) -> Flashed:
    """Return what *node* was flashed with; FileNotFoundError if it never was."""
    return Flashed(**json.loads((node.directory / _FILE).read_text()))


def flash(node: nodes.Node, flashed: Flashed) -> None:
    """Give *node* an empty root file system on top of an image's layers."""
    node.erase()
    record(node, flashed)


def record(node: nodes.Node, flashed: Flashed) -> None:
    """Say what *node* is made from, from its next boot on."""
    files.write_private(node.directory / _FILE, json.dumps(dataclasses.asdict(flashed)))
