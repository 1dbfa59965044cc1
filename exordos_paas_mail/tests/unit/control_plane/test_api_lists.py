# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Every list of the API, asked with what it cannot take."""

from __future__ import annotations

import re
import typing as tp

from exordos_paas_mail.tests.unit.control_plane import api_client

_OF_INSTANCE: tp.Final = (
    *("accounts", "domains", "webhooks", "suppressions", "messages", "events", "stats", "usage"),
    *("queue", "queue_domains", "operations", "tls_policies"),
)
_WEBHOOK: tp.Final = {"url": "https://hooks.example.com/mail", "events": ["message.delivered"]}
# The parameter that the answer names, and the query.
_QUERIES: tp.Final = (
    *(("color", "color=red"), ("uuid", "uuid=%00"), ("created_at", "created_at=x")),
    *(("color", "color=%ff"), ("query", "%ff=1"), ("q", "q=%ff"), ("q", "q=x")),
    *(("page_limit", "page_limit=x"), ("page_marker", "page_marker=x")),
    *(("sort_key", "sort_key=color"), ("fields", "fields=color")),
)


def _lists(api: api_client.Client) -> list[str]:
    instance = api.instance()
    account, domain = api.account(instance), api.domain(instance)
    webhook = api.post(f"{instance}/webhooks/", _WEBHOOK)
    return [
        *(api_client.VERSIONS, api_client.INSTANCES),
        *(f"{instance}/{name}/" for name in _OF_INSTANCE),
        *(f"{account}/credentials/", f"{account}/usage/"),
        *(f"{domain}/records/", f"{domain}/dkim_keys/"),
        f"{instance}/webhooks/{webhook['uuid']}/deliveries/",
    ]


def test_a_list_names_the_parameter_that_it_cannot_take(api: api_client.Client) -> None:
    found = {
        (path, query): api.refused("GET", f"{path}?{query}")
        for path in _lists(api)
        for _, query in _QUERIES
    }

    right = {query: (400, name) for name, query in _QUERIES}
    assert {
        asked: (status, message)
        for asked, (status, message) in found.items()
        if (status, message.partition(":")[0]) != right[asked[1]]
    } == {}


def test_a_list_is_sorted_by_each_field_or_says_that_it_cannot_be(api: api_client.Client) -> None:
    spec = api.admin().get("/specifications/3.0.3")
    schemas = spec["components"]["schemas"]
    failed = {}
    for path in _lists(api):
        (described,) = (
            operations["get"]
            for name, operations in spec["paths"].items()
            if re.fullmatch(re.sub(r"\{\w+\}", "[0-9a-f-]{36}", name), path)
        )
        content = described["responses"]["200"]["content"]["application/json"]
        schema = content["schema"]["items"]
        while "$ref" in schema:
            schema = schemas[schema["$ref"].rpartition("/")[2]]
        for field in schema["properties"]:
            answer = api.call("GET", f"{path}?sort_key={field}")
            if answer.status_code not in {200, 400}:
                failed[path, field] = answer.text
    assert failed == {}
