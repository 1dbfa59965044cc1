# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What events cost the control plane: make benchmark-ingest.

Batches of a node are taken in, and pages read, over a log that is filled past the
ingester. The figures are CPU time of the thread that works and of the database.
EVENTS is the size of that log.
"""

from __future__ import annotations

import functools
import os
import time
import uuid

from benchmarks import database
from exordos_paas_mail import utils
from exordos_paas_mail.codecs import log_ids
from exordos_paas_mail.control_plane.events import ingester, rows
from exordos_paas_mail.tests.unit.control_plane import api_client, fake_core, gservice, sealed
from exordos_paas_mail.tests.unit.control_plane import stage as stages

# Events a second on one core, of batches as large as a node makes them.
BOUND = 1_000
BATCHES = 30
MESSAGES_OF_ONE = 120
EVENTS = int(os.environ.get("EVENTS", "1000000"))
DAYS = 14
INSTANCES = 100
COMMON = "d0.example.org"
# CPU seconds of a page.
PAGE_BOUND = 0.030
PAGES = 20
# What a page of a domain costs where another filter has none of it, as a multiple of
# what the page of that filter does: no more than once through the log.
TOGETHER_BOUND = 10
# CPU seconds of the database that dropping a day takes: it is no work by the row.
DROP_BOUND = 1.0


def fill(instance: str, account: str) -> None:
    """Fill the log: one instance is *instance*, and the others nobody's."""
    database.execute(
        "CREATE TABLE benchmark_ids AS SELECT gen_random_uuid() AS uuid, 0 AS n LIMIT 0"
    )
    database.execute(
        "INSERT INTO benchmark_ids SELECT CASE n WHEN 0 THEN %s::uuid ELSE gen_random_uuid() END, n"
        " FROM generate_series(0, %s) n",
        instance,
        INSTANCES - 1,
    )
    now = utils.now()
    for day in range(DAYS):
        moment = now - day * rows.DAY
        with utils.transaction() as session:
            for table in (rows.EVENTS, rows.MESSAGES):
                rows.make_partition(session, table, moment.date())
        start = f"{moment:%Y-%m-%d}"
        # A uuid of version 7 by its time; four events a message.
        made = (
            "CREATE TABLE benchmark_made AS SELECT i.uuid AS instance, m,"
            " (lpad(to_hex(%s::bigint + m), 12, '0') || '7' || lpad(to_hex(m %% 4096), 3, '0')"
            " || '8' || substr(md5(m::text), 1, 15))::uuid AS message"
            " FROM generate_series(1, %s) m JOIN benchmark_ids i ON i.n = m %% %s"
        )
        midnight = log_ids.milliseconds(uuid.UUID(rows.first_uuid(moment))) // 86_400_000
        database.execute(made, midnight * 86_400_000, EVENTS // DAYS // 4, INSTANCES)
        database.execute(
            "INSERT INTO mail_messages (uuid, instance, queue_id, account, sender, header_from,"
            " header_message_id, client, size, recipients_count, status, accepted_at)"
            " SELECT message, instance, 'q', %s::uuid, 'noreply@mail.example.com', 'N <n@x.org>',"
            " md5(message::text) || '@mail.example.com', '192.0.2.1', 1000, 1, 'DELIVERED',"
            " %s::timestamp FROM benchmark_made",
            account,
            start,
        )
        database.execute(
            "INSERT INTO mail_events (uuid, instance, message, account, at, type, queue_id,"
            " recipient, recipient_domain, mx, mx_address, tls, cipher, code, text)"
            " SELECT (left(message::text, 19) || to_hex(8 + n) || substr(message::text, 21))::uuid,"
            " instance, message, %s::uuid, %s::timestamp, (ARRAY['submitted', 'accepted',"
            " 'delivered', 'completed'])[n + 1], '1vNvOk-0000Ab-0A', CASE n WHEN 2 THEN"
            " 'user' || m / %s %% 500 || '@' || d.name END, CASE n WHEN 2 THEN d.name END,"
            " CASE n WHEN 2 THEN 'mx.example.org' END,"
            " CASE n WHEN 2 THEN '192.0.2.25' END, CASE n WHEN 2 THEN 'TLS1.3' END,"
            " CASE n WHEN 2 THEN 'TLS_AES_256_GCM_SHA384' END, CASE n WHEN 2 THEN 250 END,"
            " CASE n WHEN 2 THEN 'OK: queued as ' || md5(m::text) END"
            " FROM benchmark_made, generate_series(0, 3) n,"
            # Half of them to one domain, as mail of most is.
            " LATERAL (SELECT CASE m / %s %% 2 WHEN 0 THEN %s"
            " ELSE 'd' || m / %s %% 50 || '.example.org' END AS name) d",
            account,
            start,
            INSTANCES,
            INSTANCES,
            COMMON,
            INSTANCES,
        )
        database.execute("DROP TABLE benchmark_made")
    database.execute("ANALYZE")


def test_events_and_pages(
    api: api_client.Client, core: fake_core.FakeCore, services: gservice.GService
) -> None:
    stage = stages.Stage(api, core, services)
    node = stage.serving()
    account = api.account(stage.path).rpartition("/")[2]
    fill(stage.uuid, account)
    ((size, count),) = [
        tuple(row.values())
        for row in database.execute(
            "SELECT (SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits"
            " WHERE inhparent IN ('mail_events'::regclass, 'mail_messages'::regclass)) AS size,"
            " (SELECT count(*) FROM mail_events) AS events"
        )
    ]
    print(f"\n{count} events with their messages: {size / count:.0f} octets an event on the disk")

    writer = sealed.Writer(node)
    for batch in range(BATCHES):
        first = batch * MESSAGES_OF_ONE
        numbers = range(first, first + MESSAGES_OF_ONE)
        writer.write([event for n in numbers for event in sealed.whole(sealed.queue_id(n))])
    taking = ingester.Ingester()
    events = BATCHES * MESSAGES_OF_ONE * 4
    before, started = database.cpu(), time.monotonic()
    spent = time.thread_time()
    while taking.run_once():
        pass
    spent = time.thread_time() - spent
    spent_there = database.cpu() - before
    rate = events / (spent + spent_there)
    print(
        f"{events} events taken in: {rate:.0f} a second of one core"
        f" ({spent:.2f} s here, {spent_there:.2f} s of the database,"
        f" {time.monotonic() - started:.2f} s in all)"
    )

    (message,) = database.execute(
        "SELECT uuid, header_message_id AS id FROM mail_messages WHERE instance = %s"
        " ORDER BY uuid LIMIT 1",
        stage.uuid,
    )
    (recipient,) = database.execute(
        "SELECT recipient FROM mail_events WHERE instance = %s AND recipient IS NOT NULL LIMIT 1",
        stage.uuid,
    )
    idle = database.cost(lambda: api.get(f"{stage.path}/messages/{message['uuid']}"), PAGES)
    pages = {
        "newest": "messages/",
        "account": f"messages/?account={account}",
        "recipient": f"messages/?recipient={recipient['recipient']}",
        "recipient_domain": f"messages/?recipient_domain={COMMON}",
        "a rare recipient_domain": "messages/?recipient_domain=d7.example.org",
        "header_message_id": f"messages/?header_message_id={message['id']}",
        "status": "messages/?status=FAILED",
        "tag": "messages/?tag=nobodys",
        "credential": "messages/?credential=nobodys",
        "recipient_domain and status": f"messages/?recipient_domain={COMMON}&status=FAILED",
        "recipient_domain and a common status": (
            f"messages/?recipient_domain={COMMON}&status=DELIVERED"
        ),
        "events of a message": f"messages/{message['uuid']}/events/",
        "events": "events/",
        "events of a type": "events/?type=failed",
        "events of a class": "events/?class=mailbox_full",
        "events of a recipient": f"events/?recipient={recipient['recipient']}",
    }
    found = {
        name: database.cost(functools.partial(api.get, f"{stage.path}/{path}"), PAGES)
        for name, path in pages.items()
    }
    print(f"one message {idle * 1000:.1f} ms")
    for name, seconds in found.items():
        print(f"a page by {name}: {seconds * 1000:.1f} ms")

    day = database.execute(
        "SELECT min(relname) AS name FROM pg_class WHERE relname ~ '^mail_events_[0-9]+$'"
    )
    before, started = database.cpu(), time.monotonic()
    database.execute(f"DROP TABLE {day[0]['name']}")
    waited, dropping = time.monotonic() - started, database.cpu() - before
    print(f"dropping a day: {dropping * 1000:.0f} ms, in {waited * 1000:.0f} ms in all")
    database.execute("DROP TABLE benchmark_ids")
    assert rate > BOUND
    for name in (
        "account",
        "recipient",
        "recipient_domain",
        "recipient_domain and a common status",
        "header_message_id",
        "status",
        "tag",
        "credential",
        "events of a type",
        "events of a class",
    ):
        assert found[name] < PAGE_BOUND, name
    assert found["recipient_domain and status"] < TOGETHER_BOUND * found["status"]
    assert dropping < DROP_BOUND
