# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the peers: an account whose instance has a smarthost.

Users, instance and the world outside are those of the end-to-end suite, whose
conftest the make target loads as a plugin.
"""

from __future__ import annotations

import typing as tp

import pytest

from clients import mail
from exordos_paas_mail.tests.functional import provisioning, submission
from exordos_paas_mail.tests.peers import postfix, sending

if tp.TYPE_CHECKING:
    from clients import internet as internet_client
    from clients import rest, waiting


@pytest.fixture(scope="session")
def requested(
    owner: rest.Api, project: str, version: rest.Json
) -> tp.Iterator[dict[str, rest.Json]]:
    """Return the one instance of the run, just asked for."""
    body = provisioning.instance_body(project, version, "shared")
    created = owner.create(mail.INSTANCES, body)
    yield {"shared": created}
    owner.delete(mail.instance_path(created))


@pytest.fixture(scope="session")
def server(
    requested: dict[str, rest.Json], world: internet_client.Client
) -> tp.Iterator[postfix.Postfix]:
    """Return the smarthost, which boots while the instance does."""
    with postfix.booted(world) as booted:
        yield booted


@pytest.fixture(scope="session")
def sender(
    server: postfix.Postfix,
    owner: rest.Api,
    instance: rest.Json,
    relay: submission.Relay,
    alice: provisioning.Account,
    internet: internet_client.Client,
    poll: waiting.Poll,
) -> sending.Sender:
    path = mail.instance_path(instance)
    return sending.Sender(owner, path, relay, alice, internet, poll, server)
