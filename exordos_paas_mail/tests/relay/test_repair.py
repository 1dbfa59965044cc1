# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What the relay repairs in a message before it signs it, and what it refuses."""

from __future__ import annotations

import base64
import contextlib
import email
import pathlib
import quopri
import random
import re
import subprocess
import sys

import dkim
import pytest

from exordos_paas_mail.codecs import address_fields
from exordos_paas_mail.tests.relay import internet as internet_
from exordos_paas_mail.tests.relay import relay as relay_

ALICE = relay_.ALICE
BOB = relay_.BOB
DOMAIN = relay_.DOMAIN
OTHER = "x@elsewhere.example"
OWN = f"From: {ALICE}\r\n"
LONG = "word " * 300
ADDED = re.compile(
    rb"^(?:DKIM-Signature|Received|Date|Message-I[dD]|Resent-Date|Resent-Message-Id)"
    rb":[^\n]*\n(?:[ \t][^\n]*\n)*",
    re.MULTILINE,
)


def arrived(relay: relay_.Relay, internet: internet_.Internet, data: str | bytes) -> bytes:
    """Return what the MX got of a message that is taken, without what the relay adds."""
    internet.forget()
    answer = relay.send(data)
    assert answer[0] == 250, answer
    (got,) = internet.wait_for(1)
    record = relay.dkim_record.encode()
    assert dkim.verify(got.data, dnsfunc=lambda *_args, **_kwargs: record)
    return ADDED.sub(b"", got.data)


NAMES = [
    pytest.param("{0} <{0}>", '"{0}" <{0}>', id="address as name"),
    pytest.param("ACME, Inc. <{0}>", '"ACME, Inc." <{0}>', id="comma"),
    pytest.param("Shop: Orders <{0}>", '"Shop: Orders" <{0}>', id="colon"),
    pytest.param("Ops (Night), Al <{0}>", '"Ops (Night), Al" <{0}>', id="parentheses"),
    pytest.param("M\xfcller & S\xf6hne <{0}>", "=?utf-8?b?TcO8bGxlciAmIFPDtmhuZQ==?= <{0}>"),
]
FIELDS = ["From", "Sender", "Reply-To", "To", "Cc", "Disposition-Notification-To"]
FIELDS += ["Resent-From", "Resent-Sender", "Resent-To", "Resent-Cc", "Resent-Reply-To"]


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize(("written", "right"), NAMES)
def test_a_name_is_quoted_and_the_rest_stays(
    relay: relay_.Relay, internet: internet_.Internet, name: str, written: str, right: str
) -> None:
    own = "" if name == "From" else OWN
    resent = f"Resent-From: {ALICE}\r\n" if re.match("Resent-(?!From)", name) else ""
    data = f"{resent}{name}: {written.format(ALICE)}\r\n{own}X-A:  b \r\n\r\nHello.\r\n"
    field = f"{name}: {right.format(ALICE)}\r\n"
    rest = f"{own}X-A:  b \r\n"
    expected = f"{resent}{field}{rest}" if resent or "Resent" in name else f"{rest}{field}"
    assert arrived(relay, internet, data.encode()) == f"{expected}\r\nHello.\r\n".encode()


def test_a_malformed_field_of_hidden_recipients_stays_hidden(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    for name in ("Bcc", "Resent-Bcc"):
        data = f"{OWN}{name}: Doe, J. <{OTHER}>\r\n\r\nHello.\r\n"
        assert b"Doe" not in arrived(relay, internet, data)


@pytest.mark.parametrize(
    ("written", "right"),
    [
        pytest.param(
            "From: root (Cron Daemon)", f'From: "root (Cron Daemon)" <{ALICE}>', id="cron"
        ),
        pytest.param("From: root", f"From: root <{ALICE}>", id="a user"),
        pytest.param(
            "From: Cron Daemon <root>", f'From: "Cron Daemon <root>" <{ALICE}>', id="a name"
        ),
        pytest.param(
            f"From: root@web1.{DOMAIN}", f'From: "root@web1.{DOMAIN}" <{ALICE}>', id="a host below"
        ),
        pytest.param("From: root@web1", f'From: "root@web1" <{ALICE}>', id="a host in no DNS"),
        pytest.param("From: bob", f"From: bob <{ALICE}>", id="a colleague's name"),
        pytest.param("From: alice (Al)", f"From: {ALICE} (Al)", id="its own name"),
        pytest.param("From: Al <alice+x>", f"From: Al <alice+x@{DOMAIN}>", id="its own tag"),
        pytest.param(f"{OWN}Sender: root", f"{OWN}Sender: root <{ALICE}>", id="Sender"),
        pytest.param(
            f"Resent-From: root\r\n{OWN}", f"Resent-From: root <{ALICE}>\r\n{OWN}", id="Resent-From"
        ),
        pytest.param(f"{OWN}To: root", f"{OWN}To: root@{DOMAIN}", id="To"),
        pytest.param(
            f"{OWN}Cc: root, {OTHER}", f"{OWN}Cc: root@{DOMAIN},\r\n {OTHER}", id="Cc, two"
        ),
        pytest.param(f"{OWN}Reply-To: ops", f"{OWN}Reply-To: ops@{DOMAIN}", id="Reply-To"),
    ],
)
def test_a_local_address_is_completed_and_a_machines_user_is_the_account(
    relay: relay_.Relay, internet: internet_.Internet, written: str, right: str
) -> None:
    got = arrived(relay, internet, f"{written.strip()}\r\n\r\nHello.\r\n")
    assert got == f"{right.strip()}\r\n\r\nHello.\r\n".encode()


@pytest.mark.parametrize("name", ["Sender", "Resent-From", "Resent-Sender"])
def test_an_empty_field_is_no_address_and_goes(
    relay: relay_.Relay, internet: internet_.Internet, name: str
) -> None:
    got = arrived(relay, internet, f"{OWN}{name}: \r\nX-A: b\r\n\r\nHello.\r\n")
    resent = f"Resent-From: {ALICE}\r\n" if name == "Resent-Sender" else ""
    assert got.replace(b"Resent-From: alice@tenant.example\r\n", b"") == (
        f"{OWN}X-A: b\r\n\r\nHello.\r\n".encode()
    ), resent


MANY = [f"Recipient {n} <recipient{n}@elsewhere.example>" for n in range(50)]
BARE = [f"<recipient{n}@elsewhere.example>" for n in range(50)]
UNREAD = ("Mail-Followup-To", "Mail-Reply-To", "Errors-To", "Return-Receipt-To", "List-Unsubscribe")
IDS = [f"<{n}.0123456789abcdef@client.example>" for n in range(100)]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        *[(name, MANY) for name in ("To", "Cc", "Reply-To")],
        *[(name, BARE) for name in ("Disposition-Notification-To", *UNREAD)],
        ("References", IDS),
        ("In-Reply-To", IDS),
        ("Subject", LONG.split()),
        ("List-Unsubscribe", [f"<https://tenant.example/{n}>," for n in range(60)]),
    ],
)
@pytest.mark.parametrize("space", ["", " ", "\t"], ids=["nothing", "space", "tab"])
def test_a_field_on_one_long_line_is_folded_without_loss(
    relay: relay_.Relay, internet: internet_.Internet, name: str, values: list[str], space: str
) -> None:
    if not space and values not in (MANY, BARE, IDS):
        space = "  "
    value = (("," if values in (MANY, BARE) else "") + space).join(values)
    got = arrived(relay, internet, f"{name}: {value}\r\n{OWN}\r\nHello.\r\n").decode()
    assert got.startswith(f"{OWN}{name}: ")
    assert got.endswith("\r\n\r\nHello.\r\n")
    field = got.removeprefix(OWN).removesuffix("\r\n\r\nHello.\r\n")
    assert max(map(len, field.split("\r\n"))) <= 100
    unfolded = field.replace("\r\n", "")
    assert "".join(unfolded.split()) == "".join(f"{name}:{value}".split())
    if space:
        assert unfolded == f"{name}: {value}"


@pytest.mark.parametrize(
    ("header", "body", "expected"),
    [
        pytest.param(
            "Content-Type: text/html; charset=utf-8",
            "<p>" + "\xe9\xe8 " * 400 + "</p>\r\n.\r\n-- \r\nend",
            "Content-Type: text/html; charset=utf-8\r\nMIME-Version: 1.0\r\n"
            "Content-Transfer-Encoding: quoted-printable",
            id="HTML",
        ),
        pytest.param(
            "MIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit",
            f"first\r\n{LONG}\r\nlast",
            "MIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable",
            id="plain text",
        ),
        pytest.param(
            "MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64",
            base64.b64encode(LONG.encode()).decode(),
            "MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64",
            id="base64",
        ),
    ],
)
def test_a_body_with_a_long_line_is_encoded_anew(
    relay: relay_.Relay, internet: internet_.Internet, header: str, body: str, expected: str
) -> None:
    data = f"{OWN}{header}\r\n\r\n{body}\r\n".encode()
    got = arrived(relay, internet, data)
    shown, _, _ = got.partition(b"\r\n\r\n")
    assert sorted(shown.splitlines()) == sorted(f"{OWN}{expected}".encode().splitlines())
    assert max(map(len, got.split(b"\r\n"))) <= 80

    def content(of: bytes) -> bytes:
        payload = email.message_from_bytes(of).get_payload(decode=True)
        assert isinstance(payload, bytes)
        return b"\n".join(payload.splitlines())

    assert content(got) == content(data)
    assert arrived(relay, internet, got).partition(b"\r\n\r\n")[2] == got.partition(b"\r\n\r\n")[2]


def test_a_part_is_encoded_and_every_other_part_stays(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    head = f"{OWN}MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npre\r\n"
    same = "--b\r\nContent-Type: text/plain\r\n\r\n=3D \t\xe9\r\n"
    tail = f"--b\r\nContent-Transfer-Encoding: base64\r\n\r\n{'A' * 76}\r\nAA==\r\n--b--\r\n"
    data = f"{head}{same}--b\r\nContent-Type: text/html\r\n\r\n{'=x' * 600}\r\n{tail}".encode()
    got = arrived(relay, internet, data)
    before, after = f"{head}{same}--b\r\n".encode(), f"\r\n{tail}".encode()
    assert got.startswith(before)
    assert got.endswith(after)
    encoded = got.removeprefix(before).removesuffix(after)
    assert encoded.startswith(
        b"Content-Transfer-Encoding: quoted-printable\r\nContent-Type: text/html\r\n\r\n=3Dx=3Dx"
    )
    assert quopri.decodestring(encoded.partition(b"\r\n\r\n")[2]) == b"=x" * 600


@pytest.mark.parametrize(
    ("headers", "body", "answer"),
    [
        (
            "To: a@b.example; c@d.example",
            "",
            "554 5.6.0 To: a@b.example; c@d.example: separate addresses by commas, "
            'not ";": a@domain.example, b@domain.example',
        ),
        (
            "Cc: <a@b.example",
            "",
            "554 5.6.0 Cc: an angle bracket has no other one: write Name <user@domain>",
        ),
        (
            "Reply-To: Al Public",
            "",
            "554 5.6.0 Reply-To: Al Public is not an address: write Name <user@domain>",
        ),
        (
            f"Subject: {'x' * 1000}",
            "",
            "554 5.6.0 Subject: a line is longer than 998 octets and has no space to "
            "fold it at (RFC 5322 2.1.1): fold it",
        ),
        (
            "Content-Type: multipart/signed; boundary=b",
            f"\r\n--b\r\n\r\n{LONG}\r\n--b\r\n\r\nsig\r\n--b--",
            "554 5.6.0 Line longer than 998 octets (RFC 5322 2.1.1): line 4 of the body, in what "
            "is signed or encrypted: sign shorter lines",
        ),
        (
            "Content-Type: multipart/mixed; boundary=b",
            f"{LONG}\r\n--b\r\n\r\nx\r\n--b--",
            "554 5.6.0 Line longer than 998 octets (RFC 5322 2.1.1): line 1 of the body, outside "
            "of all parts",
        ),
    ],
    ids=["semicolons", "bracket", "no address", "long word", "signed", "preamble"],
)
def test_the_rest_is_refused_by_name_with_the_way_to_write_it(
    relay: relay_.Relay, headers: str, body: str, answer: str
) -> None:
    code, text = relay.send(f"{OWN}{headers}\r\n\r\n{body}\r\n")
    lines = re.sub(r"\n\d\.\d\.\d", "", text)
    assert f"{code} {lines}" == answer
    assert relay.queue() == []


FORGED = [
    f"From: Bob, B. <{BOB}>",
    f"From: {ALICE} <{BOB}>",
    f"From: {ALICE}, Bob: B <{BOB}>",
    f"From: alice, Bob, B. <{BOB}>",
    f"From: Al, B. <{ALICE}>, {BOB}",
    f"From: {ALICE} (x), root",
    "From: root, bob",
    f"From: Shop: Orders <{BOB}>",
    f'From: "Al, B. <{ALICE}>, Bob" <{BOB}>',
    f"From: M\xfcller <{BOB}>",
    f"From: bob@tenant.example. <{BOB}.>",
    f"From: <{BOB}.>",
    f"From: ceo@elsewhere.example, Inc. <{BOB}>",
    "From: Ceo, Inc. <ceo@elsewhere.example>",
    f"{OWN}Sender: Bob, B. <{BOB}>",
    f"{OWN}Sender: M\xfcller <{BOB}>",
    f"{OWN}Resent-From: Bob, B. <{BOB}>",
    f"{OWN}Resent-From: Al, A. <{ALICE}>\r\nResent-From: {BOB}",
    f"{OWN}Resent-From: :at_start_rfc: <{BOB}>",
    f"{OWN}Resent-From: Al: x\r\n :at_start_rfc:X-A: b <{BOB}>",
    f"{OWN}Resent-Sender: Bob, B. <{BOB}>",
    f"Resent-To: Al, A. <{ALICE}>\r\n{OWN}Resent-From: {BOB}",
    f"{OWN}Resent-To: Al, A. <{ALICE}>\r\nResent-Sender: {BOB}",
    f"To: M\xfcller <{BOB}>\r\nFrom: {BOB}",
    f'From: =?utf-8?q?x=22_<{ALICE}>=2C?= "a, <{BOB}>',
    f"From: a\\, <{ALICE}> <{BOB}>",
    f'From: "{ALICE}, <{BOB}>',
]


@pytest.mark.parametrize("headers", FORGED)
@pytest.mark.parametrize("body", ["Hello.", "x" * 1200], ids=["short", "long line"])
def test_a_repair_lets_nobody_send_as_somebody_else(
    relay: relay_.Relay, headers: str, body: str
) -> None:
    answer = relay.send(f"{headers}\r\n\r\n{body}\r\n".encode())
    assert answer[0] in {553, 554}, answer
    assert relay.queue() == []


@pytest.mark.parametrize("command", ["exit 1", "kill -9 $$", "head -c 3 /dev/zero; exit 2"])
def test_a_message_whose_repair_fails_is_refused_for_now(
    relay: relay_.Relay, internet: internet_.Internet, command: str
) -> None:
    data = f"From: A, B <{ALICE}>\r\n\r\nHello.\r\n"
    relay_.REPAIR.unlink()
    try:
        relay_.REPAIR.write_text(f"#!/bin/sh\necho no luck\n{command}\n")
        relay_.REPAIR.chmod(0o755)
        assert relay.send(data)[0] == 451
        # Nothing to repair, nothing to fail
        assert relay.send()[0] == 250
    finally:
        relay_.install_repair()
    if "exit" in command:
        assert relay.log_lines("cannot repair the message: no luck")
    internet.wait_for(1)
    assert relay.send(data)[0] == 250


def test_a_repaired_message_is_what_is_queued_under_the_id_the_client_was_told(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    code, text = relay.send(
        f"From: A, B <{ALICE}>\r\n\r\n{LONG}\r\n", recipients=["someone@silent.example"]
    )
    assert code == 250
    (queued,) = relay.wait_for_queue(1)
    assert text == f"OK id={queued}"
    shown = [
        subprocess.run(["exim4", option, queued], check=True, capture_output=True, text=True).stdout
        for option in ("-Mvh", "-Mvb")
    ]
    assert f'From: "A, B" <{ALICE}>\n' in shown[0]
    assert "-aclm _answer 0\n" in shown[0]
    assert "word word =\n" in shown[1]
    files = {path.name for path in relay_.SPOOL.glob("input/*/*")}
    assert files == {f"{queued}-D", f"{queued}-H"}


def test_a_message_of_25_mb_on_one_line_passes_in_little_memory(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    limits = "ulimit -v 200000"
    relay_.REPAIR.unlink()
    command = pathlib.Path(sys.prefix, "bin", relay_.REPAIR.name)
    try:
        relay_.REPAIR.write_text(f'#!/bin/sh\n{limits}\nexec {command} "$@"\n')
        relay_.REPAIR.chmod(0o755)
        body = "word " * 5_000_000
        got = arrived(relay, internet, f"{OWN}\r\n{body}\r\n")
    finally:
        relay_.install_repair()
    _, _, encoded = got.partition(b"\r\n\r\n")
    assert quopri.decodestring(encoded) == body.encode() + b"\r\n"


def test_equal_fields_stay_as_many_as_they_were(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    resent = f"Resent-From: {ALICE}\r\nResent-To: {OTHER}\r\n" * 2
    got = arrived(relay, internet, f"{resent}Resent-Cc: A, B <{OTHER}>\r\n{OWN}\r\nHello.\r\n")
    fields = email.message_from_bytes(got)
    assert fields.get_all("Resent-From") == [ALICE] * 2
    assert [value.strip() for value in fields.get_all("Resent-To", [])] == [OTHER] * 2


def test_a_field_may_grow_by_its_repair(relay: relay_.Relay, internet: internet_.Internet) -> None:
    values = [f"\xfc <r{n:03}@b.example>" for n in range(700)]
    got = arrived(relay, internet, f"To: {','.join(values)}\r\n{OWN}\r\nHello.\r\n".encode())
    assert got.count(b"=?utf-8?b?w7w=?= <r") == 700
    many = ",".join(["\xfc <a@b.cc>"] * 1200)
    assert relay.send(f"To: {many}\r\n{OWN}\r\nHello.\r\n".encode())[0] == 554


def test_without_a_login_nothing_is_repaired(relay: relay_.Relay) -> None:
    for data in (
        f"From: a@elsewhere.example\r\n\r\n{LONG}\r\n",
        "From: A, B <a@elsewhere.example>\r\n\r\nHello.\r\n",
    ):
        with relay.connect(25) as client:
            client.mail("a@elsewhere.example")
            client.rcpt(f"postmaster@{DOMAIN}")
            assert client.data(data)[0] == 554


WORDS = [*'"\\()<>,;:@. []', "a", "b.example", "a@b.example", "<a@b.example>", "\n ", "\xfc"]
WORDS += ["Team:", "(c)", '"q r"', "<@r.example:a@b.example>", "=?utf-8?q?=C3=BC?=", " ", ", "]


def soups(count: int) -> list[str]:
    """Return values of address fields, most of them odd; the same ones each time."""
    chance = random.Random(1)  # noqa: S311 - not a secret
    return ["".join(chance.choices(WORDS, k=chance.randrange(1, 9))) for _ in range(count)]


def well_formed(values: list[str]) -> list[str]:
    """Return those of *values* that the expression in exim's configuration takes in To."""
    (expression,) = re.findall(
        r"^    condition = (\$\{if match\{\$message_headers_raw\}(?:.*\\\n)+.*\n)",
        relay_.CONFIG.read_text(),
        re.MULTILINE,
    )
    asked = relay_.CONFIG.with_name("asked.conf")
    condition = expression.replace("$message_headers_raw", "$acl_arg1")
    asked.write_text(f"begin acl\nasked:\n  accept\n    condition = {condition}")
    headers = [base64.b64encode(f"To:{value}\n".encode()).decode() for value in values]
    shown = subprocess.run(
        ["exim4", "-C", asked, "-be"],
        input="".join(
            f"${{if acl{{{{asked}}{{${{base64d:{h}}}}}}}{{yes}}{{no}}}}\n" for h in headers
        ),
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    answers = re.findall(r"yes|no", shown)
    assert len(answers) == len(values), shown[:1000]
    return [value for value, answer in zip(values, answers, strict=True) if answer == "yes"]


def test_exim_finds_what_the_repair_would_change_and_nothing_else(relay: relay_.Relay) -> None:
    reading = address_fields.Reading(domain=DOMAIN)
    values = soups(3000)
    expected = []
    for value in values:
        with contextlib.suppress(address_fields.UnreadableError):
            if value.isascii() and address_fields.repair(value.encode(), reading) == value.encode():
                expected.append(value)
    assert well_formed(values) == expected
    assert len(expected) > 100


def test_what_is_well_formed_here_is_so_to_exims_own_check(relay: relay_.Relay) -> None:
    values = well_formed(soups(1000))
    with relay.configured(role_messages_per_hour=100_000), relay.connect(25) as client:
        answers = []
        for value in values:
            client.mail("a@elsewhere.example")
            client.rcpt(f"postmaster@{DOMAIN}")
            field = value.replace("\n", "\r\n")
            answers.append(client.data(f"From: a@b.example\r\nTo:{field}\r\n\r\nHello.\r\n")[0])
    assert [v for v, code in zip(values, answers, strict=True) if code != 250] == []
