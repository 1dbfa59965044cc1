# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Events that are sound and odd: a node belongs to its tenant, and sends what it likes."""

from __future__ import annotations

import collections
import time
import typing as tp
import uuid

import hypothesis
import pytest
from hypothesis import strategies as st

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import log_ids, mail_events
from exordos_paas_mail.control_plane.events import ingester, rows, taking
from exordos_paas_mail.control_plane.records import instance_logs, stats
from exordos_paas_mail.tests.unit.control_plane import api_client, sealed

_NUMBER_MAX = 2**53
_SHORT = st.text(max_size=40).map(
    lambda text: "".join(each if each.isprintable() else "\ufffd" for each in text)
)
# Nothing that an index could store in fewer octets.
_DENSE = "".join(chr(0x20000 + number * number * 7919 % 40_009) for number in range(1024))
# What is dear to a database, to a format and to a rule of addresses.
_DEAR = st.sampled_from(
    [
        "",
        "@",
        "a@",
        "@b",
        "a@@b",
        '"@"@b',
        "%s",
        "{}",
        "'; --",
        "\\",
        "\\u0000",
        "NULL",
        "İ" * 1024,
        _DENSE,
    ]
)
_LONG = st.builds(lambda text, times: text * times, _SHORT, st.integers(1, 60))
_TEXT = st.one_of(_SHORT, _DEAR, _LONG).map(lambda text: text[:1024])
_NUMBER = st.one_of(st.integers(0, 9), st.sampled_from([2**31, 2**31 - 1, _NUMBER_MAX]))
_AT = st.one_of(
    st.integers(0, _NUMBER_MAX),
    st.integers(-100 * 86_400_000, 3 * 86_400_000).map(lambda off: int(time.time() * 1000) + off),
)
# Most of them are of a message that is known, or of none: the others are left out.
_QUEUES = st.one_of(
    st.just(""),
    st.builds(sealed.queue_id, st.integers(0, 1)),
    st.builds(sealed.queue_id, st.integers(0, 1), st.sampled_from([-80_000, 80 * 86_400])),
    _TEXT,
    st.sampled_from(["000000-000000-00", "zzzzzz-zzzzzzzzzzz-zzzz", "1vNvOk-0000Ab-0A"]),
)
_ACCOUNTS = st.one_of(st.sampled_from(["", sealed.LOGIN, sealed.LOGIN.upper()]), _TEXT)
_EVENTS = st.builds(
    mail_events.Event,
    at=_AT,
    type=st.sampled_from(mail_events.Type),
    queue_id=_QUEUES,
    account=_ACCOUNTS,
    about=_QUEUES,
    temporary=st.booleans(),
    tags=st.lists(
        _TEXT.map(lambda text: text[: mail_events.TAG_SIZE_MAX]).filter(bool),
        max_size=mail_events.TAGS_MAX,
    ).map(tuple),
    **dict.fromkeys(
        (
            *("sender", "recipient", "client", "command", "mx", "mx_address", "tls", "cipher"),
            *("verified", "tls_policy", "enhanced", "text", "reason", "header_from", "message_id"),
        ),
        _TEXT,
    ),
    **dict.fromkeys(("recipients", "size", "code", "queued", "count"), _NUMBER),
)
_BATCHES = st.lists(_EVENTS, min_size=3, max_size=8)


@pytest.fixture(scope="module")
def instance(standing_api: api_client.Client) -> uuid.UUID:
    path = standing_api.instance()
    standing_api.account(path)
    return uuid.UUID(path.rpartition("/")[2])


@hypothesis.settings(
    max_examples=100,
    deadline=None,
    # To shrink what fails takes minutes: each try is a transaction.
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
@hypothesis.given(
    batches=st.lists(_BATCHES, min_size=1, max_size=3), level=st.sampled_from(instance_logs.LEVELS)
)
def test_whatever_a_node_may_send_is_stored(
    instance: uuid.UUID, batches: list[list[mail_events.Event]], level: str
) -> None:
    whose = taking.Instance(instance, "mail.example.com", level)
    store = ingester.Ingester()
    for events in batches:
        assert mail_events.parse(mail_events.render(events)) == events
        with utils.transaction() as session:
            last = rows.lock(session)
            before = _totals(session)
            taken = taking.take(session, whose, events, last, utils.now())
            store.write(session, taken)
            after = _totals(session)
            found = session.execute(
                "SELECT uuid FROM mail_events WHERE uuid > %s ORDER BY uuid",
                (str(log_ids.of_order(last, -1)),),
            ).fetchall()
        assert [str(row["uuid"]) for row in found] == [event["uuid"] for event in taken.events]
        counted: collections.Counter[str] = collections.Counter()
        for figures in taken.figures.values():
            counted.update(figures)
        assert {name: after[name] - before[name] for name in after} == {
            name: counted[name] for name in after
        }


def _totals(session: tp.Any) -> dict[str, int]:
    sums = ", ".join(f"coalesce(sum({name}), 0) AS {name}" for name in stats.COUNTS)
    found = session.execute(f"SELECT {sums} FROM mail_stats")  # noqa: S608
    return dict(found.fetchone())
