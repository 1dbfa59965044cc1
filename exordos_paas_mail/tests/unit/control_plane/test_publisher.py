# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The records of domains in Core's DNS: written, kept right, withdrawn, by whole passes."""

from __future__ import annotations

import threading
import typing as tp
import uuid as sys_uuid

import pytest
from restalchemy.storage.sql import engines

from exordos_paas_mail.control_plane.dns import core_zones, publisher
from exordos_paas_mail.control_plane.reconcile import core as core_client
from exordos_paas_mail.control_plane.records import publications
from exordos_paas_mail.tests.unit.control_plane import api_client, fake_core, stage

CORE: tp.Final = {"kind": "core"}
NONE: tp.Final = {"kind": "none"}
KEY: tp.Final = "v=DKIM1; k=rsa; p=MIIBIjANBgkq"
PRIMARY: tp.Final = [
    "_dmarc.mail.example.com TXT v=DMARC1; p=quarantine",
    "mail.example.com A 10.0.0.5",
    "mail.example.com TXT v=spf1 ip4:10.0.0.5 -all",
    f"platform._domainkey.mail.example.com TXT {KEY}",
]


@pytest.fixture
def publish(core: fake_core.FakeCore, database: object) -> tp.Callable[[], None]:
    """Return a pass of the publisher."""
    client = core_client.unscoped_client(fake_core.USERNAME, fake_core.PASSWORD, core.url)
    return publisher.Publisher(core_zones.Zones(client)).run_once


def writes(core: fake_core.FakeCore) -> list[str]:
    """Return the methods that changed a zone since the last time."""
    found = [method for method, path in core.requests if "/dns/" in path and method != "GET"]
    core.requests.clear()
    return found


def asked(core: fake_core.FakeCore) -> int:
    """Return how often Core's DNS was asked since the last time."""
    found = [path for _, path in core.requests if "/dns/" in path]
    core.requests.clear()
    return len(found)


def hurry() -> None:
    """Let the time of the next look come for every zone."""
    with engines.engine_factory.get_engine().session_manager() as session:
        for row in session.execute("SELECT domain FROM mail_publications").fetchall():
            publications.hurry(session, row["domain"])


def publication(path: str) -> publications.Publication:
    with engines.engine_factory.get_engine().session_manager() as session:
        found = publications.find(session, sys_uuid.UUID(path.rpartition("/")[2]))
    assert found is not None
    return found


@pytest.fixture
def serving(stage: stage.Stage) -> stage.Stage:
    """Return an instance whose node has told its address and its key."""
    stage.serving()
    # The builders take it over from the nodes' report in a later step.
    with engines.engine_factory.get_engine().session_manager() as session:
        session.execute("UPDATE mail_dkim_keys SET public_key = 'MIIBIjANBgkq'")
    return stage


def test_the_records_of_a_domain_are_written_once_and_kept_right(
    serving: stage.Stage, core: fake_core.FakeCore, publish: tp.Callable[[], None]
) -> None:
    zone = core.add_zone("example.com", serving.api.project_id, "public")
    serving.api.patch(serving.path, {"dns": CORE})
    publish()
    assert core.zone_file(zone) == PRIMARY
    assert writes(core) == ["POST"] * 4
    publish()
    assert asked(core) == 0
    hurry()
    publish()
    assert writes(core) == []

    (row,) = (row for row in core.rows[zone].values() if row["record"]["name"] == "_dmarc.mail")
    row["record"]["content"] = "v=DMARC1; p=none"
    primary = serving.api.primary(serving.path)
    assert serving.api.call("POST", f"{primary}/actions/check/invoke").status_code == 200
    publish()
    assert (core.zone_file(zone), writes(core)) == (PRIMARY, ["PUT"])


def test_what_is_told_of_the_records(
    serving: stage.Stage, core: fake_core.FakeCore, publish: tp.Callable[[], None]
) -> None:
    zone = core.add_zone("example.com", serving.api.project_id, "public")
    core.add_row(zone, "TXT", "mail", "v=spf1 mx -all")
    serving.api.patch(serving.path, {"dns": CORE})
    publish()
    told = publication(serving.api.primary(serving.path))
    assert (told.error, told.zone) == ("", zone)
    assert {(each["type"], each["name"]): each["state"] for each in told.outcomes} == {
        ("A", "mail.example.com"): "PUBLISHED",
        ("PTR", "5.0.0.10.in-addr.arpa"): "NOT_HELD",
        ("TXT", "mail.example.com"): "CONFLICT",
        ("TXT", "platform._domainkey.mail.example.com"): "PUBLISHED",
        ("TXT", "_dmarc.mail.example.com"): "PUBLISHED",
    }
    assert "mail.example.com TXT v=spf1 mx -all" in core.zone_file(zone)


@pytest.mark.parametrize("has_own", [False, True], ids=["alone", "beside one of its own"])
def test_nothing_is_written_to_a_zone_of_another_project(
    serving: stage.Stage,
    core: fake_core.FakeCore,
    publish: tp.Callable[[], None],
    *,
    has_own: bool,
) -> None:
    stranger = serving.api.of_other_project()
    zone = core.add_zone("mail.example.com", stranger.project_id, "public")
    if has_own:
        core.add_zone("example.com", serving.api.project_id, "public")
    serving.api.patch(serving.path, {"dns": CORE})
    serving.api.domain(serving.path, "sub.mail.example.com", dns=CORE)
    publish()
    assert writes(core) == []
    assert core.zone_file(zone) == []
    told = publication(serving.api.primary(serving.path))
    assert (told.outcomes, told.zone) == ((), None)
    assert "in this project" in told.error
    (pending,) = serving.api.get(f"{serving.path}/domains/?primary=false")
    assert pending["status"] == "PENDING"


def test_a_zone_that_changed_hands_is_left_alone(
    serving: stage.Stage, core: fake_core.FakeCore, publish: tp.Callable[[], None]
) -> None:
    zone = core.add_zone("example.com", serving.api.project_id, "public")
    serving.api.patch(serving.path, {"dns": CORE})
    publish()
    core.zones[zone]["project_id"] = serving.api.of_other_project().project_id
    writes(core)
    hurry()
    publish()
    serving.api.delete(serving.path)
    publish()
    assert (core.zone_file(zone), writes(core)) == (PRIMARY, [])
    publish()
    assert asked(core) == 0


@pytest.mark.parametrize("ends", ["none", "instance"])
def test_records_are_withdrawn_and_others_stay(
    serving: stage.Stage, core: fake_core.FakeCore, publish: tp.Callable[[], None], ends: str
) -> None:
    zone = core.add_zone("example.com", serving.api.project_id, "public")
    core.add_row(zone, "TXT", "@", "v=spf1 -all")
    serving.api.patch(serving.path, {"dns": CORE})
    publish()
    assert len(core.zone_file(zone)) == 1 + len(PRIMARY)
    if ends == "none":
        serving.api.patch(serving.path, {"dns": NONE})
    else:
        serving.api.delete(serving.path)
    publish()
    assert core.zone_file(zone) == ["example.com TXT v=spf1 -all"]
    writes(core)
    publish()
    assert asked(core) == 0


def test_a_further_domain_sends_at_once_and_its_records_go_with_it(
    serving: stage.Stage, core: fake_core.FakeCore, publish: tp.Callable[[], None]
) -> None:
    zone = core.add_zone("example.org", serving.api.project_id, "public")
    domain = serving.api.domain(serving.path, "example.org", dns=CORE)
    assert serving.api.get(domain)["dkim_rotation_days"] == 180
    publish()
    assert serving.api.get(domain)["status"] == "VERIFIED"
    (selector,) = serving.api.dkim_keys(domain)
    with engines.engine_factory.get_engine().session_manager() as session:
        session.execute(
            "UPDATE mail_dkim_keys SET public_key = 'MIIB' WHERE selector = %s", (selector,)
        )
    publish()
    assert serving.api.dkim_keys(domain)[selector]["state"] == "ACTIVE"
    assert core.zone_file(zone) == [
        "_dmarc.example.org TXT v=DMARC1; p=quarantine",
        "example.org TXT v=spf1 ip4:10.0.0.5 -all",
        f"{selector}._domainkey.example.org TXT v=DKIM1; k=rsa; p=MIIB",
    ]
    serving.api.delete(domain)
    publish()
    assert core.zone_file(zone) == []


def test_a_domain_whose_proof_was_lost_waits_for_dns(
    serving: stage.Stage, core: fake_core.FakeCore, publish: tp.Callable[[], None]
) -> None:
    core.add_zone("example.org", serving.api.project_id, "public")
    domain = serving.api.domain(serving.path, "example.org", dns=CORE)
    with engines.engine_factory.get_engine().session_manager() as session:
        session.execute("UPDATE mail_domains SET proof_lost_at = now() WHERE NOT is_primary")
    publish()
    assert serving.api.get(domain)["status"] == "PENDING"


def test_a_domain_that_core_publishes_is_checked_when_its_rows_changed(
    serving: stage.Stage, core: fake_core.FakeCore, publish: tp.Callable[[], None]
) -> None:
    def is_due() -> bool:
        with engines.engine_factory.get_engine().session_manager() as session:
            found = session.execute("SELECT next_at <= now() AS due FROM mail_dns_checks")
            return bool(found.fetchone()["due"])

    core.add_zone("example.com", serving.api.project_id, "public")
    with engines.engine_factory.get_engine().session_manager() as session:
        session.execute(
            "INSERT INTO mail_dns_checks (domain, changed_at, next_at)"
            " SELECT uuid, now(), now() + interval '1 day' FROM mail_domains"
        )
    assert not is_due()
    for dns in (CORE, NONE):
        serving.api.patch(serving.path, {"dns": dns})
        publish()
        assert is_due()
        with engines.engine_factory.get_engine().session_manager() as session:
            session.execute("UPDATE mail_dns_checks SET next_at = now() + interval '1 day'")
        publish()
        assert not is_due()


def test_keys_are_rotated_where_core_publishes_unless_somebody_says(
    serving: stage.Stage,
) -> None:
    primary = serving.api.primary(serving.path)
    assert serving.api.get(primary)["dkim_rotation_days"] == 0
    serving.api.patch(serving.path, {"dns": CORE})
    assert serving.api.get(primary)["dkim_rotation_days"] == 180
    domain = serving.api.domain(serving.path, "example.org")
    serving.api.patch(domain, {"dns": CORE, "dkim_rotation_days": 90})
    assert serving.api.get(domain)["dkim_rotation_days"] == 90
    serving.api.patch(domain, {"dkim_rotation_days": 0})
    assert serving.api.get(domain)["dkim_rotation_days"] == 0
    other = serving.api.domain(serving.path, "example.net")
    serving.api.patch(other, {"dns": CORE})
    assert serving.api.get(other)["dkim_rotation_days"] == 180


def test_two_domains_share_a_zone_and_one_goes(
    serving: stage.Stage, core: fake_core.FakeCore, publish: tp.Callable[[], None]
) -> None:
    zone = core.add_zone("example.com", serving.api.project_id, "public")
    serving.api.patch(serving.path, {"dns": CORE})
    domain = serving.api.domain(serving.path, "example.com", dns=CORE)
    publish()
    assert len(core.zone_file(zone)) > len(PRIMARY)
    serving.api.delete(domain)
    publish()
    assert core.zone_file(zone) == PRIMARY


def test_a_domain_moves_to_the_closer_zone_that_its_owner_makes(
    serving: stage.Stage, core: fake_core.FakeCore, publish: tp.Callable[[], None]
) -> None:
    first = core.add_zone("example.com", serving.api.project_id, "public")
    serving.api.patch(serving.path, {"dns": CORE})
    publish()
    closer = core.add_zone("mail.example.com", serving.api.project_id, "public")
    hurry()
    publish()
    assert (core.zone_file(first), core.zone_file(closer)) == ([], PRIMARY)


def test_a_core_that_refuses_or_is_away_is_asked_again(
    serving: stage.Stage, core: fake_core.FakeCore, publish: tp.Callable[[], None]
) -> None:
    zone = core.add_zone("example.com", serving.api.project_id, "public")
    serving.api.patch(serving.path, {"dns": CORE})

    def refuse(method: str, path: str) -> None:
        if "/dns/" in path and method == "POST":
            raise fake_core.RefusedError(403, "PolicyNotAuthorized", "no")

    core.before = refuse
    publish()
    assert publication(serving.api.primary(serving.path)).error == "Core DNS refused with 403"
    core.before = lambda _method, _path: None
    publish()
    assert core.zone_file(zone) == []
    hurry()
    publish()
    assert core.zone_file(zone) == PRIMARY
    assert publication(serving.api.primary(serving.path)).error == ""


def test_what_a_pass_wrote_before_it_broke_is_known_to_the_next(
    serving: stage.Stage, core: fake_core.FakeCore, publish: tp.Callable[[], None]
) -> None:
    zone = core.add_zone("example.com", serving.api.project_id, "public")
    serving.api.patch(serving.path, {"dns": CORE})

    def cut(method: str, path: str) -> None:
        if method == "POST" and "/dns/" in path and len(core.rows[zone]) == 2:
            raise ConnectionResetError

    core.before = cut
    publish()
    assert len(core.zone_file(zone)) == 2
    core.before = lambda _method, _path: None
    serving.api.delete(serving.path)
    publish()
    assert core.zone_file(zone) == []


def test_one_pass_runs_at_a_time_and_the_loop_never_waits(
    core: fake_core.FakeCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    del core
    monkeypatch.setattr(publisher, "LOOK_PERIOD", 0.0)
    started, go_on, runs = threading.Event(), threading.Event(), []

    class Slow(publisher.Publisher):
        def run_once(self) -> None:
            runs.append(threading.current_thread())
            started.set()
            go_on.wait(60)

    service = publisher.PublisherService(Slow(tp.cast("core_zones.Zones", None)))
    service._iteration()
    assert started.wait(60)
    service._iteration()
    assert len(runs) == 1
    go_on.set()
    runs[0].join(60)
    service._iteration()
    assert len(runs) == 2
    runs[1].join(60)
    monkeypatch.setattr(publisher, "LOOK_PERIOD", 3600.0)
    service._iteration()
    service._iteration()
    runs[2].join(60)
    assert len(runs) == 3


def test_the_primary_domain_and_its_instance_say_the_same(api: api_client.Client) -> None:
    instance = api.instance(dns=CORE)
    primary = api.primary(instance)
    assert (api.get(instance)["dns"], api.get(primary)["dns"]) == (CORE, CORE)
    assert api.get(primary)["dkim_rotation_days"] == 180
    api.patch(primary, {"dns": NONE})
    assert (api.get(instance)["dns"], api.get(primary)["dns"]) == (NONE, NONE)
    api.patch(instance, {"dns": CORE})
    assert (api.get(instance)["dns"], api.get(primary)["dns"]) == (CORE, CORE)
    assert api.get(api.instance(domain="example.net"))["dns"] == NONE


@pytest.mark.parametrize(
    "bad",
    [None, "core", {}, {"kind": "other"}, {"kind": "core", "zone": "x"}, [CORE], {"kind": None}, 1],
    ids=repr,
)
def test_a_dns_that_is_none_is_refused_by_name(api: api_client.Client, bad: tp.Any) -> None:
    instance = api.instance()
    for method, path, body in (
        ("PATCH", instance, {"dns": bad}),
        ("POST", f"{instance}/domains/", {"domain": "example.org", "dns": bad}),
    ):
        status, message = api.refused(method, path, body)
        assert (status, "dns" in message) == (400, True), message
