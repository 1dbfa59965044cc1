# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""exordos-mail-keep: a node keeps itself as it was last told."""

from __future__ import annotations

import json
import os
import time
import typing as tp

import pytest

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import kept_target
from exordos_paas_mail.node import machine
from exordos_paas_mail.node.commands import keep
from exordos_paas_mail.tests.unit.node import agent_stage, fake_node

if tp.TYPE_CHECKING:
    import pathlib

ALICE = agent_stage.ALICE
BOB = agent_stage.BOB
RELOAD = agent_stage.RELOAD
REPAIR = agent_stage.REPAIR
REPORT = f"{constants.AGENT_STATE_DIR}/{constants.AGENT_REPORT_FILE}"


@pytest.fixture
def keeper(settled: agent_stage.Stage) -> keep.Keeper:
    """Return the keeper of a settled node, whose control plane is away from now on."""
    return keep.Keeper(settled.fake.machine)


def put_pipe(path: pathlib.Path) -> None:
    path.unlink()
    os.mkfifo(path)


def test_a_settled_node_is_left_alone(settled: agent_stage.Stage, keeper: keep.Keeper) -> None:
    before = fake_node.signatures(settled.fake)

    assert (keeper.turn(), settled.fake.calls()) == ([], [])
    after = fake_node.signatures(settled.fake)
    after.pop(settled.fake.path(constants.PARTS_LOCK_FILE), None)
    before.pop(settled.fake.path(constants.PARTS_LOCK_FILE), None)
    assert after == before


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda path: path.write_text(""), id="emptied"),
        pytest.param(lambda path: path.write_text(ALICE[:-9]), id="cut short"),
        pytest.param(lambda path: path.write_text(ALICE + BOB), id="line added"),
        pytest.param(lambda path: path.unlink(), id="removed"),
        pytest.param(lambda path: path.chmod(0o600), id="another mode"),
        pytest.param(lambda path: (path.unlink(), path.mkdir()), id="directory"),
        pytest.param(lambda path: (path.unlink(), path.symlink_to("x")), id="link"),
        pytest.param(put_pipe, id="pipe"),
    ],
)
def test_accounts_are_repaired_with_nobody_to_ask(
    settled: agent_stage.Stage,
    keeper: keep.Keeper,
    harm: tp.Callable[[pathlib.Path], object],
) -> None:
    harm(settled.file)

    assert keeper.turn() == ["accounts repaired"]
    assert (settled.file.read_text(), settled.file.stat().st_mode & 0o777) == (ALICE, 0o640)
    assert settled.fake.calls() == [RELOAD]
    assert keeper.turn() == []


def test_what_is_kept_is_for_root_alone(settled: agent_stage.Stage) -> None:
    path = settled.fake.path(constants.KEPT_TARGET_FILE)

    assert path.stat().st_mode & 0o777 == 0o600
    assert kept_target.parse(path.read_text()) == kept_target.Target(
        agent_stage.DOMAIN, agent_stage.texts(ALICE)
    )


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda path: path.write_text(""), id="emptied"),
        pytest.param(lambda path: path.write_text("{"), id="no JSON"),
        pytest.param(lambda path: path.unlink(), id="removed"),
        pytest.param(lambda path: path.chmod(0o644), id="others may read it"),
        pytest.param(lambda path: (path.unlink(), path.mkdir()), id="directory"),
    ],
)
def test_a_kept_target_that_is_harmed_is_not_believed_and_kept_anew(
    settled: agent_stage.Stage, harm: tp.Callable[[pathlib.Path], object]
) -> None:
    path = settled.fake.path(constants.KEPT_TARGET_FILE)
    before = path.read_text()
    harm(path)

    assert settled.turn() == []
    assert (path.read_text(), path.stat().st_mode & 0o777) == (before, 0o600)
    assert settled.turn() == []
    assert settled.settled


def older_image_takes(stage: agent_stage.Stage, text: str) -> None:
    """Do what an agent that keeps no target does with one."""
    state_file = stage.fake.path(f"{constants.AGENT_STATE_DIR}/{constants.AGENT_STATE_FILE}")
    state = json.loads(state_file.read_text())
    (entry,) = state[constants.INSTANCE_NODE_KIND]["resources"].values()
    entry["passwd_prefixes"] = {}
    state_file.write_text(json.dumps(state))
    stage.file.write_text(text)


def test_what_an_older_image_was_told_since_is_not_undone(settled: agent_stage.Stage) -> None:
    older_image_takes(settled, BOB)

    assert keep.Keeper(settled.fake.machine).turn() == []
    assert settled.file.read_text() == BOB


def test_a_new_root_disk_serves_before_the_control_plane_answers(
    settled: agent_stage.Stage, keeper: keep.Keeper
) -> None:
    settled.file.unlink()
    settled.boot()

    assert keeper.turn() == ["accounts repaired"]
    assert settled.file.read_text() == ALICE


def test_a_refused_target_is_not_kept(settled: agent_stage.Stage, keeper: keep.Keeper) -> None:
    settled.want("mallory@other.example:$6$x$y\n")
    settled.turn()
    settled.file.write_text("")

    assert keeper.turn() == []


def test_parts_and_names_of_a_later_release_are_passed_over(
    settled: agent_stage.Stage, keeper: keep.Keeper
) -> None:
    path = settled.fake.path(constants.KEPT_TARGET_FILE)
    kept = json.loads(path.read_text())
    kept["texts"]["of_later"] = "later"
    kept["later"] = 1
    text = json.dumps(kept)
    path.write_text(text)
    state_file = settled.fake.path(f"{constants.AGENT_STATE_DIR}/{constants.AGENT_STATE_FILE}")
    state = json.loads(state_file.read_text())
    (entry,) = state[constants.INSTANCE_NODE_KIND]["resources"].values()
    entry["passwd_prefixes"] = {"target_digest": kept_target.digest(text)}
    state_file.write_text(json.dumps(state))
    settled.file.unlink()

    assert keeper.turn() == ["accounts repaired"]


def test_a_relay_that_does_not_run_is_started(
    settled: agent_stage.Stage, keeper: keep.Keeper
) -> None:
    settled.fake.relay(**{"587": "inactive"})

    assert keeper.turn() == ["exim4@587.service is inactive"]
    assert settled.fake.calls() == [agent_stage.START, REPAIR]
    assert keeper.turn() == ["exim4@587.service is inactive"]
    assert settled.fake.calls() == []


def test_a_failure_is_said_and_the_rest_is_still_repaired(
    settled: agent_stage.Stage, keeper: keep.Keeper
) -> None:
    settled.file.unlink()
    settled.fake.path(constants.TLS_SERVED_FILE).unlink()
    settled.fake.fail("systemctl", "reload", "no")

    assert keeper.turn() == [
        "systemctl reload exim4: exit status 1: no",
        f"{constants.TLS_SERVED_FILE} is missing: TLS and logins are refused",
    ]
    assert settled.fake.calls() == [RELOAD, REPAIR]
    settled.fake.heal("systemctl", "reload")
    assert keeper.turn()[0] == "accounts repaired"


@pytest.mark.parametrize("days", [-2, 2])
@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_a_report_that_cannot_be_read_is_removed_once_nobody_writes_it(
    settled: agent_stage.Stage, keeper: keep.Keeper, content: str, days: int
) -> None:
    path = settled.fake.path(REPORT)
    path.write_text(content)

    assert (keeper.turn(), path.exists()) == ([], True)
    # Also where the clock was set back.
    written = time.time() + days * 86400
    os.utime(path, (written, written))
    assert keeper.turn() == ["the agent's last report could not be read: removed"]
    assert not path.exists()
    settled.turn()
    assert settled.settled


def test_a_directory_in_place_of_the_report_is_moved_aside(
    settled: agent_stage.Stage, keeper: keep.Keeper
) -> None:
    path = settled.fake.path(REPORT)
    path.unlink()
    path.mkdir()

    keeper.turn()

    assert not path.exists()


def test_a_node_that_was_told_nothing_is_left_alone(fake: fake_node.FakeNode) -> None:
    assert keep.Keeper(fake.machine).turn() == []
    assert [call for call in fake.calls() if "show" not in call] == []


def test_agent_and_keeper_change_a_part_one_at_a_time(
    settled: agent_stage.Stage, keeper: keep.Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock is taken before the kept target is read, and held until the reload is over."""
    held = []
    whole = machine.Machine.lock

    def lock(self: machine.Machine, name: str) -> tp.Any:
        held.append(name)
        return whole(self, name)

    monkeypatch.setattr(machine.Machine, "lock", lock)
    settled.want(BOB)
    settled.turn()
    keeper.turn()

    assert held == [constants.PARTS_LOCK_FILE] * 2


def test_a_part_that_is_not_told_any_more_is_kept_as_it_was_told(
    settled: agent_stage.Stage, keeper: keep.Keeper
) -> None:
    settled.tell({})
    settled.turn()
    settled.file.write_text(BOB)

    assert keeper.turn() == ["accounts repaired"]
    assert settled.file.read_text() == ALICE
    assert (settled.turn(), keeper.turn()) == ([RELOAD], [])


def test_what_was_told_for_another_domain_is_not_kept(settled: agent_stage.Stage) -> None:
    settled.tell({}, "other.example")
    settled.turn()

    kept = kept_target.parse(settled.fake.path(constants.KEPT_TARGET_FILE).read_text())
    assert kept == kept_target.Target("other.example", {})


QUEUE_RUN = f"systemctl --no-block start {constants.QUEUE_RUN_UNIT}.service"


class _Clock:
    """time.monotonic and time.time, which go on when they are told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._at, self._now = time.monotonic(), time.time()
        monkeypatch.setattr(time, "monotonic", lambda: self._at)
        monkeypatch.setattr(time, "time", lambda: self._now)

    def pass_(self, seconds: float, *, set_by: float = 0.0) -> None:
        self._at += seconds
        self._now += seconds + set_by


def test_the_queue_is_run_each_minute_while_nobody_sees_to_it(
    settled: agent_stage.Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = _Clock(monkeypatch)
    keeper = keep.Keeper(settled.fake.machine)
    scheduled = settled.fake.path(constants.QUEUE_SCHEDULED_FILE)
    scheduled.parent.mkdir(parents=True, exist_ok=True)

    def runs() -> int:
        keeper.turn()
        return settled.fake.calls().count(QUEUE_RUN)

    # It may be a boot.
    assert runs() == 0
    clock.pass_(181)
    assert [runs(), runs()] == [1, 0]
    clock.pass_(61)
    assert runs() == 1

    scheduled.touch()
    os.utime(scheduled, (time.time(), time.time()))
    clock.pass_(120)
    assert runs() == 0
    clock.pass_(120)
    assert runs() == 1

    # Nor is a time that is still to come a sign that anybody does.
    clock.pass_(60, set_by=-2 * 86_400)
    assert runs() == 1


def test_who_sees_to_a_long_queue_may_read_it_first(
    settled: agent_stage.Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = _Clock(monkeypatch)
    keeper = keep.Keeper(settled.fake.machine)
    listed = " 25m  2.9K 1tFxyz-0000Ab-2C <a@tenant.example>\n" * 20_000
    (settled.fake.directory / "queue").write_text(listed)
    keeper.turn()
    for seconds, runs in ((181, 0), (58, 0), (3, 1)):
        clock.pass_(seconds)
        keeper.turn()
        assert settled.fake.calls().count(QUEUE_RUN) == runs


def test_what_accepts_mail_reads_a_clock_anew_that_was_set(
    settled: agent_stage.Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = _Clock(monkeypatch)
    settled.fake.relay_started(time.time() - time.monotonic())
    keeper = keep.Keeper(settled.fake.machine)
    said = ["the clock was set: what accepts mail reads it anew"]

    assert (keeper.turn(), settled.fake.calls()) == ([], [])
    # As a server of the network has it be corrected.
    clock.pass_(2, set_by=-1)
    assert (keeper.turn(), settled.fake.calls()) == ([], [])
    for days in (2, -2):
        clock.pass_(2, set_by=days * 86_400)
        settled.fake.relay_says()
        settled.fake.relay_started(time.time() - time.monotonic())
        assert (keeper.turn(), settled.fake.calls()) == (said, [RELOAD])
        assert (keeper.turn(), settled.fake.calls()) == ([], [])
        clock.pass_(61)
        assert (keeper.turn(), settled.fake.calls()) == ([], [])


def test_a_clock_that_was_set_before_anybody_kept_the_node_was_set(
    settled: agent_stage.Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = _Clock(monkeypatch)
    settled.fake.relay_started(time.time() - time.monotonic() - 3600)
    keeper = keep.Keeper(settled.fake.machine)

    keeper.turn()
    assert settled.fake.calls() == [RELOAD]
    # What the reload has not changed is tried again when systemd is asked again.
    keeper.turn()
    assert settled.fake.calls() == []
    clock.pass_(61)
    keeper.turn()
    assert settled.fake.calls() == [RELOAD]
