# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""driver: whatever happens to a node, two passes later it is as its target says."""

from __future__ import annotations

import os
import pathlib
import tempfile
import typing as tp
from unittest import mock

import hypothesis
from hypothesis import strategies as st

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import cdb, passwd
from exordos_paas_mail.node import machine
from exordos_paas_mail.node.parts import accounts
from exordos_paas_mail.tests.unit.node import agent_stage, fake_node

FEW = 3
MANY = accounts.INDEX_ACCOUNTS_MIN + 1


class Crash(BaseException):
    """The power is cut."""


def text(count: int, password_hash: str) -> str:
    pairs = ((f"user{n:05}", f"$6$salt${password_hash}") for n in range(count))
    return passwd.render(pairs, agent_stage.DOMAIN)


def cut_power(stage: agent_stage.Stage, effects: int) -> None:
    """Have the agent do a pass that ends before its effect number *effects*, and start anew."""
    left = effects

    def counted(name: str) -> tp.Callable[..., tp.Any]:
        whole = getattr(machine.Machine, name)

        def effect(*args: tp.Any, **kwargs: tp.Any) -> tp.Any:
            nonlocal left
            if left == 0:
                raise Crash
            left -= 1
            return whole(*args, **kwargs)

        return effect

    names = ("ensure_file", "ensure_absent", "reload_relay")
    effects_: dict[str, tp.Any] = {name: counted(name) for name in names}
    with mock.patch.multiple(machine.Machine, **effects_):
        try:
            stage.turn()
        except Crash:
            stage.boot()


def happen(stage: agent_stage.Stage, event: tuple[str, tp.Any]) -> None:
    kind, value = event
    index = stage.fake.path(constants.PASSWD_INDEX_FILE)
    if kind == "target":
        stage.want(text(*value))
    elif kind == "edit":
        stage.file.write_text(value)
    elif kind == "mode" and stage.file.exists():
        stage.file.chmod(value)
    elif kind == "lose":
        stage.file.unlink(missing_ok=True)
    elif kind == "index":
        index.write_bytes(value)
    elif kind == "reload fails":
        stage.fake.fail("systemctl", "reload", "no")
    elif kind == "boot":
        stage.boot()
    elif kind == "power cut":
        cut_power(stage, value)
    elif kind == "pass":
        stage.turn()


EVENTS = st.one_of(
    st.tuples(st.just("target"), st.tuples(st.sampled_from([0, FEW, MANY]), st.sampled_from("ab"))),
    st.tuples(st.just("edit"), st.sampled_from(["", "x", text(FEW, "evil"), text(MANY, "a")])),
    st.tuples(st.just("mode"), st.sampled_from([0o600, 0o644, 0o640])),
    st.tuples(st.just("lose"), st.none()),
    st.tuples(st.just("index"), st.sampled_from([b"", b"x" * 2048])),
    st.tuples(st.just("reload fails"), st.none()),
    st.tuples(st.just("boot"), st.none()),
    st.tuples(st.just("power cut"), st.integers(0, 6)),
    st.tuples(st.just("pass"), st.none()),
)


@hypothesis.settings(max_examples=25)
@hypothesis.given(st.lists(EVENTS, max_size=7))
def test_a_node_settles_two_passes_after_anything(events: list[tuple[str, tp.Any]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        fake = fake_node.FakeNode(pathlib.Path(directory))
        with mock.patch.dict(os.environ, PATH=fake.search_path):
            fake.configured(agent_stage.DOMAIN)
            stage = agent_stage.Stage(fake)
            stage.want(text(FEW, "first"))
            for event in events:
                happen(stage, event)
            if (fake.directory / "fail-systemctl-reload").exists():
                fake.heal("systemctl", "reload")

            stage.turn()
            stage.turn()

            assert stage.turn() == []
            (target,) = stage.orchestrator.target
            wanted = target.value["passwd"]
            assert stage.file.read_text() == wanted
            assert (stage.value["passwd"], stage.value["status"]) == (wanted, "ACTIVE")
            assert stage.settled
            assert not fake.path(constants.RELOAD_PENDING_FILE).exists()
            index = fake.path(constants.PASSWD_INDEX_FILE)
            assert index.exists() == (wanted.count("\n") >= accounts.INDEX_ACCOUNTS_MIN)
            if index.exists():
                lines = [tuple(line.split(":", 1)) for line in wanted.splitlines()]
                assert cdb.parse(index.read_bytes())[1:] == lines
