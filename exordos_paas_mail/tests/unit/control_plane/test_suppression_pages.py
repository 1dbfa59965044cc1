# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A page of suppressions is read from an index, whatever most of them are."""

from __future__ import annotations

import itertools
import typing as tp
import uuid

import pytest

from exordos_paas_mail import utils
from exordos_paas_mail.control_plane.records import suppression_rows, suppressions
from exordos_paas_mail.tests.unit.control_plane import explained

# So many that the planner has a reason not to look at all of them.
ENTRIES = 4_000
LIMIT = 20
# One in a hundred is another's: what a page of them may be asked for by.
OTHERS: tp.Final[dict[str, dict[str, str]]] = {
    "domain": {"to_domain": "Rare.example"},
    "reason": {"with_reason": "COMPLAINT"},
    "origin": {"with_origin": "USER"},
    "scope": {"with_scope": "account"},
    "reason and origin": {"with_reason": "COMPLAINT", "with_origin": "USER"},
    "all": {"with_reason": "COMPLAINT", "with_origin": "USER", "with_scope": "account"},
    "domain and reason": {"to_domain": "rare.example", "with_reason": "COMPLAINT"},
}
# And by what there is none of, although there are many of each.
NONE: tp.Final[dict[str, dict[str, str]]] = {
    "domain": {"to_domain": "nobodys.example"},
    "reason": {"with_reason": "MANUAL"},
    "reason and origin": {"with_reason": "HARD_BOUNCE", "with_origin": "USER"},
    "reason and scope": {"with_reason": "COMPLAINT", "with_scope": "instance"},
}


@pytest.fixture
def instance(database: object) -> uuid.UUID:
    """Return an instance with many, beside another."""
    instances = (uuid.uuid4(), uuid.uuid4())
    with utils.transaction() as session:
        for each in instances:
            session.execute(
                "INSERT INTO mail_suppressions (uuid, instance, shard, size, address, scope,"
                " account, reason, origin, created_at) SELECT gen_random_uuid(), %s, '00', 60,"
                " 'u' || n || CASE n %% 100 WHEN 7 THEN '@rare.example' ELSE '@common.example' END,"
                " CASE n %% 100 WHEN 7 THEN 'account' ELSE 'instance' END,"
                " CASE n %% 100 WHEN 7 THEN gen_random_uuid() END,"
                " CASE n %% 100 WHEN 7 THEN 'COMPLAINT' ELSE 'HARD_BOUNCE' END,"
                " CASE n %% 100 WHEN 7 THEN 'USER' ELSE 'AUTO' END, now()"
                " FROM generate_series(1, %s) n",
                (str(each), ENTRIES),
            )
        session.execute("ANALYZE mail_suppressions")
    return instances[0]


@pytest.mark.parametrize("ask", OTHERS.values(), ids=OTHERS)
def test_a_page_of_few_among_many_is_read_from_an_index(
    instance: uuid.UUID, ask: dict[str, str]
) -> None:
    expected = _plain(instance)
    assert len(expected) == ENTRIES // 100
    first, read = _explained(instance, ask)
    assert first == expected[:LIMIT]
    assert read <= ENTRIES // 100, read
    second, read = _explained(instance, ask, after=first[-1])
    assert second == expected[LIMIT:]
    assert read <= ENTRIES // 100, read


@pytest.mark.parametrize("ask", NONE.values(), ids=NONE)
def test_a_page_of_none_is_looked_for_in_an_index(instance: uuid.UUID, ask: dict[str, str]) -> None:
    assert _explained(instance, ask) == ([], 0)


def test_kinds_are_put_together_in_their_order(instance: uuid.UUID) -> None:
    with utils.transaction() as session:
        for number, (reason, origin, scope) in enumerate(
            itertools.product(
                suppressions.REASONS, suppression_rows.ORIGINS, suppression_rows.SCOPES
            )
        ):
            session.execute(
                "UPDATE mail_suppressions SET reason = %s, origin = %s, scope = %s"
                " WHERE get_byte(uuid_send(uuid), 15) %% 12 = %s",
                (reason, origin, scope, number),
            )
        rows = session.execute(
            "SELECT uuid, reason, origin, scope FROM mail_suppressions WHERE instance = %s"
            " ORDER BY uuid",
            (str(instance),),
        ).fetchall()
    for kinds in itertools.product(
        (None, *suppressions.REASONS),
        (None, *suppression_rows.ORIGINS),
        (None, *suppression_rows.SCOPES),
    ):
        names = ("reason", "origin", "scope")
        asked = {n: kind for n, kind in zip(names, kinds, strict=True) if kind is not None}
        found, _ = _explained(instance, {f"with_{n}": kind for n, kind in asked.items()})
        expected = [row["uuid"] for row in rows if asked.items() <= row.items()]
        assert found == expected[:LIMIT], asked


def _plain(instance: uuid.UUID) -> list[uuid.UUID]:
    with utils.transaction() as session:
        rows = session.execute(
            "SELECT uuid FROM mail_suppressions WHERE instance = %s"
            " AND address LIKE '%%@rare.example' ORDER BY uuid",
            (str(instance),),
        ).fetchall()
    return [row["uuid"] for row in rows]


def _explained(
    instance: uuid.UUID, ask: dict[str, str], after: uuid.UUID | None = None
) -> tuple[list[uuid.UUID], int]:
    """Return the uuids of a page, and how many rows are looked at for it."""
    page = suppressions.Suppressions(instance, LIMIT)
    for method, value in ask.items():
        getattr(page, method)(value)
    if after is not None:
        page.after(after)
    with utils.transaction() as session:
        explaining = explained.Session(session, "mail_suppressions")
        found = page.select(explaining)
    return [each["uuid"] for each in found], sum(explaining.read)
