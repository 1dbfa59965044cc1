# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The certificate of a relay, of each kind: served, replaced and refused while clients log in."""

from __future__ import annotations

import contextlib
import functools
import typing as tp

import pytest

from clients import issuing, mail, rest, waiting
from exordos_paas_mail.tests.functional import provisioning, submission, traffic, trusting

if tp.TYPE_CHECKING:
    from clients import iam
    from clients import internet as internet_client
    from exordos_paas_mail.tests.functional import stand_control

BOB = "bob@example.net"
ACME = {"kind": "acme"}
SELF_SIGNED = {"kind": "self_signed"}
CERTIFICATES = "/v1/secret/certificates/"
CONTROL_PLANE = "metapaas-cp"
FACTS = ("tls_status", "tls_error", "tls_certificate")


def serve(owner: rest.Api, instance: rest.Json, poll: waiting.Poll, tls: rest.Json) -> rest.Json:
    """Choose *tls*, and return the instance once it is served."""
    path = mail.instance_path(instance)
    before = owner.expect(200, "PATCH", path, {"tls": tls})
    assert "private_key" not in before["tls"]
    return poll.until(
        f"what tls asks for ({tls['kind']}) is served",
        lambda: owner.read(path),
        lambda found: found["tls_status"] == "ACTIVE",
    )


def is_refused(reason: str, found: rest.Json) -> bool:
    """Return whether *found* tells that its certificate is not served, for *reason*."""
    return bool(found["tls_status"] == "ERROR" and found["tls_error"].startswith(reason))


def issued_by_core(core: rest.Api, instance: rest.Json) -> list[str]:
    """Return the uuids of what Core has issued for the relay, or is to issue."""
    tag = f"mailaas:{instance['uuid']}"
    return [each["uuid"] for each in core.list(CERTIFICATES) if tag in each["tags"]]


def change_order(stand: stand_control.Stand, instance: rest.Json, assignments: str) -> int:
    """Change what the control plane keeps of what it has asked of Core; return of how many."""
    found = stand.query(
        CONTROL_PLANE,
        "metapaas",
        f"UPDATE mail_tls_orders SET {assignments} WHERE instance = '{instance['uuid']}'"  # noqa: S608
        " AND asked_at IS NOT NULL AND withdrawn_at IS NULL",
    )
    return int(found[-1].removeprefix("UPDATE "))


@contextlib.contextmanager
def stored(
    core: rest.Api, project: str, issued: issuing.Issued, name: str, poll: waiting.Poll
) -> tp.Iterator[rest.Json]:
    """Give a certificate that somebody has put into Core's secret service; ``tls`` names it."""
    made = core.create(
        CERTIFICATES,
        {
            "name": "mail-suite",
            "project_id": project,
            "email": "suite@example.com",
            "domains": [name],
            "method": {"kind": "manual"},
            "cert": issued.chain,
            "key": issued.key,
        },
    )
    path = f"{CERTIFICATES}{made['uuid']}"
    poll.until(
        "the certificate is in Core", lambda: core.read(path), lambda it: it["status"] == "ACTIVE"
    )
    yield {"kind": "core", "certificate": made["uuid"]}
    core.delete(path)


@contextlib.contextmanager
def called(
    owner: rest.Api,
    instance: rest.Json,
    relay: submission.Relay,
    hostname: str,
    poll: waiting.Poll,
) -> tp.Iterator[str]:
    """Have *relay* call itself *hostname* while it is open; give its own certificate of that."""
    path = mail.instance_path(instance)
    owner.expect(200, "PATCH", path, {"hostname": hostname})
    yield poll.until(
        "the relay serves its own of the new name",
        lambda: owner.read(path),
        lambda it: it["tls_status"] == "ACTIVE" and hostname in it["tls_names"],
    )["tls_certificate"]
    owner.expect(200, "PATCH", path, {"hostname": None, "tls": SELF_SIGNED})
    poll.until(
        "the relay serves its own of its own name",
        lambda: owner.read(path),
        lambda it: it["tls_status"] == "ACTIVE" and hostname not in it["tls_names"],
    )
    poll.until("exim has its own name", lambda: _name(relay), lambda it: it == instance["domain"])


def _name(relay: submission.Relay) -> str:
    """Return what the relay calls itself, before STARTTLS: it may still serve the pair before."""
    with relay.plain() as client:
        assert client.ehlo_resp is not None
        return str(client.ehlo_resp.split()[0].decode())


@pytest.fixture
def own(owner: rest.Api, instance: rest.Json, poll: waiting.Poll) -> tp.Iterator[str]:
    """Return the certificate that the relay makes itself; it serves that again at the end."""
    yield serve(owner, instance, poll, {"kind": "self_signed"})["tls_certificate"]
    serve(owner, instance, poll, {"kind": "self_signed"})


def test_a_tenants_certificate_is_served_and_taken_back_while_mail_goes_on(
    owner: rest.Api,
    instance: rest.Json,
    relay: submission.Relay,
    accounts: provisioning.Accounts,
    poll: waiting.Poll,
    own: str,
) -> None:
    authority = issuing.Authority()
    issued = authority.issue(instance["domain"])
    given = {"kind": "manual", "certificate": issued.chain, "private_key": issued.key}
    account = accounts.ready()
    # Who is set up with the tenant's authority before its certificate is there.
    trust = trusting.Fixed(instance["domain"], own + authority.root)
    client = submission.Relay(relay.host, trust)
    sender = traffic.Sender(client, account.address, account.password, BOB)

    def is_trusted(certificate: str) -> bool:
        return submission.is_trusted(relay, instance["domain"], certificate)

    with traffic.repeated(sender.send) as meanwhile:
        assert is_trusted(own)
        found = serve(owner, instance, poll, given)
        assert [found[name] for name in FACTS] == ["ACTIVE", "", issued.chain]
        assert [is_trusted(authority.root), is_trusted(own)] == [True, False]
        # The same once more, and one of the same key without it, change nothing.
        for again in (given, {"kind": "manual", "certificate": issued.chain}):
            found = serve(owner, instance, poll, again)
            assert found["tls_certificate"] == issued.chain
        found = serve(owner, instance, poll, {"kind": "self_signed"})
        assert found["tls_certificate"] == own
        assert [is_trusted(authority.root), is_trusted(own)] == [False, True]
    assert meanwhile.failures == []
    assert sender.accepted


def test_what_cannot_be_served_is_refused_with_a_reason(
    owner: rest.Api, instance: rest.Json, own: str
) -> None:
    authority, path = issuing.Authority(), mail.instance_path(instance)
    issued, other = authority.issue(instance["domain"]), authority.issue("other.example.com")
    ended = authority.issue(instance["domain"], ends=-issuing.DAY / 2)
    for certificate, key, reason in (
        (issued.chain, other.key, "private_key belongs to another certificate"),
        (issued.leaf, issued.key, "certificate lacks its issuer's"),
        (other.chain, other.key, f"certificate does not name {instance['domain']}"),
        (ended.chain, ended.key, "certificate has expired"),
    ):
        tls = {"kind": "manual", "certificate": certificate, "private_key": key}
        refused = owner.expect(400, "PATCH", path, {"tls": tls})
        assert refused["message"].startswith(f"tls: {reason}")
    found = owner.read(path)
    assert [found[name] for name in FACTS] == ["ACTIVE", "", own]


def test_certificates_of_all_kinds_are_served_and_renewed_while_clients_verify(
    owner: rest.Api,
    owner_session: iam.Session,
    core: rest.Api,
    project: str,
    instance: rest.Json,
    relay: submission.Relay,
    accounts: provisioning.Accounts,
    world: internet_client.Client,
    stand: stand_control.Stand,
    poll: waiting.Poll,
    own: str,
) -> None:
    path = mail.instance_path(instance)
    account = accounts.ready()
    authority = issuing.Authority()
    with contextlib.ExitStack() as stack:
        zone = stack.enter_context(provisioning.zone(owner_session.api(), world))
        hostname = f"relay.{zone.name}"
        named = stack.enter_context(called(owner, instance, relay, hostname, poll))
        # The relay's own, of Core's authority, and of the one that the tenant uses.
        trust = trusting.Fixed(hostname, named + authority.root, is_public=True)
        client = submission.Relay(relay.host, trust)
        sender = traffic.Sender(client, account.address, account.password, BOB)
        with traffic.repeated(sender.send) as meanwhile:
            assert not submission.is_trusted(relay, hostname)
            first = serve(owner, instance, poll, ACME)
            assert (first["tls_names"], first["tls_error"]) == ([hostname], "")
            assert submission.is_trusted(relay, hostname)
            assert not submission.is_trusted(relay, instance["domain"])
            (before,) = issued_by_core(core, instance)

            # The time comes that is 31 days before its end.
            change_order(
                stand,
                instance,
                "renew_at = renew_at - interval '60 days', next_at = next_at - interval '1 day'",
            )
            renewed = poll.until(
                "it is renewed, and the one before gone from Core",
                lambda: (owner.read(path), issued_by_core(core, instance)),
                lambda it: it[0]["tls_certificate"] != first["tls_certificate"]
                and len(it[1]) == 1
                and it[1] != [before],
            )[0]
            assert renewed["tls_status"] == "ACTIVE"
            assert submission.is_trusted(relay, hostname)

            theirs = authority.issue(hostname)
            with stored(core, project, theirs, hostname, poll) as tls:
                found = serve(owner, instance, poll, tls)
                assert [found[name] for name in FACTS] == ["ACTIVE", "", theirs.chain]
                assert submission.is_trusted(relay, hostname, authority.root)
                poll.until(
                    "what nobody serves is gone from Core",
                    lambda: issued_by_core(core, instance),
                    lambda it: it == [],
                )
                given = authority.issue(hostname)
                manual = {
                    "kind": "manual",
                    "certificate": given.chain,
                    "private_key": given.key,
                }
                assert serve(owner, instance, poll, manual)["tls_certificate"] == given.chain
                assert submission.is_trusted(relay, hostname, authority.root)
                assert serve(owner, instance, poll, SELF_SIGNED)["tls_certificate"] == named
            assert not submission.is_trusted(relay, hostname, authority.root)
    assert meanwhile.failures == []
    assert sender.accepted


def test_what_of_core_clients_would_refuse_is_not_served_and_told(
    owner: rest.Api,
    core: rest.Api,
    project: str,
    instance: rest.Json,
    poll: waiting.Poll,
    own: str,
) -> None:
    authority = issuing.Authority()
    path, domain = mail.instance_path(instance), instance["domain"]
    # Another's key Core itself does not take.
    for issued, reason in (
        (authority.issue("other.example.com"), f"certificate does not name {domain}"),
        (authority.issue(domain, ends=-issuing.DAY / 2), "certificate has expired"),
    ):
        with stored(core, project, issued, domain, poll) as tls:
            owner.expect(200, "PATCH", path, {"tls": tls})
            poll.until(
                f"it is told that the {reason}",
                lambda: owner.read(path),
                functools.partial(is_refused, reason),
            )
            assert owner.read(path)["tls_certificate"] == own


def test_another_projects_certificate_is_forbidden(
    owner: rest.Api,
    core: rest.Api,
    stranger_session: iam.Session,
    instance: rest.Json,
    poll: waiting.Poll,
    own: str,
) -> None:
    path, domain = mail.instance_path(instance), instance["domain"]
    issued = issuing.Authority().issue(domain)
    assert stranger_session.project is not None
    with stored(core, stranger_session.project, issued, domain, poll) as tls:

        def answer() -> rest.Json:
            # Where Core is slow to say whose it is, the request is taken and judged later.
            answered = owner.call("PATCH", path, {"tls": tls})
            if answered.status_code == 200:
                owner.expect(200, "PATCH", path, {"tls": SELF_SIGNED})
            return {"status": answered.status_code, **answered.json()}

        refused = poll.until("Core says whose it is", answer, lambda it: it["status"] == 403)
        denied = f"tls: Core has no certificate {tls['certificate']} in this project"
        assert refused["message"] == denied
    found = owner.read(path)
    assert (found["tls"], found["tls_certificate"]) == (SELF_SIGNED, own)


def test_after_30_minutes_without_a_certificate_it_is_told_what_to_look_at(
    owner: rest.Api,
    owner_session: iam.Session,
    core: rest.Api,
    instance: rest.Json,
    relay: submission.Relay,
    world: internet_client.Client,
    stand: stand_control.Stand,
    poll: waiting.Poll,
    own: str,
) -> None:
    path = mail.instance_path(instance)
    with provisioning.zone(owner_session.api(), world) as zone:
        # Nobody finds the zone: the world has its own answer.
        world.withdraw(zone.name)
        hostname = f"relay.{zone.name}"
        with called(owner, instance, relay, hostname, poll):
            owner.expect(200, "PATCH", path, {"tls": ACME})
            poll.until(
                "Core is asked",
                lambda: issued_by_core(core, instance),
                lambda it: len(it) == 1,
            )
            assert owner.read(path)["tls_status"] == "PENDING"
            poll.until(
                "the order is kept, and half an hour older",
                lambda: change_order(stand, instance, "since = since - interval '30 minutes'"),
                lambda it: it == 1,
            )
            found = poll.until(
                "it is told", lambda: owner.read(path), lambda it: it["tls_status"] == "ERROR"
            )
            assert found["tls_error"].startswith(
                f"Core has not issued a certificate for {hostname} within 30 minutes"
            )
        world.delegate(zone.name)
    poll.until(
        "Core is not asked any more", lambda: issued_by_core(core, instance), lambda it: it == []
    )
