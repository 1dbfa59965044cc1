# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the clients: one account, the machines that send by it, the table of the run.

Users, instance and the world outside are those of the end-to-end suite, whose
conftest the make target loads as a plugin.
"""

from __future__ import annotations

import ipaddress
import os
import pathlib
import typing as tp

import pytest

from clients import mail
from exordos_paas_mail.tests.functional import provisioning
from exordos_paas_mail.tests.mail_clients import catalogue, machines, table
from stand import settings, trust

if tp.TYPE_CHECKING:
    from clients import iam, rest, waiting, zones
    from clients import internet as internet_client

_ROOT: tp.Final = pathlib.Path(__file__).parents[3]


@pytest.fixture(scope="session")
def zone(owner_session: iam.Session, world: internet_client.Client) -> tp.Iterator[zones.Zone]:
    """Return a zone of the project in Core DNS."""
    with provisioning.zone(owner_session.api(), world) as made:
        yield made


@pytest.fixture(scope="session")
def requested(
    owner: rest.Api, project: str, version: rest.Json, zone: zones.Zone
) -> tp.Iterator[dict[str, rest.Json]]:
    """Return the one instance of the run, just asked for: an account sends as itself alone.

    Core publishes its records, so it begins with a certificate of the public authority's.
    """
    body = {
        **provisioning.instance_body(project, version, "shared"),
        "domain": f"mail.{zone.name}",
        "dns": {"kind": "core"},
        "sender_policy": "account",
    }
    created = owner.create(mail.INSTANCES, body)
    assert created["tls"] == {"kind": "acme"}
    yield {"shared": created}
    owner.delete(mail.instance_path(created))


@pytest.fixture(scope="session")
def instance(owner: rest.Api, requested: dict[str, rest.Json], poll: waiting.Poll) -> rest.Json:
    """Return the instance of the run, ACTIVE, once what the authority has issued is served."""
    path = mail.instance_path(provisioning.wait_active(owner, requested["shared"], poll))
    found: rest.Json = poll.until(
        "the authority's certificate is served",
        lambda: owner.read(path),
        lambda it: it["tls_status"] == "ACTIVE",
    )
    assert found["tls_names"] == [found["domain"]]
    return found


@pytest.fixture(scope="session")
def internet(
    world: internet_client.Client, owner: rest.Api, instance: rest.Json, poll: waiting.Poll
) -> tp.Iterator[internet_client.Client]:
    """Return the world outside, once it has all records of the instance.

    Core publishes all but the PTR, which is whose the address is.
    """
    (address,) = instance["ipsv4"]
    pointer = ipaddress.ip_address(address).reverse_pointer
    world.publish(pointer, "PTR", f"{instance['domain']}.")
    poll.until(
        "its records are there",
        lambda: owner.read(mail.instance_path(instance)),
        lambda it: it["dns_status"] == "OK",
    )
    yield world
    world.withdraw(pointer)


@pytest.fixture(scope="session")
def account(accounts: provisioning.Accounts) -> provisioning.Account:
    return accounts.ready(username="noreply")


@pytest.fixture(scope="session")
def root() -> str:
    """Return the root of the authority, as PEM."""
    return trust.root(settings.SITE)


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
    clean: None, instance: rest.Json, root: str, results: table.Results
) -> tp.Iterator[machines.Machine]:
    """Return the machine of the programs, which has no mail transport agent."""
    with machines.booted(machines.LIBRARIES, 0, instance["domain"], root) as booted:
        results.versions.update(booted.versions())
        yield booted


@pytest.fixture(scope="module")
def satellite_machine(
    request: pytest.FixtureRequest,
    clean: None,
    instance: rest.Json,
    root: str,
    results: table.Results,
) -> tp.Iterator[machines.Machine]:
    """Return the machine of the mail transport agent that the test is about."""
    satellite: catalogue.Satellite = request.param
    number = 1 + catalogue.SATELLITES.index(satellite)
    layer = machines.layer(satellite)
    with machines.booted(layer, number, instance["domain"], root) as booted:
        results.versions.update(booted.debian_versions())
        yield booted
