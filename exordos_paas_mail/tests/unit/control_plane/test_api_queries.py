# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Queries that make no sense are a 400, and none asks about a secret."""

from __future__ import annotations

import urllib.parse
import uuid as sys_uuid

import pytest

from exordos_paas_mail.control_plane.api import accounts, queries
from exordos_paas_mail.tests.unit.control_plane import api_client

NOBODY = sys_uuid.UUID(int=1)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("color=red", "color: no such field"),
        ("cpu=many", "cpu: must be an integer from 1 to 128"),
        (
            "domain=a%3Bb",
            "domain: must be a DNS name of two labels or more, at most 253 characters",
        ),
        ("name=%00", "name: must not contain a NUL character"),
        ("status=%00", "status: must not contain a NUL character"),
        ("dkim_public_key=a%00b", "dkim_public_key: must not contain a NUL character"),
        ("q=name%3D%22%00%22", "q: must not contain a NUL character"),
        ("status=x", "status: must be one of NEW, IN_PROGRESS, ACTIVE, ERROR"),
        ("created_at=x", "created_at: must be a time such as 2026-01-31T12:00:00.000000Z"),
        ("uuid=x", "uuid: must be a UUID"),
        ("project_id=x", "project_id: must be a UUID"),
        ("cpu=" + "9" * 5000, "cpu: must be an integer from 1 to 128"),
        *(
            (f"version={bad}", "version: must be the URI of an existing record")
            for bad in (
                *("", "x", "/v1/nowhere/1", f"{api_client.VERSIONS}x"),
                *(f"{api_client.VERSIONS}{NOBODY}", f"{api_client.INSTANCES}{NOBODY}"),
            )
        ),
        ("fields=color", "fields: must be the name of a field"),
        ("sort_dir=asc", "sort_dir: must be given once, together with sort_key"),
        ("sort_key=name&sort_dir=up", "sort_dir: must be asc or desc"),
        ("sort_key=name&sort_key=cpu", "sort_key: must be given once"),
        ("sort_key=version", "sort_key: cannot be version"),
        ("sort_key=ipsv4", "sort_key: cannot be ipsv4"),
        ("sort_key=hostname", "sort_key: cannot be hostname"),
        ("sender_policy=x", "sender_policy: must be one of domain, account"),
        ("hostname=null", "hostname: ask for null by q=hostname=null"),
        (
            "hostname=smtp",
            "hostname: must be a DNS name of two labels or more, at most 253 characters",
        ),
        ("page_limit=5&page_limit=6", "page_limit: must be given once"),
        ("q=color%3D1", "q: color: no such field"),
        ("q=cpu%3Dmany", "q: cpu: must be an integer from 1 to 128"),
        ("q=version%3Dx", "q: version: must be the URI of an existing record"),
        ("q=name", "q: Filter name is not supported"),
        ("q=(", "q: Filter syntax error at position 1: expected a field name, got 'end of filter'"),
        ("q=" + "a" * 5000, "q: Filter is too complex: longer than 4096 characters"),
        ("q=a&q=b", "q: must be given once"),
        ("=", "query: no such field"),
        ("sort_key=color", "sort_key: must be the name of a field"),
        ("page_marker=x", "page_marker: must be a UUID"),
        (f"project_id={NOBODY}&project_id={NOBODY}", "project_id: must be given once"),
        ("ipsv4=a&ipsv4=b", "ipsv4: must be given once"),
        *(
            (f"q={field}{compared}null", "query: a filter's value does not match the field's type")
            for field in ("uuid", "project_id", "created_at", "updated_at", "ipsv4")
            for compared in ("%3D", "!%3D")
        ),
        *(
            (f"page_limit={bad}", "page_limit: must be an integer from 0 (the default) to 500")
            for bad in ("-1", "x", "", "1.5", "501", "%D9%A1", "9" * 20, "9" * 5000)
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
    assert api.refused("GET", path) == (400, "active: must be true or false")


def test_a_page_after_a_record_that_is_not_there_is_a_400(api: api_client.Client) -> None:
    path = f"{api_client.INSTANCES}?sort_key=name&page_limit=1&page_marker={NOBODY}"
    assert api.refused("GET", path) == (
        400,
        "page_marker: must be the UUID of a record of the list",
    )


@pytest.mark.parametrize("field", ["password", "password_hash"])
@pytest.mark.parametrize("query", ["{}=x", "q={}=x", "sort_key={}"])
def test_a_secret_cannot_be_asked_about(api: api_client.Client, field: str, query: str) -> None:
    instance = api.instance()
    assert api.refused("GET", f"{instance}/accounts/?{query.format(field)}")[0] == 400


@pytest.mark.parametrize("query", ["{}", "{}&instance={}", "{own}&instance={}"])
def test_accounts_of_another_instance_are_not_asked_for_here(
    api: api_client.Client, query: str
) -> None:
    instance, other = api.instance(), api.instance()
    path = f"{instance}/accounts/?instance={query.format(other, other, own=instance)}"
    assert api.refused("GET", path) == (400, "instance: must be the instance in the path")
    stranger = api.of_other_project().instance()
    path = f"{instance}/accounts/?instance={stranger}"
    assert api.refused("GET", path) == (400, "instance: must be the URI of an existing record")
    assert api.get(f"{instance}/accounts/?instance={instance}") == []


def test_a_query_names_so_many_other_records(standing_api: api_client.Client) -> None:
    instance, most = standing_api.instance(), queries.RECORDS_MAX
    accounts_ = f"{instance}/accounts/"
    refused = f"a query names {most} other records at most"
    named = [f"instance={instance}"] * (most + 1)
    assert standing_api.get(f"{accounts_}?{'&'.join(named[1:])}") == []
    assert standing_api.refused("GET", f"{accounts_}?{'&'.join(named)}") == (
        400,
        f"instance: {refused}",
    )
    expression = urllib.parse.quote(" OR ".join([f'instance="{instance}"'] * (most + 1)))
    assert standing_api.refused("GET", f"{accounts_}?q={expression}") == (
        400,
        f"q: instance: {refused}",
    )


@pytest.mark.parametrize(
    "field", ["uuid", "name", "domain", "cpu", "status", "error", "updated_at"]
)
def test_a_list_sorted_by_a_field_comes_in_pages(api: api_client.Client, field: str) -> None:
    paths = [api.instance(name=name, cpu=2) for name in "bac"]
    whole = [i["uuid"] for i in api.get(f"{api_client.INSTANCES}?sort_key={field}&sort_dir=desc")]
    assert sorted(whole) == sorted(path.rpartition("/")[2] for path in paths)
    found, marker = [], ""
    while True:
        query = f"sort_key={field}&sort_dir=desc&page_limit=1{marker}"
        answer = api.call("GET", f"{api_client.INSTANCES}?{query}")
        found += [instance["uuid"] for instance in answer.json]
        if "X-Pagination-Marker" not in answer.headers:
            break
        marker = f"&page_marker={answer.headers['X-Pagination-Marker']}"
    assert found == whole


@pytest.mark.parametrize("field", ["description", "limits", "active", "hold"])
def test_accounts_are_sorted_by_what_an_index_has_alone(
    standing_api: api_client.Client, field: str
) -> None:
    path = f"{standing_api.instance()}/accounts/?sort_key={field}"
    assert standing_api.refused("GET", path) == (
        400,
        "sort_key: must be one of uuid, name, username, created_at, updated_at",
    )


@pytest.mark.parametrize("query", ["", "?page_limit=0"])
def test_a_list_without_a_limit_is_a_page_of_the_default_size(
    api: api_client.Client, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    monkeypatch.setattr(accounts.MailAccountController, "__bounds__", queries.Bounds(page_limit=2))
    instance = api.instance()
    names = ["a", "b", "c"]
    for name in names:
        api.account(instance, name)
    answer = api.call("GET", f"{instance}/accounts/{query}")
    assert (len(answer.json), answer.headers["X-Pagination-Limit"]) == (2, "2")
    marker = answer.headers["X-Pagination-Marker"]
    rest = api.call("GET", f"{instance}/accounts/?page_marker={marker}")
    assert "X-Pagination-Marker" not in rest.headers
    assert sorted(a["username"] for a in [*answer.json, *rest.json]) == names


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("name=%ff", "name: must be UTF-8"),
        ("page_limit=1&sort_key=%ED%A0%80", "sort_key: must be UTF-8"),
        ("q=%ff", "q: must be UTF-8"),
        ("fields=%ff", "fields: must be UTF-8"),
        ("%ff=1", "query: a parameter's name must be UTF-8"),
    ],
)
def test_a_query_that_is_not_utf_8_names_the_parameter(
    api: api_client.Client, query: str, message: str
) -> None:
    instance = api.instance()
    for path in (api_client.INSTANCES, instance, f"{instance}/accounts/", api_client.VERSIONS):
        assert api.refused("GET", f"{path}?{query}") == (400, message)
    assert api.refused("POST", f"{instance}/accounts/?{query}", {}) == (400, message)
    # What is not this plugin's is answered as the platform answers it.
    assert api.refused("GET", f"/v1/types/?{query}")[0] == 500
