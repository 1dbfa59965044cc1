# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Accounts on hold: by the API, in what a node should hold, and in the log."""

from __future__ import annotations

import typing as tp
import uuid as sys_uuid

import pytest

from exordos_paas_mail import models, utils
from exordos_paas_mail.codecs import holds, mail_events
from exordos_paas_mail.control_plane import targets
from exordos_paas_mail.control_plane.reconcile import losses
from exordos_paas_mail.control_plane.records import account_holds
from exordos_paas_mail.tests.unit.control_plane import api_client, gservice, queue_rows, sealed
from exordos_paas_mail.tests.unit.control_plane import stage as stages

Type: tp.TypeAlias = mail_events.Type
NEVER = dict(account_holds.NEVER)


def file() -> str:
    (found,) = models.MailInstance.objects.get_all(filters={})
    return targets.texts(None, found)["holds"]


def states() -> dict[str, str]:
    return {login: hold.state.value for login, hold in holds.by_login(file()).items()}


def act(api: api_client.Client, account: str, action: str, **body: str) -> dict[str, tp.Any]:
    answer = api.call("POST", f"{account}/actions/{action}/invoke", body)
    assert answer.status_code == 200, answer.text
    return tp.cast("dict[str, tp.Any]", answer.json["hold"])


def told(stage: stages.Stage) -> list[tuple[str, str]]:
    """Return the events of accounts as the API lists them."""
    sealed.take_in()
    shown = stage.api.get(f"{stage.path}/events/")
    return [(one["type"], one["text"]) for one in shown if one["message"] is None]


@pytest.fixture
def stage(served: stages.Stage) -> stages.Stage:
    return served


def test_an_account_is_put_on_hold_and_released(api: api_client.Client) -> None:
    instance = api.instance()
    account = api.account(instance, on_limit="hold")
    assert api.get(account)["hold"] == NEVER
    assert file() == ".:0\n"
    held = act(api, account, "hold", reason="password is on a list")
    assert api_client.TIME.fullmatch(held.pop("since"))
    assert held == {
        "active": True,
        "reason": "password is on a list",
        "by": "USER",
        "release": None,
        "released_at": None,
    }
    assert states() == {sealed.LOGIN: "hold"}
    released = act(api, account, "release", messages="delete")
    assert (released["active"], released["release"]) == (False, "delete")
    assert api_client.TIME.fullmatch(released["released_at"])
    assert states() == {sealed.LOGIN: "delete"}
    act(api, account, "release", messages="deliver")
    assert states() == {sealed.LOGIN: "deliver"}


def test_an_account_that_is_not_active_stays_on_hold(api: api_client.Client) -> None:
    account = api.account(api.instance(), on_limit="reject")
    act(api, account, "hold", reason="r")
    api.patch(account, {"active": False})
    assert states() == {sealed.LOGIN: "reject"}


def test_what_becomes_of_new_mail_is_what_becomes_of_it_beyond_a_limit(
    api: api_client.Client,
) -> None:
    account = api.account(api.instance())
    act(api, account, "hold", reason="r")
    assert states() == {sealed.LOGIN: "defer"}
    for state in ("hold", "reject", "defer"):
        api.patch(account, {"on_limit": state})
        assert states() == {sealed.LOGIN: state}


def test_a_release_is_told_for_a_while(
    api: api_client.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = api.account(api.instance())
    act(api, account, "hold", reason="r")
    act(api, account, "release", messages="deliver")
    later = utils.now() + account_holds.RELEASE_KEPT
    monkeypatch.setattr(utils, "now", lambda: later)
    assert states() == {}


def test_a_hold_changes_nothing_that_a_client_writes(api: api_client.Client) -> None:
    account = api.account(api.instance())
    held = act(api, account, "hold", reason="r")
    assert api.patch(account, {"name": "n"})["hold"] == held
    status, said = api.refused("PATCH", account, {"hold": NEVER})
    assert (status, said) == (403, "hold: is read-only")


@pytest.mark.parametrize(
    ("action", "body", "status", "said"),
    [
        ("hold", {}, 400, "reason: is required"),
        ("hold", {"reason": ""}, 400, "reason: must be 1 to 200 characters"),
        ("hold", {"reason": "x" * 201}, 400, "reason: must be 1 to 200 characters"),
        ("hold", {"reason": "a\nb"}, 400, "reason: must be 1 to 200 characters"),
        ("release", {}, 400, "messages: is required"),
        ("release", {"messages": "bounce"}, 400, "messages: must be one of deliver, delete"),
        ("release", {"messages": "deliver"}, 409, "hold: the account is not on hold"),
    ],
)
def test_what_is_asked_wrongly_is_refused(
    api: api_client.Client, action: str, body: dict[str, str], status: int, said: str
) -> None:
    account = api.account(api.instance())
    found, text = api.refused("POST", f"{account}/actions/{action}/invoke", body)
    assert (found, text.startswith(said)) == (status, True), text


def test_an_image_without_holds_is_told_where_one_is_needed(api: api_client.Client) -> None:
    instance = api.instance()
    account = api.account(instance)
    uuid = sys_uuid.UUID(instance.rpartition("/")[2])
    known = frozenset(losses.LOSSES) - {"holds"}
    assert losses.told(uuid, known) == ""
    act(api, account, "hold", reason="r")
    assert "keep accounts on hold" in losses.told(uuid, known)


def test_each_step_is_an_event(stage: stages.Stage) -> None:
    stage.serving()
    account = stage.api.account(stage.path)
    act(stage.api, account, "hold", reason="why")
    act(stage.api, account, "release", messages="delete")
    assert told(stage) == [("held", "USER: why"), ("released", "USER: what is apart is deleted")]
    shown = stage.api.get(f"{stage.path}/events/?type=held")
    assert [one["account"] for one in shown] == [account.rpartition("/")[2]]
    assert len(told(stage)) == 2


def test_an_instance_that_keeps_no_log_has_no_such_events(stage: stages.Stage) -> None:
    stage.serving()
    account = stage.api.account(stage.path)
    stage.api.patch(stage.path, {"log": {"level": "none"}})
    act(stage.api, account, "hold", reason="why")
    assert told(stage) == []


def apart(queue: str, why: str, **fields: tp.Any) -> list[mail_events.Event]:
    return [*sealed.arrival(queue), sealed.event(Type.HELD, queue, text=why, **fields)]


def test_what_a_limit_puts_apart_puts_the_account_on_hold(stage: stages.Stage) -> None:
    writer = sealed.Writer(stage.serving())
    account = stage.api.account(stage.path)
    queue = sealed.queue_id(1)
    writer.write(apart(queue, "account"))
    sealed.take_in()
    assert not stage.api.get(account)["hold"]["active"]
    writer.write(apart(sealed.queue_id(2), "limit"))
    sealed.take_in()
    held = stage.api.get(account)["hold"]
    assert (held["active"], held["by"]) == (True, "LIMIT")
    assert held["reason"].startswith("limit: the message ")
    assert [kind for kind, _ in told(stage)] == ["held"]


def test_a_release_by_a_user_is_final_until_something_happens(stage: stages.Stage) -> None:
    writer = sealed.Writer(stage.serving())
    account = stage.api.account(stage.path)
    before = sealed.now()
    writer.write(apart(sealed.queue_id(1), "limit"))
    sealed.take_in()
    act(stage.api, account, "release", messages="deliver")
    # It happened before, and comes late.
    writer.write(apart(sealed.queue_id(2), "limit", at=before))
    sealed.take_in()
    assert not stage.api.get(account)["hold"]["active"]
    writer.write(apart(sealed.queue_id(3), "limit", at=sealed.now() + 1000))
    sealed.take_in()
    assert stage.api.get(account)["hold"]["by"] == "LIMIT"


def test_a_machine_does_not_take_over_the_hold_of_a_user_and_a_user_does(
    stage: stages.Stage,
) -> None:
    writer = sealed.Writer(stage.serving())
    account = stage.api.account(stage.path)
    held = act(stage.api, account, "hold", reason="mine")
    writer.write(apart(sealed.queue_id(1), "limit", at=sealed.now() + 1000))
    sealed.take_in()
    assert stage.api.get(account)["hold"] == held
    again = act(stage.api, account, "hold", reason="still mine")
    assert again == {**held, "reason": "still mine"}


ORDERS = [
    (["held"], "HELD"),
    (["held", "released"], "ACCEPTED"),
    (["held", "released", "held"], "HELD"),
    (["held", "deleted"], "DELETED"),
    (["held", "released", "delivered", "completed"], "DELIVERED"),
]


@pytest.mark.parametrize("is_late", [False, True], ids=["in order", "the other way round"])
@pytest.mark.parametrize(("kinds", "status"), ORDERS)
def test_a_message_that_is_apart_is_held(
    stage: stages.Stage,
    kinds: list[str],
    status: str,
    is_late: bool,  # noqa: FBT001
) -> None:
    writer = sealed.Writer(stage.serving())
    stage.api.account(stage.path)
    queue, at = sealed.queue_id(1), sealed.now()
    events = [
        sealed.event(Type(kind), queue, at=at + n, recipient="a@b" if kind == "delivered" else "")
        for n, kind in enumerate(kinds)
    ]
    writer.write(sealed.arrival(queue))
    for event in reversed(events) if is_late else events:
        writer.write([event])
    sealed.take_in()
    (message,) = stage.api.get(f"{stage.path}/messages/")
    assert message["status"] == status
    found = stage.api.get(f"{stage.path}/messages/?status={status}")
    assert [one["uuid"] for one in found] == [message["uuid"]]


def test_what_is_apart_is_found_in_the_queue(stage: stages.Stage) -> None:
    node: gservice.Node = stage.serving()
    stage.api.account(stage.path)
    queue = queue_rows.Queue(node)
    names = {True: sealed.queue_id(1, 60), False: sealed.queue_id(2, 60)}
    queue.tell(*(queue_rows.item(name, held=held) for held, name in names.items()))
    queue_rows.follow()
    for held, name in names.items():
        shown = stage.api.get(f"{stage.path}/queue/?held={str(held).lower()}")
        assert [(one["queue_id"], one["held"]) for one in shown] == [(name, held)]
    assert stage.api.refused("GET", f"{stage.path}/queue/?held=maybe")[0] == 400
