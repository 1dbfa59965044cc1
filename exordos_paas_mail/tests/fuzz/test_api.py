# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Each operation of the OpenAPI document, asked with what fits it and with what does not.

The application and its database are the real ones. Whatever is asked, the answer is no
5xx, and comes: ``make fuzz-api``, with CASES requests in all.
"""

from __future__ import annotations

import os
import typing as tp

import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import strategies
from schemathesis import generation

from exordos_paas_mail.tests.unit.control_plane import api_client

CASES: tp.Final = int(os.environ.get("CASES", "10000"))
SEED: tp.Final = int(os.environ.get("SEED", "0"))
PREFIX: tp.Final = api_client.ROOT
SECONDS_MAX: tp.Final = 3600
_MODES: tp.Final = (generation.GenerationMode.POSITIVE, generation.GenerationMode.NEGATIVE)


class World:
    """Records of a tenant, by the name of the parameter that their uuid is in a path."""

    def __init__(self, api: api_client.Client) -> None:
        self.api = api
        instance = api.instance()
        account = api.account(instance)
        end = "2999-01-01T00:00:00Z"
        made = {
            "MailInstanceUuid": instance,
            "MailAccountUuid": account,
            "MailDomainUuid": api.domain(instance),
        }
        bodies: dict[str, tuple[str, dict[str, tp.Any]]] = {
            "MailCredentialUuid": (f"{account}/credentials/", {"expires_at": end}),
            "MailWebhookUuid": (
                f"{instance}/webhooks/",
                {"url": "https://hooks.example.com/", "events": ["message.delivered"]},
            ),
            "MailSuppressionUuid": (f"{instance}/suppressions/", {"address": "x@b.example"}),
        }
        self.uuids = {name: path.rpartition("/")[2] for name, path in made.items()}
        for name, (path, body) in bodies.items():
            self.uuids[name] = api.post(path, body)["uuid"]
        domain = f"{instance}/domains/{self.uuids['MailDomainUuid']}"
        keys = api.get(f"{domain}/dkim_keys/")
        self.uuids["MailDkimKeyUuid"] = keys[0]["uuid"]

    def is_whole(self) -> bool:
        """Return whether all that is not of one request is still there."""
        instance = f"{api_client.INSTANCES}{self.uuids['MailInstanceUuid']}"
        rest = (
            f"/accounts/{self.uuids['MailAccountUuid']}",
            f"/domains/{self.uuids['MailDomainUuid']}",
            f"/webhooks/{self.uuids['MailWebhookUuid']}",
            f"/suppressions/{self.uuids['MailSuppressionUuid']}",
        )
        answers = [self.api.call("GET", instance + path) for path in rest]
        return all(answer.status_code == 200 for answer in answers)


def document(api: api_client.Client) -> dict[str, tp.Any]:
    answer = api.admin().call("GET", "/specifications/3.0.3")
    assert answer.status_code == 200, answer.text
    return tp.cast("dict[str, tp.Any]", answer.json)


@pytest.fixture
def asked(api: api_client.Client) -> dict[str, int]:
    """Ask each operation of ours in turn; return how often which status was answered."""
    schema = schemathesis.openapi.from_dict(document(api))
    found = [each.ok() for each in schema.get_all_operations()]
    ours = [each for each in found if each.path.startswith(f"{PREFIX}/")]
    assert ours
    statuses: dict[str, int] = {}
    # A token of the usual life ends before all is asked, and what follows is refused for that.
    token = api.core.token(api.project_id, api_client.OWNER, lifetime=SECONDS_MAX)
    worlds = [World(api.with_token(token))]
    for number, operation in enumerate(ours):
        # There is not so much to ask of some: the others are asked more.
        left = max(CASES - sum(statuses.values()), 0)
        _ask(operation, left // (len(ours) - number) + 1, worlds, statuses)
    return statuses


def test_nothing_that_is_asked_is_answered_by_a_5xx(asked: dict[str, int]) -> None:
    print(f"{sum(asked.values())} requests: {dict(sorted(asked.items()))}")  # noqa: T201
    # It is not all refused before it is looked at.
    assert asked.get("2xx", 0) > sum(asked.values()) / 50


def _send(api: api_client.Client, case: tp.Any) -> tuple[int, str]:
    """Return the status of the answer, and what was asked."""
    asked = case.as_transport_kwargs(base_url="http://localhost")
    request = requests.Request(
        asked["method"],
        asked["url"],
        params=asked.get("params"),
        data=asked.get("data"),
        json=asked.get("json"),
    ).prepare()
    body = request.body or b""
    body = body.encode() if isinstance(body, str) else bytes(body)
    answer = api.raw(request.method or "GET", request.path_url, body)
    return answer.status_code, f"{request.method} {request.path_url} {body!r}: {answer.text}"


def _ask(operation: tp.Any, cases: int, worlds: list[World], statuses: dict[str, int]) -> None:
    """Ask one operation so often, of records that are there or of none."""
    api = worlds[0].api
    shapes = strategies.one_of([operation.as_strategy(generation_mode=mode) for mode in _MODES])

    @hypothesis.seed(SEED)
    @hypothesis.settings(
        max_examples=cases,
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
    )
    @hypothesis.given(case=shapes, is_known=strategies.booleans())
    def ask(case: tp.Any, *, is_known: bool) -> None:
        if is_known:
            # What was asked before may have deleted some of it.
            if not worlds[-1].is_whole():
                worlds.append(World(api))
            case.path_parameters = {**case.path_parameters, **worlds[-1].uuids}
        status, text = _send(api, case)
        kind = f"{status // 100}xx"
        statuses[kind] = statuses.get(kind, 0) + 1
        assert status < 500, f"{operation.label}: {text}"

    ask()
