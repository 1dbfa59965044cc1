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
from exordos_paas_mail.control_plane.records import events, messages
from exordos_paas_mail.tests.unit.control_plane import explained

# So many that the planner has a reason not to look at all of them.
MESSAGES = 3_000
DAYS = 3
LIMIT = 50
# A page so short that what is looked at before the rest is a small part of the log.
FEW = 5
# The rows of both tables, of both instances.
LOG = 2 * (MESSAGES + MESSAGES + MESSAGES // 25)
_PLAIN: tp.Final = "SELECT uuid FROM mail_messages m WHERE instance = %s AND {} ORDER BY uuid DESC"
_ABOUT: tp.Final = "EXISTS (SELECT FROM mail_events WHERE message = m.uuid AND {} = '{}')"
_COMMON: tp.Final = _ABOUT.format("recipient_domain", "example.org")
_RARE: tp.Final = _ABOUT.format("recipient_domain", "example.net")
_Paged: tp.TypeAlias = messages.Messages | events.Events
# What is asked of a page, and the same in SQL.
_Ask = tuple[dict[str, str], str]
TOGETHER: tp.Final[dict[str, _Ask]] = {
    "common, common": (
        {"to_domain": "example.org", "with_status": "DELIVERED"},
        f"{_COMMON} AND status = 'DELIVERED'",
    ),
    "common, rare": (
        {"to_domain": "example.org", "with_status": "DEFERRED"},
        f"{_COMMON} AND status = 'DEFERRED'",
    ),
    "common, none": (
        {"to_domain": "example.org", "with_status": "FAILED"},
        f"{_COMMON} AND status = 'FAILED'",
    ),
    "common, of a sender": (
        {"to_domain": "example.org", "of_sender": "s9"},
        f"{_COMMON} AND sender = 's9'",
    ),
    "common, with a tag": (
        {"to_domain": "example.org", "with_tag": "t"},
        f"{_COMMON} AND 't' = ANY(tags)",
    ),
    "rare, common": (
        {"to_domain": "example.net", "with_status": "DELIVERED"},
        f"{_RARE} AND status = 'DELIVERED'",
    ),
    "rare, rare": (
        {"to_domain": "example.net", "with_status": "DEFERRED"},
        f"{_RARE} AND status = 'DEFERRED'",
    ),
    "an address of it": (
        {"to_domain": "example.org", "to_recipient": "U7@example.org"},
        f"{_COMMON} AND {_ABOUT.format('recipient', 'u7@example.org')}",
    ),
    "an address of it, rare": (
        {"to_domain": "example.org", "to_recipient": "u7@example.org", "with_status": "DEFERRED"},
        f"{_COMMON} AND {_ABOUT.format('recipient', 'u7@example.org')} AND status = 'DEFERRED'",
    ),
    "an address of another": (
        {"to_domain": "example.net", "to_recipient": "u7@example.org"},
        f"{_RARE} AND {_ABOUT.format('recipient', 'u7@example.org')}",
    ),
}


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
                    "INSERT INTO mail_messages (uuid, instance, queue_id, status, sender,"
                    " accepted_at) SELECT uuid, %s, 'q' || n, CASE n %% 250 WHEN 7 THEN 'DEFERRED'"
                    " ELSE 'DELIVERED' END, 's' || n %% 500, to_timestamp(%s + n / 1000.0)"
                    " AT TIME ZONE 'UTC' FROM made",
                    (str(each), first * 86_400),
                )
                session.execute(
                    "INSERT INTO mail_events (uuid, instance, message, at, type, recipient,"
                    " recipient_domain) SELECT (left(uuid::text, 18) || '-a' ||"
                    " substr(uuid::text, 21))::uuid, %s, uuid, now(), 'delivered',"
                    " 'u' || n %% 10 || '@example.org', 'example.org' FROM made",
                    (str(each),),
                )
                session.execute(
                    "INSERT INTO mail_events (uuid, instance, message, at, type, recipient,"
                    " recipient_domain) SELECT (left(uuid::text, 18) || '-b' || k ||"
                    " substr(uuid::text, 22))::uuid, %s, uuid, now(), 'delivered',"
                    " 'u@example.net', 'example.net' FROM made, generate_series(1, 2) k"
                    " WHERE n %% 50 = 7",
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


def test_filters_together_find_what_has_all_of_them(instance: uuid.UUID) -> None:
    asked = {name: _page(instance, ask) for name, (ask, _) in TOGETHER.items()}
    found = {name: _explained(page) for name, page in asked.items()}
    assert {name: uuids for name, (uuids, _) in found.items()} == {
        name: _plain(instance, condition)[:FEW] for name, (_, condition) in TOGETHER.items()
    }
    # Where most of the first are of the page, these. Else no more than all that there is: by the
    # events that are looked at first, and then once.
    most = dict.fromkeys(TOGETHER, LOG + 100 * FEW)
    most |= {"common, common": 4 * FEW + 2 * DAYS}
    assert {name: read for name, (_, read) in found.items() if read > most[name]} == {}


@pytest.mark.parametrize("status", ["DELIVERED", "DEFERRED"])
def test_pages_before_a_time_and_after_a_message_begin_there(
    instance: uuid.UUID, status: str
) -> None:
    ask = {"to_domain": "example.org", "with_status": status}
    condition = f"{_COMMON} AND status = '{status}'"
    every = _plain(instance, condition)
    after = _page(instance, ask)
    after.after(every[len(every) // 2])
    assert _explained(after)[0] == every[len(every) // 2 + 1 :][:FEW]
    # Those of the newest day are looked at, and none of them is older.
    midnight = utils.now().replace(hour=0, minute=0, second=0, microsecond=0)
    before = _page(instance, ask)
    before.until(midnight)
    older = _plain(instance, f"{condition} AND accepted_at < '{midnight:%Y-%m-%d}'")
    assert _explained(before)[0] == older[:FEW]


@pytest.mark.parametrize(
    ("page", "method", "value"),
    [
        (messages.Messages, "with_tag", "rare"),
        (messages.Messages, "by_credential", "rare"),
        (events.Events, "of_type", "deferred"),
        (events.Events, "of_class", "mailbox_full"),
    ],
    ids=["tag", "credential", "type", "class"],
)
def test_what_few_rows_have_is_read_from_an_index(
    instance: uuid.UUID, page: type[messages.Messages | events.Events], method: str, value: str
) -> None:
    with utils.transaction() as session:
        session.execute(
            "UPDATE mail_messages SET tags = CASE status WHEN 'DEFERRED' THEN '{common,rare}'"
            " ELSE '{common}' END::text[],"
            " credential = CASE status WHEN 'DEFERRED' THEN 'rare' ELSE 'common' END"
        )
        session.execute(
            "UPDATE mail_events e SET type = 'deferred', reason = 'mailbox_full'"
            " FROM mail_messages m WHERE m.uuid = message AND status = 'DEFERRED'"
        )
        for table in ("mail_messages", "mail_events"):
            session.execute(f"ANALYZE {table}")
    asked = page(instance, FEW)
    getattr(asked, method)(value)
    found, read = _explained(asked)
    assert len(found) == FEW
    # Of both instances, if at all.
    assert read <= 2 * MESSAGES // 250 * 3, read


def _page(instance: uuid.UUID, ask: dict[str, str]) -> messages.Messages:
    """Return a page of the messages of *instance* that *ask* names by method and value."""
    page = messages.Messages(instance, FEW)
    for method, value in ask.items():
        getattr(page, method)(value)
    return page


def _plain(instance: uuid.UUID, condition: str) -> list[uuid.UUID]:
    """Return the messages of *instance* with *condition*, newest first, asked for at once."""
    with utils.transaction() as session:
        found = session.execute(_PLAIN.format(condition), (str(instance),)).fetchall()
    return [row["uuid"] for row in found]


def _explained(page: _Paged) -> tuple[list[uuid.UUID], int]:
    """Return the uuids of the page, and how many rows of the tables are read for it."""
    with utils.transaction() as session:
        explaining = explained.Session(session, "mail_messages", "mail_events")
        found = page.select(explaining)
    return [each["uuid"] for each in found], sum(explaining.read)
