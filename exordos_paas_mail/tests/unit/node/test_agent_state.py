# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""driver: what is left of another agent, or of a power cut, keeps none from starting."""

from __future__ import annotations

import json
import typing as tp

import pytest

from exordos_paas_mail import constants

if tp.TYPE_CHECKING:
    import pathlib

    from exordos_paas_mail.tests.unit.node import agent_stage


def state_file(stage: agent_stage.Stage) -> pathlib.Path:
    return stage.fake.path(f"{constants.AGENT_STATE_DIR}/{constants.AGENT_STATE_FILE}")


def test_names_of_a_later_release_are_passed_over_with_a_remark_and_stay(
    settled: agent_stage.Stage, caplog: pytest.LogCaptureFixture
) -> None:
    path = state_file(settled)
    state = json.loads(path.read_text())
    (entry,) = state[constants.INSTANCE_NODE_KIND]["resources"].values()
    entry["later"] = {"a": 1}
    state["later_kind"] = {"resources": {}}
    path.write_text(json.dumps(state))

    settled.boot()

    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == [
        "passed over, of another release: later"
    ]
    assert settled.turn() == []
    assert settled.settled
    assert json.loads(path.read_text()) == state


def test_the_release_before_can_read_the_state(settled: agent_stage.Stage) -> None:
    # It raises over a name that it does not have, and its agent does not start.
    state = json.loads(state_file(settled).read_text())
    (entry,) = state[constants.INSTANCE_NODE_KIND]["resources"].values()
    assert entry.keys() == {"uuid", "name", "domain", "passwd_prefixes", "target_fields"}
    assert {type(value) for value in entry["passwd_prefixes"].values()} == {str}


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda path: path.write_text(""), id="emptied"),
        pytest.param(lambda path: path.write_text(path.read_text()[:40]), id="cut short"),
        pytest.param(lambda path: path.write_bytes(b"\0" * 64), id="zeros"),
        pytest.param(lambda path: path.write_text("[]"), id="a list"),
        pytest.param(lambda path: path.write_text('{"mail_instance_node": 1}'), id="a number"),
        pytest.param(lambda path: path.unlink(), id="removed"),
        pytest.param(lambda path: (path.unlink(), path.mkdir()), id="directory"),
        pytest.param(
            lambda path: path.write_text(
                json.dumps({"mail_instance_node": {"resources": {"x": {"uuid": "x"}, "y": 1}}})
            ),
            id="entries that are none",
        ),
    ],
)
def test_a_state_that_cannot_be_read_costs_one_pass(
    settled: agent_stage.Stage, harm: tp.Callable[[pathlib.Path], object]
) -> None:
    harm(state_file(settled))

    settled.boot()

    assert settled.turn() == []
    assert (settled.value["status"], settled.settled) == ("ACTIVE", True)
