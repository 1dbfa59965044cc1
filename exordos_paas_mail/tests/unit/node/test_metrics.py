# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The keeper writes the node's metrics where the node exporter looks for them."""

from __future__ import annotations

import os
import time
import typing as tp
import uuid
from unittest import mock

import pytest
from prometheus_client import parser

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import (
    certificates,
    event_figures,
    mail_env,
    mta_sts,
    resolver_status,
    webhook_figures,
)
from exordos_paas_mail.node import metrics
from exordos_paas_mail.node.commands import keep
from exordos_paas_mail.tests.unit.node import agent_stage, authority, fake_node

INSTANCE, PROJECT = uuid.UUID(int=1), uuid.UUID(int=2)
LABELS = {"exordos_mail_instance": str(INSTANCE), "exordos_project": str(PROJECT)}
NO_LABELS: dict[str, str] = {}
QUEUE = """\
 3h  1.2K 1xWXbc-00007x-20 <alice@example.com>
          bob@example.net

 5m   900 1xWXbd-00007x-20 <> *** frozen ***
          alice@example.com

"""


@pytest.fixture
def node(settled: agent_stage.Stage) -> fake_node.FakeNode:
    """Return a settled node with a node exporter."""
    fake = settled.fake
    owner = mail_env.Owner(INSTANCE, PROJECT)
    fake.write(constants.MAIL_ENV_FILE, mail_env.render(agent_stage.DOMAIN, None, owner))
    fake.path(constants.METRICS_DIR).mkdir(parents=True)
    return fake


def read(node: fake_node.FakeNode) -> dict[str, float]:
    """Return what Prometheus reads, by name and own labels; all have those of the node."""
    text = node.read(constants.METRICS_FILE)
    found = {}
    for family in parser.text_string_to_metric_families(text):
        for sample in family.samples:
            own = {name: value for name, value in sample.labels.items() if name not in LABELS}
            assert {**own, **LABELS} == sample.labels
            found[" ".join([sample.name, *own.values()])] = sample.value
    return found


def told(node: fake_node.FakeNode) -> dict[str, float]:
    """Have a new keeper look once; returns what Prometheus reads of it."""
    keep.Keeper(node.machine).turn()
    return read(node)


def put_certificate(node: fake_node.FakeNode, key: bytes, chain: bytes) -> None:
    node.path(constants.TLS_SERVED_FILE).write_bytes(certificates.bundle(key, chain))


def test_a_node_that_is_well_says_so(node: fake_node.FakeNode) -> None:
    key, chain = certificates.plan(None, None, [agent_stage.DOMAIN], authority.now())
    put_certificate(node, key, chain)
    (node.directory / "queue").write_text(QUEUE)
    node.write(constants.EXIM_PANIC_LOG, "")
    before = time.time()

    found = told(node)

    version = next(name for name in found if name.startswith("mailaas_build_info"))
    assert version.split()[1][0].isdigit()
    assert found.pop("mailaas_metrics_timestamp_seconds") == pytest.approx(before, abs=60)
    free = node.machine.free_space(constants.EXIM_SPOOL_DIR).bytes
    assert found.pop("mailaas_spool_free_bytes") == pytest.approx(free, rel=0.5)
    begin = found.pop("mailaas_certificate_not_before_timestamp_seconds")
    assert begin == pytest.approx(before - 7 * 86_400, abs=60)
    expiry = found.pop("mailaas_certificate_expiry_timestamp_seconds")
    assert expiry == pytest.approx(before + 3650 * 86_400, abs=60)
    assert found == {
        "mailaas_relay_ok": 1,
        "mailaas_queue_messages": 2,
        "mailaas_queue_frozen": 1,
        "mailaas_queue_oldest_seconds": 3 * 3600,
        "mailaas_dkim_keys usable": 1,
        "mailaas_dkim_keys faulty": 0,
        "mailaas_certificate_state self_signed": 1,
        "mailaas_certificate_state installed": 0,
        "mailaas_certificate_state unfit": 0,
        "mailaas_panic_log_bytes": 0,
        "mailaas_limits_counted": 0,
        "mailaas_mta_sts_answered": 0,
        version: 1,
    }


def test_it_shows_whether_recipients_are_counted(node: fake_node.FakeNode) -> None:
    alive = node.path(constants.POLICY_ALIVE_FILE)
    alive.parent.mkdir(parents=True)
    alive.write_bytes(b"")
    assert told(node)["mailaas_limits_counted"] == 1
    # Also where the clock was set back since.
    for seconds in (-60, 2 * 86400):
        os.utime(alive, 2 * (time.time() + seconds,))
        assert told(node)["mailaas_limits_counted"] == 0


def test_it_shows_whether_policies_are_found_out(node: fake_node.FakeNode) -> None:
    alive = node.path(constants.STS_ALIVE_FILE)
    alive.parent.mkdir(parents=True)
    alive.write_bytes(b"")
    figures = node.path(constants.STS_FIGURES_FILE)
    figures.write_bytes(mta_sts.render_figures(mta_sts.Figures(3)))
    found = told(node)
    assert (found["mailaas_mta_sts_answered"], found["mailaas_mta_sts_failing"]) == (1, 3)
    # Whatever exim's user writes there.
    for data in (b"", b'{"failing": "x"}', b"\xff", b'{"failing": -1}'):
        figures.write_bytes(data)
        assert "mailaas_mta_sts_failing" not in told(node)
    off = mta_sts.render_settings(mta_sts.Settings(on=False))
    node.write(constants.EXIM_CONFIG_FILE, f"{off}\n")
    assert [name for name in told(node) if "mta_sts" in name] == []


def test_what_is_wrong_shows(node: fake_node.FakeNode) -> None:
    assert told(node)["mailaas_relay_ok"] == 1
    node.path(constants.DKIM_PRIVATE_KEY_FILE).write_text("x")
    node.write(constants.EXIM_PANIC_LOG, "oh\n")
    found = told(node)
    assert found["mailaas_relay_ok"] == 0
    assert found["mailaas_dkim_keys usable"] == 0
    assert found["mailaas_dkim_keys faulty"] >= 1
    assert found["mailaas_panic_log_bytes"] == 3


@pytest.mark.parametrize(
    ("name", "days", "state"),
    [
        (agent_stage.DOMAIN, 30, "installed"),
        (agent_stage.DOMAIN, -1, "unfit"),
        ("other.example", 30, "unfit"),
    ],
)
def test_an_installed_certificate_is_told_from_one_that_clients_refuse(
    node: fake_node.FakeNode, name: str, days: int, state: str
) -> None:
    put_certificate(node, *authority.issue(name, days * authority.DAY))
    found = told(node)
    states = {each: found[f"mailaas_certificate_state {each}"] for each in ("installed", "unfit")}
    assert states == {"installed": 0, "unfit": 0, state: 1}


def test_what_was_counted_of_mail_is_told(node: fake_node.FakeNode) -> None:
    now = int(time.time() * 1000)
    counters = {**dict.fromkeys(event_figures.NAMES, 0), "rejections limit": 4}
    figures = event_figures.Figures(now, now, 3, 999, now - 60_000, counters)
    node.write(constants.EVENT_FIGURES_FILE, event_figures.render(figures).decode())
    found = told(node)
    assert found["mailaas_rejections_total limit"] == 4
    assert found["mailaas_event_lag_seconds"] == pytest.approx(60, abs=30)
    assert found["mailaas_events_waiting"] == 3


def test_how_webhooks_fare_is_told(node: fake_node.FakeNode) -> None:
    now = int(time.time() * 1000)
    states = {"active": 1, "failing": 2, "disabled": 3, "inactive": 4}
    counted = {"delivered": 5, "failed": 6, "given_up": 7}
    figures = webhook_figures.Figures(now, states, 8, now - 60_000, counted)
    node.write(constants.WEBHOOK_FIGURES_FILE, webhook_figures.render(figures).decode())
    found = {name: value for name, value in told(node).items() if "webhook" in name}
    assert found.pop("mailaas_webhook_oldest_seconds") == pytest.approx(60, abs=30)
    assert found.pop("mailaas_webhooks_timestamp_seconds") == now / 1000
    assert found == {
        **{f"mailaas_webhooks {state}": count for state, count in states.items()},
        "mailaas_webhook_attempts_total delivered": 5,
        "mailaas_webhook_attempts_total failed": 6,
        "mailaas_webhook_events_given_up_total": 7,
        "mailaas_webhook_events_waiting": 8,
    }
    assert webhook_figures.parse(webhook_figures.render(figures)) == figures
    assert webhook_figures.parse(b'{"colour": "red"}').waiting == 0


def test_whom_a_node_asks_for_names_is_told(node: fake_node.FakeNode) -> None:
    now = time.time_ns() // 1_000_000
    status = resolver_status.Status(now, resolver_status.Mode.AWAY, "10.0.0.2")
    node.write(constants.RESOLVER_STATUS_FILE, resolver_status.render(status).decode())
    found = {name: value for name, value in told(node).items() if "resolver" in name}
    assert found == {
        "mailaas_resolver_mode validating": 0,
        "mailaas_resolver_mode plain": 0,
        "mailaas_resolver_mode away": 1,
        "mailaas_resolver_mode off": 0,
        "mailaas_resolver_timestamp_seconds": now / 1000,
    }


@pytest.mark.parametrize("text", ['{"at": "1\\nevil 2"}', "evil 2\n", "", "\x00"])
def test_nobody_else_writes_a_line_of_the_metrics(node: fake_node.FakeNode, text: str) -> None:
    node.write(constants.EVENT_FIGURES_FILE, text)
    node.write(constants.WEBHOOK_FIGURES_FILE, text)
    node.write(constants.RESOLVER_STATUS_FILE, text)
    found = told(node)
    others = ("event", "webhook", "resolver", "evil")
    assert [name for name in found if any(each in name for each in others)] == []
    assert found["mailaas_relay_ok"] == 1


def test_who_a_node_is_of_need_not_be_known(node: fake_node.FakeNode) -> None:
    for text in (mail_env.render(agent_stage.DOMAIN), 'MAIL_INSTANCE="\nMAIL_PROJECT=x\n'):
        node.write(constants.MAIL_ENV_FILE, text)
        keep.Keeper(node.machine).turn()
        (family, *_) = parser.text_string_to_metric_families(node.read(constants.METRICS_FILE))
        assert family.samples[0].labels == NO_LABELS


def test_a_node_that_is_not_configured_tells_what_it_knows(fake: fake_node.FakeNode) -> None:
    fake.path(constants.METRICS_DIR).mkdir(parents=True)
    keep.Keeper(fake.machine).turn()
    text = fake.read(constants.METRICS_FILE)
    names = [family.name for family in parser.text_string_to_metric_families(text)]
    assert names == [
        "mailaas_relay_ok",
        "mailaas_spool_free_bytes",
        "mailaas_panic_log_bytes",
        "mailaas_limits_counted",
        "mailaas_mta_sts_answered",
        "mailaas_build_info",
        "mailaas_metrics_timestamp_seconds",
    ]


def test_without_a_node_exporter_nothing_is_written(settled: agent_stage.Stage) -> None:
    assert keep.Keeper(settled.fake.machine).turn() == []
    assert not settled.fake.path(constants.METRICS_DIR).exists()


def test_they_are_written_every_fifteen_seconds_by_a_rename(node: fake_node.FakeNode) -> None:
    keeper = keep.Keeper(node.machine)
    with mock.patch("time.monotonic", return_value=1000.0) as clock:
        keeper.turn()
        path = node.path(constants.METRICS_FILE)
        first = fake_node.signature(path)
        keeper.turn()
        assert fake_node.signature(path) == first
        clock.return_value += metrics.PERIOD
        keeper.turn()
    assert fake_node.signature(path)[0] != first[0]
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(path.parent.iterdir()) == [path]


def test_metrics_that_cannot_be_written_are_said_and_hold_up_nothing(
    node: fake_node.FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: tp.Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(node.machine), "write_volatile", refuse)
    node.path(constants.PASSWD_FILE).unlink()
    assert keep.Keeper(node.machine).turn() == [
        "accounts repaired",
        "[Errno 28] No space left on device",
    ]


def test_a_look_that_failed_leaves_the_metrics_to_grow_old(
    node: fake_node.FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: tp.Any) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("exordos_paas_mail.node.health.Health.read", refuse)
    assert keep.Keeper(node.machine).turn() == ["[Errno 5] Input/output error"]
    assert not node.path(constants.METRICS_FILE).exists()
