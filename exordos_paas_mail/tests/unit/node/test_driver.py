# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""driver: the accounts of a node follow their target, and drift shows."""

from __future__ import annotations

import logging
import os
import typing as tp

import pytest
from gcl_sdk.agents.universal.drivers import exceptions

from exordos_paas_mail import constants
from exordos_paas_mail.node import machine
from exordos_paas_mail.node.parts import accounts
from exordos_paas_mail.tests.unit.node import agent_stage, fake_node

if tp.TYPE_CHECKING:
    import pathlib

DOMAIN = agent_stage.DOMAIN
ALICE = agent_stage.ALICE
BOB = agent_stage.BOB
RELOAD = agent_stage.RELOAD


def test_the_first_target_is_written_reloaded_and_reported_with_all_facts(
    stage: agent_stage.Stage,
) -> None:
    public_key = stage.fake.configured(DOMAIN)
    stage.want(ALICE + BOB)

    assert stage.turn() == [RELOAD]

    assert stage.file.read_text() == ALICE + BOB
    assert stage.file.stat().st_mode & 0o7777 == 0o640
    assert stage.value == {
        "uuid": str(agent_stage.UUID),
        "name": "node",
        "domain": DOMAIN,
        **agent_stage.texts(ALICE + BOB),
        "status": "ACTIVE",
        "error": "",
        "hostname": DOMAIN,
        "heartbeat": constants.HEARTBEAT_PERIOD,
        "dkim_public_key": public_key,
        "dkim_selector": "platform",
        "domains": None,
        "senders": None,
        "limits": None,
        "credentials": None,
        "holds": None,
        "return_paths": None,
        "tls_policies": None,
        "passwd_shards": None,
        "dkim_keys": "",
        "tls": "",
        "smarthost": True,
        "gathers_accounts": True,
        "smarthost_below": True,
        "mta_sts": True,
    }
    assert (stage.fact["status"], stage.settled) == ("ACTIVE", True)


def test_a_second_pass_does_nothing(settled: agent_stage.Stage) -> None:
    before = fake_node.signatures(settled.fake)

    assert settled.turn() == []
    assert fake_node.signatures(settled.fake) == before


def test_an_update_reports_its_facts_in_the_same_pass(settled: agent_stage.Stage) -> None:
    public_key = settled.value["dkim_public_key"]
    settled.want(ALICE + BOB)

    assert settled.turn() == [RELOAD]
    assert settled.file.read_text() == ALICE + BOB
    assert settled.value["passwd"] == ALICE + BOB
    assert (settled.value["status"], settled.value["dkim_public_key"]) == ("ACTIVE", public_key)
    assert settled.turn() == []


def test_no_account_is_an_empty_file(settled: agent_stage.Stage) -> None:
    settled.want("")

    assert settled.turn() == [RELOAD]
    assert (settled.file.read_text(), settled.settled) == ("", True)
    assert settled.turn() == []


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(ALICE + "eve@example.com:$6$salt$eve\n", id="line added"),
        pytest.param("", id="line removed"),
        pytest.param(ALICE.replace("alice\n", "mallory\n"), id="hash replaced"),
        pytest.param(ALICE.replace("$alice", "$ALICE"), id="hash replaced, same size"),
        pytest.param("# by hand\n" + ALICE, id="comment"),
        pytest.param("\xff\xfe", id="not text"),
        pytest.param("alice@example.com:{SHA512-CRYPT}$6$salt$alice\n", id="prefix added"),
    ],
)
def test_an_edit_by_hand_is_undone_with_one_reload(settled: agent_stage.Stage, text: str) -> None:
    settled.file.write_text(text, encoding="latin-1")

    assert settled.turn() == [RELOAD]
    assert settled.file.read_text() == ALICE
    assert settled.turn() == []


def test_a_lost_file_is_written_again(settled: agent_stage.Stage) -> None:
    settled.file.unlink()

    assert settled.turn() == [RELOAD]
    assert settled.file.read_text() == ALICE
    assert settled.turn() == []


def put_directory(path: pathlib.Path) -> None:
    path.mkdir()
    (path / "kept").write_text("somebody's")


def put_link(path: pathlib.Path) -> None:
    """Lead to a file that is as it should be, and that anybody may write."""
    elsewhere = path.with_name("elsewhere")
    elsewhere.write_text(ALICE)
    elsewhere.chmod(0o640)
    path.symlink_to(elsewhere)


@pytest.mark.parametrize(
    "put",
    [
        pytest.param(put_directory, id="directory"),
        pytest.param(put_link, id="link"),
        pytest.param(lambda path: path.symlink_to("nowhere"), id="dead link"),
        pytest.param(os.mkfifo, id="pipe"),
    ],
)
@pytest.mark.parametrize(
    "name",
    [
        constants.PASSWD_FILE,
        "/etc/exim4/.passwd.new",
        constants.PASSWD_INDEX_FILE,
        constants.RELOAD_PENDING_FILE,
    ],
)
def test_what_is_no_file_makes_room_for_one(
    settled: agent_stage.Stage, put: tp.Callable[[pathlib.Path], None], name: str
) -> None:
    path = settled.fake.path(name)
    path.unlink(missing_ok=True)
    put(path)

    settled.turn()
    settled.want(ALICE + BOB)
    settled.turn()

    assert (settled.file.read_text(), settled.file.is_symlink()) == (ALICE + BOB, False)
    assert (settled.value["status"], settled.settled) == ("ACTIVE", True)
    assert settled.turn() == []
    kept = [aside / "kept" for aside in path.parent.glob(f"{path.name}.aside-*")]
    assert [file.read_text() for file in kept] == ["somebody's"] * (put is put_directory)


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o660, 0o666])
def test_a_wrong_mode_is_repaired(settled: agent_stage.Stage, mode: int) -> None:
    settled.file.chmod(mode)

    assert settled.turn() == [RELOAD]
    assert settled.file.stat().st_mode & 0o7777 == 0o640
    assert settled.turn() == []


# chown(2) to another user is refused to anybody else; the gate runs this as root.
@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_a_wrong_owner_is_repaired(settled: agent_stage.Stage) -> None:
    os.chown(settled.file, 65534, 65534)

    assert settled.turn() == [RELOAD]
    assert (settled.file.stat().st_uid, settled.file.stat().st_gid) == (os.getuid(), os.getgid())
    assert settled.turn() == []


def test_a_failed_reload_is_an_error_and_tried_again_until_it_works(
    settled: agent_stage.Stage,
) -> None:
    settled.fake.fail("systemctl", "reload", "Job for exim4.service failed.\nSee journal.\n")
    settled.want(ALICE + BOB)

    error = (
        "accounts: systemctl reload exim4: exit status 1: "
        "Job for exim4.service failed. See journal."
    )
    for _ in range(3):
        assert settled.turn() == [RELOAD]
        assert settled.file.read_text() == ALICE + BOB
        assert (settled.value["status"], settled.value["error"]) == ("ERROR", error)
    settled.fake.heal("systemctl", "reload")

    assert settled.turn() == [RELOAD]
    assert (settled.value["status"], settled.value["error"]) == ("ACTIVE", "")
    assert settled.turn() == []


def test_a_report_of_a_repaired_node_has_the_hash_of_its_target(settled: agent_stage.Stage) -> None:
    settled.fake.fail("systemctl", "reload", "no")
    settled.want(ALICE + BOB)
    settled.turn()
    settled.turn()
    settled.fake.heal("systemctl", "reload")
    settled.turn()

    assert settled.settled


def test_a_failed_reload_outlives_the_agent(settled: agent_stage.Stage) -> None:
    settled.fake.fail("systemctl", "reload", "no")
    settled.want(ALICE + BOB)
    settled.turn()
    settled.fake.heal("systemctl", "reload")
    settled.boot()

    assert settled.turn() == [RELOAD]
    assert settled.turn() == []


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(False, id="before the file is replaced"),
        pytest.param(True, id="between file and reload"),
    ],
)
def test_a_crash_before_the_reload_costs_one_pass(
    settled: agent_stage.Stage,
    written: bool,  # noqa: FBT001
) -> None:
    class Crash(BaseException):
        pass

    real = settled.fake.machine

    class Crashing(machine.Machine):
        def ensure_file(self, name: str, *args: tp.Any, **kwargs: tp.Any) -> bool:
            if name == constants.PASSWD_FILE and not written:
                raise Crash
            return super().ensure_file(name, *args, **kwargs)

        def reload_relay(self) -> None:
            raise Crash

    crashing = Crashing(real.root, real.user, real.group)
    with pytest.raises(Crash):
        accounts.Accounts(crashing).ensure(ALICE + BOB)
    settled.want(ALICE + BOB)
    settled.boot()

    assert settled.turn() == [RELOAD]
    assert settled.file.read_text() == ALICE + BOB
    assert settled.turn() == []


def test_a_file_that_cannot_be_written_is_an_error_and_the_old_one_stays(
    settled: agent_stage.Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled.want(ALICE + BOB)

    with monkeypatch.context() as patch:
        fake_node.full_root_disk(patch)
        settled.turn()

    assert settled.file.read_text() == ALICE
    assert (settled.value["status"], settled.value["passwd"]) == ("ERROR", ALICE)
    assert settled.value["error"] == (
        "the target is not kept: [Errno 28] No space left on device; "
        "accounts: [Errno 28] No space left on device"
    )
    assert not settled.settled

    assert settled.turn() == [RELOAD]
    assert (settled.value["status"], settled.settled) == ("ACTIVE", True)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("alice@other.example:$6$salt$alice\n", id="other domain"),
        pytest.param("alice@example.com:$6$salt$alice", id="no line end"),
        pytest.param("alice@example.com:secret\n", id="plaintext"),
        pytest.param(ALICE + "\n" + BOB, id="empty line"),
    ],
)
def test_a_target_that_is_no_account_file_is_refused_without_a_word_of_it(
    settled: agent_stage.Stage, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    settled.want(text)

    assert settled.turn() == []

    assert settled.file.read_text() == ALICE
    assert settled.value["status"] == "ERROR"
    assert "secret" not in settled.value["error"] + caplog.text
    assert "$6$" not in settled.value["error"] + caplog.text


def test_a_dovecot_prefix_is_stripped_and_settles(settled: agent_stage.Stage) -> None:
    prefixed = ALICE + "bob@example.com:{SHA512-CRYPT}$6$salt$bob\n"
    settled.want(prefixed)

    assert settled.turn() == [RELOAD]
    assert settled.file.read_text() == ALICE + BOB
    assert (settled.value["passwd"], settled.settled) == (prefixed, True)
    assert settled.turn() == []
    settled.boot()
    assert settled.turn() == []

    settled.file.write_text(ALICE)
    assert settled.turn() == [RELOAD]
    assert settled.file.read_text() == ALICE + BOB


def test_an_agent_without_a_target_keeps_the_accounts_until_it_is_told(
    settled: agent_stage.Stage,
) -> None:
    settled.want(None)

    assert settled.turn() == []
    assert (settled.file.read_text(), settled.orchestrator.facts) == (ALICE, {})
    assert settled.turn() == []

    settled.want("")
    assert settled.turn() == [RELOAD]
    assert settled.file.read_text() == ""


def test_an_agent_that_starts_anew_reads_the_disk_and_does_nothing(
    settled: agent_stage.Stage,
) -> None:
    settled.boot()

    assert settled.turn() == []
    assert settled.settled


def test_a_new_root_disk_with_the_old_agent_state_is_written_anew(
    settled: agent_stage.Stage,
) -> None:
    settled.file.unlink()
    settled.boot()

    assert settled.turn() == [RELOAD]
    assert settled.file.read_text() == ALICE


def test_a_target_of_a_newer_control_plane_is_applied(settled: agent_stage.Stage) -> None:
    settled.want(ALICE + BOB)
    settled.orchestrator.target[0].value["later"] = 1

    assert settled.turn() == [RELOAD]
    assert settled.file.read_text() == ALICE + BOB


def test_a_resource_the_driver_does_not_have_is_not_found(stage: agent_stage.Stage) -> None:
    stage.want(ALICE)

    with pytest.raises(exceptions.ResourceNotFound):
        stage.driver.get(stage.orchestrator.target[0])


def test_nothing_of_an_account_is_logged(
    stage: agent_stage.Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    stage.fake.configured(DOMAIN)
    stage.want(ALICE + BOB)
    stage.turn()
    stage.file.write_text("eve@example.com:$6$salt$eve\n")
    stage.turn()

    assert "$6$" not in caplog.text
    assert "example.com: accounts written (2)" in caplog.text


def test_a_target_of_a_later_release_serves_and_a_second_pass_does_nothing(
    settled: agent_stage.Stage,
) -> None:
    settled.want(ALICE + BOB, of_a_later_release="x\n")
    assert settled.turn() == [RELOAD]
    before = fake_node.signatures(settled.fake)

    assert settled.turn() == []

    assert fake_node.signatures(settled.fake) == before
    assert (settled.file.read_text(), settled.value["passwd"]) == (ALICE + BOB, ALICE + BOB)
    assert (settled.value["status"], settled.value["error"]) == ("ACTIVE", "")
    # Told again at each pass, until the image is a later one, too.
    assert not settled.settled


def test_a_part_that_is_not_told_is_left_alone(settled: agent_stage.Stage) -> None:
    settled.tell({})
    assert settled.turn() == []
    assert (settled.value["passwd"], settled.settled) == (None, True)
    settled.file.write_text(BOB)
    settled.file.chmod(0o600)
    before = fake_node.signatures(settled.fake)

    settled.boot()
    assert (settled.turn(), settled.turn()) == ([], [])

    after = fake_node.signatures(settled.fake)
    assert after == {**before, **{path: after[path] for path in after.keys() - before.keys()}}
    assert (settled.value["passwd"], settled.value["status"]) == (None, "ACTIVE")
    assert settled.settled


def test_a_part_that_is_told_again_is_written(settled: agent_stage.Stage) -> None:
    settled.tell({})
    settled.turn()
    settled.want(ALICE + BOB)

    assert settled.turn() == [RELOAD]

    assert (settled.file.read_text(), settled.value["passwd"]) == (ALICE + BOB, ALICE + BOB)
    assert settled.settled
    assert settled.turn() == []


def test_a_part_that_was_never_told_is_not_made(stage: agent_stage.Stage) -> None:
    stage.fake.configured(DOMAIN)
    stage.tell({})

    assert (stage.turn(), stage.turn()) == ([], [])

    assert not stage.file.exists()
    assert (stage.value["passwd"], stage.settled) == (None, True)
