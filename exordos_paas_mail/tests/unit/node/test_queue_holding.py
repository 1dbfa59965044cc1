# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What accounts have apart, as the file of holds says."""

from __future__ import annotations

import concurrent.futures
import typing as tp

import pytest

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import holds
from exordos_paas_mail.codecs.holds import Hold, State
from exordos_paas_mail.node import machine
from exordos_paas_mail.node.queue import holding as holding_
from exordos_paas_mail.node.queue import spool as spool_
from exordos_paas_mail.tests.unit.node import queue_stage

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator

A, B, C = queue_stage.NAMES
ALICE = queue_stage.ALICE
AT = 1_764_200_000
RELEASED = AT * 1000


def message(queue_id: str, **fields: tp.Any) -> spool_.Message:
    made = spool_.Message(queue_id, ALICE, ALICE, AT, frozen=False, recipients=("x@y",), size=9)
    return made._replace(**fields)


PLANS: list[tuple[dict[str, tp.Any], State | None, str]] = [
    ({}, State.HOLD, "apart"),
    ({}, State.DEFER, "apart"),
    ({}, State.REJECT, "apart"),
    ({}, State.DELIVER, ""),
    ({}, State.DELETE, ""),
    ({}, None, ""),
    ({"has_journal": True}, State.HOLD, ""),
    ({"account": ""}, State.HOLD, ""),
    ({"held": True}, State.HOLD, ""),
    ({"held": True}, State.DELIVER, "deliver"),
    ({"held": True}, State.DELETE, "delete"),
    # Nobody has released an account that is gone.
    ({"held": True}, None, ""),
    ({"held": True, "hold": "account", "arrived_at": AT + 9}, State.DELETE, "delete"),
    ({"held": True, "hold": "limit"}, State.DELIVER, "deliver"),
    # It was put apart since.
    ({"held": True, "hold": "limit", "arrived_at": AT + 1}, State.DELIVER, ""),
    ({"held": True, "hold": "limit", "arrived_at": AT + 1}, State.DELETE, ""),
]


@pytest.mark.parametrize(("fields", "state", "what"), PLANS)
def test_where_a_message_belongs(fields: dict[str, tp.Any], state: State | None, what: str) -> None:
    held = {ALICE: Hold(state, RELEASED)} if state else {}
    made = holding_.plan([message(A, **fields)], held)
    assert made._asdict() == {name: [A] if name == what else [] for name in made._fields}


def test_what_came_first_is_first() -> None:
    later = message(A, arrived_at=AT + 1)
    made = holding_.plan([later, message(C), message(B)], {ALICE: Hold(State.HOLD, 1)})
    assert made.apart == [B, C, A]


def test_who_has_too_much_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding_, "MESSAGES_MAX", 2)
    monkeypatch.setattr(holding_, "SIZE_MAX", 100)
    apart = [message(A, held=True), message(B, held=True)]
    assert holding_.full(apart) == [ALICE]
    assert holding_.full([apart[0], message(B)]) == []
    assert holding_.full([message(A, held=True, size=100)]) == [ALICE]


class Node:
    def __init__(self, root: pathlib.Path) -> None:
        self.stage = queue_stage.Spool(root)
        self.exim = queue_stage.Exim(root=str(root))
        self.file = root / constants.HOLDS_FILE.lstrip("/")
        self.file.parent.mkdir(parents=True)
        self.spool = spool_.Spool(str(self.stage.path))
        self.tried: list[str] = []
        self.holding = holding_.Holding(self.exim, self.tried.extend)

    def hold(self, state: State) -> None:
        text = holds.render([("alice", Hold(state, RELEASED))], "tenant.example")
        aside = self.file.with_name("aside")
        aside.write_text(text)
        aside.rename(self.file)

    def turn(self) -> dict[str, bool]:
        """Look, do a slice and look again; returns which messages are apart."""
        self.spool.look(self.stage.now)
        self.holding.begin(self.spool.messages)
        if self.holding._running is not None:
            concurrent.futures.wait([self.holding._running])
        self.holding.end()
        self.stage.settle()
        self.spool.look(self.stage.now)
        return {name: one.held for name, one in self.spool.messages.items()}


@pytest.fixture
def node(tmp_path: pathlib.Path) -> Iterator[Node]:
    node = Node(tmp_path)
    for name in (A, B):
        node.stage.write(name, "x@one.example")
    node.stage.write(C, "x@one.example", account="bob@tenant.example")
    yield node
    node.holding.close()


def test_what_an_account_has_in_the_queue_is_put_apart_and_back(node: Node) -> None:
    assert node.turn() == {A: False, B: False, C: False}
    node.hold(State.HOLD)
    assert node.turn() == {A: True, B: True, C: False}
    assert node.exim.path(constants.HOLD_SPOOL_DIR).is_dir()
    assert node.turn() == {A: True, B: True, C: False}
    assert node.exim.moved == [((A, B), holds.QUEUE)]
    node.hold(State.DELIVER)
    assert node.turn() == {A: False, B: False, C: False}
    assert (node.exim.moved[1:], node.tried) == ([((A, B), "")], [A, B])
    node.turn()
    assert len(node.exim.moved) == 2


def test_what_is_apart_is_deleted(node: Node) -> None:
    node.hold(State.HOLD)
    node.turn()
    node.hold(State.DELETE)
    assert node.turn() == {C: False}
    assert node.tried == []


def test_a_file_that_is_not_whole_changes_nothing(node: Node) -> None:
    node.hold(State.HOLD)
    node.turn()
    node.file.write_text(f"{ALICE}:deliver 1\n")
    assert node.turn() == {A: True, B: True, C: False}
    node.file.unlink()
    assert node.turn() == {A: True, B: True, C: False}


def test_what_is_being_delivered_is_put_apart_later(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.exim.locked.add(A)
    node.hold(State.HOLD)
    assert node.turn() == {A: False, B: True, C: False}
    node.exim.locked.clear()
    # Not at once: it would be tried without a pause.
    assert node.turn() == {A: False, B: True, C: False}
    monkeypatch.setattr(node.holding, "_not_before", 0.0)
    assert node.turn() == {A: True, B: True, C: False}


def test_a_machine_that_refuses_is_told_and_asked_again(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise machine.MachineError("exim4 -MG: no such command")

    node.hold(State.HOLD)
    with monkeypatch.context() as patch:
        patch.setattr(queue_stage.Exim, "move_messages", refuse)
        with pytest.raises(machine.MachineError, match="no such command"):
            node.turn()
    monkeypatch.setattr(node.holding, "_not_before", 0.0)
    assert node.turn() == {A: True, B: True, C: False}


def test_exim_is_told_who_has_too_much_apart(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding_, "MESSAGES_MAX", 2)
    full = node.exim.path(constants.HOLD_FULL_FILE)
    node.hold(State.HOLD)
    node.turn()
    node.turn()
    assert full.read_text() == f"{ALICE}:\n"
    node.hold(State.DELIVER)
    node.turn()
    node.turn()
    assert not full.exists()
