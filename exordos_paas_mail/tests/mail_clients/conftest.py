# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the clients: one account, the machines that send by it, the table of the run.

Users, instance and the world outside are those of the end-to-end suite, whose
conftest the make target loads as a plugin.
"""

from __future__ import annotations

import os
import pathlib
import typing as tp

import pytest

from clients import mail
from exordos_paas_mail.tests.functional import provisioning
from exordos_paas_mail.tests.mail_clients import catalogue, machines, table

if tp.TYPE_CHECKING:
    from clients import rest

_ROOT: tp.Final = pathlib.Path(__file__).parents[3]


@pytest.fixture(scope="session")
def requested(
    owner: rest.Api, project: str, version: rest.Json
) -> tp.Iterator[dict[str, rest.Json]]:
    """Return the one instance of the run, just asked for: an account sends as itself alone."""
    shared = provisioning.instance_body(project, version, "shared")
    body = {**shared, "sender_policy": "account"}
    created = owner.create(mail.INSTANCES, body)
    yield {"shared": created}
    owner.delete(mail.instance_path(created))


@pytest.fixture(scope="session")
def account(accounts: provisioning.Accounts) -> provisioning.Account:
    return accounts.ready(username="noreply")


@pytest.fixture(scope="session")
def certificate(instance: rest.Json) -> str:
    """Return what the relay shows: a client of the run trusts it as an authority."""
    return machines.relay_certificate(instance["ipsv4"][0])


@pytest.fixture(scope="session")
def results() -> tp.Iterator[table.Results]:
    """Return what the run found; `make client-table` writes it down."""
    found = table.Results()
    yield found
    if "MAILAAS_WRITE_CLIENT_TABLE" in os.environ:
        (_ROOT / catalogue.TABLE).write_text(table.render(found))


@pytest.fixture(scope="session")
def clean() -> None:
    """Begin without the machines of a run that was killed."""
    machines.remove_left_over()


@pytest.fixture(scope="session")
def machine(
    clean: None, instance: rest.Json, certificate: str, results: table.Results
) -> tp.Iterator[machines.Machine]:
    """Return the machine of the programs, which has no mail transport agent."""
    with machines.booted(machines.LIBRARIES, 0, instance["domain"], certificate) as booted:
        results.versions.update(booted.versions())
        yield booted


@pytest.fixture(scope="module")
def satellite_machine(
    request: pytest.FixtureRequest,
    clean: None,
    instance: rest.Json,
    certificate: str,
    results: table.Results,
) -> tp.Iterator[machines.Machine]:
    """Return the machine of the mail transport agent that the test is about."""
    satellite: catalogue.Satellite = request.param
    number = 1 + catalogue.SATELLITES.index(satellite)
    layer = machines.layer(satellite)
    with machines.booted(layer, number, instance["domain"], certificate) as booted:
        results.versions.update(booted.debian_versions())
        yield booted
