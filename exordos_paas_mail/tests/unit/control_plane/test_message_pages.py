# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A page of messages to a domain costs what is on it, however many there are to it."""

from __future__ import annotations

import typing as tp
import uuid

import pytest

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import log_ids
from exordos_paas_mail.control_plane.events import rows
from exordos_paas_mail.control_plane.records import messages

# So many that the planner has a reason not to look at all of them.
MESSAGES = 3_000
DAYS = 3
LIMIT = 50


@pytest.fixture
def instance(database: object) -> uuid.UUID:
    """Return an instance that sends to one domain, beside another that does."""
    instances = (uuid.uuid4(), uuid.uuid4())
    now = utils.now()
    with utils.transaction() as session:
        for day in range(DAYS):
            moment = now - day * rows.DAY
            for table in (rows.EVENTS, rows.MESSAGES):
                rows.make_partition(session, table, moment.date())
            first = log_ids.milliseconds(uuid.UUID(rows.first_uuid(moment))) // 86_400_000
            for each in instances:
                session.execute(
                    "CREATE TEMPORARY TABLE made AS SELECT (lpad(to_hex(%s::bigint + n), 12, '0')"
                    " || '7000' || substr(%s, 20, 1) || substr(md5(%s || n), 1, 15))::uuid"
                    " AS uuid, n FROM generate_series(1, %s) n",
                    (first * 86_400_000, str(each), str(each), MESSAGES // DAYS),
                )
                session.execute(
                    "INSERT INTO mail_messages (uuid, instance, queue_id, accepted_at)"
                    " SELECT uuid, %s, 'q' || n, now() FROM made",
                    (str(each),),
                )
                session.execute(
                    "INSERT INTO mail_events (uuid, instance, message, at, type, recipient,"
                    " recipient_domain) SELECT (left(uuid::text, 18) || '-a' ||"
                    " substr(uuid::text, 21))::uuid, %s, uuid, now(), 'delivered',"
                    " 'u' || n %% 10 || '@example.org', 'example.org' FROM made",
                    (str(each),),
                )
                session.execute("DROP TABLE made")
    with utils.transaction() as session:
        session.execute("ANALYZE mail_messages")
        session.execute("ANALYZE mail_events")
    return instances[0]


def test_a_page_of_a_domain_is_read_from_its_index(instance: uuid.UUID) -> None:
    page = messages.Messages(instance, LIMIT)
    page.to_domain("Example.org")
    newest, read = _explained(page)
    assert newest == sorted(newest, reverse=True)
    assert len(newest) == LIMIT
    # Of events twice the page and of these their messages, and the first event of each day.
    assert read <= 4 * LIMIT + 2 * DAYS, read


def test_the_page_after_it_goes_on_there(instance: uuid.UUID) -> None:
    first, second, both = (messages.Messages(instance, n * LIMIT) for n in (1, 1, 2))
    for page in (first, second, both):
        page.to_domain("example.org")
    newest, _ = _explained(first)
    second.after(newest[-1])
    older, read = _explained(second)
    assert read <= 4 * LIMIT + 2 * DAYS, read
    assert [*newest, *older] == _explained(both)[0]


def test_few_of_a_domain_are_found_among_many(instance: uuid.UUID) -> None:
    with utils.transaction() as session:
        oldest = session.execute(
            "UPDATE mail_messages SET status = 'FAILED' WHERE uuid IN (SELECT uuid FROM"
            " mail_messages WHERE instance = %s ORDER BY uuid LIMIT 2) RETURNING uuid",
            (str(instance),),
        ).fetchall()
    page = messages.Messages(instance, LIMIT)
    page.to_domain("example.org")
    page.with_status("FAILED")
    found, _ = _explained(page)
    assert found == sorted((row["uuid"] for row in oldest), reverse=True)


def _explained(page: messages.Messages) -> tuple[list[uuid.UUID], int]:
    """Return the uuids of the page, and how many rows of the tables are read for it."""
    with utils.transaction() as session:
        explaining = _Explaining(session)
        found = page.select(explaining)
    return [each["uuid"] for each in found], explaining.read


class _Explaining:
    """A session that counts what is read by each statement."""

    def __init__(self, session: tp.Any) -> None:
        self._session = session
        self.read = 0

    def execute(self, statement: str, values: tp.Any) -> tp.Any:
        explained = self._session.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", values)
        (top,) = explained.fetchone()["QUERY PLAN"]
        self.read += sum(_read(top["Plan"]))
        return self._session.execute(statement, values)


def _read(node: dict[str, tp.Any]) -> list[int]:
    """Return the rows of mail that each scan below *node* reads."""
    below = [read for child in node.get("Plans", []) for read in _read(child)]
    if not str(node.get("Relation Name")).startswith(("mail_messages", "mail_events")):
        return below
    rows_ = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    return [*below, int(rows_ * node["Actual Loops"])]
