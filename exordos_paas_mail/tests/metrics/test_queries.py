# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Each query of the dashboard and of the alert rules, asked of a Prometheus that watches nodes.

One node is well, one is ill in every way, and one has told nothing for an hour.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
import typing as tp

import pytest
import yaml
from prometheus_client import parser

from clients import observability, prometheus
from exordos_paas_mail import constants
from exordos_paas_mail.codecs import resolver_status
from exordos_paas_mail.tests.metrics import nodes
from exordos_paas_mail.tests.unit.node import authority

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator

LABELS = {"exordos_mail_instance", "exordos_project"}
OWN_LABELS = {
    "source",
    "result",
    "class",
    "le",
    "report",
    "reason",
    "login",
    "mode",
    "port",
    "secret",
    "state",
    "version",
    "what",
}
# Of the scrape.
ADDED = {"__name__", "instance", "job", "node"}
OLD = {"MailMetricsStale", "MailEventsStale", "MailWebhooksStale"}


class Site(tp.NamedTuple):
    """Nodes, and the Prometheus that watches them."""

    prometheus: prometheus.Prometheus
    well: nodes.Node
    ill: nodes.Node
    silent: nodes.Node

    def ask(self, query: str) -> list[tuple[dict[str, str], float]]:
        """Ask a query of the dashboard, for all instances."""
        return self.prometheus.query(observability.filled_in(query))


def fall_ill(node: nodes.Node) -> None:
    """Have everything be wrong that an alert is for."""
    node.fake.path(constants.DKIM_PRIVATE_KEY_FILE).unlink()
    node.fake.write(constants.EXIM_PANIC_LOG, "oh\n")
    node.put_certificate(*authority.issue(nodes.DOMAIN, -authority.DAY))
    node.queue(1500)
    node.free = 300 * 2**20
    node.read_at = int((time.time() - 3600) * 1000)
    node.damage_store()
    node.counts = node.finds_out = False
    node.webhooks = nodes.webhooks(
        {"failing": 1, "disabled": 1}, waiting=5, oldest_at=int((time.time() - 7200) * 1000)
    )
    node.fake.path(constants.POLICY_ALIVE_FILE).unlink()
    node.fake.path(constants.STS_ALIVE_FILE).unlink()
    node.resolver = resolver_status.Mode.AWAY


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    well = nodes.Node(folder / "well", 1)
    ill = nodes.Node(folder / "ill", 2)
    silent = nodes.Node(folder / "silent", 3, slow=3600)
    # It lives for days, and is not late.
    well.put_certificate(*authority.issue(nodes.DOMAIN, 5 * authority.DAY, authority.DAY))
    for node in (well, ill, silent):
        node.tell()
    with contextlib.ExitStack() as stack:
        targets = {
            node.instance: stack.enter_context(prometheus.node_exporter(node.metrics))
            for node in (well, ill, silent)
        }
        found = stack.enter_context(prometheus.prometheus(folder, observability.RULES, targets))
        found.wait_for("count(mailaas_build_info) == 3")
        well.tell(*[nodes.ACCEPTED] * 100, *[nodes.DELIVERED] * 100, nodes.DEFERRED)
        fall_ill(ill)
        # What is in the log then is not read again: the store is new.
        ill.tell()
        ill.tell(
            *[nodes.ACCEPTED] * 200,
            *[nodes.DELIVERED_LATE] * 40,
            *[nodes.DEFERRED] * 300,
            *[nodes.BLOCKED] * 60,
            *[nodes.LIMITED] * 3,
            *[nodes.LOST] * 3,
            *[nodes.FAILED_LOGIN] * 300,
        )
        for node in (well, ill):
            metric = f'mailaas_submissions_total{{exordos_mail_instance="{node.instance}"}}'
            found.wait_for(f"sum({metric}) >= 100")
        yield Site(found, well, ill, silent)


def test_the_rules_are_sound(site: Site) -> None:
    checked = subprocess.run(
        ["promtool", "check", "rules", "--lint=all", "--lint-fatal", str(observability.RULES)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    health = site.prometheus.rules()
    assert health.keys() == observability.ALERTS.keys()
    assert set(health.values()) <= {"ok", "unknown"}


def test_the_node_exporter_takes_all_that_a_node_writes(site: Site) -> None:
    errors = site.prometheus.query("node_textfile_scrape_error")
    assert [value for _, value in errors] == [0, 0, 0]
    for node in (site.well, site.ill, site.silent):
        written = {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in parser.text_string_to_metric_families(
                node.fake.read(constants.METRICS_FILE)
            )
            for sample in family.samples
        }
        series = site.prometheus.query(f'{{__name__=~"mailaas_.*", node="{node.instance}"}}')
        scraped = {
            (
                labels["__name__"],
                tuple(sorted((k, labels[k]) for k in labels.keys() - ADDED)),
            ): value
            for labels, value in series
        }
        assert scraped == written


def test_a_series_has_the_labels_of_its_node_and_small_sets_besides(site: Site) -> None:
    series = site.prometheus.query('{__name__=~"mailaas_.*"}')
    assert len(series) < 3 * 110
    for labels, _ in series:
        assert labels.keys() - ADDED - OWN_LABELS == LABELS
        assert labels["exordos_mail_instance"] == labels["node"]
        assert labels["exordos_project"] == str(nodes.PROJECT)
    assert not [value for labels, _ in series for value in labels.values() if "@" in value]


@pytest.mark.parametrize("name", observability.ALERTS)
def test_an_alert_is_for_a_node_that_is_ill_and_for_no_other(site: Site, name: str) -> None:
    found = site.prometheus.query(observability.ALERTS[name]["expr"])
    instances = {labels["exordos_mail_instance"] for labels, _ in found}
    # Of a node that is silent its last words hold.
    expected = site.silent if name in OLD else site.ill
    assert expected.instance in instances
    assert site.well.instance not in instances


@pytest.mark.parametrize(
    ("life", "left", "is_late"),
    [
        pytest.param(90, 13.1, False, id="of months"),
        pytest.param(90, 12.9, True, id="of months, late"),
        pytest.param(6.7, 6.7, False, id="of days, new"),
        pytest.param(6.7, 4.1, False, id="of days"),
        pytest.param(6.7, 3.9, True, id="of days, late"),
        pytest.param(6.7, -0.1, True, id="expired"),
        pytest.param(None, 13.1, False, id="of an image that does not tell how long"),
        pytest.param(None, 12.9, True, id="of an image that does not tell how long, late"),
    ],
)
def test_a_certificate_is_late_by_its_life(
    tmp_path: pathlib.Path, life: float | None, left: float, *, is_late: bool
) -> None:
    # There time begins at 0.
    told = {"expiry": left, **({} if life is None else {"not_before": left - life})}
    alert = observability.ALERTS["MailCertificateExpires"]
    expected = {"exp_labels": alert["labels"], "exp_annotations": alert["annotations"]}
    case = {
        "interval": "1m",
        "input_series": [
            {
                "series": f"mailaas_certificate_{name}_timestamp_seconds",
                "values": str(days * 86400),
            }
            for name, days in told.items()
        ],
        "alert_rule_test": [
            {
                "eval_time": "0m",
                "alertname": "MailCertificateExpires",
                "exp_alerts": [expected] * is_late,
            }
        ],
    }
    file = tmp_path / "case.yaml"
    file.write_text(
        yaml.safe_dump({"rule_files": [str(observability.RULES)], "tests": [case]}),
    )
    done = subprocess.run(
        ["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("title", "query"), observability.QUERIES)
def test_a_panel_shows_something(site: Site, title: str, query: str) -> None:
    assert site.ask(query) != []


def test_the_lists_of_the_dashboard_are_of_series_that_are_there(site: Site) -> None:
    variables = {
        each["name"]: each["query"] for each in observability.DASHBOARD["templating"]["list"]
    }
    assert variables.keys() == {"datasource", "project", "instance"}
    for name, label in (("project", "exordos_project"), ("instance", "exordos_mail_instance")):
        series, _, asked = variables[name].removeprefix("label_values(").rpartition(", ")
        assert asked == f"{label})"
        found = {labels[label] for labels, _ in site.ask(series)}
        assert len(found) == {"project": 1, "instance": 3}[name]


def test_what_happened_adds_up(site: Site) -> None:
    query = "sum by (exordos_mail_instance, result) (mailaas_recipients_total)"
    found = {
        (labels["exordos_mail_instance"], labels["result"]): value
        for labels, value in site.prometheus.query(query)
    }
    assert {key[1]: value for key, value in found.items() if key[0] == site.ill.instance} == {
        "delivered": 40,
        "deferred": 300,
        "failed": 60,
    }
    (_, slow), *_ = site.prometheus.query(
        "histogram_quantile(0.5, sum by (le) (mailaas_delivery_seconds_bucket"
        f'{{exordos_mail_instance="{site.ill.instance}"}}))'
    )
    assert 900 < slow <= 3600
