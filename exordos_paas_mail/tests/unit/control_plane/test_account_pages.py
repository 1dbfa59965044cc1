# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A page of accounts is read from an index, however many the instance and others have."""

from __future__ import annotations

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
        caplog.clear()
        with caplog.at_level(logging.DEBUG, "restalchemy.storage.sql.sessions"):
            page = api.get(f"{lists}?page_limit=50&sort_key={key}&sort_dir={direction}{found}")
        assert len(page) == length
        # A page that is not full is asked for once more, from its last record on.
        (statement, *_) = [
            str(record.args[0])
            for record in caplog.records
            if isinstance(record.args, tuple) and 'FROM "mail_accounts"' in str(record.args[0])
        ]
        with database.session_manager() as session:
            explained = session.execute(
                f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", _values(statement, lists)
            )
            (row,) = explained.fetchall()
        (top,) = row["QUERY PLAN"]
        (scan,) = _scans(top["Plan"])
        assert "Index" in scan["Node Type"], (key, direction, found)
        # One of both instances, in the order of uuid, would look at twice as many.
        assert scan["Actual Rows"] + scan.get("Rows Removed by Filter", 0) <= 60, scan


def _values(statement: str, path: str) -> list[tp.Any]:
    """Return what *statement* compares with: a log of the product has no values."""
    known = {
        "instance": path.split("/")[5],
        "name": "name777",
        "username": "user777",
        "active": True,
    }
    return [known[column] for column in re.findall(r'"(\w+)" = %s', statement)]


def _scans(node: dict[str, tp.Any]) -> list[dict[str, tp.Any]]:
    below = node.get("Plans", [])
    return [scan for child in below for scan in _scans(child)] if below else [node]
