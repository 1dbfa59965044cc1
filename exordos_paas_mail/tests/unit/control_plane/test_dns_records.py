# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The DNS records of a domain by the API, and the checker that keeps them."""

from __future__ import annotations

import asyncio
import datetime
import threading
import typing as tp

import dns.rcode
import psycopg
import pytest
from restalchemy.storage.sql import engines

from exordos_paas_mail import utils
from exordos_paas_mail.control_plane.dns import asking, results, rounds
from exordos_paas_mail.control_plane.records import dns_checks
from exordos_paas_mail.control_plane.runtime import threads as threads_
from exordos_paas_mail.tests.unit.control_plane import api_client, gservice
from exordos_paas_mail.tests.unit.control_plane.dns import internet as internets

if tp.TYPE_CHECKING:
    import pathlib

ADDRESS = "203.0.113.25"
P = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A"
PURPOSES = ["a", "dkim", "dmarc", "ptr", "spf"]
DOMAIN = "mail.example.com"


@pytest.fixture
def internet() -> tp.Iterator[internets.Internet]:
    with internets.Internet().running() as running:
        running.zone("113.0.203.in-addr.arpa", f"25 300 IN PTR {DOMAIN}.")
        yield running


class Checked:
    """An instance that has a node, and the checker, which asks an internet of its own."""

    def __init__(
        self, api: api_client.Client, internet: internets.Internet, tmp_path: pathlib.Path
    ) -> None:
        self.api, self.internet = api, internet
        self.settings = tmp_path / "mail_dns.env"
        self.settings.write_text(
            f"ROOT_SERVERS={internet.root.address}\nPORT={internet.port}\nNETWORKS=127.0.0.0/8\n"
        )
        self.instance = api.instance(domain=DOMAIN)
        self.domain = api.primary(self.instance)
        self.checker = rounds.Rounds(str(self.settings))
        self.servers: list[internets.NameServer] = []
        execute("UPDATE mail_instances SET ipsv4 = %s", ([ADDRESS],))
        execute("UPDATE mail_dkim_keys SET public_key = %s", (P,))

    def publish(self, **instead: str) -> None:
        """Publish what the API says, on two servers; *instead* of a purpose something else."""
        lines = {
            record["purpose"]: f'{record["name"]}. 300 IN TXT "{record["value"]}"'
            for record in self.records().values()
            if record["type"] == "TXT"
        }
        lines["a"] = f"{DOMAIN}. 300 IN A {ADDRESS}"
        text = "\n".join({**lines, **instead}.values())
        self.servers = self.internet.zone("example.com", text, servers=2)

    def round(self) -> int:
        return asyncio.run(self.checker.once())

    def check(self) -> None:
        """Check the domain now, whenever it was due."""
        execute("UPDATE mail_dns_checks SET next_at = now() - interval '1 day'")
        assert self.round()

    def records(self) -> dict[str, dict[str, tp.Any]]:
        return {r["purpose"]: r for r in self.api.get(f"{self.domain}/records/")}

    def statuses(self) -> dict[str, str]:
        return {purpose: record["status"] for purpose, record in self.records().items()}

    def dns_status(self) -> tuple[str, str]:
        return (
            self.api.get(self.domain)["dns_status"],
            self.api.get(self.instance)["dns_status"],
        )

    def next_check(self) -> float:
        """Return in how many seconds the domain is due."""
        ((seconds,),) = execute("SELECT extract(epoch FROM next_at - now()) FROM mail_dns_checks")
        return float(seconds)


def execute(statement: str, values: tuple[tp.Any, ...] = ()) -> list[tuple[tp.Any, ...]]:
    with engines.engine_factory.get_engine().session_manager() as session:
        session.execute("SET LOCAL TIME ZONE 'UTC'")
        cursor = session.execute(statement, values)
        return [] if cursor.description is None else [tuple(r.values()) for r in cursor.fetchall()]


@pytest.fixture
def checked(
    api: api_client.Client, internet: internets.Internet, tmp_path: pathlib.Path
) -> Checked:
    return Checked(api, internet, tmp_path)


def test_a_domain_whose_records_are_published_is_ok(checked: Checked) -> None:
    assert checked.records() == {}
    assert checked.dns_status() == ("INCOMPLETE", "INCOMPLETE")
    checked.round()
    assert checked.dns_status() == ("BROKEN", "BROKEN")  # the PTR does not lead back
    checked.publish()
    checked.check()
    assert checked.statuses() == dict.fromkeys(PURPOSES, "OK")
    assert checked.dns_status() == ("OK", "OK")


def test_a_clock_that_is_set_back_puts_no_check_off(checked: Checked) -> None:
    checked.publish()
    checked.check()
    assert not checked.round()
    # All of before is two days ahead.
    execute(
        "UPDATE mail_dns_checks SET next_at = next_at + interval '2 days',"
        " changed_at = changed_at + interval '2 days', asked_at = now() + interval '2 days'"
    )
    assert checked.round()
    assert execute("SELECT changed_at <= now() FROM mail_dns_checks") == [(True,)]
    assert 0 < checked.next_check() <= 8 * 3600
    assert not checked.round()
    answer = checked.api.call("POST", f"{checked.domain}/actions/check/invoke")
    assert answer.status_code == 200, answer.text
    assert checked.round()


def test_a_record_is_shown_whole(checked: Checked) -> None:
    checked.round()
    checked.publish()
    checked.check()
    record = checked.records()["dkim"]
    value = f"v=DKIM1; k=rsa; p={P}"
    assert record == {
        "uuid": record["uuid"],
        "project_id": checked.api.project_id,
        "domain": checked.domain,
        "purpose": "dkim",
        "type": "TXT",
        "name": f"platform._domainkey.{DOMAIN}",
        "value": value,
        "strings": [value],
        "ttl": 300,
        "required": True,
        "status": "OK",
        "found": [value],
        "detail": "",
        "suggestion": "",
        "servers": [
            {"name": f"ns{n}.example.com", "address": server.address, "answer": value}
            for n, server in enumerate(checked.servers, 1)
        ],
        "checked_at": record["checked_at"],
        "created_at": record["created_at"],
        "updated_at": record["updated_at"],
    }
    assert api_client.TIME.fullmatch(record["checked_at"])
    assert checked.api.get(f"{checked.domain}/records/{record['uuid']}") == record


def test_before_the_first_look_a_record_is_pending(checked: Checked) -> None:
    with utils.transaction() as session:
        (domain,) = dns_checks.due(session, utils.now(), 9, [])
        assert results.begin(session, domain, utils.now())
    assert checked.statuses() == dict.fromkeys(PURPOSES, "PENDING")
    assert checked.dns_status()[0] == "INCOMPLETE"


def test_servers_that_fail_leave_the_domains_status_as_it_was(checked: Checked) -> None:
    checked.round()
    checked.publish()
    checked.check()
    for server in checked.servers:
        server.rcode = dns.rcode.SERVFAIL
    checked.check()
    assert {checked.statuses()[p] for p in ("a", "dkim", "dmarc", "spf")} == {"ERROR"}
    assert checked.api.get(checked.domain)["status"] == "VERIFIED"
    for server in checked.servers:
        server.rcode = None
    checked.check()
    assert checked.dns_status() == ("OK", "OK")


def test_a_key_that_is_gone_degrades_the_domain(checked: Checked) -> None:
    checked.round()
    checked.publish()
    checked.check()
    checked.publish(dkim="")
    checked.check()
    assert checked.api.get(checked.domain)["status"] == "DEGRADED"
    assert checked.dns_status() == ("INCOMPLETE", "INCOMPLETE")


def test_a_further_domain_is_verified_by_its_key(checked: Checked) -> None:
    domain = checked.api.domain(checked.instance, "example.org")
    execute("UPDATE mail_dkim_keys SET public_key = %s", (P,))
    (selector,) = checked.api.dkim_keys(domain)
    checked.round()
    assert checked.api.get(domain)["status"] == "PENDING"
    checked.internet.zone(
        "example.org", f'{selector}._domainkey 300 IN TXT "v=DKIM1; k=rsa; p={P}"'
    )
    checked.check()
    assert checked.api.get(domain)["status"] == "VERIFIED"
    records = checked.api.get(f"{domain}/records/")
    assert sorted(r["purpose"] for r in records) == ["dkim", "dmarc", "spf"]
    assert checked.api.get(f"{domain}/records/?purpose=dkim")[0]["status"] == "OK"
    assert checked.api.get(checked.instance)["dns_status"] == "BROKEN"


def test_a_change_of_the_facts_is_looked_at_at_once(checked: Checked) -> None:
    checked.round()
    checked.publish()
    checked.check()
    assert checked.round() == 0
    execute("UPDATE mail_instances SET ipsv4 = %s", (["203.0.113.99"],))
    assert checked.round() == 1
    records = checked.records()
    assert (records["a"]["value"], records["a"]["status"]) == ("203.0.113.99", "MISMATCH")
    assert records["spf"]["suggestion"] == f"v=spf1 ip4:203.0.113.99 ip4:{ADDRESS} -all"
    assert checked.next_check() == pytest.approx(30, abs=5)


def test_the_relays_name_is_asked_for_where_it_is_not_its_domain(checked: Checked) -> None:
    checked.round()
    checked.api.call("PATCH", checked.instance, {"hostname": "smtp.example.com"})
    assert checked.round() == 1
    records = checked.records()
    assert (records["a"]["name"], records["spf"]["name"]) == ("smtp.example.com", DOMAIN)
    assert records["ptr"]["value"] == "smtp.example.com"


def test_the_record_of_a_revoked_key_stays_as_long_as_it_may_be_asked_for(
    checked: Checked,
) -> None:
    checked.round()
    checked.publish()
    later = "now() AT TIME ZONE 'UTC' + interval '1 day'"
    execute(f"UPDATE mail_dkim_keys SET state = 'REVOKED', safe_to_remove_at = {later}")  # noqa: S608
    assert checked.round() == 1
    assert checked.statuses()["dkim"] == "OK"
    execute("UPDATE mail_dkim_keys SET safe_to_remove_at = now() AT TIME ZONE 'UTC'")
    assert checked.round() == 1
    assert "dkim" not in checked.records()


def test_a_domain_that_is_right_is_checked_seldom(checked: Checked) -> None:
    checked.round()
    checked.publish()
    checked.check()
    assert checked.next_check() == pytest.approx(30, abs=5)
    execute("UPDATE mail_dns_checks SET changed_at = changed_at - interval '1 hour'")
    checked.check()
    assert 4.5 * 3600 < checked.next_check() < 7.5 * 3600
    before = gservice.row_versions()
    assert checked.round() == 0
    assert gservice.row_versions() == before


def test_a_check_is_asked_for_once_a_minute(checked: Checked) -> None:
    checked.round()
    action = f"{checked.domain}/actions/check/invoke"
    assert checked.round() == 0
    answer = checked.api.call("POST", action)
    assert (answer.status_code, answer.json["domain"]) == (200, DOMAIN)
    assert checked.round() == 1
    status, message = checked.api.refused("POST", action)
    assert status == 429
    again = datetime.datetime.strptime(
        message, "check: may be asked for again at %Y-%m-%dT%H:%M:%SZ"
    ).replace(tzinfo=datetime.timezone.utc)
    assert 0 < (again - utils.now()).total_seconds() <= 60
    execute("UPDATE mail_dns_checks SET asked_at = asked_at - interval '1 minute'")
    assert checked.api.call("POST", action).status_code == 200


def test_a_check_of_a_domain_that_goes_is_a_404(checked: Checked) -> None:
    domain = checked.api.domain(checked.instance, "example.org")
    answers: list[int] = []
    deleting = engines.engine_factory.get_engine().get_session()
    try:
        uuid = checked.instance.rpartition("/")[2]
        deleting.execute("SELECT FROM mail_instances WHERE uuid = %s FOR UPDATE", (uuid,))
        asking_ = threading.Thread(
            target=lambda: answers.append(
                checked.api.call("POST", f"{domain}/actions/check/invoke").status_code
            )
        )
        asking_.start()
        _wait_for_a_lock()
        deleting.execute("DELETE FROM mail_domains WHERE domain = %s", ("example.org",))
        deleting.commit()
    finally:
        deleting.close()
    asking_.join()
    assert answers == [404]


def _wait_for_a_lock() -> None:
    for _ in range(1000):
        waiting = execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        if waiting != [(0,)]:
            return
        threading.Event().wait(0.01)
    raise TimeoutError


def test_what_is_found_of_a_domain_that_is_gone_is_dropped(checked: Checked) -> None:
    domain = checked.api.domain(checked.instance, "example.org")
    with utils.transaction() as session:
        due = dns_checks.due(session, utils.now(), 9, [])
    checked.api.delete(domain)
    with utils.transaction() as session:
        (gone,) = (each for each in due if each.domain == "example.org")
        assert not results.begin(session, gone, utils.now())
    assert execute("SELECT count(*) FROM mail_dns_checks") == [(0,)]


def test_the_records_go_with_the_domain(checked: Checked) -> None:
    domain = checked.api.domain(checked.instance, "example.org")
    checked.round()
    checked.api.delete(domain)
    assert execute("SELECT count(*) FROM mail_dns_checks") == [(1,)]
    checked.api.delete(checked.instance)
    assert execute("SELECT count(*) FROM mail_dns_records") == [(0,)]


def test_a_zone_file_is_a_text(checked: Checked) -> None:
    checked.round()
    answer = checked.api.call("GET", f"{checked.domain}/actions/zone_file")
    assert (answer.status_code, answer.content_type) == (200, "text/plain")
    assert answer.text == (
        f"; {DOMAIN}: the records of its mail relay\n"
        f"{DOMAIN}.\t300\tIN\tA\t{ADDRESS}\n"
        "; in the zone of 25.113.0.203.in-addr.arpa:\n"
        f"; 25.113.0.203.in-addr.arpa.\t300\tIN\tPTR\t{DOMAIN}.\n"
        f'{DOMAIN}.\t300\tIN\tTXT\t"v=spf1 ip4:{ADDRESS} -all"\n'
        f'platform._domainkey.{DOMAIN}.\t300\tIN\tTXT\t"v=DKIM1; k=rsa; p={P}"\n'
        f'_dmarc.{DOMAIN}.\t300\tIN\tTXT\t"v=DMARC1; p=quarantine"\n'
    )


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nobody_writes_a_record(checked: Checked, method: str) -> None:
    checked.round()
    records = f"{checked.domain}/records/"
    path = records if method == "POST" else f"{records}{checked.records()['spf']['uuid']}"
    before = gservice.row_versions()
    assert checked.api.call(method, path, {"value": "v=spf1 +all"}).status_code == 405
    assert gservice.row_versions() == before


def test_settings_that_are_wrong_ask_nobody_and_are_told_of(checked: Checked) -> None:
    checked.settings.write_text("PORT=seven\n")
    checked.round()
    record = checked.records()["spf"]
    assert (record["status"], record["detail"]) == (
        "ERROR",
        "mail_dns.env: PORT is not a number from 1 to 65535",
    )
    assert checked.internet.root.asked == []


def test_a_domain_whose_check_fails_stops_no_other(
    checked: Checked, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked.api.domain(checked.instance, "example.org")
    checked.publish(a=f"{DOMAIN}. 300 IN A {ADDRESS}")
    everyone = asking.Asker.everyone

    async def failing(asker: asking.Asker, name: str, rdtype: str) -> tp.Any:
        if name.endswith("example.org"):
            raise ZeroDivisionError
        return await everyone(asker, name, rdtype)

    monkeypatch.setattr(asking.Asker, "everyone", failing)
    assert checked.round() == 2
    assert checked.statuses()["a"] == "OK"
    assert checked.round() == 0


def test_servers_that_hang_delay_nobody_else(checked: Checked) -> None:
    checked.api.domain(checked.instance, "example.org")
    (hanging,) = checked.internet.zone("example.org", "")
    hanging.is_silent = True
    checked.publish(a=f"{DOMAIN}. 300 IN A {ADDRESS}")

    async def first_done() -> set[str]:
        checked.checker._begin()
        tasks = [task for _, task in checked.checker._tasks.values()]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        done = set(checked.statuses())
        await asyncio.wait(tasks)
        return done

    assert asyncio.run(first_done()) == {"a", "dkim", "dmarc", "ptr", "spf"}
    assert checked.statuses()["a"] == "OK"


def test_a_database_that_is_away_is_told_of_once(
    checked: Checked, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stop = threading.Event()
    looks = 0

    def away() -> int:
        nonlocal looks
        looks += 1
        if looks == 3:
            stop.set()
        raise psycopg.OperationalError

    monkeypatch.setattr(rounds, "PERIOD", 0.01)
    monkeypatch.setattr(checked.checker, "_begin", away)
    checked.checker.run(stop)
    assert looks == 3
    assert [record.levelname for record in caplog.records if record.name == rounds.__name__] == [
        "WARNING"
    ]


def test_one_project_does_not_have_all_the_room(checked: Checked) -> None:
    for number in range(12):
        checked.api.domain(checked.instance, f"d{number}.example.org")
    with utils.transaction() as session:
        assert len(dns_checks.due(session, utils.now(), 8, [])) == 8


def test_the_service_keeps_one_thread(tmp_path: pathlib.Path, database: tp.Any) -> None:
    def threads() -> list[threading.Thread]:
        return [t for t in threading.enumerate() if t.name == "mailaas-dns"]

    checker, other = (
        threads_.ThreadKeeper("mailaas-dns", rounds.Rounds(str(tmp_path / "none")).run)
        for _ in range(2)
    )
    for each in (checker, other, checker):
        each._loop_iteration()
    (thread,) = threads()
    assert thread.daemon
    checker.stop()
    thread.join(60)
    assert threads() == []
    checker._loop_iteration()
    (thread,) = threads()
    checker.stop()
    thread.join(60)
