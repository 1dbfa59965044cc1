# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""How much of what became of mail is kept, for how long, and what is erased when asked."""

from __future__ import annotations

import typing as tp
import uuid as sys_uuid

import pytest
from restalchemy.storage.sql import engines

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import erased, mail_events, mentions
from exordos_paas_mail.control_plane.documents import collections
from exordos_paas_mail.control_plane.events import ingester, keeping, rows, shares
from exordos_paas_mail.control_plane.records import erasures
from exordos_paas_mail.tests.unit.control_plane import api_client, sealed
from exordos_paas_mail.tests.unit.control_plane import stage as stages

Type: tp.TypeAlias = mail_events.Type
DEFAULT = {"level": "all", "retention_days": 14, "max_rows": 1_000_000}


def query(statement: str, *values: tp.Any) -> list[tuple[tp.Any, ...]]:
    with engines.engine_factory.get_engine().session_manager() as session:
        found = session.execute(statement, values)
        return [tuple(row.values()) for row in found.fetchall()] if found.description else []


def counts() -> tuple[int, int]:
    ((messages, events),) = query(
        "SELECT (SELECT count(*) FROM mail_messages) AS messages,"
        " (SELECT count(*) FROM mail_events) AS events"
    )
    return messages, events


@pytest.fixture
def stage(served: stages.Stage) -> stages.Stage:
    return served


@pytest.fixture
def writer(stage: stages.Stage) -> sealed.Writer:
    node = stage.serving()
    stage.api.account(stage.path)
    return sealed.Writer(node)


def test_the_log_of_an_instance_is_kept_as_it_says(api: api_client.Client) -> None:
    instance = api.instance()
    assert api.get(instance)["log"] == DEFAULT
    assert api.patch(instance, {"log": {"level": "none"}})["log"] == {**DEFAULT, "level": "none"}
    assert api.patch(instance, {"log": {"retention_days": 1}})["log"] == {
        **DEFAULT,
        "retention_days": 1,
    }
    whole = {"level": "failures", "retention_days": 90, "max_rows": 1000}
    assert api.get(api.instance(log=whole))["log"] == whole
    bads: tuple[tp.Any, ...] = (
        *(None, "all", [], {"level": "some"}, {"level": None}, {"level": []}, {"unheard": 1}),
        *({"retention_days": days} for days in (0, 91, -1, 1.5, "1", True, None, 2**70)),
        *({"max_rows": rows} for rows in (999, 10_000_001, "x", None)),
    )
    for bad in bads:
        for method, path, body in (
            ("PATCH", instance, {"log": bad}),
            (
                "POST",
                api_client.INSTANCES,
                api.instance_body(api.get(instance)["version"], log=bad),
            ),
        ):
            status, message = api.refused(method, path, body)
            assert (status, message.startswith("log: ")) == (400, True), message


def test_where_failures_are_kept_what_went_well_leaves_no_trace(
    stage: stages.Stage, writer: sealed.Writer
) -> None:
    stage.api.patch(stage.path, {"log": {"level": "failures"}})
    well, later, failed = (sealed.queue_id(number) for number in range(3))
    writer.write(
        [
            *sealed.whole(well),
            *sealed.arrival(later),
            *sealed.arrival(failed),
            sealed.event(Type.FAILED, failed, recipient="b@example.net"),
            *sealed.end(failed),
        ]
    )
    sealed.take_in()
    assert counts() == (2, 6)
    writer.write([*sealed.delivery(later)])
    writer.write([*sealed.end(later)])
    sealed.take_in()
    assert query("SELECT queue_id, status FROM mail_messages") == [(failed, "FAILED")]
    assert counts() == (1, 4)


def test_where_nothing_is_kept_a_gap_is_told_all_the_same(
    stage: stages.Stage, writer: sealed.Writer
) -> None:
    stage.api.patch(stage.path, {"log": {"level": "none"}})
    writer.write([*sealed.whole(sealed.queue_id(1)), sealed.event(Type.GAP, text="cut", count=5)])
    sealed.take_in()
    assert query("SELECT type, text, count FROM mail_events") == [("gap", "cut", 5)]
    assert sealed.waiting() == 0


def test_what_is_known_of_a_recipient_is_erased(stage: stages.Stage, writer: sealed.Writer) -> None:
    alone, shared, other = (sealed.queue_id(number) for number in range(3))
    gone = "Gone@example.org"
    writer.write(
        [
            *sealed.whole(alone, gone),
            *sealed.arrival(shared, recipients=2),
            *sealed.delivery(shared, gone.lower()),
            *sealed.delivery(shared, "kept@example.org"),
            *sealed.whole(other, "other@example.org"),
            sealed.event(Type.REJECTED, command="RCPT", text="<gone@example.org>: no"),
            sealed.event(Type.REJECTED, command="RCPT", text="<kept@example.org>: no"),
            sealed.event(Type.REJECTED, command="RCPT", text="<be.gone@example.org>: no"),
        ]
    )
    sealed.take_in()
    action = f"{stage.path}/actions/erase/invoke"
    answer = stage.api.call("POST", action, {"recipient": "gone@EXAMPLE.org"})
    assert (answer.status_code, answer.json["uuid"]) == (200, stage.uuid)
    sealed.take_in()
    found = query("SELECT queue_id FROM mail_messages ORDER BY queue_id")
    assert found == [(shared,), (other,)]
    assert "gone@" not in str(query("SELECT * FROM mail_events")).lower().replace("be.gone@", "")
    assert counts() == (2, 3 + 4 + 2)
    assert query("SELECT * FROM mail_erasures") == []
    # The node is told whom, and of which message nothing is left.
    names = (gone.lower(), alone)
    shards = sorted({erased.shard_of(name) for name in names})
    due = "SELECT shard FROM mail_documents WHERE collection = 'erased' AND due ORDER BY shard"
    assert query(due) == [(shard,) for shard in shards]
    ((at,),) = query("SELECT DISTINCT at FROM mail_erased")
    told: dict[str, int] = {}
    instance = sys_uuid.UUID(stage.uuid)
    with utils.transaction() as session:
        for shard in shards:
            content = collections.RENDERERS[erased.COLLECTION](session, instance, shard)
            told |= erased.parse(content)
    assert told == dict.fromkeys(names, utils.milliseconds(at))
    # Whatever mail an address had: the addresses of a shard are told before it.
    query(
        "INSERT INTO mail_erased SELECT instance, 'id' || n, shard, at + interval '1 minute'"
        " FROM mail_erased, generate_series(1, %s) n WHERE strpos(name, '@') > 0",
        erased.NAMES_MAX,
    )
    with utils.transaction() as session:
        shard = erased.shard_of(gone.lower())
        content = collections.RENDERERS[erased.COLLECTION](session, instance, shard)
    assert gone.lower() in erased.parse(content)
    query("DELETE FROM mail_erased WHERE starts_with(name, 'id')")
    query("UPDATE mail_documents SET due = false")
    keeping.Keeper().keep_in_bounds()
    assert (query(due), len(query("SELECT * FROM mail_erased"))) == ([], 2)
    query("UPDATE mail_erased SET at = at - interval '8 days'")
    keeping.Keeper().keep_in_bounds()
    assert query(due) == [(shard,) for shard in shards]
    assert query("SELECT * FROM mail_erased") == []


@pytest.mark.parametrize(
    ("address", "named", "not_named"),
    [
        (
            "bob@example.org",
            (
                "bob@example.org",
                "550 No BOB@Example.ORG. Sorry",
                "<bob@example.org>: no",
                "bob@example.org...User unknown",
                "user 'bob@example.org' is not known",
                "rcpt=bob@example.org,",
                "bob@example.org - no",
                "mailto:bob@example.org: no",
            ),
            (
                "jim.bob@example.org",
                "jim-bob@example.org",
                "jim+bob@example.org",
                "o'bob@example.org",
                "bob@example.org.uk bob@example.org-x.example",
                "bob@example.orga",
                "bob@exampleXorg",
                "bob@example.org--x.example",
            ),
        ),
        ("a+b*c@example.org", ("<a+b*c@example.org>",), ("aab*c@example.org", "a+bbc@example.org")),
        ('"a b"@example.org', ('<"A b"@example.org>',), ('"x a b"@example.org',)),
        ("bob@[192.0.2.1]", ("<bob@[192.0.2.1]>: no",), ("<bob@[192.0.2x1]>",)),
    ],
    ids=["plain", "special", "quoted", "literal"],
)
@pytest.mark.usefixtures("database")
def test_words_name_an_address_and_not_what_it_is_a_part_of(
    address: str, named: tuple[str, ...], not_named: tuple[str, ...]
) -> None:
    found = query(
        "SELECT words FROM unnest(%s::text[]) AS words WHERE words ~* %s",
        [*named, *not_named],
        mentions.pattern(mentions.check(address)),
    )
    assert [*found] == [(words,) for words in named]
    here = [words for words in (*named, *not_named) if mentions.is_named(address, words)]
    assert here == [*named]


def test_more_than_a_round_is_erased_in_the_end(
    stage: stages.Stage, writer: sealed.Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasures, "_ROUND", 2)
    writer.write([e for n in range(7) for e in sealed.whole(sealed.queue_id(n))])
    sealed.take_in()
    stage.api.call("POST", f"{stage.path}/actions/erase/invoke", {"recipient": "a@example.org"})
    # Whoever asks does not wait for any of it.
    assert counts() == (7, 28)
    sealed.take_in()
    assert counts() == (0, 0)


def test_erasures_are_carried_out_some_at_a_time(
    stage: stages.Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "ERASURES_MAX", 2)
    for number in range(3):
        body = {"recipient": f"a{number}@example.org"}
        stage.api.call("POST", f"{stage.path}/actions/erase/invoke", body)
    keeper = keeping.Keeper()
    for left in (["a2@example.org"], []):
        keeper.run_once()
        assert query("SELECT recipient FROM mail_erasures") == [(each,) for each in left]


@pytest.mark.parametrize("gone", ["account", "instance"])
def test_an_erasure_of_a_recipient_waits_for_none_of_millions(
    stage: stages.Stage, writer: sealed.Writer, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    monkeypatch.setattr(erasures, "_ROUND", 2)
    monkeypatch.setattr(keeping, "ERASURES_MAX", 1)
    monkeypatch.setattr(keeping, "ERASURE_ROUNDS", 3)
    writer.write([e for n in range(7) for e in sealed.whole(sealed.queue_id(n), f"a{n}@b.example")])
    sealed.take_in()
    assert counts() == (7, 28)
    stage.api.call("POST", f"{stage.path}/actions/erase/invoke", {"recipient": "a0@b.example"})
    # The account, and the instance, were asked for before.
    query("UPDATE mail_erasures SET created_at = now() + interval '1 day'")
    (account,) = stage.api.get(f"{stage.path}/accounts/")
    path = f"{stage.path}/accounts/{account['uuid']}" if gone == "account" else stage.path
    stage.api.delete(path)
    keeper = keeping.Keeper()
    told = []
    while query("SELECT uuid FROM mail_erasures"):
        keeper.run_once()
        told.append(counts()[1])
    # One look for the person, and then three rounds of two events a look.
    assert told == [24, 18, 12, 6, 0, 0]
    assert counts() == (0, 0)


@pytest.mark.parametrize("address", ["A@M\u00fcller.example", "a@XN--mller-kva.example"])
def test_who_is_erased_is_found_in_either_spelling_of_the_domain(
    stage: stages.Stage, writer: sealed.Writer, address: str
) -> None:
    sent = ("a@m\u00fcller.example", "a@xn--mller-kva.example")
    writer.write([e for n, each in enumerate(sent) for e in sealed.whole(sealed.queue_id(n), each)])
    said = [f"<{each}>: no" for each in (*sent, "b@m\u00fcller.example")]
    writer.write([sealed.event(Type.REJECTED, command="RCPT", text=text) for text in said])
    sealed.take_in()
    # As an earlier release has stored it.
    query("UPDATE mail_events SET recipient = %s WHERE recipient IS NOT NULL", sent[0])
    stage.api.call("POST", f"{stage.path}/actions/erase/invoke", {"recipient": address})
    sealed.take_in()
    assert query("SELECT text FROM mail_events") == [(said[2],)]
    assert query("SELECT uuid FROM mail_messages") == []
    assert query("SELECT uuid FROM mail_erasures") == []


@pytest.mark.parametrize(("address", "left"), [("Bob@Example.org", 1), ("BÖB@example.org", 0)])
def test_who_is_erased_is_found_in_whatever_case(
    stage: stages.Stage, writer: sealed.Writer, address: str, left: int
) -> None:
    said = ("<BOB@example.ORG>: no", "<BÖB@example.ORG>: no")
    writer.write([sealed.event(Type.REJECTED, command="RCPT", text=text) for text in said])
    sealed.take_in()
    stage.api.call("POST", f"{stage.path}/actions/erase/invoke", {"recipient": address})
    sealed.take_in()
    assert query("SELECT text FROM mail_events") == [(said[left],)]


def test_an_erasure_says_whom(api: api_client.Client) -> None:
    action = f"{api.instance()}/actions/erase/invoke"
    for body, field in (
        (None, "recipient"),
        ({}, "recipient"),
        *(({"recipient": bad}, "recipient") for bad in ("", "x" * 321, None, 1, ["a@b"], "a\x00b")),
        *(
            ({"recipient": bad}, "recipient")
            for bad in ("e", "@", "a@", "@b", "a b@c", "a@b c", "<a@b>", "A <a@b>", "a@b, c@d")
        ),
        ({"recipient": "a@b", "account": "x"}, "account"),
    ):
        status, message = api.refused("POST", action, body)
        assert (status, message.partition(":")[0]) == (400, field), body
    assert api.refused("POST", f"{action}?recipient=a@b")[0] == 400
    assert query("SELECT * FROM mail_erasures") == []


def test_the_log_of_an_account_goes_with_it(stage: stages.Stage, writer: sealed.Writer) -> None:
    shop = stage.api.account(stage.path, "shop")
    sent = sealed.queue_id(2)
    writer.write(
        [
            *sealed.whole(sealed.queue_id(1)),
            *sealed.arrival(sent, account="shop@mail.example.com"),
            sealed.event(Type.REJECTED, account="shop@mail.example.com", command="MAIL"),
        ]
    )
    sealed.take_in()
    assert counts() == (2, 7)
    stage.api.delete(shop)
    writer.write([*sealed.delivery(sent), *sealed.end(sent)])
    sealed.take_in()
    writer.write([*sealed.delivery(sent), *sealed.end(sent)])
    sealed.take_in()
    assert counts() == (1, 4)


def test_the_log_of_an_instance_goes_with_it(stage: stages.Stage, writer: sealed.Writer) -> None:
    writer.write(sealed.whole(sealed.queue_id(1)))
    sealed.take_in()
    writer.write(sealed.whole(sealed.queue_id(2)))
    stage.api.delete(stage.path)
    sealed.take_in()
    assert counts() == (0, 0)
    assert query("SELECT * FROM mail_event_streams") == []


def test_what_is_too_old_is_dropped_by_the_day(stage: stages.Stage, writer: sealed.Writer) -> None:
    writer.write(sealed.whole(sealed.queue_id(1, seconds_ago=20 * 86400)))
    writer.write(sealed.whole(sealed.queue_id(2)))
    taking = ingester.Ingester()
    taking.run_once()
    assert counts() == (2, 8)
    old = query("SELECT tableoid::regclass::text FROM mail_messages ORDER BY uuid")[0][0]
    assert keeping.Keeper().run_once() is True
    assert (counts(), query("SELECT to_regclass(%s)", old)) == ((1, 8), [(None,)])
    assert keeping.Keeper().run_once() is False


def test_an_instance_keeps_its_own_days_and_rows(
    stage: stages.Stage, writer: sealed.Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "_ROUND", 3)
    other = stage.api.instance(log={"retention_days": 90})
    writer.write(sealed.whole(sealed.queue_id(1, seconds_ago=20 * 86400)))
    writer.write(sealed.whole(sealed.queue_id(2)))
    ingester.Ingester().run_once()
    keeping.Keeper().run_once()
    assert counts() == (1, 8)
    query("UPDATE mail_instances SET log = jsonb_set(log, '{max_rows}', '5')")
    keeping.Keeper().run_once()
    assert counts()[1] == 5
    assert query("SELECT type FROM mail_events ORDER BY uuid LIMIT 1") == [("completed",)]
    del other


def test_a_log_that_is_too_large_is_kept_at_a_lower_level_and_says_so(
    writer: sealed.Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.write(sealed.whole(sealed.queue_id(1)))
    taking = ingester.Ingester()
    taking.run_once()
    for size_max in (1, 2**50):
        monkeypatch.setattr(keeping, "SIZE_MAX", size_max)
        monkeypatch.setattr(keeping, "PERIOD", 0)
        taking.keep()
        writer.write(sealed.whole(sealed.queue_id(2 + size_max % 2)))
        taking.run_once()
    told = [
        text for (text,) in query("SELECT text FROM mail_events WHERE type = 'gap' ORDER BY uuid")
    ]
    assert [text.partition(":")[0] for text in told] == [
        "the log of all instances is full",
        "there is room again in the log of all instances",
    ]
    assert counts() == (2, 10)


ONE, TWO, THREE = (sys_uuid.UUID(int=number) for number in range(3))


@pytest.mark.parametrize(
    ("sizes", "share"),
    [
        ({}, float("inf")),
        ({ONE: 10.0}, float("inf")),
        ({ONE: 11.0}, 10.0),
        ({ONE: 9.0, TWO: 2.0}, 8.0),
        ({ONE: 9.0, TWO: 9.0, THREE: 2.0}, 4.0),
        ({ONE: 5.0, TWO: 5.0}, float("inf")),
    ],
)
def test_a_share_is_what_those_leave_who_have_less(
    sizes: dict[sys_uuid.UUID, float], share: float
) -> None:
    assert shares.share(sizes, 10.0) == share


def test_who_has_most_of_the_log_keeps_less_first(
    stage: stages.Stage, writer: sealed.Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = sealed.Writer(stages.Stage(stage.api, stage.core, stage.services).serving())
    for number in range(9):
        writer.write(sealed.whole(sealed.queue_id(number)))
    role = [sealed.event(Type.ACCEPTED, sealed.queue_id(20), sender="a@b.example", size=1)]
    other.write(role)
    taking = ingester.Ingester()
    taking.run_once()
    # The database may write to its files meanwhile.
    monkeypatch.setattr(rows, "size", lambda _: 1000)
    levels = []
    for part in (0.7, 0.85, 0.93, 0.97, 1.1):
        monkeypatch.setattr(keeping, "SIZE_MAX", int(1000 / part))
        keeper = keeping.Keeper()
        keeper.run_once()
        uuids = query("SELECT instance FROM mail_event_streams WHERE node = %s", str(writer.node))
        (small,) = query("SELECT instance FROM mail_event_streams WHERE node = %s", str(other.node))
        levels.append((keeper.levels.of(uuids[0][0]), keeper.levels.of(small[0])))
    assert levels == [
        *(("all", "all"), ("failures", "all"), ("none", "all")),
        *(("none", "failures"), ("none", "none")),
    ]
    monkeypatch.setattr(keeping, "SIZE_MAX", int(1000 / 0.85))
    taking.keep()
    told = query("SELECT text FROM mail_events WHERE type = 'gap'")
    assert told == [
        (
            "the log of all instances is nearly full: failures alone are kept; this instance has"
            " more than its share of it",
        )
    ]
    before = counts()
    writer.write(sealed.whole(sealed.queue_id(30)))
    taking.run_once()
    assert counts() == before
