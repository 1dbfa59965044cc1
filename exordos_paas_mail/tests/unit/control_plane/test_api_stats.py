# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of an instance: counted once whatever is kept of the log, told by steps of time."""

from __future__ import annotations

import datetime
import typing as tp
import uuid as sys_uuid

import pytest
from restalchemy.storage.sql import engines

from exordos_paas_mail.codecs import mail_events
from exordos_paas_mail.control_plane.events import ingester, keeping, reports, stats
from exordos_paas_mail.control_plane.records import stats as figures
from exordos_paas_mail.tests.unit.control_plane import api_client, sealed
from exordos_paas_mail.tests.unit.control_plane import stage as stages

Type: tp.TypeAlias = mail_events.Type
HOUR = datetime.timedelta(hours=1)
COUNTS = figures.COUNTS
BOB, EVE = "bob@elsewhere.example", "eve@elsewhere.example"


def query(statement: str, *values: tp.Any) -> list[tuple[tp.Any, ...]]:
    with engines.engine_factory.get_engine().session_manager() as session:
        found = session.execute(statement, values)
        return [tuple(row.values()) for row in found.fetchall()] if found.description else []


def milliseconds(moment: datetime.datetime) -> int:
    return int(moment.timestamp() * 1000)


def failure(kind: mail_events.Type, queue: str, recipient: str, reason: str) -> mail_events.Event:
    return sealed.event(kind, queue, recipient=recipient, reason=reason)


class Relay:
    """An instance with two accounts and a node that tells what becomes of mail."""

    def __init__(self, stage: stages.Stage, now: datetime.datetime) -> None:
        self.now, self.stage, self.api, self.path = now, stage, stage.api, stage.path
        node = stage.serving()
        self.account, self.shop = (
            stage.api.account(stage.path, name).rpartition("/")[2] for name in ("noreply", "shop")
        )
        self.writer = sealed.Writer(node)
        # Older than what it tells of, whose time is the test's beginning.
        with engines.engine_factory.get_engine().session_manager() as session:
            session.execute("UPDATE mail_accounts SET created_at = created_at - interval '1 day'")

    def tell(self, *events: mail_events.Event) -> None:
        self.writer.write(events)
        sealed.take_in()

    def stats(self, asked: str = "") -> list[dict[str, tp.Any]]:
        found: list[dict[str, tp.Any]] = self.api.get(f"{self.path}/stats/{asked}")
        return found

    def told(self, asked: str, *names: str) -> list[tuple[tp.Any, ...]]:
        return [tuple(each[name] for name in names) for each in self.stats(asked)]

    def total(self, asked: str = "") -> dict[str, int]:
        sums = {name: sum(each[name] for each in self.stats(asked)) for name in COUNTS}
        return {name: count for name, count in sums.items() if count}


@pytest.fixture
def stage(served: stages.Stage) -> stages.Stage:
    return served


@pytest.fixture
def relay(stage: stages.Stage, monkeypatch: pytest.MonkeyPatch) -> Relay:
    now = datetime.datetime.now(datetime.timezone.utc)
    # All of a test happens in one hour.
    monkeypatch.setattr(sealed, "now", lambda: milliseconds(now))
    return Relay(stage, now)


@pytest.fixture
def told(relay: Relay) -> Relay:
    """Return a relay with a message in each state, and what is of no message."""
    well, failed, late = (sealed.queue_id(number) for number in range(3))
    relay.tell(
        *sealed.whole(well, "A@Example.org"),
        *sealed.arrival(failed, account="shop@mail.example.com", recipients=2),
        failure(Type.FAILED, failed, "b@example.net", "recipient_unknown"),
        failure(Type.FAILED, failed, "c@example.org", "policy"),
        *sealed.end(failed),
        *sealed.arrival(late),
        failure(Type.DEFERRED, late, "d@example.net", "network"),
        failure(Type.DEFERRED, late, "d@example.net", "network"),
        sealed.event(Type.REJECTED, client="192.0.2.9", command="RCPT", count=4),
        sealed.event(Type.LOGIN_FAILED, account=sealed.LOGIN, client="192.0.2.9", count=3),
        sealed.event(Type.GAP, text="cut", count=9),
    )
    return relay


ALL = dict(zip(COUNTS, (3, 1, 2, 2, 4, 3, 1), strict=False))


def test_what_happened_is_told(told: Relay) -> None:
    assert told.total() == ALL
    (step,) = told.stats("?step=1d")
    assert step.pop("at").startswith(f"{told.now:%Y-%m-%d}T00:00:00")
    figures_ = {**dict.fromkeys(COUNTS, 0), **ALL}
    assert step == {"account": None, "class": None, "recipient_domain": None, **figures_}


def test_figures_have_the_fields_of_their_model_in_its_order(told: Relay) -> None:
    names = {"reason": "class"}
    fields = [names.get(name, name) for name in figures.MailStat.properties.properties]
    for by in ("", "&by=account", "&by=class", "&by=recipient_domain"):
        for step in told.stats(f"?step=1d{by}"):
            assert list(step) == fields
            assert api_client.TIME.fullmatch(step["at"])


def test_figures_are_told_by_account_class_and_domain(told: Relay) -> None:
    assert sorted(told.told("?step=1d&by=account", "account", "submitted", "failed"), key=str) == (
        sorted([(told.account, 2, 0), (told.shop, 1, 2), (None, 0, 0)], key=str)
    )
    assert told.told("?step=1d&by=class", "class", "delivered", "deferred", "failed") == [
        ("network", 0, 2, 0),
        ("policy", 0, 0, 1),
        ("recipient_unknown", 0, 0, 1),
        (None, 1, 0, 0),
    ]
    domains = told.told("?step=1d&by=recipient_domain", "recipient_domain", "delivered", "failed")
    assert domains == [("example.net", 0, 1), ("example.org", 1, 1), (None, 0, 0)]
    for asked, expected in (
        (f"account={told.shop}", {"submitted": 1, "failed": 2}),
        ("class=network", {"deferred": 2}),
        ("recipient_domain=Example.ORG", {"delivered": 1, "failed": 1}),
        (f"account={told.shop}&recipient_domain=example.org&by=class", {"failed": 1}),
        (f"account={sys_uuid.uuid4()}", {}),
    ):
        assert told.total(f"?{asked}") == expected, asked


def test_a_step_is_whole_and_begins_when_its_day_does(relay: Relay) -> None:
    day = relay.now.replace(hour=0, minute=0, second=0, microsecond=0) - datetime.timedelta(days=3)
    relay.tell(
        *(
            sealed.event(Type.REJECTED, at=milliseconds(day + moment))
            for moment in (
                *(datetime.timedelta(0), 0.99 * HOUR, HOUR, 5.5 * HOUR, 6 * HOUR, 23.9 * HOUR),
                *(24 * HOUR, -0.1 * HOUR),
            )
        )
    )

    def hours(asked: str) -> list[tuple[str, int]]:
        return [(at[8:16], count) for at, count in relay.told(asked, "at", "rejected")]

    first, last = f"{day:%Y-%m-%dT%H:%M:%SZ}", f"{day + 24 * HOUR:%Y-%m-%dT%H:%M:%SZ}"
    date, following = f"{day:%d}", f"{day + 24 * HOUR:%d}"
    between = f"from={first}&to={last}"
    assert hours(f"?{between}") == [
        *((f"{date}T00:00", 2), (f"{date}T01:00", 1), (f"{date}T05:00", 1), (f"{date}T06:00", 1)),
        (f"{date}T23:00", 1),
    ]
    assert hours(f"?{between}&step=6h") == [
        *((f"{date}T00:00", 4), (f"{date}T06:00", 1), (f"{date}T18:00", 1)),
    ]
    assert hours(f"?{between}&step=1d") == [(f"{date}T00:00", 6)]
    # What is asked for is widened to whole steps.
    inside, beyond = (f"{day + part * HOUR:%Y-%m-%dT%H:%M:%SZ}" for part in (2, 25))
    assert hours(f"?from={inside}&to={beyond}&step=1d") == [
        *((f"{date}T00:00", 6), (f"{following}T00:00", 1)),
    ]
    assert hours(f"?from={inside}&to={beyond}&step=12h") == [
        *((f"{date}T00:00", 5), (f"{date}T12:00", 1), (f"{following}T00:00", 1)),
    ]
    assert hours("?step=1h") == []
    assert sum(count for _, count in hours("?step=1d")) == 8


BAD = [
    *(("from", value) for value in ("", "yesterday", "2026-13-01", "0001-01-01", "1e9", "%00")),
    *(("to", value) for value in ("x", "2026-01-01T00:00:00+99:00", "9999-12-31", "Z")),
    *(("step", value) for value in ("", "0", "5h", "0h", "-1h", "1", "3600", "7d", "1H", "1h,1h")),
    *(("by", value) for value in ("", "queue_id", "account,class", "reason")),
    *(("account", value) for value in ("", "x")),
    *(("class", value) for value in ("", "unheard", "NETWORK")),
    *(("recipient_domain", value) for value in ("", "x" * 256, "a%00b")),
    *((name, "1") for name in ("page_limit", "page_marker", "q", "sort_key", "nonsense", "")),
]


def test_a_bad_parameter_is_named(api: api_client.Client) -> None:
    instance = api.instance()
    for name, value in BAD:
        status, message = api.refused("GET", f"{instance}/stats/?{name}={value}")
        assert (status, message.partition(": ")[0]) == (400, name or "query"), (name, value)
    for asked, field in (
        ("step=1h&step=1d", "step"),
        ("from=2026-01-02&to=2026-01-01", "to"),
        ("from=2026-01-01&to=2026-01-01", "to"),
        ("from=2999-01-01", "to"),
        ("from=1970-01-01&step=1d", "from"),
        ("from=2026-01-01&to=2026-03-01", "from"),
        ("from=2026-01-01&to=2026-01-10&by=class", "from"),
    ):
        status, message = api.refused("GET", f"{instance}/stats/?{asked}")
        assert (status, message.partition(": ")[0]) == (400, field), asked
    for asked in (
        "from=2026-01-01&to=2026-02-11T16:00:00Z",
        "from=2026-01-01&to=2028-09-27&step=1d",
        "from=2026-01-01&to=2026-01-05T04:00:00Z&by=class",
        "from=1970-01-01&to=1970-01-01T00:00:00.000001Z",
        "to=2999-12-31T23:59:59Z&step=12h",
    ):
        assert api.get(f"{instance}/stats/?{asked}") == [], asked
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert api.refused(method, f"{instance}/stats/", {})[0] in {403, 404, 405}
    assert api.refused("GET", f"{instance}/stats/{sys_uuid.uuid4()}")[0] in {404, 405}


def test_what_a_node_says_is_counted_within_bounds(relay: Relay) -> None:
    queue = sealed.queue_id(1)
    relay.tell(
        *sealed.arrival(queue),
        failure(Type.FAILED, queue, "a@" + "x" * 300, "unheard"),
        sealed.event(Type.REJECTED, count=2**53),
        # It has not happened yet, and is counted now.
        sealed.event(Type.LOGIN_FAILED, at=milliseconds(relay.now + 20 * HOUR)),
    )
    counts = {"submitted": 1, "failed": 1, "rejected": 1_000_000, "login_failed": 1}
    assert relay.total() == counts
    assert relay.total("?class=other&recipient_domain=other") == {"failed": 1}


def test_figures_are_counted_once_and_are_one_instances_alone(told: Relay) -> None:
    told.writer.write_as(1, sealed.whole(sealed.queue_id(1)))
    sealed.take_in()
    assert told.total() == ALL
    assert told.api.get(f"{told.api.instance()}/stats/") == []


@pytest.mark.parametrize("level", ["failures", "none"])
def test_figures_do_not_depend_on_what_is_kept_of_the_log(relay: Relay, level: str) -> None:
    relay.api.patch(relay.path, {"log": {"level": level}})
    well, failed = sealed.queue_id(1), sealed.queue_id(2)
    relay.tell(*sealed.whole(well), *sealed.arrival(failed))
    relay.tell(failure(Type.FAILED, failed, "b@example.net", "policy"), *sealed.end(failed))
    assert relay.total() == {"submitted": 2, "delivered": 1, "failed": 1}
    assert relay.total(f"?account={relay.account}") == {
        "submitted": 2,
        "delivered": 1,
        # Of whom a message is, nobody knows who keeps nothing of it.
        **({"failed": 1} if level == "failures" else {}),
    }
    kept = query("SELECT count(*) AS events FROM mail_events")
    assert kept == [(4 if level == "failures" else 0,)]


def test_when_the_log_of_all_is_full_figures_alone_go_on(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay.tell(*sealed.whole(sealed.queue_id(1)))
    taking = ingester.Ingester()
    monkeypatch.setattr(keeping, "SIZE_MAX", 1)
    taking.keep()
    relay.writer.write(sealed.whole(sealed.queue_id(2)))
    taking.run_once()
    kinds = [kind for (kind,) in query("SELECT type FROM mail_events ORDER BY uuid")]
    assert kinds == ["submitted", "accepted", "delivered", "completed", "gap"]
    assert query("SELECT text FROM mail_events WHERE type = 'gap'") == [
        ("the log of all instances is full: nothing but figures is kept",)
    ]
    assert relay.total() == {"submitted": 2, "delivered": 2}


def test_what_the_log_leaves_out_is_counted_for_nobody(relay: Relay) -> None:
    gone = sealed.queue_id(1)
    relay.tell(*sealed.arrival(gone, account="shop@mail.example.com"))
    relay.api.delete(f"{relay.path}/accounts/{relay.shop}")
    sealed.take_in()
    relay.tell(*sealed.delivery(gone), *sealed.delivery(sealed.queue_id(9)))
    assert sorted(relay.told("?by=account", "account", "submitted", "delivered"), key=str) == (
        sorted([(relay.shop, 1, 0), (None, 0, 2)], key=str)
    )


def test_an_instance_tells_its_last_day(told: Relay) -> None:
    fields = ("sent_24h", "failed_24h", "deferred_24h")
    assert told.stage.shown(*fields) == (1, 2, 2)
    assert [each[field] for each in told.api.get(api_client.INSTANCES) for field in fields] == [
        *(1, 2, 2)
    ]
    touched = told.stage.shown("updated_at")
    stats.tell_last_day(told.now)
    assert (told.stage.shown("updated_at"), told.stage.shown(*fields)) == (touched, (1, 2, 2))
    assert len(told.api.get(f"{api_client.INSTANCES}?failed_24h=2")) == 1
    query("UPDATE mail_stats SET hour = hour - interval '23 hours'")
    stats.tell_last_day(told.now)
    assert told.stage.shown(*fields) == (1, 2, 2)
    query("UPDATE mail_stats SET hour = hour - interval '1 hour'")
    stats.tell_last_day(told.now)
    assert told.stage.shown(*fields) == (0, 0, 0)
    for field in fields:
        assert told.api.refused("PATCH", told.path, {field: 1})[0] in {400, 403}


def test_an_hour_of_many_domains_has_most_of_them_under_one_name(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stats, "DOMAINS_MAX", 3)
    monkeypatch.setattr(stats, "ACCOUNTS_MAX", 4)
    first, second = sealed.queue_id(1), sealed.queue_id(2)
    relay.tell(*sealed.arrival(first), *sealed.delivery(first, "a@1.example"))
    relay.tell(*(e for n in range(1, 6) for e in sealed.delivery(first, f"a@{n}.example")))
    relay.tell(
        *sealed.arrival(second, account="shop@mail.example.com"),
        *sealed.delivery(second, "a@9.example"),
        *sealed.delivery(second, "a@2.example"),
    )
    asked = relay.told("?by=recipient_domain", "recipient_domain", "delivered")
    assert asked == [("1.example", 2), ("2.example", 1), ("other", 5), (None, 0)]
    assert relay.total() == {"submitted": 2, "delivered": 8}
    assert relay.total(f"?account={relay.account}") == {"submitted": 1, "delivered": 6}
    assert query("SELECT count(*) AS rows FROM mail_stats") == [(6,)]


def test_the_values_with_the_most_are_told(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "VALUES_MAX", 2)
    queue = sealed.queue_id(1)
    relay.tell(
        *sealed.arrival(queue),
        *(e for n in (1, 2, 2, 2, 3, 3) for e in sealed.delivery(queue, f"a@{n}.example")),
    )
    asked = relay.told("?by=recipient_domain", "recipient_domain", "delivered")
    assert asked == [("2.example", 3), ("3.example", 2)]


def test_figures_outlive_the_log_and_are_bounded(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stats, "_ROUND", 2)
    relay.tell(
        *(
            sealed.event(Type.REJECTED, at=milliseconds(relay.now - days * 24 * HOUR))
            for days in (0, 20, 40, 60, 80)
        )
    )
    assert relay.total("?step=1d&from=" + f"{relay.now - 90 * 24 * HOUR:%Y-%m-%d}") == {
        "rejected": 5
    }
    query(
        "UPDATE mail_stats SET hour = hour - interval '380 days'"
        " WHERE hour < now() - interval '30 days'"
    )
    keeping.Keeper().run_once()
    assert query("SELECT rejected FROM mail_stats") == [(1,), (1,)]
    monkeypatch.setattr(stats, "ROWS_MAX", 1)
    keeping.Keeper().run_once()
    assert relay.total() == {"rejected": 1}
    assert query("SELECT rejected FROM mail_stats") == [(1,)]


def test_an_hour_that_was_taken_out_is_not_made_anew_by_a_late_batch(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tell_again() -> None:
        relay.tell(
            *(
                sealed.event(Type.REJECTED, at=milliseconds(relay.now - hours * HOUR))
                for hours in (0, 1, 2)
            )
        )

    tell_again()
    monkeypatch.setattr(stats, "ROWS_MAX", 2)
    keeping.Keeper().run_once()
    assert query("SELECT rejected FROM mail_stats") == [(1,), (1,)]
    # There is room for more, and a node tells late.
    monkeypatch.undo()
    monkeypatch.setattr(sealed, "now", lambda: milliseconds(relay.now))
    tell_again()
    assert query("SELECT rejected FROM mail_stats") == [(2,), (2,)]
    keeping.Keeper().run_once()
    assert query("SELECT rejected FROM mail_stats") == [(2,), (2,)]


def test_figures_go_with_the_instance(told: Relay) -> None:
    told.api.delete(told.path)
    sealed.take_in()
    assert query("SELECT * FROM mail_stats") == []
    assert query("SELECT * FROM mail_stats_since") == []


def reports_of(queue: str, *recipients: str, kind: mail_events.Type) -> list[mail_events.Event]:
    reason = "recipient_unknown" if kind is Type.BOUNCED else ""
    return [failure(kind, queue, recipient, reason) for recipient in recipients]


def test_what_is_reported_of_a_recipient_counts_once_a_message(relay: Relay) -> None:
    first, second = sealed.queue_id(1), sealed.queue_id(2)
    for queue in (first, second):
        relay.tell(*sealed.arrival(queue, recipients=2))
        relay.tell(*sealed.delivery(queue, BOB), *sealed.delivery(queue, EVE), *sealed.end(queue))
    for kind in (Type.COMPLAINED, Type.BOUNCED):
        for _ in range(2):
            relay.tell(*reports_of(first, BOB, BOB.upper(), kind=kind))
            relay.tell(*reports_of(first, EVE, kind=kind), *reports_of(second, BOB, kind=kind))
            # Nobody whom the message has reached.
            relay.tell(*reports_of(second, "mallory@elsewhere.example", "", kind=kind))
    assert relay.told(f"?account={relay.account}", "bounced", "complained") == [(3, 4)]
    by_domain = relay.told("?by=recipient_domain", "recipient_domain", "bounced", "complained")
    assert set(by_domain) == {("elsewhere.example", 3, 3), (None, 0, 1)}
    assert relay.told("?class=recipient_unknown", "bounced", "complained") == [(3, 0)]


@pytest.mark.parametrize(
    "batches",
    [
        [["mailbox_full", "recipient_unknown", "policy"]],
        [["mailbox_full"], ["recipient_unknown"], ["recipient_disabled"], [""]],
        [["recipient_unknown"], ["mailbox_full"]],
    ],
    ids=["at once", "one after the other", "hard first"],
)
def test_that_there_is_no_address_is_heard_after_a_bounce_that_did_not_say_so(
    relay: Relay, batches: list[list[str]]
) -> None:
    queue = sealed.queue_id(1)
    relay.tell(*sealed.whole(queue, BOB))
    for reasons in batches:
        relay.tell(*(failure(Type.BOUNCED, queue, BOB, reason) for reason in reasons))
    assert relay.total() == {"submitted": 1, "delivered": 1, "bounced": 1}
    assert query("SELECT type, reason FROM mail_reports") == [("bounced", "recipient_unknown")]
    (entry,) = relay.api.get(f"{relay.path}/suppressions/")
    assert (entry["address"], entry["reason"]) == (BOB, "HARD_BOUNCE")


@pytest.mark.parametrize("level", ["failures", "none"])
def test_a_complaint_of_a_message_that_is_not_kept_counts_of_nobody(
    relay: Relay, level: str
) -> None:
    relay.api.patch(relay.path, {"log": {"level": level}})
    queue = sealed.queue_id(1)
    relay.tell(*sealed.whole(queue, BOB))
    for _ in range(2):
        relay.tell(*reports_of(queue, BOB, kind=Type.COMPLAINED))
        relay.tell(*reports_of("", BOB, kind=Type.COMPLAINED))
        relay.tell(*reports_of(queue, BOB, kind=Type.BOUNCED))
    assert relay.total() == {"submitted": 1, "delivered": 1, "complained": 1}
    by_account = relay.told("?by=account", "account", "complained")
    assert set(by_account) == {(None, 1), (relay.account, 0)}


def test_figures_that_the_release_before_has_written_are_added_to(relay: Relay) -> None:
    queue = sealed.queue_id(1)
    relay.tell(*sealed.whole(queue, BOB))
    query("UPDATE mail_stats SET bounced = NULL, complained = NULL")
    assert relay.total() == {"submitted": 1, "delivered": 1}
    relay.tell(*reports_of(queue, BOB, kind=Type.COMPLAINED))
    assert relay.total() == {"submitted": 1, "delivered": 1, "complained": 1}


def test_reports_are_forgotten_when_none_can_come_any_more(relay: Relay) -> None:
    queue = sealed.queue_id(1)
    relay.tell(*sealed.whole(queue, BOB), *reports_of(queue, BOB, kind=Type.COMPLAINED))
    found = query("SELECT instance::text, account::text, type FROM mail_reports")
    assert found == [(relay.stage.uuid, relay.account, "complained")]
    reports.keep_in_bounds(relay.now + reports.KEPT - HOUR)
    assert query("SELECT count(*) FROM mail_reports") == [(1,)]
    reports.keep_in_bounds(relay.now + reports.KEPT + HOUR)
    assert query("SELECT count(*) FROM mail_reports") == [(0,)]
    # An instance takes its own along, whatever keys others have.
    relay.tell(*reports_of(queue, BOB, kind=Type.COMPLAINED))
    other = sys_uuid.uuid4()
    query(
        "INSERT INTO mail_reports (instance, key, type, sent_at, at)"
        " SELECT %s, key, type, sent_at, at FROM mail_reports",
        str(other),
    )
    assert query("SELECT count(*) FROM mail_reports") == [(2,)]
    relay.api.delete(relay.path)
    sealed.take_in()
    assert query("SELECT instance FROM mail_reports") == [(other,)]
