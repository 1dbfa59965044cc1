# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""driver: what a node reports of its relay, and what it does about it."""

from __future__ import annotations

import math
import time
import typing as tp

import pytest

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import dkim, exim_conf
from exordos_paas_mail.tests.unit.node import agent_stage, fake_node

DOMAIN = agent_stage.DOMAIN
ALICE = agent_stage.ALICE
RELOAD = agent_stage.RELOAD
REPAIR = agent_stage.REPAIR
SHOW = agent_stage.SHOW


def test_a_node_without_its_first_configuration_is_in_progress(stage: agent_stage.Stage) -> None:
    stage.fake.fail("systemctl", "reload", "exim4.service is not active, cannot reload.")
    stage.want(ALICE)
    stage.turn()
    assert stage.value["status"] == "IN_PROGRESS"
    assert stage.file.read_text() == ALICE

    stage.fake.heal("systemctl", "reload")
    stage.fake.configured(DOMAIN)
    assert stage.turn() == [RELOAD]
    assert (stage.value["status"], stage.value["error"]) == ("ACTIVE", "")


def test_a_failed_configuration_is_an_error_with_its_reason(settled: agent_stage.Stage) -> None:
    settled.fake.configured(DOMAIN, error="mail.env: MAIL_DOMAIN is missing")

    assert settled.turn() == [REPAIR]
    assert settled.value["status"] == "ERROR"
    assert settled.value["error"] == "configure: mail.env: MAIL_DOMAIN is missing"
    assert settled.value["dkim_public_key"].startswith("v=DKIM1; k=rsa; p=")
    assert settled.settled
    assert settled.turn() == []

    settled.fake.configured(DOMAIN)
    settled.turn()
    assert (settled.value["status"], settled.value["error"]) == ("ACTIVE", "")


@pytest.mark.parametrize(
    ("state", "error"),
    [
        pytest.param(
            {"state": "inactive", "asserted": "no"},
            "exordos-metapaas-mail-configure: a mount or a file that it needs is missing",
            id="no data disk",
        ),
        pytest.param(
            {"state": "failed", "result": "oom-kill"},
            "exordos-metapaas-mail-configure: oom-kill",
            id="killed",
        ),
    ],
)
def test_a_configuration_that_never_ended_is_an_error(
    stage: agent_stage.Stage, state: dict[str, str], error: str
) -> None:
    stage.fake.unit(**state)
    stage.want(ALICE)

    assert stage.turn() == [RELOAD, SHOW, REPAIR]
    assert (stage.value["status"], stage.value["error"]) == ("ERROR", error)


@pytest.mark.parametrize(
    ("harm", "error"),
    [
        pytest.param(
            lambda fake: fake.path(constants.DKIM_RECORD_FILE).unlink(),
            "the DKIM record is missing",
            id="record lost",
        ),
        pytest.param(
            lambda fake: fake.write(constants.DKIM_RECORD_FILE, "nonsense"),
            "the DKIM record is not a TXT record",
            id="record overwritten",
        ),
        pytest.param(
            lambda fake: fake.path(constants.DKIM_PRIVATE_KEY_FILE).unlink(),
            "the DKIM private key is missing: mail waits in the queue",
            id="key lost",
        ),
        pytest.param(
            lambda fake: fake.path(constants.DKIM_PRIVATE_KEY_FILE).chmod(0o600),
            "the DKIM private key has another mode or owner",
            id="key unreadable for exim",
        ),
        pytest.param(
            lambda fake: fake.write(constants.DKIM_PRIVATE_KEY_FILE, ""),
            "the DKIM private key is damaged: mail waits in the queue",
            id="key emptied",
        ),
        pytest.param(
            lambda fake: fake.write(
                constants.DKIM_PRIVATE_KEY_FILE, dkim.generate().decode("ascii")
            ),
            "the DKIM record is another key's",
            id="key replaced",
        ),
    ],
)
def test_a_lost_dkim_key_is_an_error_and_configure_is_called(
    settled: agent_stage.Stage, harm: tp.Callable[[fake_node.FakeNode], object], error: str
) -> None:
    harm(settled.fake)

    assert settled.turn() == [REPAIR]
    assert (settled.value["status"], settled.value["error"]) == ("ERROR", error)


def test_the_key_of_another_domain_is_never_reported(settled: agent_stage.Stage) -> None:
    settled.fake.configured("other.example")

    settled.turn()

    assert settled.value["dkim_public_key"] == ""
    assert settled.value["error"] == "the relay is configured for other.example"


@pytest.mark.parametrize("name", constants.RELAY_FILES)
def test_a_file_that_exim_does_not_run_with_has_the_relay_configured(
    settled: agent_stage.Stage, name: str
) -> None:
    settled.fake.write(name, "renewed, or edited by hand")

    assert settled.turn() == [REPAIR]
    assert (settled.value["status"], settled.value["error"]) == ("ACTIVE", "")
    assert settled.turn() == []


def test_an_exim_that_does_not_run_is_an_error_until_it_does(
    stage: agent_stage.Stage,
) -> None:
    stage.fake.configured(DOMAIN)
    stage.fake.relay(**{"465": "failed"})
    stage.want(ALICE)
    for acts in [RELOAD, agent_stage.START, REPAIR], []:
        assert stage.turn() == acts
        assert (stage.value["status"], stage.value["error"]) == (
            "ERROR",
            "exim4@465.service is failed",
        )
    stage.fake.relay()

    stage.turn()
    assert (stage.value["status"], stage.value["error"]) == ("ACTIVE", "")


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda fake: fake.end_process(fake_node.FIRST_PID), id="queue runner ended"),
        pytest.param(lambda fake: fake.process(fake_node.FIRST_PID + 3, "T"), id="stopped"),
        pytest.param(lambda fake: fake.process(fake_node.FIRST_PID + 3, "Z"), id="dead"),
        pytest.param(lambda fake: fake.process(fake_node.FIRST_PID + 1, started=9), id="another"),
        pytest.param(lambda fake: fake.listen(25, 587), id="a port is closed"),
    ],
)
def test_a_process_or_a_port_that_is_gone_is_asked_for_at_once(
    settled: agent_stage.Stage, end: tp.Callable[[fake_node.FakeNode], object]
) -> None:
    asked = settled.fake.questions
    end(settled.fake)
    settled.fake.relay_says(**{"587": "inactive"})

    acts = settled.turn()

    assert (acts, settled.fake.questions - asked) == ([agent_stage.START, REPAIR], 1)
    assert settled.value["error"] == "exim4@587.service is inactive"
    settled.fake.relay()
    settled.turn()
    assert (settled.value["status"], settled.value["error"]) == ("ACTIVE", "")


@pytest.mark.parametrize(
    ("end", "error"),
    [
        pytest.param(
            lambda fake: fake.process(fake_node.FIRST_PID + 3, "T"),
            "process 4004 of exim4 does not run",
            id="a process stopped by a signal",
        ),
        pytest.param(
            lambda fake: fake.listen(25), "nothing listens on 465, 587", id="ports closed"
        ),
    ],
)
def test_what_systemd_does_not_see_is_told(
    settled: agent_stage.Stage, end: tp.Callable[[fake_node.FakeNode], object], error: str
) -> None:
    end(settled.fake)

    settled.turn()

    assert (settled.value["status"], settled.value["error"]) == ("ERROR", error)


def next_second() -> float:
    """Return a time of the clock that is not over: a difference of whole seconds is exact."""
    return float(math.ceil(time.monotonic()))


def test_a_unit_that_is_being_restarted_is_no_error_until_it_takes_long(
    settled: agent_stage.Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled.fake.end_process(fake_node.FIRST_PID + 3)
    settled.fake.relay_says(**{"587": "activating"})
    started = next_second()

    assert settled.turn() == []
    assert settled.value["error"] == ""
    monkeypatch.setattr(time, "monotonic", lambda: started + 6)
    settled.turn()
    assert settled.value["error"] == "exim4@587.service is activating"


def test_a_new_fault_is_repaired_at_once_and_an_old_one_ever_more_seldom(
    settled: agent_stage.Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = next_second()
    key = settled.fake.path(constants.DKIM_PRIVATE_KEY_FILE)
    repairs = []
    for second in range(0, 180, 3):
        monkeypatch.setattr(time, "monotonic", lambda now=started + second: now)
        key.unlink(missing_ok=True)
        if REPAIR in settled.turn():
            repairs.append(second)
    assert repairs == [0, 6, 18, 39, 81, 141]

    settled.fake.configured(DOMAIN)
    monkeypatch.setattr(time, "monotonic", lambda: started + 240)
    assert settled.turn() == []
    key.unlink()
    assert settled.turn() == [REPAIR]


def test_a_fault_that_stays_does_not_keep_another_from_its_repair(
    settled: agent_stage.Stage,
) -> None:
    settled.fake.write(constants.DKIM_RECORD_FILE, "nonsense")
    assert (settled.turn(), settled.turn()) == ([REPAIR], [])
    settled.fake.end_process(fake_node.FIRST_PID + 3)
    settled.fake.relay_says(**{"587": "inactive"})
    assert (settled.turn(), settled.turn()) == ([agent_stage.START, REPAIR], [])
    settled.fake.relay()
    for text in "emptied", "cut short":
        settled.fake.write(constants.TLS_SERVED_FILE, text)
        assert (settled.turn(), settled.turn()) == ([REPAIR], [])


FROZEN = "11m   279 1xV9iS-00000i-1d <alice@example.com> *** frozen ***\n          a@b.example\n"


def test_a_message_that_stays_frozen_is_an_error(
    settled: agent_stage.Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = next_second()
    for minute, (queue, error) in enumerate(
        [
            (FROZEN.replace("11m", " 9m"), ""),
            (FROZEN, "1 message stays frozen in the queue (exim4 -bp, exim4 -Mt)"),
            (FROZEN + FROZEN, "2 messages stay frozen in the queue (exim4 -bp, exim4 -Mt)"),
            ("", ""),
        ],
        start=1,
    ):
        (settled.fake.directory / "queue").write_text(queue)
        monkeypatch.setattr(time, "monotonic", lambda now=started + 61 * minute: now)
        settled.turn()
        assert settled.value["error"] == error


@pytest.mark.parametrize(
    ("name", "error"),
    [
        (constants.TLS_SERVED_FILE, " is missing: TLS and logins are refused"),
        (constants.EXIM_CONFIG_FILE, " is missing: mail is refused"),
    ],
)
def test_a_file_that_exim_cannot_serve_without_is_told(
    settled: agent_stage.Stage, name: str, error: str
) -> None:
    settled.fake.path(name).unlink()

    assert REPAIR in settled.turn()
    assert settled.value["error"] == name + error


@pytest.mark.parametrize("name", [*constants.RELAY_FILES, constants.DKIM_RECORD_FILE])
def test_a_mode_that_is_not_configures_has_the_relay_configured(
    settled: agent_stage.Stage, name: str
) -> None:
    settled.fake.path(name).chmod(0o666)

    assert settled.turn() == [REPAIR]


@pytest.mark.parametrize("content", [None, "", "{"], ids=["lost", "emptied", "cut short"])
def test_a_lost_state_of_configure_has_the_relay_configured(
    settled: agent_stage.Stage, content: str | None
) -> None:
    settled.fake.write(constants.MAIL_ENV_FILE, "MAIL_DOMAIN=example.com\n")
    settled.fake.path(constants.CONFIGURE_STATE_FILE).unlink()
    if content is not None:
        settled.fake.write(constants.CONFIGURE_STATE_FILE, content)

    assert settled.turn() == [SHOW, REPAIR]


def test_systemd_is_asked_for_exim_once_a_minute(
    settled: agent_stage.Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = next_second() + 60
    monkeypatch.setattr(time, "monotonic", lambda: started)
    settled.turn()
    asked = settled.fake.questions
    for second in range(3, 180, 3):
        monkeypatch.setattr(time, "monotonic", lambda now=started + second: now)
        settled.turn()

    # The units, and the queue.
    assert settled.fake.questions - asked == 2 * 2


def test_a_systemd_that_does_not_answer_is_an_error_and_the_key_stays_published(
    stage: agent_stage.Stage,
) -> None:
    public_key = stage.fake.configured(DOMAIN)
    stage.fake.fail("systemctl", "show", "Failed to connect to bus")
    stage.want(ALICE)
    stage.turn()

    assert stage.value["status"] == "ERROR"
    assert stage.value["error"].endswith("exit status 1: Failed to connect to bus")
    assert stage.value["dkim_public_key"] == public_key


READ_ONLY = "the data disk cannot be written: Read-only file system"
FULL = "the data disk is full: mail is refused with less than 200 MB free"
NO_FILES = "the data disk is full: mail is refused with less than 1000 files free"


@pytest.mark.parametrize(
    ("disk", "error"),
    [
        pytest.param({"read_only": True}, READ_ONLY, id="stopped by an error"),
        pytest.param({"free": 200 * 2**20 - 4096}, FULL, id="full"),
        pytest.param({"files": 999}, NO_FILES, id="no more files"),
    ],
)
def test_a_data_disk_that_takes_no_mail_is_an_error_as_long_as_it_is_so(
    settled: agent_stage.Stage,
    monkeypatch: pytest.MonkeyPatch,
    disk: dict[str, tp.Any],
    error: str,
) -> None:
    with monkeypatch.context() as patch:
        fake_node.data_disk(patch, **disk)
        for _ in range(2):
            settled.turn()
            assert (settled.value["status"], settled.value["error"]) == ("ERROR", error)
            assert settled.value["dkim_public_key"].startswith("v=DKIM1;")

    settled.turn()
    assert (settled.value["status"], settled.value["error"]) == ("ACTIVE", "")


@pytest.mark.parametrize(
    "disk",
    [
        pytest.param({"free": 200 * 2**20, "files": 1000}, id="as much as exim asks for"),
        pytest.param({"files": None}, id="files are not counted"),
        pytest.param({"unnamed": False}, id="no files without a name"),
    ],
)
def test_a_data_disk_that_takes_mail_is_no_error(
    settled: agent_stage.Stage, monkeypatch: pytest.MonkeyPatch, disk: dict[str, tp.Any]
) -> None:
    fake_node.data_disk(monkeypatch, **disk)

    assert settled.turn() == []
    assert (settled.value["status"], settled.value["error"]) == ("ACTIVE", "")


def test_what_is_said_of_a_full_disk_is_what_exim_was_told() -> None:
    configuration = exim_conf.render(exim_conf.Settings(domain=DOMAIN)).splitlines()

    megabytes, rest = divmod(constants.EXIM_SPOOL_FREE_BYTES_MIN, 2**20)
    assert rest == 0
    assert f"check_spool_space = {megabytes}M" in configuration
    assert f"check_spool_inodes = {constants.EXIM_SPOOL_FREE_FILES_MIN}" in configuration


def test_a_state_that_cannot_be_kept_is_reported_with_what_else_is_wrong(
    settled: agent_stage.Stage,
) -> None:
    """The SDK writes both files beside the data; a directory is in its way."""
    in_the_way = [
        settled.fake.directory / "state" / name for name in ("mail_meta.tmp", "payload.json.tmp")
    ]
    for path in in_the_way:
        path.mkdir()
    settled.fake.path(constants.DKIM_RECORD_FILE).unlink()

    # The first pass finds out at its end.
    for _ in range(2):
        settled.agent._loop_iteration()

    assert settled.value["status"] == "ERROR"
    lost, unkept = settled.value["error"].split("; ")
    assert lost == "the DKIM record is missing"
    assert unkept.startswith("the agent's state is not kept: [Errno 21] Is a directory: ")

    for path in in_the_way:
        path.rmdir()
    settled.fake.configured(DOMAIN)
    for _ in range(2):
        settled.turn()
    assert (settled.value["status"], settled.value["error"]) == ("ACTIVE", "")
