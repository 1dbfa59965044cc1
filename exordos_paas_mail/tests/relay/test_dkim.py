# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import email
import re

import pytest

from exordos_paas_mail.tests.relay import internet as internet_
from exordos_paas_mail.tests.relay import relay as relay_
from exordos_paas_mail.tests.relay import signatures

ALICE = relay_.ALICE
DOMAIN = relay_.DOMAIN
OVERSIGNED = ("from", "reply-to", "subject", "date", "message-id", "to", "cc")
# What a list adds where it is absent (Mailman does so), and nobody adds to where it is not.
SIGNED_WHEN_THERE = {
    "sender": ALICE,
    "mime-version": "1.0",
    "content-type": "text/plain",
    "content-transfer-encoding": "7bit",
    "in-reply-to": "<1@elsewhere.example>",
    "references": "<1@elsewhere.example>",
}


def tags(data: bytes) -> dict[str, str]:
    field = email.message_from_bytes(data)["DKIM-Signature"]
    return dict(
        part.strip().split("=", 1) for part in re.sub(r"\s+", " ", field).split(";") if part.strip()
    )


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("Hello.\r\n", id="a line"),
        pytest.param("", id="nothing"),
        pytest.param("\r\n\r\n\r\n", id="empty lines"),
        pytest.param("..leading\r\n.\tdots \r\ntrailing  \r\n\r\n", id="dots and blanks"),
        pytest.param("x" * 998 + "\r\n", id="longest line"),
        pytest.param("no line end", id="no line end"),
        pytest.param("caf\N{LATIN SMALL LETTER E WITH ACUTE}\r\n", id="eight bits"),
        pytest.param("y" * 70 + "\r\n" * 20_000, id="long"),
    ],
)
def test_mail_leaves_signed_for_its_domain(
    relay: relay_.Relay, internet: internet_.Internet, body: str
) -> None:
    data = relay_.message(body, From=f"Alice <{ALICE}>").encode()
    assert relay.send(data)[0] == 250
    (got,) = internet.wait_for(1)
    assert signatures.verify(relay, got.data)
    found = tags(got.data)
    assert (found["d"], found["s"], found["a"], found["c"]) == (
        DOMAIN,
        "platform",
        "rsa-sha256",
        "relaxed/relaxed",
    )
    assert int(found["x"]) - int(found["t"]) == 14 * 24 * 3600


@pytest.mark.parametrize("field", OVERSIGNED)
def test_a_field_added_on_the_way_breaks_the_signature(
    relay: relay_.Relay, internet: internet_.Internet, field: str
) -> None:
    assert relay.send(relay_.message(From=ALICE, Reply_To=ALICE))[0] == 250
    (got,) = internet.wait_for(1)
    added = f"{field}: forged@elsewhere.example\r\n".encode()
    assert signatures.verify(relay, got.data)
    assert not signatures.verify(relay, added + got.data)
    headers, _, body = got.data.partition(b"\r\n\r\n")
    assert not signatures.verify(relay, headers + b"\r\n" + added.rstrip() + b"\r\n\r\n" + body)


@pytest.mark.parametrize("field", [*SIGNED_WHEN_THERE, "list-id", "list-post", "list-unsubscribe"])
def test_a_field_that_a_mailing_list_adds_leaves_the_signature_good(
    relay: relay_.Relay, internet: internet_.Internet, field: str
) -> None:
    assert relay.send(relay_.message(From=ALICE))[0] == 250
    (got,) = internet.wait_for(1)
    assert signatures.verify(relay, f"{field}: list@lists.example\r\n".encode() + got.data)


@pytest.mark.parametrize(("field", "value"), SIGNED_WHEN_THERE.items())
def test_a_field_that_is_there_is_signed_and_cannot_be_added_to(
    relay: relay_.Relay, internet: internet_.Internet, field: str, value: str
) -> None:
    assert relay.send(relay_.message(**{"From": ALICE, field.replace("-", "_"): value}))[0] == 250
    (got,) = internet.wait_for(1)
    assert signatures.verify(relay, got.data)
    assert not signatures.verify(relay, f"{field}: {value}\r\n".encode() + got.data)
    headers, _, body = got.data.partition(b"\r\n\r\n")
    added = f"\r\n{field}: {value}\r\n\r\n".encode()
    assert not signatures.verify(relay, headers + added + body)


def test_a_changed_body_breaks_the_signature(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    assert relay.send()[0] == 250
    (got,) = internet.wait_for(1)
    assert not signatures.verify(relay, got.data.replace(b"Hello.", b"Hullo."))


def test_a_bounce_is_signed_and_says_why(relay: relay_.Relay, internet: internet_.Internet) -> None:
    assert relay.send(recipients=["refused@elsewhere.example"])[0] == 250
    (bounce,) = internet.wait_for(1)
    assert (bounce.sender, bounce.recipients) == ("", [ALICE])
    assert signatures.verify(relay, bounce.data)
    fields = email.message_from_bytes(bounce.data)
    assert fields["From"] == f"Mail Delivery System <mailer-daemon@{DOMAIN}>"
    assert b"mailbox is unknown here" in bounce.data


def test_a_requested_delivery_report_is_sent_and_signed(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    with relay.login() as client:
        client.mail(ALICE, ["RET=HDRS", "ENVID=abc"])
        client.rcpt("someone@elsewhere.example", ["NOTIFY=SUCCESS"])
        client.data(relay_.message(From=ALICE))
    got = internet.wait_for(2)
    (report,) = (one for one in got if one.sender == "")
    assert signatures.verify(relay, report.data)


@pytest.mark.parametrize("damage", ["missing", "empty", "garbage", "unreadable"])
def test_without_its_key_mail_waits_and_never_leaves_unsigned(
    relay: relay_.Relay, internet: internet_.Internet, damage: str
) -> None:
    path = relay_.DKIM / "platform.private"
    key = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        relay_.install(path, {"empty": b"", "garbage": b"no key\n"}.get(damage, key))
        if damage == "unreadable":
            path.chmod(0o600)
    try:
        assert relay.send()[0] == 250
        relay.wait_for_log(r"== someone@elsewhere\.example .* defer")
        assert len(relay.queue()) == 1
        assert internet.received() == []
    finally:
        relay_.install(path, key)
    # A file that is not there is seen before a host is tried, and is no panic.
    if damage != "missing":
        relay.expect_panic(
            r"unable to open file for reading: \S+platform\.private"
            "|DKIM: signing failed|signing_init: privkey"
        )
    relay.run_queue()
    (got,) = internet.wait_for(1)
    assert signatures.verify(relay, got.data)
