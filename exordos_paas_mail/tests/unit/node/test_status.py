# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import typing as tp

import pytest

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import queue_list, webhook_figures
from exordos_paas_mail.node.commands import status
from exordos_paas_mail.tests.unit.node import fake_node

LISTED = """\
 0m   279 1xV9iS-00000i-1d <alice@tenant.example>
          someone@elsewhere.example
        D already@elsewhere.example

25h  2.9K 1xV9iS-000000000Jk-2abc <> *** frozen ***
          5m  3K 1xV9iS-00000i-1d@elsewhere.example

99m  1.5M 1xV9iT-00000i-1d <bob+"<x>"@tenant.example> (bob)
          someone@elsewhere.example

"""


@pytest.mark.parametrize(
    ("text", "queue"),
    [
        pytest.param("", queue_list.Queue(0, 0, 0, 0), id="empty"),
        pytest.param(LISTED, queue_list.Queue(3, 1, 90_000, 1), id="of each kind"),
        pytest.param(
            " 3d 10K 1xV9iS-00000i-1d <a@b.example>\n", queue_list.Queue(1, 0, 259_200, 0)
        ),
    ],
)
def test_a_queue_is_counted_as_exim_lists_it(text: str, queue: queue_list.Queue) -> None:
    assert queue_list.parse(text) == queue


def test_a_relay_that_serves_is_told_at_a_glance(
    fake: fake_node.FakeNode, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.configured("tenant.example", hostname="smtp.tenant.example")
    (fake.directory / "queue").write_text(LISTED.replace("25h", " 9m"))
    fake.write(constants.EXIM_PANIC_LOG, "four")

    assert status.main([], fake.machine) == 0

    said = json.loads(capsys.readouterr().out)
    assert said.pop("spool_free_bytes") > 0
    assert said == {
        "domain": "tenant.example",
        "hostname": "smtp.tenant.example",
        "error": "",
        "queue_messages": 3,
        "queue_frozen": 1,
        "queue_oldest_seconds": 5940,
        "queue_stuck": 0,
        "panic_log_bytes": 4,
        "webhooks_failing": 0,
    }
    assert not [call for call in fake.calls() if "restart" in call]


def test_webhooks_that_fail_are_counted_and_no_fault_of_the_relay(
    fake: fake_node.FakeNode, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.configured("tenant.example")
    states = {"active": 1, "failing": 2, "disabled": 3, "inactive": 4}
    counted = dict.fromkeys(webhook_figures.COUNTERS, 0)
    told = webhook_figures.Figures(1, states, 0, 0, counted)
    fake.write(constants.WEBHOOK_FIGURES_FILE, webhook_figures.render(told).decode())
    assert status.main([], fake.machine) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["webhooks_failing"], said["error"]) == (2, "")
    fake.write(constants.WEBHOOK_FIGURES_FILE, "{")
    assert status.main([], fake.machine) == 0
    assert json.loads(capsys.readouterr().out)["webhooks_failing"] == 0


def test_a_relay_that_does_not_run_is_told_with_the_reason(
    fake: fake_node.FakeNode, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.configured("tenant.example")
    fake.relay(**{"587": "failed"})

    assert status.main([], fake.machine) == 1
    assert json.loads(capsys.readouterr().out)["error"] == "exim4@587.service is failed"


@pytest.mark.parametrize(
    ("disk", "error"),
    [
        pytest.param(
            {"read_only": True},
            "the data disk cannot be written: Read-only file system",
            id="stopped by an error",
        ),
        pytest.param(
            {"free": 100 * 2**20},
            "the data disk is full: mail is refused with less than 200 MB free",
            id="full",
        ),
    ],
)
def test_a_relay_whose_disk_takes_no_mail_is_told_with_the_reason(
    fake: fake_node.FakeNode,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    disk: dict[str, tp.Any],
    error: str,
) -> None:
    fake.configured("tenant.example")
    fake_node.data_disk(monkeypatch, **disk)

    assert status.main([], fake.machine) == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["error"], said["spool_free_bytes"]) == (error, disk.get("free", 2**30))


def test_a_node_that_was_told_nothing_serves_nobody(
    fake: fake_node.FakeNode, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status.main([], fake.machine) == 1
    assert json.loads(capsys.readouterr().out)["domain"] == ""


def test_an_exim_that_refuses_is_one_line_and_no_object(
    fake: fake_node.FakeNode, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.configured("tenant.example")
    fake.fail("exim4", "-bpr", "exim: permission denied\nand more\n")

    assert status.main([], fake.machine) == 1
    assert capsys.readouterr() == (
        "",
        "exordos-mail-status: exim4 -bpr: exit status 1: exim: permission denied and more\n",
    )
