# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import datetime
import typing as tp
import uuid as sys_uuid
from unittest import mock

import pytest
import requests
from gcl_sdk.agents.universal.clients.orch import exceptions

from exordos_paas_mail import constants
from exordos_paas_mail.node import heartbeat
from exordos_paas_mail.tests.unit.node import agent_stage

if tp.TYPE_CHECKING:
    from gcl_sdk.agents.universal.dm import models

NODE = sys_uuid.UUID("5f3b0f4e-7c1d-4f0a-9c53-0a6c7f1f1a10")


class StatusAPI(agent_stage.Orchestrator):
    """The control plane's end, which has no row of a kind until one is made."""

    def __init__(self) -> None:
        super().__init__()
        self.failure: Exception | None = None
        self.calls: list[str] = []

    def resources_create(self, resource: models.Resource, **_: tp.Any) -> models.Resource:
        self.calls.append("create")
        return super().resources_create(resource)

    def resources_update(self, kind: str, uuid: sys_uuid.UUID, **fields: tp.Any) -> models.Resource:
        if self.failure is not None:
            raise self.failure
        if str(uuid) not in self.facts:
            raise exceptions.ResourceNotFound(uuid=uuid)
        self.calls.append("update")
        return super().resources_update(kind, uuid, **fields)


@pytest.fixture
def api() -> StatusAPI:
    return StatusAPI()


def beats(api: StatusAPI, *seconds: float) -> None:
    """Call ``beat`` at each of *seconds* of a clock."""
    heart = heartbeat.Heartbeat(api, agent_stage.UUID, NODE)
    for now in seconds:
        with mock.patch("time.monotonic", return_value=now):
            heart.beat()


def test_a_row_is_made_once_and_then_changes(api: StatusAPI) -> None:
    beats(api, 0, constants.HEARTBEAT_PERIOD, 2 * constants.HEARTBEAT_PERIOD)
    assert api.calls == ["create", "update", "update"]
    row = api.facts[str(agent_stage.UUID)]
    assert (row["kind"], row["node"]) == ("mail_node_heartbeat", str(NODE))
    at = datetime.datetime.fromisoformat(row["value"].pop("at"))
    assert abs(datetime.datetime.now(datetime.timezone.utc) - at) < datetime.timedelta(minutes=1)
    assert row["value"] == {"uuid": str(agent_stage.UUID)}


def test_it_is_not_written_more_often_than_the_period(api: StatusAPI) -> None:
    beats(api, 0, 3, 6, constants.HEARTBEAT_PERIOD - 1)
    assert api.calls == ["create"]


def test_a_control_plane_that_does_not_answer_is_no_error(api: StatusAPI) -> None:
    api.failure = requests.ConnectionError("refused")
    beats(api, 0)
    assert (api.calls, api.facts) == ([], {})


def test_a_process_that_is_no_agent_has_none() -> None:
    assert heartbeat.of_this_agent() is None
