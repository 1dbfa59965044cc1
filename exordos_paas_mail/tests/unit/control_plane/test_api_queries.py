# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Queries that make no sense are a 400, and none asks about a secret."""

from __future__ import annotations

import uuid as sys_uuid

import pytest

from exordos_paas_mail.tests.unit.control_plane import api_client

NOBODY = sys_uuid.UUID(int=1)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("color=red", "Filter color is not supported"),
        ("cpu=many", "Can't parse value: cpu=many."),
        ("domain=a%3Bb", "Can't parse value: domain=a;b."),
        ("name=%00", "name: must not have a NUL"),
        ("status=%00", "status: must not have a NUL"),
        ("dkim_public_key=a%00b", "dkim_public_key: must not have a NUL"),
        ("q=name%3D%22%00%22", "q: must not have a NUL"),
        ("sort_key=color", "Sort key color is not supported"),
        ("page_marker=x", "Can't parse value: uuid=x."),
        (f"project_id={NOBODY}&project_id={NOBODY}", "project_id: may be given once"),
        ("ipsv4=a&ipsv4=b", "query: a field is compared with no such value"),
        *(
            (f"q={field}{compared}null", "query: a field is compared with no such value")
            for field in ("uuid", "project_id", "created_at", "updated_at", "ipsv4")
            for compared in ("%3D", "!%3D")
        ),
        *(
            (f"page_limit={bad}", "page_limit: must be an integer of 9 digits at most")
            for bad in ("-1", "x", "", "1.5", "9" * 20, "9" * 5000)
        ),
    ],
)
def test_a_query_that_makes_no_sense_says_why(
    api: api_client.Client, query: str, message: str
) -> None:
    assert api.refused("GET", f"{api_client.INSTANCES}?{query}") == (400, message)


@pytest.mark.parametrize(
    ("given", "found"),
    [("true", "a"), ("True", "a"), ("1", "a"), ("false", "b"), ("no", "b"), ("0", "b")],
)
def test_accounts_are_filtered_by_whether_they_are_active(
    api: api_client.Client, given: str, found: str
) -> None:
    instance = api.instance()
    api.account(instance, "a")
    api.account(instance, "b", active=False)
    shown = api.get(f"{instance}/accounts/?active={given}")
    assert [account["username"] for account in shown] == [found]


@pytest.mark.parametrize("given", ["", "x", "null", "2"])
def test_what_is_neither_true_nor_false_is_no_filter(api: api_client.Client, given: str) -> None:
    path = f"{api.instance()}/accounts/?active={given}"
    assert api.refused("GET", path) == (400, f"Can't parse value: active={given}.")


def test_a_page_after_a_record_that_is_not_there_is_a_404(api: api_client.Client) -> None:
    path = f"{api_client.INSTANCES}?sort_key=name&page_limit=1&page_marker={NOBODY}"
    assert api.refused("GET", path) == (404, f"uuid: there is no record {NOBODY}")


@pytest.mark.parametrize("field", ["password", "password_hash"])
@pytest.mark.parametrize("query", ["{}=x", "q={}=x", "sort_key={}"])
def test_a_secret_cannot_be_asked_about(api: api_client.Client, field: str, query: str) -> None:
    instance = api.instance()
    assert api.refused("GET", f"{instance}/accounts/?{query.format(field)}")[0] == 400
