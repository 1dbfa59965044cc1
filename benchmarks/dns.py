# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What DNS costs the control plane between changes: make benchmark-dns.

1,000 domains that are as they should be, each published in a zone of Core's. The
figures are CPU time of the threads of the checker and of the publisher, and of
the database; the name servers and the Core of the benchmark are not in them.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import typing as tp

from benchmarks import database
from exordos_paas_mail import utils
from exordos_paas_mail.control_plane.dns import (
    core_zones,
    expected,
    publisher,
    results,
    rounds,
    schedule,
)
from exordos_paas_mail.control_plane.reconcile import core as core_client
from exordos_paas_mail.control_plane.records import dns_checks, publications
from exordos_paas_mail.tests.unit.control_plane import api_client, fake_core
from exordos_paas_mail.tests.unit.control_plane.dns import internet as internets

if tp.TYPE_CHECKING:
    import pathlib

INSTANCES = 20
DOMAINS_OF_ONE = 50
DOMAINS = INSTANCES * DOMAINS_OF_ONE
# Of a core, for all domains.
BOUND = 0.02
PASSES = 20
# So many of the domains are really checked and really compared with Core's rows.
SAMPLE = 20
ADDRESS = "203.0.113.25"
PUBLIC_KEY = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A" * 12
SETTLED = datetime.timedelta(days=3)
LATER = datetime.timedelta(days=1)


def fill(api: api_client.Client) -> None:
    """Make the instances with their domains; all but the instances past the API."""
    for number in range(INSTANCES):
        instance = api.instance(name=f"i{number}", domain=f"i{number}.example.com")
        database.execute(
            "INSERT INTO mail_domains (uuid, project_id, instance, domain, is_primary, name,"
            " status, verified_at, keys_made, created_at, updated_at)"
            " SELECT gen_random_uuid(), project_id, uuid, 'd' || n || '.' || domain, FALSE, 'd',"
            " 'VERIFIED', now(), 1, now(), now()"
            " FROM mail_instances, generate_series(2, %s) n WHERE uuid = %s",
            DOMAINS_OF_ONE,
            instance.rpartition("/")[2],
        )
    database.execute("UPDATE mail_instances SET ipsv4 = %s", [ADDRESS])
    database.execute('UPDATE mail_domains SET dns = \'{"kind": "core"}\'')
    database.execute(
        "INSERT INTO mail_dkim_keys (uuid, project_id, instance, domain, selector, algorithm,"
        " state, created_at, updated_at)"
        " SELECT gen_random_uuid(), project_id, instance, uuid, 'm1rabcd', 'rsa', 'ACTIVE',"
        " now(), now() FROM mail_domains WHERE NOT is_primary"
    )
    database.execute("UPDATE mail_dkim_keys SET public_key = %s", PUBLIC_KEY)


def settle(zone: str) -> list[dns_checks.Domain]:
    """Have all domains checked and published long ago; return the sample."""
    now = utils.now()
    with utils.transaction() as session:
        found = dns_checks.unpublished(session, now)
        for domain in found:
            dns_checks.plan(session, domain, now - SETTLED, now + LATER)
            outcomes = tuple(
                {
                    "type": record.type,
                    "name": record.name,
                    "value": record.value,
                    "state": "published",
                    "detail": "",
                }
                for record in expected.records(results.facts_of(domain))
            )
            publications.write(
                session,
                publications.Publication(
                    domain=domain.uuid,
                    instance=domain.instance,
                    project_id=domain.project_id,
                    zone=zone,
                    digest=domain.facts,
                    error="",
                    outcomes=outcomes,
                    next_at=now + LATER,
                ),
            )
    assert len(found) == DOMAINS
    return [domain for domain in found if not domain.is_primary][:SAMPLE]


def make_due(sample: list[dns_checks.Domain]) -> None:
    with utils.transaction() as session:
        for domain in sample:
            now = utils.now()
            dns_checks.plan(session, domain, now - SETTLED, now)
            known = publications.find(session, domain.uuid)
            assert known is not None
            publications.write(session, dataclasses.replace(known, next_at=now))


def test_a_thousand_domains_between_changes(
    api: api_client.Client, core: fake_core.FakeCore, tmp_path: pathlib.Path
) -> None:
    fill(api)
    zone = core.add_zone("example.com", api.project_id, "public")
    client = core_client.unscoped_client(fake_core.USERNAME, fake_core.PASSWORD, core.url)
    publish = publisher.Publisher(core_zones.Zones(client)).run_once
    sample = settle(str(zone))
    with internets.Internet().running() as internet:
        internet.zone("example.com", zone_text(sample), servers=2)
        settings = tmp_path / "mail_dns.env"
        settings.write_text(
            f"ROOT_SERVERS={internet.root.address}\nPORT={internet.port}\nNETWORKS=127.0.0.0/8\n"
        )
        checker = rounds.Rounds(str(settings))
        look = database.cost(lambda: asyncio.run(checker.once()), PASSES)
        idle = database.cost(publish, PASSES)
        make_due(sample)
        publish()
        # Now their rows are there.
        make_due(sample)
        compared = (database.cost(publish, 1) - idle) / SAMPLE
        make_due(sample)
        begun = 0

        def check() -> None:
            nonlocal begun
            while count := asyncio.run(checker.once()):
                begun += count

        checked = (database.cost(check, 1) - look) / SAMPLE
    assert begun == SAMPLE, begun
    share = (
        look / rounds.PERIOD
        + idle / publisher.LOOK_PERIOD
        + checked * DOMAINS / schedule.SELDOM
        + compared * DOMAINS / publisher.PERIOD
    )
    print(
        f"\n{DOMAINS} domains: a look at what is due {look * 1000:.1f} ms every"
        f" {rounds.PERIOD:g} s, one of the publisher {idle * 1000:.1f} ms every"
        f" {publisher.LOOK_PERIOD:g} s; a check {checked * 1000:.0f} ms"
        f" every {schedule.SELDOM / 3600:g} h, a comparison with Core's rows"
        f" {compared * 1000:.0f} ms every {publisher.PERIOD:g} s; in all {share:.2%} of a core"
    )
    assert share <= BOUND


def zone_text(sample: list[dns_checks.Domain]) -> str:
    """Return the records that the sample is to have."""
    lines = []
    for domain in sample:
        for record in expected.records(results.facts_of(domain)):
            if record.name.endswith("example.com"):
                name = record.name.removesuffix(".example.com")
                value = (
                    " ".join(
                        f'"{record.value[start : start + 255]}"'
                        for start in range(0, len(record.value), 255)
                    )
                    if record.type == "TXT"
                    else record.value
                )
                lines.append(f"{name} 300 IN {record.type} {value}")
    return "\n".join(dict.fromkeys(lines)) + "\n"
