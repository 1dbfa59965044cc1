# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The metrics of a node that sends mail, and what a Prometheus makes of them.

The file that the node has for its base image's node exporter is handed to one here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import typing as tp
import uuid

import pytest

from clients import mail, observability, prometheus
from exordos_paas_mail.tests.functional import submission

if tp.TYPE_CHECKING:
    import pathlib

    from clients import internet as internet_client
    from clients import rest, waiting
    from exordos_paas_mail.tests.functional import provisioning, stand_control

BOB = "bob@example.net"
FILE = "/var/lib/exordos/node_exporter/mailaas.prom"
SAMPLE = re.compile(r"^(\w+){(.*)} (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')
# Of the scrape.
ADDED = {"__name__", "instance", "job", "node"}
OWN = {"exordos_mail_instance", "exordos_project"}
TOLD = "mailaas_metrics_timestamp_seconds"
# What has to be counted, so often at least: a metric and its labels.
GROWS: dict[tuple[str, str, str], int] = {
    ("mailaas_submissions_total", "source", "account"): 3,
    ("mailaas_recipients_total", "result", "delivered"): 1,
    ("mailaas_recipients_total", "class", "recipient_unknown"): 1,
    ("mailaas_recipients_total", "result", "deferred"): 1,
    ("mailaas_rejections_total", "reason", "sender"): 1,
    ("mailaas_failed_logins_total", "login", "account"): 1,
}
SENDER_REFUSED = 553
# What tests before this one did to the node is in its panic log, and the disk is this machine's.
OF_BEFORE = {"MailDiskFills", "MailDiskFull", "MailPanicLog"}

Key = tuple[str, frozenset[tuple[str, str]]]


def key(name: str, **labels: str) -> Key:
    """Return a series by its name and labels, but for those that all of a node's have."""
    own = {label: value for label, value in labels.items() if label not in ADDED | OWN}
    return name, frozenset(own.items())


class Samples(tp.NamedTuple):
    """What a node has told at one moment."""

    text: str

    @property
    def labels(self) -> list[dict[str, str]]:
        return [dict(LABEL.findall(labels)) for _, labels, _ in SAMPLE.findall(self.text)]

    @property
    def values(self) -> dict[Key, float]:
        found = SAMPLE.findall(self.text)
        return {
            key(name, **dict(LABEL.findall(labels))): float(value) for name, labels, value in found
        }

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of the series of that name that have these labels."""
        wanted = labels.items()
        return sum(
            value for (told, own), value in self.values.items() if told == name and wanted <= own
        )


NOTHING = Samples("")


@dataclasses.dataclass
class Site:
    """The node of the shared instance, and a Prometheus that watches it."""

    stand: stand_control.Stand
    node: str
    directory: pathlib.Path
    prometheus: prometheus.Prometheus
    told: Samples = NOTHING
    """What the node told at the last look."""

    def look(self) -> Samples:
        """Hand on what the node tells now, and return it; nothing where it has not told yet."""
        found = Samples(self.stand.shell(self.node, f"if [ -e {FILE} ]; then cat {FILE}; fi"))
        # The node exporter reads what is called *.prom.
        partial = self.directory / "partial"
        partial.write_text(found.text)
        partial.rename(self.directory / "mailaas.prom")
        self.told = found
        return found

    def known(self) -> Samples:
        """Return what the node tells now, once Prometheus has all of it."""
        found = self.look()
        self.prometheus.wait_for(f"{TOLD} == {found.total(TOLD)!r}")
        return found

    def ask(self, query: str) -> dict[Key, float]:
        """Return what Prometheus answers to a query of the dashboard or the alert rules."""
        found = self.prometheus.query(observability.filled_in(query))
        return {key(labels.get("__name__", ""), **labels): value for labels, value in found}

    def shows(self, title: str, number: int = 0) -> dict[str, float]:
        """Return what a panel shows by that of its questions, by the value of its label."""
        queries = [query for told, query in observability.QUERIES if told == title]
        answer = self.ask(queries[number])
        return {" ".join(value for _, value in labels): it for (_, labels), it in answer.items()}


@pytest.fixture(scope="module")
def watched(
    instance: rest.Json, stand: stand_control.Stand, tmp_path_factory: pytest.TempPathFactory
) -> tp.Iterator[Site]:
    folder = tmp_path_factory.mktemp("metrics")
    directory = folder / "node"
    directory.mkdir()
    (node,) = instance["ipsv4"]
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(prometheus.node_exporter(directory))
        started = prometheus.prometheus(folder, observability.RULES, {"node": port})
        yield Site(stand, node, directory, stack.enter_context(started))


@pytest.fixture(scope="module")
def site(
    watched: Site,
    owner: rest.Api,
    instance: rest.Json,
    relay: submission.Relay,
    alice: provisioning.Account,
    internet: internet_client.Client,
    poll: waiting.Poll,
) -> tp.Iterator[Site]:
    """Return the site once mail was accepted, delivered, refused and deferred, and all is counted.

    Mail of tests before may be counted, too.
    """
    poll.until("the node tells metrics", watched.look, lambda found: found.total(TOLD) > 0)
    before = watched.known()
    domain = f"metrics-{uuid.uuid4().hex[:10]}.example.org"
    with relay.logged_in(alice.address, alice.password) as client:
        for recipient in (BOB, submission.unknown_mailbox(), f"deferred@{domain}"):
            composed = submission.message(alice.address, recipient)
            submission.send(client, alice.address, recipient, composed)
        assert client.mail("somebody@example.net")[0] == SENDER_REFUSED
    assert relay.login(alice.address, "wrong") == submission.REFUSED

    def missing() -> list[tuple[str, str, str]]:
        now = watched.known()
        return [
            (name, label, value)
            for (name, label, value), least in GROWS.items()
            if now.total(name, **{label: value}) - before.total(name, **{label: value}) < least
        ]

    poll.until("all of it is counted", missing, lambda found: found == [])
    yield watched
    path = f"{mail.instance_path(instance)}/actions/queue_delete/invoke"
    owner.expect(200, "POST", path, {"recipient_domain": domain})


def test_what_the_node_tells_names_the_instance_and_nobody_else(
    site: Site, instance: rest.Json
) -> None:
    own = {"exordos_mail_instance": instance["uuid"], "exordos_project": instance["project_id"]}
    labels = site.told.labels
    assert [each for each in labels if not own.items() <= each.items()] == []
    assert not [each for each in labels if "@" in "".join(each.values())]


def test_prometheus_has_what_the_node_tells(site: Site) -> None:
    assert site.ask('{__name__=~"mailaas_.*"}') == site.told.values
    assert site.told.total("mailaas_spool_free_bytes") > 0
    assert site.told.total("mailaas_dkim_keys", state="usable") >= 1


def test_the_dashboard_shows_what_has_become_of_mail(site: Site) -> None:
    # That panel shows nothing where nothing is frozen.
    asked = [query for _, query in observability.QUERIES if "mailaas_queue_frozen" not in query]
    assert [query for query in asked if not site.ask(query)] == []

    recipients, taken = site.shows("Recipients"), site.shows("Messages taken")
    assert min(recipients[it] for it in ("delivered", "deferred", "failed")) > 0
    assert taken["account"] > 0
    assert "recipient_unknown" in site.shows("Failed, by class")
    assert "sender" in site.shows("Refused commands, by reason")
    assert site.shows("Logins")["account"] > 0
    assert 0 <= site.shows("Delivered at the first look")[""] <= 1
    for title, name in (
        ("Messages in the queue", "mailaas_queue_messages"),
        ("Oldest message", "mailaas_queue_oldest_seconds"),
        ("Least free space", "mailaas_spool_free_bytes"),
        ("Panic log", "mailaas_panic_log_bytes"),
        ("Events that wait", "mailaas_events_waiting"),
    ):
        assert site.shows(title) == {"": site.told.total(name)}, title
    assert [*site.shows("Releases").values()] == [1]


def test_no_alert_for_the_state_of_a_node_is_for_one_that_is_well(
    site: Site, poll: waiting.Poll
) -> None:
    poll.until(
        "every rule is evaluated",
        lambda: {*site.prometheus.rules().values()},
        lambda found: found == {"ok"},
    )
    # The others are for what happens within a time, and tests have mail fail.
    of_state = {
        name: alert["expr"]
        for name, alert in observability.ALERTS.items()
        if "[" not in alert["expr"] and name not in OF_BEFORE
    }

    def alerting() -> list[str]:
        site.known()
        return [name for name, query in of_state.items() if site.ask(query)]

    poll.until("no alert is left", alerting, lambda found: found == [])
