# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Every list of the API, asked with what it cannot take."""

from __future__ import annotations

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
