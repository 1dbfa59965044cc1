# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import base64
import smtplib
import ssl
import subprocess
import sys
import typing as tp

import dkim
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from clients import internet as internet_client
from stand.tests import internet_process

if tp.TYPE_CHECKING:
    import pathlib

MESSAGE = (
    b"From: Alice <alice@example.com>\r\nTo: bob@example.net\r\n"
    b"Subject: =?utf-8?q?caf=C3=A9?= number 1\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\n"
    b"Message-ID: <1@example.com>\r\n\r\n.one dot\r\n..two dots\r\n"
)


@pytest.fixture(scope="session")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def record(key: rsa.RSAPrivateKey) -> str:
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"


def signed(message: bytes, key: rsa.RSAPrivateKey, domain: str = "example.com") -> bytes:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    header: bytes = dkim.sign(message, b"platform", domain.encode(), pem, linesep=b"\r\n")
    return header + message


def send(
    internet: internet_process.Internet,
    message: bytes,
    sender: str = "alice@example.com",
    *recipients: str,
) -> None:
    with smtplib.SMTP(internet.address, internet.smtp_port, "example.com", timeout=60) as client:
        client.sendmail(sender, recipients or ("bob@example.net",), message)


def verdict(internet: internet_process.Internet) -> dict[str, tp.Any]:
    (facts,) = internet.client.messages()
    return {key: facts["verdict"][key] for key in ("spf", "dkim", "dmarc")}


def test_a_message_is_kept_exactly_as_it_was_handed_over(
    internet: internet_process.Internet,
) -> None:
    send(internet, MESSAGE, "alice@example.com", "bob@example.net", "carol@example.org")
    (facts,) = internet.client.messages()
    assert internet.client.raw(facts["id"]) == MESSAGE
    del facts["id"], facts["received_at"], facts["verdict"]
    assert facts == {
        "client": "127.0.0.1",
        "helo": "example.com",
        "mail_from": "alice@example.com",
        "recipients": ["bob@example.net", "carol@example.org"],
        "tls": "",
        "subject": "café number 1",
        "from": "Alice <alice@example.com>",
        "size": len(MESSAGE),
    }


def test_messages_are_found_by_recipient_and_subject(internet: internet_process.Internet) -> None:
    send(internet, MESSAGE, "alice@example.com", "Bob@example.net")
    found = [
        len(internet.client.messages(recipient, subject))
        for recipient, subject in [
            ("bob@EXAMPLE.net", None),
            (None, "number 1"),
            ("bob@example.net", "number 1"),
            ("bob@example.net", "number 2"),
            ("carol@example.net", None),
        ]
    ]
    assert found == [1, 1, 1, 0, 0]


def test_messages_are_read_by_pages(
    internet: internet_process.Internet, monkeypatch: pytest.MonkeyPatch
) -> None:
    for recipient in ("a@example.net", "b@example.net", "a@example.net", "a@example.net"):
        send(internet, MESSAGE, "alice@example.com", recipient)
    at_once = internet.client.messages("a@example.net")
    assert len(at_once) == 3
    # The last page is short, or empty.
    for page in (1, 2, 3):
        monkeypatch.setattr(internet_client, "PAGE", page)
        assert internet.client.messages("a@example.net") == at_once


def test_a_message_that_does_not_come_is_a_timeout(internet: internet_process.Internet) -> None:
    with pytest.raises(TimeoutError, match=r"a message to bob@example\.net"):
        internet.client.wait_for_message("bob@example.net", "never", timeout=0.2)


def test_a_signed_message_from_a_published_sender_passes_everything(
    internet: internet_process.Internet, key: rsa.RSAPrivateKey
) -> None:
    internet.client.publish_sender("example.com", ["127.0.0.1"], "platform", record(key))
    send(internet, signed(MESSAGE, key))
    assert verdict(internet) == {"spf": "pass", "dkim": "pass", "dmarc": "pass"}
    (facts,) = internet.client.messages()
    assert facts["verdict"]["signatures"] == [
        {"result": "pass", "domain": "example.com", "selector": "platform", "reason": ""}
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(
            lambda raw: raw.replace(b"number 1", b"number 2"),
            {"spf": "pass", "dkim": "fail", "dmarc": "pass"},
            id="a signed header changed, SPF still aligned",
        ),
        pytest.param(
            lambda raw: raw + b"more\r\n",
            {"spf": "pass", "dkim": "fail", "dmarc": "pass"},
            id="the body changed, SPF still aligned",
        ),
    ],
)
def test_a_message_changed_on_its_way_fails_dkim(
    internet: internet_process.Internet,
    key: rsa.RSAPrivateKey,
    change: tp.Callable[[bytes], bytes],
    expected: dict[str, str],
) -> None:
    internet.client.publish_sender("example.com", ["127.0.0.1"], "platform", record(key))
    send(internet, change(signed(MESSAGE, key)))
    assert verdict(internet) == expected


def test_a_message_from_another_address_fails_spf_and_an_unsigned_one_dmarc(
    internet: internet_process.Internet, key: rsa.RSAPrivateKey
) -> None:
    internet.client.publish_sender("example.com", ["10.77.0.9"], "platform", record(key))
    send(internet, MESSAGE)
    assert verdict(internet) == {"spf": "fail", "dkim": "none", "dmarc": "fail"}


def test_another_domains_signature_is_not_aligned(
    internet: internet_process.Internet, key: rsa.RSAPrivateKey
) -> None:
    internet.client.publish_sender("example.com", ["10.77.0.9"], "platform", record(key))
    internet.client.publish("platform._domainkey.example.org", "TXT", record(key))
    send(internet, signed(MESSAGE, key, "example.org"))
    assert verdict(internet) == {"spf": "fail", "dkim": "pass", "dmarc": "fail"}


def test_a_signature_whose_record_is_not_published_does_not_pass(
    internet: internet_process.Internet, key: rsa.RSAPrivateKey
) -> None:
    send(internet, signed(MESSAGE, key))
    assert verdict(internet) == {"spf": "none", "dkim": "fail", "dmarc": "none"}


def test_the_organisation_s_dmarc_record_covers_a_subdomain(
    internet: internet_process.Internet, key: rsa.RSAPrivateKey
) -> None:
    internet.client.publish("_dmarc.example.com", "TXT", "v=DMARC1; p=reject")
    message = MESSAGE.replace(b"alice@example.com", b"alice@news.example.com")
    internet.client.publish("platform._domainkey.news.example.com", "TXT", record(key))
    send(internet, signed(message, key, "news.example.com"))
    assert verdict(internet) == {"spf": "none", "dkim": "pass", "dmarc": "pass"}


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        pytest.param(b"", "not one domain in From", id="no From"),
        pytest.param(
            b"From: a@example.com, b@example.org\r\n", "not one domain in From", id="two domains"
        ),
        pytest.param(b"From: nobody\r\n", "not one domain in From", id="no domain"),
    ],
)
def test_a_from_without_one_domain_has_no_dmarc_result(
    internet: internet_process.Internet, headers: bytes, reason: str
) -> None:
    send(internet, headers + b"Subject: x\r\n\r\nx\r\n")
    (facts,) = internet.client.messages()
    assert (facts["verdict"]["dmarc"], facts["verdict"]["dmarc_reason"]) == ("permerror", reason)


def test_a_bounce_is_judged_by_the_name_it_says_hello_with(
    internet: internet_process.Internet,
) -> None:
    internet.client.publish("example.com", "TXT", "v=spf1 ip4:127.0.0.1 -all")
    send(internet, MESSAGE, "")
    (facts,) = internet.client.messages()
    assert (facts["mail_from"], facts["verdict"]["spf"], facts["verdict"]["spf_domain"]) == (
        "",
        "pass",
        "example.com",
    )


def test_starttls_is_offered_and_noted(internet: internet_process.Internet) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with smtplib.SMTP(internet.address, internet.smtp_port, timeout=60) as client:
        client.starttls(context=context)
        client.sendmail("alice@example.com", ["bob@example.net"], MESSAGE)
    (facts,) = internet.client.messages()
    assert facts["tls"] in {"TLSv1.2", "TLSv1.3"}


@pytest.mark.parametrize(
    ("recipient", "code"),
    [
        ("refused@example.net", 550),
        ("Refused+tag@example.net", 550),
        ("deferred@example.net", 451),
        ("nobody", 501),
    ],
)
def test_a_recipient_named_for_it_is_refused_or_deferred(
    internet: internet_process.Internet, recipient: str, code: int
) -> None:
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        send(internet, MESSAGE, "alice@example.com", recipient)
    assert [answer[0] for answer in refused.value.recipients.values()] == [code]
    assert internet.client.messages() == []


def test_records_and_mail_outlive_a_power_cut(loopback: str, tmp_path: pathlib.Path) -> None:
    # The last octet apart: the session's own process keeps the address.
    address = ".".join([*loopback.split(".")[:1], "7", *loopback.split(".")[2:]])
    first = internet_process.start(address, tmp_path)
    first.client.publish("example.com", "A", "10.77.0.9")
    send(first, MESSAGE)
    before = (first.client.records(), first.client.messages())
    first.process.kill()
    first.process.wait()
    second = internet_process.start(address, tmp_path)
    try:
        assert (second.client.records(), second.client.messages()) == before
    finally:
        second.process.terminate()
        assert second.process.wait(timeout=60) == 0


def test_an_address_already_taken_is_said_in_one_line(
    internet: internet_process.Internet, tmp_path: pathlib.Path
) -> None:
    result = subprocess.run(
        internet_process.command(internet.address, tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("The stand's internet cannot start: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("path", ["/messages/none", "/messages/..%2Frecords", "/nowhere"])
def test_what_is_not_there_is_a_404(internet: internet_process.Internet, path: str) -> None:
    url = f"http://{internet.address}:{internet.http_port}{path}"
    assert requests.get(url, timeout=60).status_code == 404


def test_help_needs_no_address() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "stand.internet", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--smtp HOST:PORT" in result.stdout
