# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Accounts that are put on hold for what they send, by the figures of hours."""

from __future__ import annotations

import datetime
import time
import typing as tp

import pytest
from restalchemy.storage.sql import engines

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import mail_events
from exordos_paas_mail.control_plane.events import reputation, stats
from exordos_paas_mail.control_plane.records import locks, reputations
from exordos_paas_mail.tests.unit.control_plane import api_client, sealed
from exordos_paas_mail.tests.unit.control_plane import stage as stages

HOUR = datetime.timedelta(hours=1)


class Account:
    """An account, and the figures of its mail."""

    def __init__(self, stage: stages.Stage) -> None:
        self.writer = sealed.Writer(stage.serving())
        self.stage = stage
        self.path = stage.api.account(stage.path)
        # It has sent before the test.
        with engines.engine_factory.get_engine().session_manager() as session:
            session.execute("UPDATE mail_accounts SET created_at = created_at - interval '1 day'")
        # Of a test that goes on into the next one as well.
        self.hour = utils.now().replace(minute=0, second=0, microsecond=0)

    def sent(
        self,
        delivered: int,
        failed: int,
        *,
        reason: str = "recipient_unknown",
        hours_ago: int = 1,
        of_nobody: bool = False,
    ) -> None:
        account = None if of_nobody else self.path.rpartition("/")[2]
        hour = self.hour - hours_ago * HOUR
        with engines.engine_factory.get_engine().session_manager() as session:
            for column, count, why in (("delivered", delivered, ""), ("failed", failed, reason)):
                session.execute(
                    f"INSERT INTO mail_stats (instance, hour, account, reason, {column})"  # noqa: S608
                    f" VALUES (%s, %s, %s, %s, %s) ON CONFLICT ON CONSTRAINT mail_stats_key"
                    f" DO UPDATE SET {column} = mail_stats.{column} + EXCLUDED.{column}",
                    (
                        *(self.stage.uuid, utils.timestamp(hour)),
                        *(account, why, count),
                    ),
                )

    def complained(self, count: int, *, hours_ago: int = 1, kind: str = "complained") -> None:
        """Have so many recipients report of messages that came so long ago."""
        hour = self.hour - hours_ago * HOUR
        with engines.engine_factory.get_engine().session_manager() as session:
            session.execute(
                "INSERT INTO mail_reports (instance, key, type, account, reason, sent_at, at)"
                " SELECT %s, gen_random_uuid(), %s, %s, 'recipient_unknown', %s, %s"
                " FROM generate_series(1, %s)",
                (
                    *(self.stage.uuid, kind, self.path.rpartition("/")[2]),
                    *(utils.timestamp(hour), utils.timestamp(utils.now()), count),
                ),
            )

    def tell(self, *events: mail_events.Event) -> None:
        """Have the node tell *events*."""
        self.writer.write(events)
        sealed.take_in()

    def judged(self) -> tuple[str | None, list[str]]:
        """Return who has put the account on hold, and the events of it."""
        now = utils.now()
        stats.tell_last_day(now)
        reputation.judge(now)
        sealed.take_in()
        hold = self.stage.api.get(self.path)["hold"]
        shown = self.stage.api.get(f"{self.stage.path}/events/")
        return hold["by"] if hold["active"] else None, [one["type"] for one in shown]


@pytest.fixture
def stage(served: stages.Stage) -> stages.Stage:
    return served


@pytest.fixture
def account(stage: stages.Stage) -> Account:
    return Account(stage)


def test_an_account_is_warned_of_once_and_then_put_on_hold(account: Account) -> None:
    account.sent(193, 7)
    assert account.judged() == (None, [])
    account.sent(0, 2)
    assert account.judged() == (None, ["reputation_low"])
    assert account.judged() == (None, ["reputation_low"])
    account.sent(0, 20)
    assert account.judged() == ("REPUTATION", ["reputation_low", "held"])
    hold = account.stage.api.get(account.path)["hold"]
    assert hold["reason"] == (
        "29 of 222 recipients in 7 days do not exist: 13.1 %, and 8 % are allowed"
    )
    assert account.judged() == ("REPUTATION", ["reputation_low", "held"])


def test_it_is_warned_of_again_when_it_was_well_meanwhile(account: Account) -> None:
    account.sent(190, 10)
    account.judged()
    account.sent(1000, 0)
    assert account.judged() == (None, ["reputation_low"])
    account.sent(0, 50)
    assert account.judged() == (None, ["reputation_low"] * 2)


@pytest.mark.parametrize("reason", ["policy", "reputation", "content", "rate", "other", "expired"])
def test_what_says_nothing_of_the_address_does_not_count(account: Account, reason: str) -> None:
    account.sent(100, 100, reason=reason)
    assert account.judged() == (None, [])


@pytest.mark.parametrize("failed", [12, 100], ids=["low", "over"])
def test_an_account_that_goes_meanwhile_holds_up_nothing(
    account: Account, monkeypatch: pytest.MonkeyPatch, failed: int
) -> None:
    account.sent(200, failed)
    hold = locks.hold_instance

    def deleted(session: tp.Any, uuid: tp.Any) -> bool:
        monkeypatch.setattr(locks, "hold_instance", hold)
        account.stage.api.delete(account.path)
        return hold(session, uuid)

    monkeypatch.setattr(locks, "hold_instance", deleted)
    stats.tell_last_day(utils.now())
    reputation.judge(utils.now())
    assert locks.hold_instance is hold
    sealed.take_in()
    assert account.stage.api.get(f"{account.stage.path}/events/") == []


def test_few_recipients_say_nothing(account: Account) -> None:
    account.sent(0, 199)
    assert account.judged() == (None, [])


def test_what_is_long_ago_does_not_count(account: Account) -> None:
    account.sent(200, 0)
    account.sent(0, 100, hours_ago=24 * 8)
    assert account.judged() == (None, [])


def test_a_release_is_final_until_there_is_new_evidence(account: Account) -> None:
    account.sent(100, 100)
    assert account.judged()[0] == "REPUTATION"
    api = account.stage.api
    answer = api.call("POST", f"{account.path}/actions/release/invoke", {"messages": "deliver"})
    assert answer.status_code == 200
    assert account.judged()[0] is None
    # What follows within the hour of the release is not told apart from what was before.
    account.sent(0, 200, hours_ago=0)
    assert account.judged()[0] is None
    account.sent(0, 200, hours_ago=-2)
    assert account.judged()[0] == "REPUTATION"


def test_an_instance_has_numbers_of_its_own(account: Account) -> None:
    api, path = account.stage.api, account.stage.path
    assert api.get(path)["reputation"] == dict(reputations.DEFAULT)
    own = {"recipients_min": 10, "bounce_warn_percent": 0.5, "bounce_hold_percent": 50, "days": 1}
    whole = {**reputations.DEFAULT, **own}
    assert api.patch(path, {"reputation": own})["reputation"] == whole
    account.sent(9, 1)
    assert account.judged() == (None, ["reputation_low"])
    api.patch(path, {"reputation": {"enabled": False}})
    account.sent(0, 500)
    assert account.judged() == (None, ["reputation_low"])


def test_complaints_are_warned_of_and_then_put_the_account_on_hold(account: Account) -> None:
    account.sent(3000, 0)
    account.complained(2)
    assert account.judged() == (None, [])
    account.complained(1)
    assert account.judged() == (None, ["reputation_low"])
    assert account.judged() == (None, ["reputation_low"])
    account.complained(6)
    assert account.judged() == ("REPUTATION", ["reputation_low", "held"])
    hold = account.stage.api.get(account.path)["hold"]
    assert hold["reason"] == (
        "9 of 3000 recipients in 7 days have complained: 0.30 %, and 0.3 % are allowed"
    )
    events = account.stage.api.get(f"{account.stage.path}/events/?type=reputation_low")
    assert [event["text"] for event in events] == [
        "3 of 3000 recipients in 7 days have complained: 0.10 %, and it is put on hold at 0.3 %"
    ]


def test_so_few_complaints_say_nothing_however_few_recipients_there_are(account: Account) -> None:
    account.sent(2, 0)
    account.complained(2)
    assert account.judged() == (None, [])
    account.complained(1)
    # Three of two: figures are missing.
    assert account.judged() == (None, [])
    account.sent(1, 0)
    assert account.judged()[0] == "REPUTATION"


def test_mail_that_an_hour_has_under_nobodys_name_may_be_the_accounts(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it here; and what has come in one hour is counted in the same."""
    monkeypatch.setattr(stats, "DOMAINS_MAX", 0)
    monkeypatch.setattr(stats, "ACCOUNTS_MAX", 0)
    own = {"complaint_warn_percent": 3, "complaint_hold_percent": 4}
    account.stage.api.patch(account.stage.path, {"reputation": own})
    came = account.hour - HOUR / 2
    monkeypatch.setattr(sealed, "now", lambda: int(came.timestamp() * 1000))
    queue = sealed.queue_id(1, seconds_ago=int(time.time() - came.timestamp()))
    recipients = [f"r{number}@elsewhere.example" for number in range(100)]
    account.tell(
        *sealed.arrival(queue, len(recipients)),
        *(event for one in recipients for event in sealed.delivery(queue, one)),
        *sealed.end(queue),
    )
    kind = mail_events.Type.COMPLAINED
    account.tell(*(sealed.event(kind, queue, recipient=one) for one in recipients[:3]))
    account.judged()
    low = account.stage.api.get(f"{account.stage.path}/events/?type=reputation_low")
    assert [event["text"] for event in low] == [
        "3 of at most 100 recipients in 7 days have complained: 3.0 %, and it is put on hold at 4 %"
    ]
    assert not account.stage.api.get(account.path)["hold"]["active"]
    account.tell(sealed.event(kind, queue, recipient=recipients[3]))
    assert account.judged()[0] == "REPUTATION"


def test_what_nobody_has_sent_counts_since_a_release_alone(account: Account) -> None:
    account.sent(300, 0, of_nobody=True)
    account.sent(180, 20)
    assert account.judged() == (None, ["reputation_low"])
    account.sent(0, 30)
    assert account.judged()[0] == "REPUTATION"
    assert account.stage.api.get(account.path)["hold"]["reason"] == (
        "50 of at most 530 recipients in 7 days do not exist: 9.4 %, and 8 % are allowed"
    )
    api = account.stage.api
    answer = api.call("POST", f"{account.path}/actions/release/invoke", {"messages": "deliver"})
    assert answer.status_code == 200
    account.sent(180, 20, hours_ago=-2)
    assert account.judged()[0] == "REPUTATION"
    assert account.stage.api.get(account.path)["hold"]["reason"] == (
        "20 of 200 recipients in 7 days do not exist: 10.0 %, and 8 % are allowed"
    )


@pytest.mark.parametrize("kind", ["bounced", "complained"])
def test_reports_of_an_hour_whose_figures_are_gone_do_not_count(
    account: Account, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    account.sent(100_000, 0, hours_ago=3)
    account.complained(100, hours_ago=3, kind=kind)
    account.sent(1000, 0)
    assert account.judged() == (None, ["reputation_low"] if kind == "complained" else [])
    # As if the instance had so many rows that the oldest hours go.
    monkeypatch.setattr(stats, "ROWS_MAX", 2)
    stats.keep_in_bounds(utils.now())
    assert account.judged()[0] is None
    account.complained(100, kind=kind)
    assert account.judged()[0] == "REPUTATION"


def test_what_is_reported_later_counts_as_what_is_answered(account: Account) -> None:
    account.sent(192, 8)
    account.complained(8, kind="bounced")
    assert account.judged()[0] == "REPUTATION"
    assert account.stage.api.get(account.path)["hold"]["reason"] == (
        "16 of 200 recipients in 7 days do not exist: 8.0 %, and 8 % are allowed"
    )


def test_each_step_of_each_rate_is_told_once(account: Account) -> None:
    account.sent(4750, 250)
    account.complained(5)
    assert account.judged() == (None, ["reputation_low"] * 2)
    assert account.judged() == (None, ["reputation_low"] * 2)
    # What was complained of is long ago by and by, and may come again.
    with engines.engine_factory.get_engine().session_manager() as session:
        session.execute("UPDATE mail_reports SET sent_at = sent_at - interval '8 days'")
    assert account.judged() == (None, ["reputation_low"] * 2)
    account.complained(5)
    assert account.judged() == (None, ["reputation_low"] * 3)


@pytest.mark.parametrize("kind", ["bounce", "complaint"])
def test_null_is_never(account: Account, kind: str) -> None:
    api, path = account.stage.api, account.stage.path
    never = {f"{kind}_hold_percent": None}
    assert api.patch(path, {"reputation": never})["reputation"] == {**reputations.DEFAULT, **never}
    account.sent(100, 100 if kind == "bounce" else 0)
    account.complained(0 if kind == "bounce" else 50)
    assert account.judged() == (None, ["reputation_low"])
    (event,) = api.get(f"{path}/events/")
    assert (
        event["text"]
        == {
            "bounce": "100 of 200 recipients in 7 days do not exist: 50.0 %",
            "complaint": "50 of 100 recipients in 7 days have complained: 50.0 %",
        }[kind]
    )
    api.patch(path, {"reputation": {**never, f"{kind}_warn_percent": None}})
    assert account.judged() == (None, ["reputation_low"])


def test_complaints_of_mail_from_before_a_release_do_not_count_after_it(account: Account) -> None:
    account.sent(100, 0)
    account.complained(3)
    assert account.judged()[0] == "REPUTATION"
    api = account.stage.api
    answer = api.call("POST", f"{account.path}/actions/release/invoke", {"messages": "deliver"})
    assert answer.status_code == 200
    account.complained(30)
    assert account.judged()[0] is None
    account.sent(100, 0, hours_ago=-2)
    account.complained(3, hours_ago=-2)
    assert account.judged()[0] == "REPUTATION"


def test_a_rule_of_the_release_before_has_the_numbers_that_it_does_not_say(
    account: Account,
) -> None:
    old = '{"enabled": true, "days": 7, "recipients_min": 200, "bounce_warn_percent": 4,'
    with engines.engine_factory.get_engine().session_manager() as session:
        session.execute(
            "UPDATE mail_instances SET reputation = %s::jsonb",
            (f'{old} "bounce_hold_percent": 9}}',),
        )
    shown = account.stage.api.get(account.stage.path)["reputation"]
    assert shown == {**reputations.DEFAULT, "bounce_hold_percent": 9}
    account.sent(100, 0)
    account.complained(3)
    assert account.judged()[0] == "REPUTATION"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1, "must be an object of enabled, days"),
        ({"complaints": 1}, "must be an object of enabled, days"),
        ({"enabled": 1}, "enabled must be true or false"),
        ({"days": 0}, "days must be an integer from 1 to 30"),
        ({"complaints_min": None}, "complaints_min must be an integer from 1 to"),
        ({"complaint_hold_percent": 0}, "complaint_hold_percent must be null or a number above 0"),
        ({"recipients_min": True}, "recipients_min must be an integer from 1 to"),
        ({"bounce_warn_percent": 0}, "bounce_warn_percent must be null or a number above 0"),
        ({"bounce_hold_percent": 101}, "bounce_hold_percent must be null or a number above 0"),
        ({"bounce_hold_percent": "8"}, "bounce_hold_percent must be null or a number above 0"),
        ({"bounce_hold_percent": True}, "bounce_hold_percent must be null or a number above 0"),
    ],
)
def test_what_is_no_rule_is_refused(api: api_client.Client, value: tp.Any, said: str) -> None:
    status, text = api.refused("PATCH", api.instance(), {"reputation": value})
    assert (status, text.startswith(f"reputation: {said}")) == (400, True), text
