# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import os
import typing as tp
import uuid

import pytest

from exordos_paas_mail.codecs import node_commands
from exordos_paas_mail.codecs.node_commands import Action, Command

KEY = bytes(range(32))
NODE = uuid.UUID("6b5d7a3e-3a0e-4a53-8a3e-0d6b1c8a0001")
OTHER = uuid.UUID("6b5d7a3e-3a0e-4a53-8a3e-0d6b1c8a0002")
QUEUE_ID = "1tFxyz-0000Ab-2C"

COMMANDS = [
    Command(OTHER, Action.RETRY, 5),
    Command(OTHER, Action.RETRY, 5, domain="example.org"),
    Command(OTHER, Action.RETRY, 5, (QUEUE_ID,)),
    Command(OTHER, Action.BOUNCE, 5, (QUEUE_ID, "1tFxyz-00000000000-0001")),
    Command(OTHER, Action.DELETE, 5, domain="example.org"),
    Command(OTHER, Action.SUSPEND, 5, domain="example.org", until=9, reason="asked to"),
    Command(OTHER, Action.RESUME, 5, domain="example.org"),
]


def _sealed(content: bytes = b"[]", revision: int = 7) -> node_commands.Row:
    return node_commands.seal(KEY, NODE, revision, content)


def test_the_largest_box_travels() -> None:
    content = os.urandom(node_commands.RAW_SIZE_MAX)
    row = node_commands.parse(node_commands.render(_sealed(content)))
    assert row.revision == 7
    assert node_commands.unseal(KEY, NODE, row) == content


def test_a_box_without_documents_is_what_it_was_before_there_were_any() -> None:
    assert node_commands.render(_sealed()).keys() == {"version", "revision", "content"}
    row = _sealed()._replace(documents="sealed")
    assert node_commands.parse(node_commands.render(row)) == row


def test_a_box_opens_as_what_it_was_sealed_as_and_as_nothing_else() -> None:
    row = _sealed()
    for key, node, moved in (
        (KEY[::-1], NODE, row),
        (KEY, OTHER, row),
        (KEY, NODE, row._replace(revision=8)),
        (KEY, NODE, row._replace(content="")),
    ):
        with pytest.raises(ValueError, match="the box of commands"):
            node_commands.unseal(key, node, moved)


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"version": True},
        {"revision": 0},
        {"revision": None},
        {"revision": 2**60},
        {"content": None},
        {"content": "x" * 1_500_000},
        {"documents": None},
        {"documents": "x" * 1_500_000},
    ],
)
def test_what_is_no_box_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="the box of commands"):
        node_commands.parse({**node_commands.render(_sealed()), **changes})


def test_each_node_has_a_row_and_keeps_it() -> None:
    assert node_commands.row_uuid(NODE) == uuid.uuid5(NODE, "mail_node_commands")
    assert node_commands.row_uuid(NODE) != node_commands.row_uuid(OTHER)


def test_commands_that_are_told_are_read() -> None:
    assert node_commands.parse_commands(node_commands.render_commands(COMMANDS)) == COMMANDS


def test_what_a_later_release_can_do_is_passed_over() -> None:
    values = json.loads(node_commands.render_commands(COMMANDS[:1]))
    later = {**values[0], "action": "explode"}
    data = json.dumps([later, {**values[0], "colour": "red"}]).encode()
    assert node_commands.parse_commands(data) == COMMANDS[:1]


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", json.dumps([{}] * 101).encode()])
def test_what_is_no_list_of_commands_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"box of commands is no|a command is no object"):
        node_commands.parse_commands(data)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "x"},
        {"not_after": -1},
        {"not_after": "soon"},
        {"queue_ids": ["x"]},
        {"queue_ids": [QUEUE_ID] * 501},
        {"domain": "Example.org"},
        {"domain": "*.example.org"},
        {"domain": "example.org: x"},
        {"until": -1},
        {"reason": "two\nlines"},
        {"reason": "x" * 201},
    ],
)
def test_a_command_out_of_bounds_is_refused(changes: dict[str, tp.Any]) -> None:
    (value,) = json.loads(node_commands.render_commands(COMMANDS[:1]))
    with pytest.raises(ValueError, match=f"^{next(iter(changes))} of a command"):
        node_commands.parse_commands(json.dumps([{**value, **changes}]).encode())


@pytest.mark.parametrize(
    "command",
    [
        Command(OTHER, Action.BOUNCE, 5),
        Command(OTHER, Action.DELETE, 5),
        Command(OTHER, Action.DELETE, 5, (QUEUE_ID,), "example.org"),
        Command(OTHER, Action.SUSPEND, 5, until=9),
        Command(OTHER, Action.SUSPEND, 5, domain="example.org"),
        Command(OTHER, Action.SUSPEND, 5, (QUEUE_ID,), until=9),
        Command(OTHER, Action.RESUME, 5),
    ],
)
def test_a_command_says_what_for(command: Command) -> None:
    with pytest.raises(ValueError, match="does not say what for"):
        node_commands.parse_commands(node_commands.render_commands([command]))
