# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Return paths of a domain: by the API, in its DNS records, and in what a node should hold."""

from __future__ import annotations

import asyncio
import typing as tp
import uuid as sys_uuid

import pytest
from restalchemy.storage.sql import engines

from exordos_paas_mail import models
from exordos_paas_mail.codecs import mail_events
from exordos_paas_mail.control_plane import targets
from exordos_paas_mail.control_plane.dns import core_zones, publisher, rounds
from exordos_paas_mail.control_plane.reconcile import core as core_client
from exordos_paas_mail.control_plane.reconcile import losses
from exordos_paas_mail.tests.unit.control_plane import api_client, fake_core, sealed
from exordos_paas_mail.tests.unit.control_plane import stage as stages
from exordos_paas_mail.tests.unit.control_plane.dns import internet as internets

if tp.TYPE_CHECKING:
    import pathlib

Type: tp.TypeAlias = mail_events.Type
ADDRESS = "203.0.113.25"
DOMAIN = "mail.example.com"
PATHS = f"bounces.{DOMAIN}"
P = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A"
NONE = {"kind": "none"}
MANAGED = {"kind": "managed", "forward": True}
KEEP = {"kind": "managed", "forward": False}
MX = f"{PATHS}. 300 IN MX 10 {DOMAIN}."
SPF = f'{PATHS}. 300 IN TXT "v=spf1 ip4:{ADDRESS} -all"'
OFF = ".:0\n"
FORWARDS = f"{DOMAIN}:forward\n.:1\n"


def execute(statement: str, values: tuple[tp.Any, ...] = ()) -> None:
    with engines.engine_factory.get_engine().session_manager() as session:
        session.execute(statement, values)


def file() -> str:
    (found,) = models.MailInstance.objects.get_all(filters={})
    return targets.texts(None, found)["return_paths"]


def touched(api: api_client.Client, instance: str, change: tp.Callable[[], object]) -> bool:
    """Return whether *change* has the builders look at the instance."""
    before = api.get(instance)["updated_at"]
    change()
    return bool(api.get(instance)["updated_at"] != before)


class Checked:
    """An instance, and the checker of its DNS, which asks an internet of its own."""

    def __init__(
        self, api: api_client.Client, internet: internets.Internet, tmp_path: pathlib.Path
    ) -> None:
        self.api, self.internet = api, internet
        settings = tmp_path / "mail_dns.env"
        settings.write_text(
            f"ROOT_SERVERS={internet.root.address}\nPORT={internet.port}\nNETWORKS=127.0.0.0/8\n"
        )
        self.instance = api.instance(domain=DOMAIN)
        self.domain = api.primary(self.instance)
        self.checker = rounds.Rounds(str(settings))
        execute("UPDATE mail_instances SET ipsv4 = %s", ([ADDRESS],))
        execute("UPDATE mail_dkim_keys SET public_key = %s", (P,))

    def check(self, *lines: str) -> None:
        """Check the domain now, with these records of its return paths."""
        text = "\n".join(
            [
                f"{DOMAIN}. 300 IN A {ADDRESS}",
                f'{DOMAIN}. 300 IN TXT "v=spf1 ip4:{ADDRESS} -all"',
                f'platform._domainkey.{DOMAIN}. 300 IN TXT "v=DKIM1; k=rsa; p={P}"',
                f'_dmarc.{DOMAIN}. 300 IN TXT "v=DMARC1; p=none"',
                *lines,
            ]
        )
        self.internet.zone("example.com", text, servers=2)
        execute("UPDATE mail_dns_checks SET next_at = now() - interval '1 day'")
        assert asyncio.run(self.checker.once())

    def records(self) -> dict[str, tuple[str, str, str, str]]:
        return {
            r["purpose"]: (r["type"], r["name"], r["value"], r["status"])
            for r in self.api.get(f"{self.domain}/records/")
            if r["purpose"].startswith("bounces")
        }

    def shown(self) -> tuple[str, str]:
        found = self.api.get(self.domain)
        return found["return_path"], found["dns_status"]


@pytest.fixture
def internet() -> tp.Iterator[internets.Internet]:
    with internets.Internet().running() as running:
        running.zone("113.0.203.in-addr.arpa", f"25 300 IN PTR {DOMAIN}.")
        yield running


@pytest.fixture
def checked(
    api: api_client.Client, internet: internets.Internet, tmp_path: pathlib.Path
) -> Checked:
    return Checked(api, internet, tmp_path)


def test_bounce_handling_is_off_unless_it_is_asked_for(api: api_client.Client) -> None:
    instance = api.instance(domain=DOMAIN)
    primary = api.get(api.primary(instance))
    assert (primary["bounce_handling"], primary["return_path"]) == (NONE, "")
    assert file() == OFF


@pytest.mark.parametrize(
    ("value", "stored"), [({"kind": "managed"}, MANAGED), (KEEP, KEEP), (NONE, NONE)]
)
def test_what_bounce_handling_can_be(
    api: api_client.Client, value: dict[str, tp.Any], stored: dict[str, tp.Any]
) -> None:
    instance = api.instance(domain=DOMAIN)
    made = api.domain(instance, "example.net", bounce_handling=value)
    assert api.get(made)["bounce_handling"] == stored
    primary = api.primary(instance)
    api.patch(primary, {"bounce_handling": value})
    assert api.get(primary)["bounce_handling"] == stored


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        "managed",
        None,
        True,
        {"kind": "other"},
        {"kind": None},
        {"kind": ["managed"]},
        {"kind": "none", "forward": True},
        {"kind": "managed", "forward": 1},
        {"kind": "managed", "forward": None},
        {"kind": "managed", "subdomain": "b"},
    ],
)
def test_what_it_cannot_be_is_refused_by_name(api: api_client.Client, value: tp.Any) -> None:
    instance = api.instance(domain=DOMAIN)
    for method, path, body in (
        ("PATCH", api.primary(instance), {"bounce_handling": value}),
        ("POST", f"{instance}/domains/", {"domain": "a.example", "bounce_handling": value}),
    ):
        status, message = api.refused(method, path, body)
        assert (status, "bounce_handling" in message) == (400, True), message


def test_the_return_path_is_a_fact(api: api_client.Client) -> None:
    primary = api.primary(api.instance(domain=DOMAIN))
    status, message = api.refused("PATCH", primary, {"return_path": PATHS})
    assert (status, message) == (403, "return_path: is read-only")


def test_a_name_that_leaves_no_room_is_refused(api: api_client.Client) -> None:
    instance = api.instance(domain=DOMAIN)
    longest = ".".join(["a" * 61] * 4)
    body = {"domain": longest, "bounce_handling": MANAGED}
    status, message = api.refused("POST", f"{instance}/domains/", body)
    reason = f"bounce_handling: the name bounces.{longest} would be too long"
    assert (status, message) == (400, reason)
    path = api.domain(instance, longest)
    assert api.refused("PATCH", path, {"bounce_handling": MANAGED})[0] == 400
    assert api.get(path)["bounce_handling"] == NONE


def test_the_records_are_shown_while_it_is_on_and_the_path_is_used_once_they_are_found(
    checked: Checked,
) -> None:
    checked.check()
    assert checked.records() == {}
    assert checked.shown() == ("", "OK")
    checked.api.patch(checked.domain, {"bounce_handling": MANAGED})
    assert file() == OFF
    checked.check()
    assert checked.records() == {
        "bounces_mx": ("MX", PATHS, f"10 {DOMAIN}", "MISSING"),
        "bounces_spf": ("TXT", PATHS, f"v=spf1 ip4:{ADDRESS} -all", "MISSING"),
    }
    assert (file(), checked.shown()) == (OFF, ("", "INCOMPLETE"))
    checked.check(MX)
    assert (file(), checked.shown()) == (OFF, ("", "INCOMPLETE"))
    assert touched(checked.api, checked.instance, lambda: checked.check(MX, SPF))
    assert (file(), checked.shown()) == (FORWARDS, (PATHS, "OK"))
    # What is as it was costs no builder a look.
    assert not touched(checked.api, checked.instance, lambda: checked.check(MX, SPF))
    assert touched(checked.api, checked.instance, lambda: checked.check(SPF))
    assert (file(), checked.shown()) == (OFF, ("", "INCOMPLETE"))


def test_what_is_asked_for_later_reaches_the_node_at_once(checked: Checked) -> None:
    checked.api.patch(checked.domain, {"bounce_handling": MANAGED})
    checked.check(MX, SPF)
    assert file() == FORWARDS
    keep, none = ({"bounce_handling": value} for value in (KEEP, NONE))
    assert touched(checked.api, checked.instance, lambda: checked.api.patch(checked.domain, keep))
    assert file() == f"{DOMAIN}:keep\n.:1\n"
    assert touched(checked.api, checked.instance, lambda: checked.api.patch(checked.domain, none))
    assert file() == OFF
    assert checked.api.get(checked.domain)["return_path"] == ""
    checked.check(MX, SPF)
    assert (checked.records(), file()) == ({}, OFF)


def test_silence_of_a_server_takes_no_return_path_away(checked: Checked) -> None:
    checked.api.patch(checked.domain, {"bounce_handling": MANAGED})
    checked.check(MX, SPF)
    execute("UPDATE mail_dns_records SET status = 'ERROR'")
    checked.check(MX, SPF)
    assert checked.shown() == (PATHS, "OK")


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([f"{PATHS}. 300 IN A {ADDRESS}"], "OK"),
        ([f"{PATHS}. 300 IN A 203.0.113.9"], "MISSING"),
        (
            [f"{PATHS}. 300 IN MX 10 relay.example.com.", f"relay.example.com. 300 IN A {ADDRESS}"],
            "OK",
        ),
        ([f"{PATHS}. 300 IN MX 10 relay.example.com."], "MISMATCH"),
        ([MX, f"{PATHS}. 300 IN MX 20 backup.example.net."], "MISMATCH"),
        ([f"{PATHS}. 300 IN MX 0 ."], "MISMATCH"),
    ],
    ids=["its address", "another address", "another name", "a name of nothing", "one more", "null"],
)
def test_what_leads_to_the_relay(checked: Checked, lines: list[str], status: str) -> None:
    checked.api.patch(checked.domain, {"bounce_handling": MANAGED})
    checked.check(SPF, *lines)
    assert checked.records()["bounces_mx"][3] == status
    assert (file() == FORWARDS) is (status == "OK")


def test_core_dns_holds_an_address_in_place_of_an_mx(
    stage: stages.Stage, core: fake_core.FakeCore
) -> None:
    stage.serving()
    execute("UPDATE mail_dkim_keys SET public_key = 'MIIBIjANBgkq'")
    zone = core.add_zone("example.com", stage.api.project_id, "public")
    client = core_client.unscoped_client(fake_core.USERNAME, fake_core.PASSWORD, core.url)
    publish = publisher.Publisher(core_zones.Zones(client)).run_once
    stage.api.patch(stage.path, {"dns": {"kind": "core"}})
    publish()
    before = core.zone_file(zone)
    primary = stage.api.primary(stage.path)
    stage.api.patch(primary, {"bounce_handling": MANAGED})
    publish()
    assert set(core.zone_file(zone)) - set(before) == {
        f"{PATHS} A 10.0.0.5",
        f"{PATHS} TXT v=spf1 ip4:10.0.0.5 -all",
    }
    stage.api.patch(primary, {"bounce_handling": NONE})
    publish()
    assert core.zone_file(zone) == before


def test_a_domain_that_is_switched_off_has_no_return_path(checked: Checked) -> None:
    path = checked.api.domain(checked.instance, "example.net", bounce_handling=MANAGED)
    execute("UPDATE mail_domains SET return_path = 'bounces.example.net' WHERE NOT is_primary")
    assert file() == "example.net:forward\n.:1\n"
    checked.api.patch(path, {"active": False})
    assert file() == OFF


def test_an_image_without_return_paths_is_told_where_one_is_needed(api: api_client.Client) -> None:
    instance = api.instance(domain=DOMAIN)
    uuid = sys_uuid.UUID(instance.rpartition("/")[2])
    known = frozenset(losses.LOSSES) - {"return_paths"}
    assert losses.told(uuid, known) == ""
    api.patch(api.primary(instance), {"bounce_handling": MANAGED})
    assert "take bounces for its domains" in losses.told(uuid, known)


def test_a_report_to_a_return_path_is_an_event_of_its_message_and_suppresses(
    stage: stages.Stage,
) -> None:
    writer = sealed.Writer(stage.serving())
    account = stage.api.account(stage.path)
    queue = sealed.queue_id(1)
    bob = "bob@elsewhere.example"
    writer.write([*sealed.arrival(queue), *sealed.delivery(queue, bob), *sealed.end(queue)])
    report = {"code": 550, "enhanced": "5.1.1", "reason": "recipient_unknown"}
    writer.write([sealed.event(Type.BOUNCED, queue, recipient=bob, **report)])
    sealed.take_in()
    (event,) = stage.api.get(f"{stage.path}/events/?type=bounced")
    assert (event["account"], event["recipient"]) == (account.rpartition("/")[2], bob)
    (entry,) = stage.api.get(f"{stage.path}/suppressions/")
    assert (entry["address"], entry["reason"], entry["message"]) == (
        *(bob, "HARD_BOUNCE", event["message"]),
    )
