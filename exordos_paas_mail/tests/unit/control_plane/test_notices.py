# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What the control plane alone knows, told to the webhooks that ask for it."""

from __future__ import annotations

import datetime
import threading
import typing as tp
import uuid as sys_uuid

import pytest

from clients import issuing
from exordos_paas_mail import utils
from exordos_paas_mail.codecs import mail_events, tls_reports, webhook_config
from exordos_paas_mail.codecs import notices as codec
from exordos_paas_mail.control_plane.documents import collections, writer
from exordos_paas_mail.control_plane.imports import importer
from exordos_paas_mail.control_plane.records import (
    credential_rows,
    dkim_keys,
    document_marks,
    domains,
    notices,
    tls_facts,
)
from exordos_paas_mail.tests.unit.control_plane import api_client, sealed
from exordos_paas_mail.tests.unit.control_plane import stage as stages

LOGIN = "noreply@mail.example.com"


def query(statement: str, *values: tp.Any) -> list[tuple[tp.Any, ...]]:
    with utils.transaction() as session:
        found = session.execute(statement, values)
        return [tuple(row.values()) for row in found.fetchall()] if found.description else []


class World:
    """An instance, and what its node is told."""

    def __init__(self, api: api_client.Client, *types: str) -> None:
        self.api, self.path = api, api.instance()
        self.uuid = sys_uuid.UUID(self.path.rpartition("/")[2])
        if types:
            self.subscribe(*types)

    def subscribe(self, *types: str) -> str:
        body = {"url": "https://hooks.example.com/", "events": list(types)}
        made = self.api.post(f"{self.path}/webhooks/", body)
        return f"{self.path}/webhooks/{made['uuid']}"

    def tell(self, kind: str, *data: dict[str, tp.Any]) -> None:
        with utils.transaction() as session:
            notices.tell(session, self.uuid, kind, *data)

    def told(self) -> list[codec.Notice]:
        """Return what is told, in the order of the numbers."""
        render = collections.RENDERERS[codec.COLLECTION]
        found = query(
            "SELECT shard FROM mail_documents WHERE instance = %s AND collection = %s",
            str(self.uuid),
            codec.COLLECTION,
        )
        with utils.transaction() as session:
            documents = [render(session, self.uuid, shard) for (shard,) in found]
        all_told = [one for document in documents for one in codec.parse(document)]
        return sorted(all_told, key=lambda one: one.number)

    def data(self) -> list[tuple[str, dict[str, tp.Any]]]:
        return [(one.type, dict(one.data)) for one in self.told()]

    def types(self) -> list[str]:
        return [one.type for one in self.told()]

    def numbers(self) -> list[int]:
        return [one.number for one in self.told()]


@pytest.fixture
def world(api: api_client.Client) -> World:
    return World(api, *codec.ABOUT)


def act(api: api_client.Client, path: str, action: str, body: tp.Any = None) -> tp.Any:
    answer = api.call("POST", f"{path}/actions/{action}/invoke", body)
    assert answer.status_code in (200, 201), answer.text
    return answer.json


def test_every_type_can_be_asked_for(world: World) -> None:
    (hook,) = world.api.get(f"{world.path}/webhooks/")
    assert hook["events"] == list(codec.ABOUT)
    assert set(codec.ABOUT) <= set(webhook_config.KNOWN)


def test_only_what_a_webhook_asks_for_is_written(api: api_client.Client) -> None:
    world = World(api)
    world.tell("domain.verified", {"domain": "a.b"})
    hook = world.subscribe("domain.verified", "message.delivered")
    world.tell("domain.degraded", {"domain": "a.b"})
    world.tell("domain.verified", {"domain": "a.b"})
    api.patch(hook, {"active": False})
    world.tell("domain.verified", {"domain": "c.d"})
    assert world.data() == [("domain.verified", {"domain": name}) for name in ("a.b", "c.d")]
    assert world.numbers() == [1, 2]
    api.delete(hook)
    world.tell("domain.verified", {"domain": "e.f"})
    assert world.numbers() == [1, 2]


def test_what_is_no_type_is_refused_whether_it_is_asked_for_or_not(api: api_client.Client) -> None:
    with pytest.raises(ValueError, match=r"message\.delivered is no type of a notice"):
        World(api, "message.delivered").tell("message.delivered", {})


def test_of_an_instance_that_is_gone_nothing_is_told(world: World) -> None:
    world.tell("account.created", {})
    world.api.delete(world.path)
    world.tell("account.created", {})
    assert query("SELECT * FROM mail_notices") == query("SELECT * FROM mail_notice_rings") == []


def test_what_is_taken_back_was_never_told(world: World) -> None:
    with utils.transaction() as session:
        notices.tell(session, world.uuid, "account.created", {})
        session.rollback()
    world.tell("account.created", {})
    assert world.numbers() == [1]


def test_the_newest_are_kept_in_a_ring_and_a_new_one_writes_one_shard(world: World) -> None:
    ring = codec.SHARDS * codec.SHARD_SIZE
    for _ in range(12):
        world.tell("domain.verified", *({"domain": f"{n}.example"} for n in range(100)))
    first = codec.first_of_ring(1200)
    assert world.numbers() == list(range(first, 1201))
    assert ring - codec.SHARD_SIZE < 1201 - first <= ring
    query("UPDATE mail_documents SET due = false")
    world.tell("domain.verified", {"domain": "last.example"})
    due = query("SELECT shard FROM mail_documents WHERE due AND collection = %s", codec.COLLECTION)
    assert due == [(codec.shard_of(1201),)]
    world.tell("domain.verified", *({"domain": f"{n}.example"} for n in range(3000)))
    assert world.numbers()[-1] == 4201
    assert world.numbers() == list(range(codec.first_of_ring(4201), 4202))


def test_numbers_of_an_instance_are_its_own(world: World) -> None:
    other = World(world.api, "domain.verified")
    world.tell("domain.verified", {"domain": "a.b"})
    other.tell("domain.verified", {"domain": "c.d"})
    assert (world.numbers(), other.numbers()) == ([1], [1])
    assert other.data() == [("domain.verified", {"domain": "c.d"})]


def test_what_is_too_old_is_not_told_and_goes(world: World) -> None:
    world.tell("account.created", {"account": "old"}, {"account": "new"})
    query("UPDATE mail_notices SET at = at - interval '7 days' WHERE number = 1")
    assert world.numbers() == [2]
    query("UPDATE mail_documents SET due = false")
    notices.forget(utils.now())
    assert query("SELECT number FROM mail_notices") == [(2,)]
    # The document that the node holds has it until it is written anew.
    due = "SELECT shard FROM mail_documents WHERE due AND collection = 'notices'"
    assert query(due) == [(codec.shard_of(1),)]
    query("UPDATE mail_documents SET due = false")
    notices.forget(utils.now())
    assert query(due) == []


def test_who_is_erased_is_in_no_notice(world: World) -> None:
    added = f"{world.path}/suppressions/"
    world.api.post(added, {"address": "bob@example.org"})
    world.api.post(added, {"address": "eve@example.org"})
    query("UPDATE mail_documents SET due = false")
    act(world.api, world.path, "erase", {"recipient": "Bob@example.org"})
    sealed.take_in()
    assert [data["address"] for _, data in world.data()] == ["eve@example.org"]
    assert query("SELECT collection FROM mail_documents WHERE due AND collection = 'notices'")


def test_suppressions_are_told(world: World) -> None:
    path = f"{world.path}/suppressions/"
    end = "2999-01-02T03:04:05.000000Z"
    one = world.api.post(path, {"address": "bob@example.org", "detail": "asked", "expires_at": end})
    entry = {
        "suppression": one["uuid"],
        "address": "bob@example.org",
        "reason": "MANUAL",
        "origin": "USER",
        "scope": "instance",
    }
    world.api.delete(f"{path}{one['uuid']}")
    assert world.api.refused("DELETE", f"{path}{one['uuid']}")[0] == 404
    text = "a@example.org\nb@example.org\nnonsense\na@example.org\n"
    for _ in range(2):
        act(world.api, world.path, "suppressions_import", {"text": text})
        assert importer.Importer().run_once(threading.Event())
    first, *others = world.data()
    assert first == ("suppression.added", {**entry, "detail": "asked", "expires_at": end})
    assert others == [
        ("suppression.removed", entry),
        ("suppression.imported", {"count": 2, "existing": 0, "failed_count": 1}),
    ]


def test_who_is_suppressed_by_what_a_server_said_is_told_with_its_words(
    stage: stages.Stage,
) -> None:
    world = World(stage.api)
    world.path, world.uuid = stage.path, sys_uuid.UUID(stage.uuid)
    world.subscribe("suppression.added")
    node = sealed.Writer(stage.serving())
    stage.api.account(stage.path)
    queue = sealed.queue_id(1)
    said = {"code": 550, "enhanced": "5.1.1", "text": "no such user", "reason": "recipient_unknown"}
    failure = sealed.event(mail_events.Type.FAILED, queue, recipient="bob@example.org", **said)
    for _ in range(2):
        node.write([*sealed.arrival(queue), failure, *sealed.end(queue)])
        sealed.take_in()
    ((kind, data),) = world.data()
    assert (kind, data["address"], data["origin"]) == (
        "suppression.added",
        "bob@example.org",
        "AUTO",
    )
    assert (data["reason"], data["detail"]) == ("HARD_BOUNCE", "550 5.1.1 no such user")


def test_accounts_are_told(world: World) -> None:
    account = world.api.account(world.path)
    told = {"account": account.rpartition("/")[2], "login": LOGIN}
    named = {**told, "name": "noreply"}
    world.api.patch(account, {"active": False})
    world.api.patch(account, {"active": False, "description": "nothing new"})
    world.api.patch(account, {"active": True})
    act(world.api, account, "hold", {"reason": "password is on a list"})
    act(world.api, account, "release", {"messages": "deliver"})
    world.api.delete(account)
    assert world.data() == [
        ("account.created", named),
        ("account.disabled", named),
        ("account.enabled", named),
        ("account.held", {**told, "text": "USER: password is on a list"}),
        ("account.released", {**told, "text": "USER: what is apart is delivered"}),
        ("account.deleted", named),
    ]


def test_the_states_of_a_domain_and_of_its_keys_are_told(world: World) -> None:
    path = world.api.domain(world.path)
    domain = sys_uuid.UUID(path.rpartition("/")[2])
    (selector,) = world.api.dkim_keys(path)
    query("UPDATE mail_dkim_keys SET public_key = 'AAAA' WHERE domain = %s", str(domain))
    now = utils.now()

    def look(*, seen: bool, at: datetime.datetime) -> None:
        with utils.transaction() as session:
            domains.observe(session, domain, seen, at)
            here: set[str] = {selector}
            dkim_keys.observe(
                session, domain, here if seen else set(), set() if seen else here, 0, at
            )

    look(seen=True, at=now)
    look(seen=True, at=now)
    for hours in (0, 1, 80):
        look(seen=False, at=now + datetime.timedelta(hours=hours))
    about = {"domain": "example.org", "domain_uuid": str(domain)}
    key = {**about, "selector": selector, "algorithm": "rsa"}
    found = world.data()
    assert [kind for kind, _ in found] == [
        "domain.verified",
        "dkim.activated",
        "domain.degraded",
        "domain.unverified",
    ]
    assert found[:2] == [
        ("domain.verified", {**about, "status": "VERIFIED"}),
        ("dkim.activated", {**key, "state": "ACTIVE"}),
    ]
    assert "stops sending at" in found[2][1]["error"]


def test_the_certificate_is_told_when_it_changes_and_when_it_ends(world: World) -> None:
    authority = issuing.Authority()
    first, second = (authority.issue("mail.example.com") for _ in range(2))

    def serve(pair: issuing.Issued) -> None:
        given = {"kind": "manual", "certificate": pair.chain, "private_key": pair.key}
        world.api.patch(world.path, {"tls": given})
        with utils.transaction() as session:
            report = tls_reports.Report(pair.chain, is_told=True, refused="")
            tls_facts.take_over(session, world.uuid, report)
            tls_facts.take_over(session, world.uuid, report)

    serve(first)
    serve(second)
    ends = datetime.datetime.fromisoformat(
        world.api.get(world.path)["tls_expires_at"].replace("Z", "+00:00")
    )
    for days in (1, 0, -1, -1):
        tls_facts.settle_ended(ends - datetime.timedelta(days=days))
    found = world.data()
    assert [kind for kind, _ in found] == [
        "certificate.active",
        "certificate.active",
        "certificate.expiring",
        "certificate.error",
    ]
    prints = [data["fingerprint_sha256"] for _, data in found]
    assert prints[0] != prints[1] == prints[2] == prints[3]
    assert found[-1][1]["error"].startswith("the certificate has expired at ")
    assert {data["kind"] for _, data in found} == {"manual"}


def test_a_credential_that_ends_soon_is_told_once_for_each_end(world: World) -> None:
    account = world.api.account(world.path)
    now = utils.now()

    def make(name: str, days: float | None, **fields: tp.Any) -> dict[str, tp.Any]:
        end = now + datetime.timedelta(days=days) if days is not None else None
        body = {"name": name, "expires_at": end and f"{end:%Y-%m-%dT%H:%M:%S.%fZ}", **fields}
        return tp.cast("dict[str, tp.Any]", world.api.post(f"{account}/credentials/", body))

    soon = make("soon", 6.9)
    later = make("later", 7.1)
    make("never", None)
    make("off", 1, active=False)
    credential_rows.tell_expiring(now)
    credential_rows.tell_expiring(now)
    expected = {
        "credential": soon["uuid"],
        "prefix": soon["prefix"],
        "name": "soon",
        "account": account.rpartition("/")[2],
        "login": LOGIN,
        "expires_at": soon["expires_at"],
    }
    assert world.data()[1:] == [("credential.expiring", expected)]
    credential_rows.tell_expiring(now + datetime.timedelta(days=1))
    end = f"{now + datetime.timedelta(days=5):%Y-%m-%dT%H:%M:%S.%fZ}"
    world.api.patch(f"{account}/credentials/{soon['uuid']}", {"expires_at": end})
    credential_rows.tell_expiring(now)
    told = [(data["credential"], data["expires_at"]) for _, data in world.data()[1:]]
    assert told == [
        (soon["uuid"], soon["expires_at"]),
        (later["uuid"], later["expires_at"]),
        (soon["uuid"], end),
    ]


def test_who_asks_late_hears_of_a_credential_that_ends_soon(api: api_client.Client) -> None:
    world = World(api)
    account = api.account(world.path)
    end = f"{utils.now() + datetime.timedelta(days=1):%Y-%m-%dT%H:%M:%S.%fZ}"
    api.post(f"{account}/credentials/", {"expires_at": end})
    credential_rows.tell_expiring(utils.now())
    assert world.types() == []
    world.subscribe("credential.expiring")
    credential_rows.tell_expiring(utils.now())
    assert world.types() == ["credential.expiring"]


def test_the_thread_of_the_documents_tells_a_node(stage: stages.Stage) -> None:
    world = World(stage.api)
    world.path, world.uuid = stage.path, sys_uuid.UUID(stage.uuid)
    world.subscribe("account.created")
    stage.serving()
    stage.api.account(stage.path)
    writer.Writer().run_once()
    with utils.transaction() as session:
        assert not document_marks.is_applied(session, world.uuid, codec.COLLECTION)
    found = query(
        "SELECT shard FROM mail_documents WHERE collection = %s AND NOT due AND revision > 0",
        codec.COLLECTION,
    )
    assert found == [("0",)]


def test_a_type_that_no_node_has_is_now_one_of_the_control_planes(world: World) -> None:
    assert "account.reputation_low" in codec.ABOUT
    assert "message.reputation_low" not in webhook_config.KNOWN
