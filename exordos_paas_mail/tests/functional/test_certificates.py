# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The certificate of a relay: a tenant's own, and the relay's again, while clients log in."""

from __future__ import annotations

import typing as tp

import pytest

from clients import issuing, mail, rest, waiting
from exordos_paas_mail.tests.functional import submission, traffic

if tp.TYPE_CHECKING:
    from exordos_paas_mail.tests.functional import provisioning

BOB = "bob@example.net"
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
    sender = traffic.Sender(relay, account.address, account.password, BOB)

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
