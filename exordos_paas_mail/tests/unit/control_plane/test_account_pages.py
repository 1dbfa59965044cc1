# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A page of accounts is read from an index, however many the instance and others have."""

from __future__ import annotations

import contextlib
import itertools
import logging
import re
import typing as tp

import pytest

from exordos_paas_mail.tests.unit.control_plane import api_client

if tp.TYPE_CHECKING:
    from restalchemy.storage.sql import engines

# So many that the planner has a reason not to look at all of them.
ACCOUNTS = 5_000


@pytest.fixture
def lists(api: api_client.Client, database: engines.PgSQLEngine) -> str:
    """Return the path of the accounts of an instance, which has many, beside another's."""
    paths = [api.instance(), api.instance(domain="other.example.com")]
    for path in paths:
        with database.session_manager() as session:
            session.execute(
                "INSERT INTO mail_accounts (uuid, project_id, instance, name, username,"
                " password_hash, created_at, updated_at) SELECT gen_random_uuid(), i.project_id,"
                " i.uuid, 'name' || n, 'user' || n, %s, now() + n * interval '1 s',"
                " now() + n * interval '1 s' FROM mail_instances i, generate_series(1, %s) n"
                " WHERE i.uuid = %s",
                (api_client.HASH, ACCOUNTS, path.rpartition("/")[2]),
            )
    with database.session_manager() as session:
        session.execute("ANALYZE mail_accounts")
    return f"{paths[0]}/accounts/"


def test_a_page_is_read_from_an_index(
    api: api_client.Client,
    database: engines.PgSQLEngine,
    lists: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for key, direction, (found, length) in itertools.product(
        ("uuid", "name", "username", "created_at", "updated_at"),
        ("asc", "desc"),
        {"": 50, "&name=name777": 1, "&username=user777": 1, "&active=true": 50}.items(),
    ):
        known = {"name": "name777", "username": "user777", "active": True}
        with _statements(caplog) as statements:
            page = api.get(f"{lists}?page_limit=50&sort_key={key}&sort_dir={direction}{found}")
        assert len(page) == length
        # A page that is not full is the last, and nothing is asked for once more.
        (statement,) = statements
        # One of both instances, in the order of uuid, would look at twice as many.
        assert _looked_at(database, statement, lists, known) <= 60, (key, direction, found)


@pytest.mark.parametrize("is_one_name", [False, True], ids=["each its name", "one name"])
@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_a_page_far_behind_is_read_from_where_it_begins(
    api: api_client.Client,
    database: engines.PgSQLEngine,
    lists: str,
    caplog: pytest.LogCaptureFixture,
    direction: str,
    *,
    is_one_name: bool,
) -> None:
    with database.session_manager() as session:
        if is_one_name:
            session.execute("UPDATE mail_accounts SET name = 'one'")
        session.execute("ANALYZE mail_accounts")
        rows = session.execute(
            "SELECT uuid, name FROM mail_accounts WHERE instance = %s"  # noqa: S608
            f" ORDER BY name {direction}, uuid {direction}",
            (lists.split("/")[5],),
        ).fetchall()
    query = f"{lists}?page_limit=50&sort_key=name&sort_dir={direction}"
    first = [account["uuid"] for account in api.get(query)]
    marker = rows[ACCOUNTS // 2]
    with _statements(caplog) as statements:
        page = [account["uuid"] for account in api.get(f"{query}&page_marker={marker['uuid']}")]
    uuids = [str(row["uuid"]) for row in rows]
    assert first == uuids[:50]
    assert page == uuids[ACCOUNTS // 2 + 1 :][:50]
    # The record of the marker itself, those that are equal to it, and those after them.
    assert len(statements) == 2 + (not is_one_name)
    for statement in statements:
        assert _looked_at(database, statement, lists, marker) <= 60, statement


@contextlib.contextmanager
def _statements(caplog: pytest.LogCaptureFixture) -> tp.Iterator[list[str]]:
    """Return a list of what the database is asked of accounts meanwhile."""
    caplog.clear()
    found: list[str] = []
    with caplog.at_level(logging.DEBUG, "restalchemy.storage.sql.sessions"):
        yield found
    found += [
        str(record.args[0])
        for record in caplog.records
        if isinstance(record.args, tuple) and 'FROM "mail_accounts"' in str(record.args[0])
    ]


def _looked_at(
    database: engines.PgSQLEngine, statement: str, path: str, known: tp.Mapping[str, tp.Any]
) -> int:
    """Return how many rows of an index *statement* looks at.

    *known* is what it compares with: a log of the product has no values.
    """
    values = {"instance": path.split("/")[5], **known}
    with database.session_manager() as session:
        explained = session.execute(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}",
            [values[column] for column in re.findall(r'"(\w+)" [=<>]+ %s', statement)],
        )
        (row,) = explained.fetchall()
    (top,) = row["QUERY PLAN"]
    (scan,) = _scans(top["Plan"])
    assert "Index" in scan["Node Type"], scan
    return int(scan["Actual Rows"] + scan.get("Rows Removed by Filter", 0))


def _scans(node: dict[str, tp.Any]) -> list[dict[str, tp.Any]]:
    below = node.get("Plans", [])
    return [scan for child in below for scan in _scans(child)] if below else [node]
