# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""How mail leaves, as its owner says it: TLS policies, a smarthost, and whether it can at all.

The exchanger of the stand has a certificate that no public authority has issued: what is to
be verified cannot leave to it.
"""

from __future__ import annotations

import typing as tp
import uuid

import pytest

from clients import mail
from exordos_paas_mail.tests.functional import provisioning, sending

if tp.TYPE_CHECKING:
    from clients import internet as internet_client
    from clients import rest, waiting
    from exordos_paas_mail.tests.functional import submission

# Nobody's, of the public addresses of the stand.
NOBODY = "192.0.1.6"


@pytest.fixture
def sender(
    owner: rest.Api,
    instance: rest.Json,
    relay: submission.Relay,
    accounts: provisioning.Accounts,
    internet: internet_client.Client,
    poll: waiting.Poll,
) -> sending.Sender:
    path, domain = mail.instance_path(instance), f"out-{uuid.uuid4().hex[:10]}.example.org"
    return sending.Sender(owner, path, relay, accounts.ready(), internet, poll, domain)


@pytest.fixture(scope="module")
def closed(
    owner: rest.Api,
    requested: dict[str, rest.Json],
    world: internet_client.Client,
    poll: waiting.Poll,
) -> tp.Iterator[tuple[sending.Sender, str]]:
    """Return a sender whose node is in a network that closes port 25, and the id of its message.

    Another message has another server. A connection is given up after half a minute, so both
    are sent before the first test of the module: the last one sees what came of it.
    """
    instance = provisioning.wait_active(owner, requested["closed"], poll)
    (address,) = instance["ipsv4"]
    world.drop(address)
    relay = provisioning.relay_of(owner, instance)
    account = provisioning.Accounts(owner, instance, relay, poll).ready()
    unique = uuid.uuid4().hex[:10]
    senders = [
        sending.Sender(owner, mail.instance_path(instance), relay, account, world, poll, domain)
        for domain in (f"out-{unique}.example.org", f"nobody-{unique}.example.org")
    ]
    world.publish(senders[1].domain, "MX", f"10 mx.{senders[1].domain}.")
    world.publish(f"mx.{senders[1].domain}", "A", NOBODY)
    ids = [each.send()[0] for each in senders]
    yield senders[0], ids[0]
    world.drop()
    world.withdraw(senders[1].domain)
    world.withdraw(f"mx.{senders[1].domain}")


@pytest.mark.usefixtures("closed")
def test_mail_waits_for_what_a_policy_asks_and_leaves_when_it_asks_for_less(
    sender: sending.Sender, stranger: rest.Api
) -> None:
    policies = f"{sender.path}/tls_policies/"
    made = sender.owner.create(policies, {"domain": sender.domain, "mode": "verify"})
    queue_id, subject = sender.wait_deferred()
    assert sender.internet.messages(sender.recipient, subject) == []
    policy = f"{policies}{made['uuid']}"
    assert stranger.call("PATCH", policy, {"mode": "encrypt"}).status_code == 404
    sender.owner.expect(200, "PATCH", policy, {"mode": "encrypt"})
    # It is tried again by itself.
    assert sender.arrived(subject)["tls"].startswith("TLS")
    sender.gone(queue_id)
    sender.owner.delete(policy)


def test_mail_tells_no_smarthost_that_has_not_proven_its_name_anything(
    sender: sending.Sender,
) -> None:
    smarthost = {
        "kind": "host",
        "host": sending.EXCHANGER,
        "port": 25,
        "username": "relay",
        "password": f"secret-{uuid.uuid4().hex}",
        "domains": [sender.domain],
    }
    shown = sender.owner.expect(200, "PATCH", sender.path, {"smarthost": smarthost})["smarthost"]
    assert shown == {**{k: v for k, v in smarthost.items() if k != "password"}, "tls": "starttls"}
    queue_id, subject = sender.wait_deferred()
    (waits,) = sender.poll.until(
        "it is said why it waits",
        lambda: sender.owner.list(f"{sender.path}/queue/", queue_id=queue_id),
    )
    assert waits["last_error"], waits
    assert sender.internet.messages(sender.recipient, subject) == []
    sender.owner.expect(200, "PATCH", sender.path, {"smarthost": {"kind": "none"}})
    sender.arrived(subject)
    sender.gone(queue_id)


def test_an_instance_tells_that_its_mail_can_leave(sender: sending.Sender) -> None:
    queue_id, _ = sender.send()
    sender.gone(queue_id)
    sender.poll.until(
        "mail can leave",
        lambda: sender.owner.read(sender.path),
        lambda found: (found["outbound"], found["outbound_error"]) == ("OK", ""),
    )


def test_an_instance_tells_that_no_server_answers_and_that_one_does_again(
    closed: tuple[sending.Sender, str],
) -> None:
    sender, queue_id = closed
    shown = sender.poll.until(
        "mail cannot leave",
        lambda: sender.owner.read(sender.path),
        # One server that was tried twice says it, before the other has been found.
        lambda found: (
            found["outbound"] == "BLOCKED"
            and f"{sending.EXCHANGER} [{sending.EXCHANGER_ADDRESS}]:25 " in found["outbound_error"]
            and f" [{NOBODY}]:25 " in found["outbound_error"]
        ),
    )
    assert (shown["status"], shown["error"]) == ("ACTIVE", "")
    assert shown["outbound_error"].startswith("no mail server answers: ")

    sender.internet.drop()
    asked = sender.owner.expect(
        200, "POST", f"{sender.path}/actions/queue_retry/invoke", {"queue_ids": [queue_id]}
    )
    sender.poll.until(
        "it is tried again",
        lambda: sender.owner.read(f"{sender.path}/operations/{asked['uuid']}"),
        lambda found: found["status"] == "DONE",
    )
    sender.gone(queue_id)
    sender.poll.until(
        "mail can leave",
        lambda: sender.owner.read(sender.path),
        lambda found: (found["outbound"], found["outbound_error"]) == ("OK", ""),
    )
