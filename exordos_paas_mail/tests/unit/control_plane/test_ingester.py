# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Batches of events that nodes wrote, taken in: each once, in order, by whom they are of."""

from __future__ import annotations

import dataclasses
import itertools
import random
import threading
import typing as tp
import uuid as sys_uuid

import psycopg
import pytest
from restalchemy.storage.sql import engines

from clients import waiting
from exordos_paas_mail.codecs import event_batches, log_ids, mail_events, spool_headers
from exordos_paas_mail.control_plane.events import folding, ingester, rows, streams, taking
from exordos_paas_mail.control_plane.runtime import threads as threads_
from exordos_paas_mail.tests.unit.control_plane import sealed
from exordos_paas_mail.tests.unit.control_plane import stage as stages

Type: tp.TypeAlias = mail_events.Type


def query(statement: str, *values: tp.Any) -> list[tuple[tp.Any, ...]]:
    with engines.engine_factory.get_engine().session_manager() as session:
        found = session.execute(statement, values)
        return [tuple(row.values()) for row in found.fetchall()] if found.description else []


def kinds() -> list[str]:
    return [kind for (kind,) in query("SELECT type FROM mail_events ORDER BY uuid")]


def messages() -> dict[str, tuple[str, int]]:
    found = query("SELECT queue_id, status, recipients_count FROM mail_messages")
    return {queue: (status, recipients) for queue, status, recipients in found}


@pytest.fixture
def stage(served: stages.Stage) -> stages.Stage:
    return served


@pytest.fixture
def writer(stage: stages.Stage) -> sealed.Writer:
    node = stage.serving()
    stage.api.account(stage.path)
    return sealed.Writer(node)


def test_a_message_and_its_events_are_stored_and_the_rows_are_gone(
    stage: stages.Stage, writer: sealed.Writer
) -> None:
    queue = sealed.queue_id(1)
    more: dict[str, tp.Any] = {"header_from": "N <n@x>", "message_id": "1@x", "tags": ("a", "b")}
    writer.write(sealed.whole(queue, **more))
    sealed.take_in()
    assert sealed.waiting() == 0
    (account,) = query("SELECT uuid FROM mail_accounts")
    assert query(
        "SELECT instance::text, queue_id, account, sender, header_from, header_message_id, tags,"
        " client, size, recipients_count, status, completed_at IS NOT NULL FROM mail_messages"
    ) == [
        (
            *(stage.uuid, queue, account[0], sealed.LOGIN, "N <n@x>", "1@x", ["a", "b"]),
            *("192.0.2.7", 1000, 1, "DELIVERED", True),
        )
    ]
    assert kinds() == ["submitted", "accepted", "delivered", "completed"]
    assert query(
        "SELECT recipient, recipient_domain, attempt, mx, mx_address, tls, cipher, verified,"
        " tls_policy, code, enhanced_code, text, delay_ms,"
        " message = (SELECT uuid FROM mail_messages) FROM mail_events WHERE type = 'delivered'"
    ) == [
        (
            *("a@example.org", "example.org", 1, "mx.example.org", "192.0.2.25", "TLS1.3"),
            *("TLS_AES_256_GCM_SHA384", "yes", "auto", 250, "2.0.0", "accepted", 1200, True),
        )
    ]


def test_a_batch_counts_once_however_often_it_comes(writer: sealed.Writer) -> None:
    queue = sealed.queue_id(1)
    writer.write(sealed.whole(queue))
    sealed.take_in()
    writer.write_as(1, sealed.whole(queue))
    writer.write(sealed.whole(sealed.queue_id(2)))
    sealed.take_in()
    assert (kinds().count("delivered"), sealed.waiting()) == (2, 0)


def test_batches_are_taken_in_in_the_order_of_their_numbers(writer: sealed.Writer) -> None:
    queue = sealed.queue_id(1)
    batches = [sealed.arrival(queue), sealed.delivery(queue), sealed.end(queue)]
    for seq in (3, 2):
        writer.write_as(seq, batches[seq - 1])
    sealed.take_in()
    assert (kinds(), sealed.waiting()) == ([], 2)
    writer.write_as(1, batches[0])
    sealed.take_in()
    assert kinds() == ["submitted", "accepted", "delivered", "completed"]
    assert messages() == {queue: ("DELIVERED", 1)}


def test_the_next_batch_is_found_behind_any_number_of_later_ones(writer: sealed.Writer) -> None:
    for seq in range(2, 50):
        writer.write_as(seq, sealed.whole(sealed.queue_id(seq)))
    sealed.take_in()
    writer.write_as(1, sealed.whole(sealed.queue_id(1)))
    sealed.take_in()
    assert (len(messages()), sealed.waiting()) == (49, 0)


def test_a_number_that_does_not_come_is_told_as_a_gap(writer: sealed.Writer) -> None:
    writer.write(sealed.whole(sealed.queue_id(1)))
    writer.write_as(5, sealed.whole(sealed.queue_id(5)))
    sealed.take_in()
    sealed.take_in()
    assert "gap" not in kinds()
    _pass_time()
    sealed.take_in()
    sealed.take_in()
    assert kinds() == [*["submitted", "accepted", "delivered", "completed", "gap"], *kinds()[5:]]
    assert (len(messages()), sealed.waiting()) == (2, 0)
    writer.write_as(3, sealed.whole(sealed.queue_id(3)))
    sealed.take_in()
    assert (len(messages()), sealed.waiting()) == (2, 0)


def test_another_store_begins_a_stream_of_its_own(writer: sealed.Writer) -> None:
    writer.write(sealed.whole(sealed.queue_id(1)))
    sealed.take_in()
    writer.stream = sys_uuid.uuid4()
    writer.write_as(1, sealed.whole(sealed.queue_id(2)))
    sealed.take_in()
    assert len(messages()) == 2


def _pass_time() -> None:
    query("UPDATE mail_event_streams SET waiting_since = waiting_since - interval '11 minutes'")


@pytest.mark.parametrize("seq", [1, 1_000_000], ids=["the next", "ahead"])
@pytest.mark.parametrize(
    "fault", ["key", "node", "number", "stream", "garbage", "list", "uuid", "short"]
)
def test_what_is_not_the_nodes_is_deleted_and_nobody_waits_for_it(
    writer: sealed.Writer, fault: str, seq: int
) -> None:
    raw = mail_events.render(sealed.whole(sealed.queue_id(1)))
    key, node, stream = writer.key(), writer.node, writer.stream
    uuid = event_batches.row_uuid(node, stream, seq)
    if fault == "key":
        key = bytes(32)
    elif fault == "node":
        node = sys_uuid.uuid4()
    batch = event_batches.seal(key, node, stream, seq + (fault == "number"), raw)
    value = event_batches.render(batch._replace(seq=seq))
    if fault == "short":
        value["events"] = "AAAA"
    elif fault == "stream":
        value["stream"] = str(sys_uuid.uuid4())
    elif fault == "garbage":
        value["seq"] = {"a": "b"}
    elif fault == "uuid":
        uuid = sys_uuid.uuid4()
    writer.put(uuid, value)
    if fault == "list":
        query("UPDATE ua_actual_resources SET value = '[1]' WHERE kind = 'mail_event_batch'")
    sealed.take_in()
    assert (kinds(), messages(), sealed.waiting()) == ([], {}, 0)
    _pass_time()
    sealed.take_in()
    for number in (2, 3):
        writer.write(sealed.whole(sealed.queue_id(number)))
        sealed.take_in()
    assert (len(messages()), sealed.waiting(), "gap" in kinds()) == (2, 0, False)


def test_a_batch_of_the_node_that_cannot_be_read_is_told_as_a_gap(writer: sealed.Writer) -> None:
    raw = b'[{"at":"x","type":"accepted"}]'
    batch = event_batches.seal(writer.key(), writer.node, writer.stream, 1, raw)
    uuid = event_batches.row_uuid(writer.node, writer.stream, 1)
    writer.put(uuid, event_batches.render(batch))
    writer.write_as(2, sealed.whole(sealed.queue_id(2)))
    sealed.take_in()
    sealed.take_in()
    assert (kinds(), sealed.waiting()) == ([], 1)
    _pass_time()
    sealed.take_in()
    sealed.take_in()
    assert (kinds().count("gap"), len(messages()), sealed.waiting()) == (1, 1, 0)


def test_rows_of_streams_that_nobody_has_keep_no_batch_waiting(
    writer: sealed.Writer, caplog: pytest.LogCaptureFixture
) -> None:
    invented = sys_uuid.uuid4()
    for seq in range(2, 47):
        batch = event_batches.Batch(invented if seq % 2 else sys_uuid.uuid4(), seq, "AAAA")
        uuid = event_batches.row_uuid(writer.node, batch.stream, seq)
        writer.put(uuid, event_batches.render(batch))
    writer.write(sealed.whole(sealed.queue_id(1)))
    sealed.take_in()
    assert (len(messages()), sealed.waiting(), "gap" in kinds()) == (1, 0, False)
    assert query("SELECT stream FROM mail_event_streams") == [(writer.stream,)]
    # A pass says it once of all that it found.
    assert caplog.text.count(f"rows of the node {writer.node} are no batches") == 3


def test_a_batch_that_is_put_in_the_place_of_what_is_none_is_not_deleted_with_it(
    writer: sealed.Writer,
) -> None:
    uuid = event_batches.row_uuid(writer.node, writer.stream, 1)
    writer.put(uuid, {})
    with engines.engine_factory.get_engine().session_manager() as session:
        found = streams.find_rows(session, writer.node, 20)
        # Meanwhile its node has deleted it, and made its own.
        query("DELETE FROM ua_actual_resources WHERE uuid = %s", str(uuid))
        writer.write(sealed.whole(sealed.queue_id(1)))
        query(
            "UPDATE ua_actual_resources SET res_uuid = gen_random_uuid() WHERE uuid = %s", str(uuid)
        )
        streams.delete_rows(session, found)
    sealed.take_in()
    assert len(messages()) == 1


@pytest.mark.parametrize("minutes", [-11, 11])
def test_a_node_of_no_instance_waits_and_is_forgotten(
    stage: stages.Stage, writer: sealed.Writer, minutes: int
) -> None:
    query(
        "UPDATE ua_target_resources SET master = gen_random_uuid() WHERE uuid = %s",
        str(sys_uuid.uuid5(writer.node, "mailaas")),
    )
    writer.write(sealed.whole(sealed.queue_id(1)))
    sealed.take_in()
    assert (kinds(), sealed.waiting()) == ([], 1)
    query(
        "UPDATE ua_actual_resources SET created_at = created_at + %s * interval '1 minute'"
        " WHERE kind = 'mail_event_batch'",
        minutes,
    )
    sealed.take_in()
    assert (kinds(), sealed.waiting()) == ([], 0)


def test_events_of_nobody_are_left_out(writer: sealed.Writer) -> None:
    gone, foreign, unknown = (sealed.queue_id(number) for number in (1, 2, 3))
    writer.write(
        [
            *sealed.whole(gone, account="gone@mail.example.com"),
            *sealed.whole(foreign, account="noreply@example.net"),
            *sealed.delivery(unknown),
            *sealed.whole("no id"),
            *sealed.whole(sealed.queue_id(4, seconds_ago=100 * 86400)),
            sealed.event(Type.REJECTED, account="gone@mail.example.com", command="RCPT"),
            sealed.event(Type.REJECTED, client="192.0.2.9", command="MAIL", text="no"),
            sealed.event(Type.LOGIN_FAILED, client="192.0.2.9", count=7),
        ]
    )
    sealed.take_in()
    assert messages() == {}
    assert query("SELECT type, client, count FROM mail_events ORDER BY uuid") == [
        ("rejected", "192.0.2.9", 1),
        ("login_failed", "192.0.2.9", 7),
    ]


def test_what_a_deleted_namesake_did_is_not_the_new_accounts(
    stage: stages.Stage, writer: sealed.Writer
) -> None:
    (old,) = stage.api.get(f"{stage.path}/accounts/")
    known, late, new, slow = (sealed.queue_id(number) for number in range(4))
    writer.write(sealed.arrival(known))
    sealed.take_in()
    stage.api.delete(f"{stage.path}/accounts/{old['uuid']}")
    stage.api.account(stage.path)
    ago = {late: 3_600_000, slow: 5_000}
    events = [each for queue in (late, new, slow) for each in sealed.whole(queue)]
    writer.write(
        [
            *(dataclasses.replace(each, at=each.at - ago.get(each.queue_id, 0)) for each in events),
            sealed.event(Type.REJECTED, account=sealed.LOGIN, at=sealed.now() - 3_600_000),
            *sealed.delivery(known),
        ]
    )
    sealed.take_in()
    (account,) = stage.api.get(f"{stage.path}/accounts/")
    found = query("SELECT queue_id, account::text FROM mail_messages ORDER BY queue_id")
    assert sorted(found) == sorted([(new, account["uuid"]), (slow, account["uuid"])])
    assert kinds().count("rejected") == 0
    figures = query("SELECT count(*) FROM mail_events WHERE account = %s", account["uuid"])
    assert figures == [(8,)]


def test_mail_for_the_role_addresses_and_reports_are_messages_too(writer: sealed.Writer) -> None:
    role, sent, report, stray = (sealed.queue_id(number) for number in range(4))
    writer.write(
        [
            sealed.event(Type.ACCEPTED, role, sender="x@example.org", client="192.0.2.9"),
            *sealed.arrival(sent),
            sealed.event(Type.ACCEPTED, report, about=sent),
            sealed.event(Type.ACCEPTED, stray, about=sealed.queue_id(9)),
        ]
    )
    sealed.take_in()
    assert query("SELECT queue_id, account IS NOT NULL FROM mail_messages ORDER BY queue_id") == [
        (role, False),
        (sent, True),
        (report, True),
    ]


def found_in_spool(queue: str) -> mail_events.Event:
    return sealed.event(
        *(Type.ACCEPTED, queue),
        account=sealed.LOGIN,
        sender=sealed.LOGIN,
        client="192.0.2.7",
        recipients=2,
        size=1000,
        header_from="N <n@x>",
        message_id="1@x",
        tags=("found",),
        credential="mlk_0a1b2c3d",
        text=mail_events.FOUND,
    )


def test_a_message_that_a_log_has_lost_is_known_from_the_spool(writer: sealed.Writer) -> None:
    lost, half, known = (sealed.queue_id(number) for number in (1, 2, 3))
    # Of the second the submission was told, of the third all.
    of_it = {"header_from": "S <s@x>", "message_id": "2@x", "tags": ("sent",)}
    submitted, _ = sealed.arrival(half, recipients=3, **of_it)
    writer.write([submitted, *sealed.whole(known)])
    writer.write([found_in_spool(queue) for queue in (lost, half, known)])
    sealed.take_in()
    found, sent = (([tag], "mlk_0a1b2c3d") for tag in ("found", "sent"))
    assert query(
        "SELECT queue_id, sender, header_from, header_message_id, client, size, recipients_count,"
        " status, tags, credential FROM mail_messages ORDER BY queue_id"
    ) == [
        (*(lost, sealed.LOGIN, "N <n@x>", "1@x", "192.0.2.7", 1000, 2, "ACCEPTED"), *found),
        (*(half, sealed.LOGIN, "S <s@x>", "2@x", "192.0.2.7", 1000, 3, "ACCEPTED"), *sent),
        (*(known, sealed.LOGIN, "N <n@x>", "1@x", "192.0.2.7", 1000, 1, "DELIVERED"), *found),
    ]
    assert query("SELECT sum(submitted) FROM mail_stats") == [(3,)]
    # Its ends are told as those of any other.
    writer.write([*sealed.delivery(lost), *sealed.delivery(lost, "b@example.org")])
    sealed.take_in()
    assert messages()[lost][0] == "DELIVERED"


def test_the_end_of_a_message_that_is_gone_is_unknown_until_it_is_told(
    stage: stages.Stage, writer: sealed.Writer
) -> None:
    gone, told, nobody = (sealed.queue_id(number) for number in (1, 2, 3))
    writer.write([*sealed.arrival(gone, recipients=2), *sealed.arrival(told)])
    writer.write([*sealed.delivery(gone), *sealed.delivery(told)])
    writer.write([sealed.event(Type.UNACCOUNTED, queue) for queue in (gone, told, nobody)])
    sealed.take_in()
    (found,) = stage.api.get(f"{stage.path}/messages/?status=UNKNOWN")
    assert (found["queue_id"], found["completed_at"] is not None) == (gone, True)
    assert {queue: status for queue, (status, _) in messages().items()} == {
        gone: "UNKNOWN",
        told: "DELIVERED",
    }
    events = stage.api.get(f"{stage.path}/messages/{found['uuid']}/events/")
    assert [each["type"] for each in events][-1] == "unaccounted"
    writer.write(sealed.delivery(gone, "b@example.org"))
    sealed.take_in()
    assert messages()[gone][0] == "DELIVERED"


def test_attempts_are_counted_over_batches(writer: sealed.Writer) -> None:
    queue = sealed.queue_id(1)
    deferral = sealed.event(Type.DEFERRED, queue, recipient="a@example.org", code=451)
    writer.write([*sealed.arrival(queue), deferral])
    sealed.take_in()
    assert messages() == {queue: ("DEFERRED", 1)}
    writer.write([deferral, deferral])
    writer.write([*sealed.delivery(queue), *sealed.end(queue)])
    sealed.take_in()
    assert query("SELECT attempt FROM mail_events WHERE attempt IS NOT NULL ORDER BY uuid") == [
        (1,),
        (2,),
        (3,),
        (4,),
    ]
    assert messages() == {queue: ("DELIVERED", 1)}


def test_an_attempt_tells_how_long_its_message_has_been_there(writer: sealed.Writer) -> None:
    queue, at = sealed.queue_id(1), sealed.now()
    come = [dataclasses.replace(each, at=at) for each in sealed.arrival(queue)]
    attempts = [
        sealed.event(kind, queue, recipient="a@example.org", at=at + delay)
        for kind, delay in ((Type.DEFERRED, 1_500), (Type.FAILED, 90_000), (Type.DEFERRED, -5))
    ]
    writer.write([*come, *attempts])
    sealed.take_in()
    assert query("SELECT type, delay_ms FROM mail_events ORDER BY uuid") == [
        *(("submitted", None), ("accepted", None)),
        *(("deferred", 1_500), ("failed", 90_000), ("deferred", None)),
    ]


def test_numbers_of_events_only_grow_whatever_the_clock_does(writer: sealed.Writer) -> None:
    writer.write(sealed.whole(sealed.queue_id(1)))
    sealed.take_in()
    ahead = (sealed.now() + 3_600_000) << 12
    query("UPDATE mail_event_order SET last = %s", ahead)
    writer.write(sealed.whole(sealed.queue_id(2)))
    sealed.take_in()
    writer.write(sealed.whole(sealed.queue_id(3)))
    sealed.take_in()
    found = [uuid for (uuid,) in query("SELECT uuid FROM mail_events ORDER BY uuid")]
    assert len(found) == 12
    orders = [(uuid.int >> 80 << 12) + (uuid.int >> 64 & 0xFFF) for uuid in found[4:]]
    assert orders == list(range(ahead + 1, ahead + 9))
    assert kinds() == ["submitted", "accepted", "delivered", "completed"] * 3


def test_clocks_that_are_wrong_are_not_believed(writer: sealed.Writer) -> None:
    writer.write([sealed.event(Type.LOGIN_FAILED, at=at) for at in (0, 2**53)])
    sealed.take_in()
    assert (
        query(
            "SELECT at BETWEEN now() - interval '91 days' AND now() + interval '2 days'"
            " FROM mail_events"
        )
        == [(True,)] * 2
    )


def test_the_longest_fields_fit(writer: sealed.Writer) -> None:
    queue, long = sealed.queue_id(1), "\N{GRINNING FACE}" * 1024
    events = sealed.arrival(queue, sender=long, message_id=long, header_from=long)
    events += sealed.delivery(queue, long)
    writer.write(
        [
            *events,
            sealed.event(
                Type.FAILED,
                queue,
                recipient=f"{long[:500]}@{long[:500]}",
                code=2**53,
                queued=2**53,
                text="\N{REPLACEMENT CHARACTER}",
                # Nothing that an index could store in fewer octets.
                reason="".join(chr(0x20000 + n * n * 7919 % 40_009) for n in range(1024)),
            ),
        ]
    )
    sealed.take_in()
    assert kinds() == ["submitted", "accepted", "delivered", "failed"]


def test_a_batch_that_cannot_be_stored_is_told_as_a_gap(
    writer: sealed.Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounded, calls = rows.write_events, itertools.count()

    def refuse(session: tp.Any, values: tp.Any) -> None:
        if not next(calls):
            values = [{**value, "code": "no number"} for value in values]
        bounded(session, values)

    monkeypatch.setattr(rows, "write_events", refuse)
    writer.write(sealed.whole(sealed.queue_id(1)))
    writer.write(sealed.whole(sealed.queue_id(2)))
    sealed.take_in()
    assert kinds() == ["gap", "submitted", "accepted", "delivered", "completed"]
    assert sealed.waiting() == 0


def test_a_batch_that_no_code_is_ready_for_stops_no_other_stream(
    writer: sealed.Writer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    take = taking.take

    def fail(session: tp.Any, instance: tp.Any, events: tp.Any, last: int, now: tp.Any) -> tp.Any:
        if any(event.text == "odd" for event in events):
            raise KeyError("secret")
        return take(session, instance, events, last, now)

    monkeypatch.setattr(taking, "take", fail)
    writer.write(sealed.whole(sealed.queue_id(1)))
    writer.write([sealed.event(Type.REJECTED, text="odd")])
    writer.write(sealed.whole(sealed.queue_id(2)))
    sealed.take_in()
    writer.stream = sys_uuid.uuid4()
    writer.write_as(1, sealed.whole(sealed.queue_id(3)))
    sealed.take_in()
    queues = [sealed.queue_id(number)[-9:] for number in (1, 3)]
    assert (sorted(queue[-9:] for queue in messages()), sealed.waiting()) == (queues, 2)
    (told,) = [record.message for record in caplog.records if "cannot" in record.message]
    assert "KeyError in line" in told
    assert "secret" not in caplog.text
    query("UPDATE mail_event_streams SET waiting_since = waiting_since - interval '11 minutes'")
    sealed.take_in()
    assert kinds() == [*kinds()[:8], "gap", *kinds()[:4]]
    assert (len(messages()), sealed.waiting()) == (3, 0)


def test_a_batch_that_was_put_off_is_taken_in_when_it_can_be(
    writer: sealed.Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: tp.Any) -> tp.Any:
        raise AttributeError

    with monkeypatch.context() as broken:
        broken.setattr(taking, "take", fail)
        writer.write(sealed.whole(sealed.queue_id(1)))
        sealed.take_in()
        sealed.take_in()
        assert (kinds(), sealed.waiting()) == ([], 1)
    sealed.take_in()
    assert kinds() == ["submitted", "accepted", "delivered", "completed"]
    assert query("SELECT next_seq, waiting_since FROM mail_event_streams") == [(2, None)]


def test_a_database_that_is_away_puts_off_no_batch(
    writer: sealed.Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: tp.Any) -> tp.Any:
        raise psycopg.OperationalError

    writer.write(sealed.whole(sealed.queue_id(1)))
    monkeypatch.setattr(taking, "take", fail)
    with pytest.raises(psycopg.OperationalError):
        ingester.Ingester().run_once()
    assert (query("SELECT * FROM mail_event_streams"), sealed.waiting()) == ([], 1)


def test_two_ingesters_take_in_a_batch_once(writer: sealed.Writer) -> None:
    for number in range(30):
        writer.write(sealed.whole(sealed.queue_id(number)))
    threads = [threading.Thread(target=sealed.take_in) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sealed.take_in()
    assert (kinds().count("delivered"), len(messages()), sealed.waiting()) == (30, 30, 0)


def test_one_thread_takes_in_what_comes_and_ends(writer: sealed.Writer) -> None:
    keeper = threads_.ThreadKeeper("mailaas-events", ingester.Ingester().run)
    keeper._iteration()
    keeper._iteration()
    (thread,) = [t for t in threading.enumerate() if t.name == "mailaas-events"]
    writer.write(sealed.whole(sealed.queue_id(1)))
    waiting.until("nothing waits", sealed.waiting, seconds=60, accept=lambda rows: rows == 0)
    assert messages().popitem()[1] == ("DELIVERED", 1)
    keeper.stop()
    thread.join(60)
    assert not thread.is_alive()


def test_a_backlog_does_not_put_off_what_is_to_be_erased() -> None:
    done: list[str] = []

    class Busy(ingester.Ingester):
        def run_once(self) -> bool:
            done.append("taken in")
            return len(done) < 3

        def keep(self) -> None:
            done.append("kept")

    Busy()._take_all(threading.Event())
    assert done == ["taken in", "kept", "taken in", "kept"]


def test_a_database_that_is_away_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stop, passes = threading.Event(), itertools.count()

    class Away(ingester.Ingester):
        def run_once(self) -> bool:
            if next(passes) == 2:
                stop.set()
            raise psycopg.OperationalError("secret")

    monkeypatch.setattr(ingester, "PERIOD", 0.01)
    Away().run(stop)
    assert [record.message for record in caplog.records] == [
        "The database of events cannot be used: OperationalError"
    ]


_AT = rows.moment_of(sealed.now())
_QUEUE = sealed.queue_id(1)


_GONE = sealed.event(Type.UNACCOUNTED, _QUEUE)


def _attempt(kind: mail_events.Type, recipient: str) -> mail_events.Event:
    return sealed.event(kind, _QUEUE, recipient=recipient)


_ENDED = {"DELIVERED", "PARTIAL", "FAILED", "DELETED", "UNKNOWN"}


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ([], "ACCEPTED"),
        ([_attempt(Type.DELIVERED, "a")], "ACCEPTED"),
        ([_attempt(Type.DEFERRED, "a")], "DEFERRED"),
        ([_attempt(Type.DEFERRED, "a"), _attempt(Type.DELIVERED, "a")], "ACCEPTED"),
        ([_attempt(Type.DELIVERED, "a"), _attempt(Type.DEFERRED, "b")], "DEFERRED"),
        ([_attempt(Type.DELIVERED, "a"), _attempt(Type.DELIVERED, "b")], "DELIVERED"),
        ([_attempt(Type.DELIVERED, "a"), _attempt(Type.FAILED, "b")], "PARTIAL"),
        ([_attempt(Type.FAILED, "a"), _attempt(Type.FAILED, "b")], "FAILED"),
        ([_attempt(Type.FAILED, "a"), *sealed.end(_QUEUE)], "FAILED"),
        ([_attempt(Type.DEFERRED, "a"), _attempt(Type.FAILED, "a"), *sealed.end(_QUEUE)], "FAILED"),
        ([_attempt(Type.DEFERRED, "a"), sealed.event(Type.DELETED, _QUEUE)], "DELETED"),
        (sealed.end(_QUEUE), "DELIVERED"),
        ([_attempt(Type.DEFERRED, "a"), *sealed.end(_QUEUE)], "DELIVERED"),
        ([sealed.event(Type.DELETED, _QUEUE), *sealed.end(_QUEUE)], "DELETED"),
        ([_GONE], "UNKNOWN"),
        ([_attempt(Type.DEFERRED, "a"), _GONE], "UNKNOWN"),
        ([_attempt(Type.DELIVERED, "a"), _GONE], "UNKNOWN"),
        ([_attempt(Type.DELIVERED, "a"), _attempt(Type.DEFERRED, "b"), _GONE], "UNKNOWN"),
        ([_attempt(Type.DELIVERED, "a"), _attempt(Type.FAILED, "b"), _GONE], "PARTIAL"),
        ([_attempt(Type.DELIVERED, "a"), _attempt(Type.DELIVERED, "b"), _GONE], "DELIVERED"),
        ([sealed.event(Type.HELD, _QUEUE), _GONE], "UNKNOWN"),
        ([_GONE, sealed.event(Type.DELETED, _QUEUE)], "DELETED"),
        ([_GONE, *sealed.end(_QUEUE)], "DELIVERED"),
    ],
)
def test_the_status_of_a_message_is_the_same_in_any_order_of_its_events(
    more: list[mail_events.Event], status: str
) -> None:
    events = [*sealed.arrival(_QUEUE, recipients=2), *more]
    found = set()
    for _ in range(20):
        message = folding.Message(sys_uuid.uuid4(), _QUEUE, _AT)
        for event in random.sample(events, len(events)):
            message.add(event, _AT)
        found.add((message.settle(), message.completed_at is not None))
    assert found == {(status, status in _ENDED)}


def _found(sender: str) -> mail_events.Event:
    message = spool_headers.Arrival(sender, "", sealed.now(), "192.0.2.9", 2, "", "")
    (arrival,) = mail_events.found(message, _QUEUE, 900)
    return arrival


_REPORT = sealed.event(Type.ACCEPTED, _QUEUE, about=sealed.queue_id(2))
_ROLE = sealed.event(Type.ACCEPTED, _QUEUE, sender="x@example.org", client="192.0.2.9")


@pytest.mark.parametrize("arrivals", [[_REPORT], [_found("")], [_REPORT, _found("")]])
@pytest.mark.parametrize(
    ("more", "status"),
    [
        (sealed.end(_QUEUE), "ACCEPTED"),
        ([_attempt(Type.DELIVERED, "a"), _GONE], "DELIVERED"),
        ([_attempt(Type.DEFERRED, "a"), _GONE], "UNKNOWN"),
    ],
)
def test_a_report_has_one_recipient_and_may_be_dropped(
    arrivals: list[mail_events.Event], more: list[mail_events.Event], status: str
) -> None:
    message = folding.Message(sys_uuid.uuid4(), _QUEUE, _AT)
    for event in (*arrivals, *more):
        message.add(event, _AT)
    assert (message.settle(), message.completed_at) == (status, _AT)


@pytest.mark.parametrize("arrival", [_ROLE, _found("x@example.org")])
def test_of_mail_for_role_addresses_one_delivery_is_not_the_end(
    writer: sealed.Writer, arrival: mail_events.Event
) -> None:
    writer.write([arrival, *sealed.delivery(_QUEUE)])
    sealed.take_in()
    writer.write([_GONE])
    sealed.take_in()
    assert messages() == {_QUEUE: ("UNKNOWN", 0)}
    writer.write(sealed.end(_QUEUE))
    sealed.take_in()
    assert messages() == {_QUEUE: ("DELIVERED", 0)}


def test_the_uuid_of_a_message_is_in_the_order_of_arrival() -> None:
    instance = sys_uuid.uuid4()
    queues = ["1vNvOk-0000Ab-0A", "1vNvOk-0000AZ-1A", "1vNvOl-0000Ab-0A", "1vNvOm-00000000123-0001"]
    uuids = [log_ids.message_uuid(instance, queue) for queue in queues]
    assert uuids == sorted(uuids)
    assert {uuid.version for uuid in uuids} == {7}
    assert log_ids.message_uuid(sys_uuid.uuid4(), queues[0]) != uuids[0]
    assert not any(map(log_ids.is_queue_id, ("", "1vNvOk-0000Ab-0", "1vNvOk_0000Ab_0A", "é" * 16)))
    with pytest.raises(ValueError, match="no queue id"):
        log_ids.message_uuid(instance, "x")
