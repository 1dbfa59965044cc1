# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import os
import typing as tp
import uuid

import pytest

from exordos_paas_mail.codecs import webhook_reports
from exordos_paas_mail.codecs.webhook_reports import (
    Delivery,
    HookState,
    Report,
    Result,
    Status,
)

KEY = bytes(range(32))
NODE = uuid.UUID("6b5d7a3e-3a0e-4a53-8a3e-0d6b1c8a0001")
OTHER = uuid.UUID("6b5d7a3e-3a0e-4a53-8a3e-0d6b1c8a0002")
DELIVERIES = (
    Delivery(OTHER, "message.delivered", 4, 2, 500, 17, "answered 500", "no", 9),
    Delivery(NODE, "message.delivered", 3, code=204, ms=5),
)
REPORT = Report(
    7,
    (
        HookState(NODE, Status.FAILING, 3, 4, 5, "answered 500", 6, 7, 8, 9, DELIVERIES),
        HookState(OTHER, Status.ACTIVE),
    ),
    (Result(NODE, count=5), Result(OTHER, "the node has no events of that time")),
)


def _sealed(content: bytes = b"{}", revision: int = 7) -> webhook_reports.Row:
    return webhook_reports.seal(KEY, NODE, revision, content)


def test_the_largest_report_travels() -> None:
    content = os.urandom(webhook_reports.RAW_SIZE_MAX)
    row = webhook_reports.parse(webhook_reports.render(_sealed(content)))
    assert row.revision == 7
    assert webhook_reports.unseal(KEY, NODE, row) == content


def test_a_report_opens_as_what_it_was_sealed_as_and_as_nothing_else() -> None:
    row = _sealed()
    for key, node, moved in (
        (KEY[::-1], NODE, row),
        (KEY, OTHER, row),
        (KEY, NODE, row._replace(revision=8)),
        (KEY, NODE, row._replace(content="")),
    ):
        with pytest.raises(ValueError, match="the report of webhooks"):
            webhook_reports.unseal(key, node, moved)


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"version": True},
        {"revision": 0},
        {"revision": 2**60},
        {"content": None},
        {"content": "x" * 1_500_000},
    ],
)
def test_what_is_no_report_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="the report of webhooks"):
        webhook_reports.parse({**webhook_reports.render(_sealed()), **changes})


def test_each_node_has_a_row_and_keeps_it() -> None:
    assert webhook_reports.row_uuid(NODE) == uuid.uuid5(NODE, "mail_webhook_report")
    assert webhook_reports.row_uuid(NODE) != webhook_reports.row_uuid(OTHER)


def test_what_is_told_is_read() -> None:
    assert webhook_reports.parse_report(webhook_reports.render_report(REPORT)) == REPORT


def test_a_report_that_is_too_large_tells_of_the_newest_deliveries() -> None:
    worst = [
        Delivery(uuid.UUID(int=at), "message.delivered", at, body="\N{PILE OF POO}" * 512)
        for at in range(50, 0, -1)
    ]
    hooks = tuple(
        HookState(uuid.UUID(int=n), Status.FAILING, deliveries=tuple(worst)) for n in range(10)
    )
    data = webhook_reports.render_report(Report(1, hooks))
    assert len(data) <= webhook_reports.RAW_SIZE_MAX
    told = webhook_reports.parse_report(data).hooks
    assert [list(hook.deliveries) for hook in told] == [worst[:12]] * 10


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("hooks", 0, "id"), "x"),
        (("hooks", 1, "id"), str(NODE)),
        (("hooks", 0, "status"), "WELL"),
        (("hooks", 0, "last_error"), "two\nlines"),
        (("hooks", 0, "waiting"), -1),
        (("hooks", 0, "deliveries"), [{}] * 51),
        (("hooks", 0, "deliveries", 0, "id"), 5),
        (("hooks", 0, "deliveries", 0, "attempt"), "first"),
        (("hooks", 0, "deliveries", 0, "body"), "x" * 513),
        (("hooks", 0, "deliveries", 0), 5),
        (("hooks", 0), 5),
        (("hooks",), [{}] * 11),
        (("results",), [{}] * 101),
        (("results", 0, "id"), ""),
        (("results", 0, "error"), "x" * 201),
        (("at",), 0.5),
    ],
)
def test_what_is_out_of_bounds_is_refused(path: tuple[tp.Any, ...], value: tp.Any) -> None:
    told = json.loads(webhook_reports.render_report(REPORT))
    place = told
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(ValueError, match=r"is out of its bounds|is no object"):
        webhook_reports.parse_report(json.dumps(told).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b"5"])
def test_what_is_no_object_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"no JSON|no object"):
        webhook_reports.parse_report(data)
