# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The sign of life of a node's agent.

An agent whose node does not change writes nothing for months, so nobody can tell it
from a dead one. This row changes every few seconds. It is of a kind that the agent has
not registered, so that it is in no payload: a fact of the agent's own would have the
control plane send the whole target again, with every account.
"""

from __future__ import annotations

import datetime
import logging
import time
import typing as tp
import uuid as sys_uuid

import bazooka
import requests
from bazooka import exceptions as bazooka_exceptions
from gcl_sdk.agents.universal import utils
from gcl_sdk.agents.universal.clients.orch import exceptions as orch_exceptions
from gcl_sdk.agents.universal.clients.orch import http
from gcl_sdk.agents.universal.dm import models
from oslo_config import cfg

from exordos_paas_mail import constants

if tp.TYPE_CHECKING:
    from gcl_sdk.agents.universal.clients.orch import base

LOG = logging.getLogger(__name__)

_AGENT: tp.Final = "universal_agent"
# Seconds; the agent's own pass waits for the answer.
_TIMEOUT: tp.Final = 5


class Heartbeat:
    """Writes the row of one agent."""

    def __init__(
        self, client: base.AbstractOrchClient, agent: sys_uuid.UUID, node: sys_uuid.UUID
    ) -> None:
        self._client = client
        self._agent = agent
        self._node = node
        self._last: float | None = None

    def beat(self) -> None:
        """Write the row, at most once in constants.HEARTBEAT_PERIOD seconds.

        A control plane that does not answer, or does not understand the node's key, is
        no error here: the agent's own requests say so.
        """
        now = time.monotonic()
        if self._last is not None and now - self._last < constants.HEARTBEAT_PERIOD:
            return
        self._last = now
        try:
            self._write()
        except (requests.RequestException, bazooka_exceptions.BaseHTTPException) as error:
            LOG.info("No heartbeat: %s", error)

    def _write(self) -> None:
        at = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        row = models.Resource.from_value(
            {"uuid": str(self._agent), "at": at}, constants.HEARTBEAT_KIND, ("uuid",)
        )
        row.node = self._node
        try:
            self._client.resources_update(
                constants.HEARTBEAT_KIND, self._agent, value=row.value, full_hash=row.full_hash
            )
        except orch_exceptions.ResourceNotFound:
            self._client.resources_create(row)


def of_this_agent() -> Heartbeat | None:
    """Return the heartbeat of the agent this process is, None if it is none.

    Where the control plane is and how the node is known there is the configuration of
    the agent, which gcl_sdk.agents.universal.cmd.universal_agent has read.
    """
    if _AGENT not in cfg.CONF:
        return None
    options = cfg.CONF[_AGENT]
    encryptor = None
    if options.orch_secure_communication:
        encryptor = utils.get_encryptor(options.private_key_path)
    system = utils.system_uuid()
    return Heartbeat(
        http.HttpOrchClient(
            orch_endpoint=options.orch_endpoint,
            status_endpoint=options.status_endpoint,
            http_client=bazooka.Client(default_timeout=_TIMEOUT),
            encryptor=encryptor,
        ),
        sys_uuid.uuid5(system, constants.ELEMENT_NAME),
        system,
    )
