# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What a change costs the control plane: make benchmark-control-plane.

The figures are CPU time of this process, the gservice of the benchmark;
the one absolute bound is the product's own (an account change in an instance
of 10,000 accounts costs gservice less than 300 ms), the others are ratios
within one run.
"""

from __future__ import annotations

import statistics
import time
import typing as tp

import pytest
from passlib import hash as passlib_hash
from restalchemy.dm import filters
from restalchemy.storage.sql import engines

from exordos_paas_mail import models
from exordos_paas_mail.codecs import passwd, password_hashes
from exordos_paas_mail.control_plane.records import sender_rows
from exordos_paas_mail.tests.unit.control_plane import api_client, gservice
from exordos_paas_mail.tests.unit.control_plane import stage as stages

if tp.TYPE_CHECKING:
    from exordos_paas_mail.tests.unit.control_plane import fake_core

ACCOUNTS = 10_000
BOUND = 0.300
RUNS = 7


def cpu(act: tp.Callable[[], tp.Any]) -> float:
    started = time.process_time()
    act()
    return time.process_time() - started


def fill(instance: str) -> None:
    """Give the instance its accounts, past the API, which hashes each password."""
    with engines.engine_factory.get_engine().session_manager() as session:
        session.execute(
            "INSERT INTO mail_accounts (uuid, project_id, instance, username, password_hash,"
            " created_at, updated_at)"
            " SELECT gen_random_uuid(), i.project_id, i.uuid, 'user' || n, %s, now(), now()"
            " FROM mail_instances i, generate_series(1, %s) n WHERE i.uuid = %s",
            (api_client.HASH, ACCOUNTS, instance.rpartition("/")[2]),
        )


def entitle(instance: str, entries: int) -> None:
    """Give each account of the instance its share of so many entries, past the API."""
    with engines.engine_factory.get_engine().session_manager() as session:
        session.execute(
            "UPDATE mail_accounts SET senders = (SELECT array_agg(username || '-' || n ||"
            " '@mail.example.com') FROM generate_series(1, %s) n) WHERE instance = %s",
            (entries // ACCOUNTS, instance.rpartition("/")[2]),
        )


@pytest.mark.parametrize("entries", [0, sender_rows.ENTRIES_MAX])
def test_one_account_of_ten_thousand(
    api: api_client.Client, core: fake_core.FakeCore, services: gservice.GService, entries: int
) -> None:
    stage = stages.Stage(api, core, services)
    fill(stage.path)
    if entries:
        entitle(stage.path, entries)
    node = stage.serving()
    account = api.account(stage.path, "changing")
    services.tick(2)
    node.report()
    services.tick(2)

    changes, reports, settled = [], [], []
    for run in range(RUNS):
        api.patch(account, {"active": bool(run % 2)})
        changes.append(cpu(services.infra_pass) + cpu(services.paas_pass))
        node.report()
        reports.append(cpu(services.infra_pass) + cpu(services.paas_pass))
        settled.append(cpu(services.infra_pass) + cpu(services.paas_pass))

    def walk() -> None:
        accounts = models.MailAccount.objects.get_all(
            filters={"instance": filters.EQ(stage.uuid), "active": filters.EQ(value=True)}
        )
        passwd.render([(a.username, a.password_hash) for a in accounts], "mail.example.com")

    walked = min(cpu(walk) for _ in range(3))
    # What the services do besides: a change costs two of these, the one
    # that passes it on and the one that takes the report.
    change, report = statistics.median(changes), statistics.median(reports)
    print(
        f"\naccounts {ACCOUNTS}, entries of their senders {entries}:"
        f" change {change * 1000:.0f} ms, worst {max(changes) * 1000:.0f};"
        f" report {report * 1000:.0f} ms; settled {statistics.median(settled) * 1000:.1f} ms;"
        f" reading the accounts as models {walked * 1000:.0f} ms"
        f" ({walked / (change + report):.1f} times change and report)"
    )
    assert change + report < BOUND
    assert (change + report) * 2 < walked
    # Not beside a change, which costs little more than the pass itself.
    assert statistics.median(settled) * 50 < walked


def test_a_hash_costs_what_was_chosen() -> None:
    plaintext = "correct horse battery staple"
    chosen = min(cpu(lambda: password_hashes.hash_plaintext(plaintext)) for _ in range(RUNS))
    default = cpu(lambda: passlib_hash.sha512_crypt.hash(plaintext))
    print(f"\nhash {chosen * 1000:.1f} ms; passlib's default {default / chosen:.0f} times that")
    assert chosen * 20 < default
