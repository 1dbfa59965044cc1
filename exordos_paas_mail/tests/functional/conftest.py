# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the end-to-end suite: users, one shared instance, accounts, the world outside."""

from __future__ import annotations

import os
import typing as tp

import pytest

from clients import elements as elements_client
from clients import iam, mail, owners, rest, waiting
from clients import internet as internet_client
from exordos_paas_mail.tests.functional import provisioning, settings, stand_control, submission


def pytest_configure(config: pytest.Config) -> None:
    try:
        found = settings.from_environment(os.environ)
    except ValueError as error:
        raise pytest.UsageError(str(error)) from error
    config.stash[_SETTINGS] = found


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # A test may wait for a machine twice: once in a fixture, once itself.
    allowed = 2 * config.stash[_SETTINGS].poll.seconds + 60
    for item in items:
        item.add_marker(pytest.mark.timeout(allowed))


_SETTINGS = pytest.StashKey[settings.Settings]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> tp.Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    # The stand has everything the suite can ask for: a skip there hides a failure.
    if report.skipped and item.config.stash[_SETTINGS].is_stand:
        report.outcome = "failed"
        report.longrepr = f"skipped on the stand: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def configuration(pytestconfig: pytest.Config) -> settings.Settings:
    return pytestconfig.stash[_SETTINGS]


@pytest.fixture(scope="session")
def poll(configuration: settings.Settings) -> waiting.Poll:
    """Return how long, and how often, to look for what a machine has to do."""
    return configuration.poll


@pytest.fixture(scope="session")
def administrator(configuration: settings.Settings) -> iam.Session:
    """Return a session of Core's administrator."""
    return iam.Session(
        configuration.core_url, configuration.core_username, configuration.core_password
    )


@pytest.fixture(scope="session")
def core(administrator: iam.Session) -> rest.Api:
    """Return Core's API as its administrator."""
    return administrator.api()


@pytest.fixture(scope="session")
def url(configuration: settings.Settings, core: rest.Api) -> str:
    """Return the root of the mail API: as told, or where Core says the runtime's node is."""
    if configuration.url:
        return configuration.url
    nodes = core.list("/v1/compute/nodes/", name="metapaas-cp")
    assert len(nodes) == 1, "no metapaas-cp node; set EXORDOS_MAIL_CP_URL"
    return f"http://{nodes[0]['default_network']['ipv4']}:8080"


@pytest.fixture(scope="session")
def owner_session(configuration: settings.Settings, core: rest.Api) -> tp.Iterator[iam.Session]:
    """Return a session of an owner of the project: the one told of, or one made for the run."""
    if configuration.owner is not None:
        yield configuration.owner.session(configuration.core_url)
        return
    person = owners.make(core, "mail-suite", configuration.project)
    yield person.session(configuration.core_url)
    owners.remove(core, person)


@pytest.fixture(scope="session")
def owner(owner_session: iam.Session, url: str) -> rest.Api:
    """Return the mail API as an owner of the project."""
    return owner_session.api(url)


@pytest.fixture(scope="session")
def project(configuration: settings.Settings) -> str:
    return configuration.project


@pytest.fixture(scope="session")
def stranger_session(configuration: settings.Settings, core: rest.Api) -> tp.Iterator[iam.Session]:
    """Return a session of an owner of another project."""
    person = owners.make(core, "mail-suite")
    yield person.session(configuration.core_url)
    owners.remove(core, person)


@pytest.fixture(scope="session")
def stranger(stranger_session: iam.Session, url: str) -> rest.Api:
    """Return the mail API as an owner of another project."""
    return stranger_session.api(url)


@pytest.fixture(scope="session")
def version(owner: rest.Api) -> rest.Json:
    versions = owner.list(mail.VERSIONS)
    assert versions, "the version catalogue is empty"
    return versions[0]


@pytest.fixture(scope="session")
def requested(
    owner: rest.Api, project: str, version: rest.Json
) -> tp.Iterator[dict[str, rest.Json]]:
    """Return three instances just asked for, so that all come up in the time of one.

    "shared" is for every test; "passing" belongs to the test that deletes it, "closed" to
    that of a network from which no mail can leave.
    """
    created = {
        label: owner.create(mail.INSTANCES, provisioning.instance_body(project, version, label))
        for label in ("shared", "passing", "closed")
    }
    yield created
    for instance in created.values():
        answer = owner.call("DELETE", mail.instance_path(instance))
        assert answer.status_code in {204, 404}, answer.text


@pytest.fixture(scope="session")
def instance(owner: rest.Api, requested: dict[str, rest.Json], poll: waiting.Poll) -> rest.Json:
    """Return the shared instance, ACTIVE; tests leave it as they found it."""
    return provisioning.wait_active(owner, requested["shared"], poll)


@pytest.fixture(scope="session")
def relay(owner: rest.Api, instance: rest.Json) -> submission.Relay:
    return provisioning.relay_of(owner, instance)


@pytest.fixture(scope="session")
def accounts(
    owner: rest.Api,
    instance: rest.Json,
    relay: submission.Relay,
    poll: waiting.Poll,
) -> tp.Iterator[provisioning.Accounts]:
    made = provisioning.Accounts(owner, instance, relay, poll)
    yield made
    made.remove_all()


@pytest.fixture(scope="session")
def alice(accounts: provisioning.Accounts) -> provisioning.Account:
    """Return an account no test changes."""
    return accounts.ready(username="alice")


@pytest.fixture(scope="session")
def world(configuration: settings.Settings) -> internet_client.Client:
    """Return the world outside."""
    if configuration.internet_url is None:
        pytest.skip("needs the stand's name servers and exchanger (EXORDOS_MAIL_INTERNET_URL)")
    world = internet_client.Client(configuration.internet_url)
    # What a run that was killed has closed.
    world.drop()
    return world


@pytest.fixture(scope="session")
def internet(
    world: internet_client.Client, instance: rest.Json
) -> tp.Iterator[internet_client.Client]:
    """Return the world outside, told of the shared instance what its owner would publish."""
    before = world.records()
    world.publish_sender(
        instance["domain"],
        instance["ipsv4"],
        instance["dkim_selector"],
        instance["dkim_public_key"],
    )
    yield world
    for name in world.records().keys() - before.keys():
        world.withdraw(name)


@pytest.fixture(scope="session")
def elements(
    stand: stand_control.Stand, core: rest.Api, poll: waiting.Poll
) -> elements_client.Elements:
    """Return the elements of the stand."""
    return elements_client.Elements(core, stand.exordos, poll)


@pytest.fixture(scope="session")
def stand(configuration: settings.Settings) -> stand_control.Stand:
    """Return the stand's command, which cuts power and cables."""
    if configuration.stand is None:
        pytest.skip("breaks machines: only on the stand (EXORDOS_MAIL_STAND)")
    return stand_control.Stand(configuration.stand)
