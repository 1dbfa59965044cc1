# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Return paths that the relay makes, and what comes back to them."""

from __future__ import annotations

import hashlib
import hmac
import pathlib
import re
import time
import typing as tp

import pytest

from exordos_paas_mail.codecs import mail_events, main_log, return_paths
from exordos_paas_mail.tests.relay import domains, signatures
from exordos_paas_mail.tests.relay import internet as internet_
from exordos_paas_mail.tests.relay import relay as relay_

DOMAIN = relay_.DOMAIN
ALICE = relay_.ALICE
BOB = "bob@elsewhere.example"
FILE = pathlib.Path("/etc/exim4/return_paths")
KEYS = relay_.DKIM / "return_paths.keys"
KEY = "0123456789abcdef" * 4
OTHER_KEY = "fedcba9876543210" * 4
PATH = re.compile(
    rf"b-[a-z2-7]{{7}}-[a-z2-7]+-[a-z2-7]*-[0-9a-f]{{14}}-([^@]+)@bounces\.{re.escape(DOMAIN)}"
)
BOUNCE = "From: MAILER-DAEMON\r\nTo: alice\r\nSubject: Undeliverable\r\n\r\nIt was not.\r\n"


def tell(use: str = return_paths.FORWARD, *, keys: tp.Sequence[str] = (KEY,)) -> None:
    """Have the relay make return paths for its domain, as the node's part does."""
    relay_.install(KEYS, "".join(f"{key}\n" for key in keys))
    relay_.install(FILE, return_paths.render([(DOMAIN, use)]))


@pytest.fixture(autouse=True)
def _told(relay: relay_.Relay) -> tp.Iterator[None]:
    tell()
    yield
    relay.forget_queue()
    for path in (FILE, KEYS, relay_.SPOOL / "postmaster"):
        path.unlink(missing_ok=True)


def sent(relay: relay_.Relay, internet: internet_.Internet, **kwargs: tp.Any) -> internet_.Received:
    """Send a message of an account's to one recipient; return it as the MX got it."""
    assert relay.send(**{"recipients": [BOB], **kwargs})[0] == 250
    (got,) = internet.wait_for(1)
    internet.forget()
    return got


def path_of(relay: relay_.Relay, internet: internet_.Internet) -> str:
    return sent(relay, internet).sender


def bring(relay: relay_.Relay, *recipients: str, sender: str = "", data: str = BOUNCE) -> list[str]:
    """Bring a message on 25 without a login; return the answers from RCPT on."""
    with relay_.Raw(relay, 25) as client:
        client.answer()
        client.command("EHLO mx.elsewhere.example")
        assert client.command(f"MAIL FROM:<{sender}>")[:3] == "250"
        answers = [client.command(f"RCPT TO:<{recipient}>") for recipient in recipients]
        if any(answer[:3] == "250" for answer in answers):
            assert client.command("DATA")[:3] == "354"
            answers.append(client.command(f"{data}."))
        return answers


def codes(answers: tp.Iterable[str]) -> list[str]:
    return [_code(answer) for answer in answers]


def _code(answer: str) -> str:
    return "250" if answer[:3] == "250" else f"{answer[:3]} {answer[4:9]}"


def delivery_report(*, action: str = "failed", status: str = "5.1.1", before: str = "") -> str:
    """Return a report of delivery (RFC 3464)."""
    lines = [
        "From: MAILER-DAEMON@mx.elsewhere.example",
        "To: alice",
        "Subject: Undelivered Mail Returned to Sender",
        "MIME-Version: 1.0",
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"',
        "",
        "--b",
        "Content-Type: text/plain",
        "",
        before,
        "--b",
        "Content-Type: message/delivery-status",
        "",
        "Reporting-MTA: dns; mx.elsewhere.example",
        "",
        f"Final-Recipient: rfc822; {BOB}",
        f"Action: {action}",
        f"Status: {status}",
        "",
        "--b",
        "Content-Type: text/rfc822-headers",
        "",
        f"Received: by {DOMAIN} with esmtpsa id 1vNvOk-0000Ab-0A",
        "Message-ID: <somebody@else.example>",
        "",
        "--b--",
        "",
    ]
    return "".join(f"{line}\r\n" for line in lines)


def told(relay: relay_.Relay) -> list[mail_events.Event]:
    """Return the events of what came to return paths."""
    found = [main_log.parse(line) for line in relay.log_lines(" returned ")]
    assert None not in found
    return [event for line in found if line is not None for event in mail_events.of(line)]


def test_mail_of_an_account_leaves_with_a_return_path_and_the_log_has_the_senders(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    got = sent(relay, internet)
    match = PATH.fullmatch(got.sender)
    assert match
    assert match[1] == "alice"
    (queue_id,) = re.findall(rb"^Received: by \S+ with esmtpsa id (\S+)", got.data, re.MULTILINE)
    assert return_paths.parse_path(got.sender) == (queue_id.decode(), ALICE)
    relay.wait_for_log(" Completed ")
    arrived, delivered = (
        mail_events.of(line)[0]
        for line in map(main_log.parse, relay.log_lines(r" (<=|=>) "))
        if line is not None
    )
    assert (arrived.sender, delivered.sender, delivered.recipient) == (ALICE, ALICE, BOB)


def test_the_return_path_is_in_the_message_too_and_signed(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    got = sent(relay, internet, data=relay_.message(From=ALICE, X_Mail_Return="<b-x@evil.example>"))
    assert re.findall(rb"^X-Mail-Return: (.*)\r$", got.data, re.MULTILINE | re.IGNORECASE) == [
        f"<{got.sender}>".encode()
    ]
    assert signatures.verify(relay, got.data)
    assert not signatures.verify(
        relay, got.data.replace(b"X-Mail-Return: <b", b"X-Mail-Return: <c")
    )


@pytest.mark.parametrize(
    "local",
    ["alice+news", "Alice", "alice+" + "x" * 23, "alice+a.b=c_-."],
)
def test_a_local_part_is_in_the_path_as_it_was_given(
    relay: relay_.Relay, internet: internet_.Internet, local: str
) -> None:
    sender = f"{local}@{DOMAIN.upper()}"
    got = sent(relay, internet, sender=sender)
    match = PATH.fullmatch(got.sender)
    assert match
    assert match[1] == local
    assert len(got.sender.partition("@")[0]) <= 64
    assert codes(bring(relay, got.sender)) == ["250", "250"]
    (back,) = internet.wait_for(1)
    assert [one.lower() for one in back.recipients] == [sender.lower()]


def test_a_long_or_odd_local_part_and_a_report_keep_their_own(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    long, odd = f"alice+{'x' * 24}@{DOMAIN}", f"alice+a#b@{DOMAIN}"
    for sender in (long, odd, ""):
        got = sent(relay, internet, sender=sender)
        assert got.sender == sender
        assert b"X-Mail-Return" not in got.data


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(FILE.unlink, id="never told"),
        pytest.param(KEYS.unlink, id="no key"),
        pytest.param(lambda: relay_.install(KEYS, ""), id="an empty key"),
        pytest.param(lambda: relay_.install(KEYS, "\n\n"), id="lines without a key"),
        pytest.param(lambda: relay_.install(KEYS, KEY[:-1]), id="a key that was cut"),
        pytest.param(
            lambda: relay_.install(FILE, return_paths.render([("other.example", "keep")])),
            id="another domain",
        ),
    ],
)
def test_where_no_path_can_be_made_mail_leaves_with_its_own(
    relay: relay_.Relay, internet: internet_.Internet, harm: tp.Callable[[], object]
) -> None:
    harm()
    got = sent(relay, internet)
    assert got.sender == ALICE
    assert b"X-Mail-Return" not in got.data


def test_a_bounce_goes_on_to_the_sender_unsigned(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    path = path_of(relay, internet)
    assert codes(bring(relay, path)) == ["250", "250"]
    (back,) = internet.wait_for(1)
    assert (back.sender, back.recipients) == ("", [ALICE])
    assert b"DKIM-Signature" not in back.data
    assert b"It was not." in back.data


def test_a_bounce_is_kept_here_when_the_mailbox_is_nowhere_else(
    relay: relay_.Relay, internet: internet_.Internet, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = path_of(relay, internet)
    monkeypatch.setitem(internet_.ZONE, (DOMAIN, "MX"), ["10 here-host.example."])
    assert codes(bring(relay, path)) == ["250", "250"]
    relay.wait_for_queue(0)
    assert "\nSubject: Undeliverable\n" in (relay_.SPOOL / "postmaster").read_text()


def test_a_sender_that_does_not_want_bounces_has_them_told_alone(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    path = path_of(relay, internet)
    tell(return_paths.KEEP)
    assert codes(bring(relay, path, data=delivery_report())) == ["250", "250"]
    relay.wait_for_queue(0)
    assert internet.received() == []
    assert [event.type for event in told(relay)] == [mail_events.Type.BOUNCED]


@pytest.mark.parametrize("spelled", [str, str.upper, str.lower])
def test_what_a_report_says_is_told_of_the_message_that_the_path_is_of(
    relay: relay_.Relay, internet: internet_.Internet, spelled: tp.Callable[[str], str]
) -> None:
    """Whatever message the report claims to return, and however the path is spelled."""
    got = sent(relay, internet)
    (queue_id,) = re.findall(rb"^Received: by \S+ with esmtpsa id (\S+)", got.data, re.MULTILINE)
    assert codes(bring(relay, spelled(got.sender), data=delivery_report())) == ["250", "250"]
    internet.wait_for(1)
    (event,) = told(relay)
    assert (event.type, event.queue_id, event.account, event.message_id) == (
        *(mail_events.Type.BOUNCED, queue_id.decode(), "", ""),
    )
    assert (event.recipient, event.enhanced, event.reason, event.client) == (
        *(BOB, "5.1.1", "recipient_unknown", "127.0.0.1"),
    )


@pytest.mark.parametrize(
    ("action", "status", "kind"),
    [
        ("delayed", "4.4.1", mail_events.Type.DELAY_REPORTED),
        ("delivered", "2.0.0", mail_events.Type.DELIVERY_REPORTED),
    ],
)
def test_reports_of_another_kind_are_told_as_such(
    relay: relay_.Relay,
    internet: internet_.Internet,
    action: str,
    status: str,
    kind: mail_events.Type,
) -> None:
    path = path_of(relay, internet)
    bring(relay, path, data=delivery_report(action=action, status=status))
    internet.wait_for(1)
    assert [event.type for event in told(relay)] == [kind]


def test_a_report_inside_of_another_message_tells_nothing(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    path = path_of(relay, internet)
    nested = (
        'Subject: Fwd\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="o"\r\n\r\n'
        f"--o\r\nContent-Type: message/rfc822\r\n\r\n{delivery_report()}--o--\r\n"
    )
    late = delivery_report(before="\r\n".join(["x" * 76] * 700))
    for data in (nested, late, BOUNCE):
        assert codes(bring(relay, path, data=data)) == ["250", "250"]
    internet.wait_for(3)
    assert told(relay) == []


@pytest.mark.parametrize("text", ["${run{/bin/touch /tmp/expanded}}", "\\N $1 ${if", "\xff\xfe"])
def test_nothing_of_a_report_is_expanded(
    relay: relay_.Relay, internet: internet_.Internet, text: str
) -> None:
    path = path_of(relay, internet)
    said = delivery_report(before=text).replace(BOB, f"{BOB}\r\nX-Text: {text}")
    assert codes(bring(relay, path, data=said)) == ["250", "250"]
    internet.wait_for(1)
    assert [event.recipient for event in told(relay)] == [BOB]
    assert not pathlib.Path("/tmp/expanded").exists()


FORGED = "550 5.1.1"


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(lambda path: path.replace("-alice@", "-bob@"), id="another sender"),
        pytest.param(lambda path: path.replace("-alice@", "-alice+x@"), id="another tag"),
        pytest.param(lambda path: "b-a" + path[3:], id="another message"),
        pytest.param(
            lambda path: re.sub(r"-[0-9a-f]{14}-", "-00000000000000-", path), id="another mac"
        ),
        pytest.param(lambda path: re.sub(r"-[0-9a-f]{14}-", "--", path), id="no mac"),
        pytest.param(lambda path: re.sub(r"-([0-9a-f]{13})[0-9a-f]-", r"-\1-", path), id="cut"),
        pytest.param(lambda path: path.replace("b-", "b--", 1), id="an empty number"),
        pytest.param(lambda path: f"x@{path.partition('@')[2]}", id="no path"),
        pytest.param(lambda path: f"postmaster@{path.partition('@')[2]}", id="a role"),
    ],
)
def test_what_the_relay_has_not_made_is_refused(
    relay: relay_.Relay, internet: internet_.Internet, forge: tp.Callable[[str], str]
) -> None:
    path = path_of(relay, internet)
    forged = forge(path)
    assert forged != path
    (answer,) = bring(relay, forged)
    assert codes([answer]) == [FORGED]
    assert "is the return path of no message" in relay_.sentence(answer.encode())


def test_a_path_of_another_domain_is_of_no_message(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    path = path_of(relay, internet)
    domains.tell(f"other.example:send:platform/rsa/sign\n{DOMAIN}:send:platform/rsa/sign\n")
    try:
        (answer,) = bring(relay, path.replace(DOMAIN, "other.example"))
    finally:
        domains.forget()
    assert codes([answer]) == [FORGED]
    (relaying,) = bring(relay, path.replace(DOMAIN, "elsewhere.example"))
    assert codes([relaying]) == ["550 5.7.1"]


def test_keys_that_are_none_make_no_path_good(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    path = path_of(relay, internet)
    for keys in ("", "\n", "\n\n\n", KEY[:-1] + "\n", f"{KEY}0\n"):
        relay_.install(KEYS, keys)
        (answer,) = bring(relay, path)
        assert codes([answer]) == [FORGED]


def test_a_key_that_was_replaced_is_good_for_what_it_has_made(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    path = path_of(relay, internet)
    tell(keys=[OTHER_KEY, KEY])
    assert codes(bring(relay, path)) == ["250", "250"]
    internet.wait_for(1)
    internet.forget()
    newer = path_of(relay, internet)
    tell(keys=[OTHER_KEY])
    assert codes(bring(relay, path)) == [FORGED]
    assert codes(bring(relay, newer)) == ["250", "250"]


def test_a_path_is_good_after_bounce_handling_was_switched_off(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    path = path_of(relay, internet)
    relay_.install(FILE, return_paths.render([]))
    assert codes(bring(relay, path)) == ["250", "250"]
    (back,) = internet.wait_for(1)
    assert back.recipients == [ALICE]


def test_a_path_ends_after_a_month(
    relay: relay_.Relay, internet: internet_.Internet, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = path_of(relay, internet)
    name, day = path, 86400
    for age, answer in ((29 * day, "250"), (31 * day, FORGED)):
        name = made_at(path, int(time.time()) - age)
        assert codes(bring(relay, name))[0] == answer


def made_at(path: str, second: int) -> str:
    """Return *path* as the relay had made it at *second*."""
    digits = "abcdefghijklmnopqrstuvwxyz234567"
    number = ""
    while second:
        second, digit = divmod(second, 32)
        number = digits[digit] + number
    _, _, process, part, _, local = path.partition("@")[0].split("-", 5)
    message = f"{number}-{process}-{part}"
    said = f"{message} {local}@{DOMAIN}".encode()
    mac = hmac.new(KEY.encode(), said, hashlib.sha1).hexdigest()[:14]
    return f"b-{message}-{mac}-{local}@bounces.{DOMAIN}"


def test_a_path_takes_reports_alone_and_one_at_a_time(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    path = path_of(relay, internet)
    assert codes(bring(relay, path, sender="someone@elsewhere.example")) == ["250", "550 5.7.1"]
    assert codes(bring(relay, path, ALICE)) == ["250", "452 4.5.3", "250"]
    assert codes(bring(relay, ALICE, path)) == ["250", "452 4.5.3", "250"]
    assert codes(bring(relay, path, path)) == ["250", "452 4.5.3", "250"]


def test_a_report_to_a_path_has_a_megabyte_at_most_and_no_octets_of_its_own(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    path = path_of(relay, internet)
    large = BOUNCE + ("x" * 78 + "\r\n") * 13_500
    assert codes(bring(relay, path, data=large)) == ["250", "552 5.3.4"]
    assert codes(bring(relay, path, data=BOUNCE + "a\0b\r\n")) == ["250", "554 5.6.0"]
    assert codes(bring(relay, path, data=BOUNCE + "x" * 1200 + "\r\n")) == ["250", "554 5.6.0"]


def test_who_guesses_paths_is_stopped(relay: relay_.Relay) -> None:
    with relay.configured(reports_per_hour=2):
        answers = [bring(relay, f"b-x@bounces.{DOMAIN}")[0] for _ in range(4)]
    assert codes(answers) == [FORGED, FORGED, "451 4.7.1", "451 4.7.1"]


def test_without_a_key_there_is_no_such_domain_here(relay: relay_.Relay) -> None:
    KEYS.unlink()
    (answer,) = bring(relay, f"b-x@bounces.{DOMAIN}")
    assert codes([answer]) == ["550 5.7.1"]


def test_a_key_is_in_neither_log_nor_spool(
    relay: relay_.Relay, internet: internet_.Internet, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = path_of(relay, internet)
    monkeypatch.setattr(internet_, "FAILING", {DOMAIN})
    bring(relay, path, data=delivery_report())
    (name,) = relay.wait_for_queue(1)
    (header,) = (relay_.SPOOL / "input").glob(f"**/{name}-H")
    assert KEY not in header.read_text()
    assert KEY not in relay.log()
    monkeypatch.setattr(internet_, "FAILING", set())
    relay.run_queue()
    relay.wait_for_queue(0)


def test_the_relays_own_bounce_goes_to_the_sender(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    assert relay.send(recipients=["refused@elsewhere.example"])[0] == 250
    (got,) = internet.wait_for(1)
    assert (got.sender, got.recipients) == ("", [ALICE])
    assert b"mailbox is unknown here" in got.data


FEEDBACK = f"fbl@bounces.{DOMAIN}"


def complaint(
    *returned: str, kind: str = "abuse", fields: str = "", part: str = "message/rfc822"
) -> str:
    """Return a feedback report (RFC 5965) of a message whose header has the fields *returned*."""
    lines = [
        "From: feedback@operator.example",
        "To: fbl",
        "Subject: FW: Greetings",
        "MIME-Version: 1.0",
        'Content-Type: multipart/report; report-type=feedback-report; boundary="b"',
        "",
        "--b",
        "Content-Type: text/plain",
        "",
        "This is a spam complaint.",
        "--b",
        "Content-Type: message/feedback-report",
        "",
        f"Feedback-Type: {kind}",
        "User-Agent: Loop/1.0",
        "Version: 1",
        *fields.splitlines(),
        "",
        "--b",
        f"Content-Type: {part}",
        "",
        *returned,
        f"From: {ALICE}",
        "Subject: Greetings",
        "",
        f"X-Mail-Return: <b-a-a-a-{'0' * 14}-eve@bounces.{DOMAIN}>",
        "--b--",
        "",
    ]
    return "".join(f"{line}\r\n" for line in lines)


def complained(relay: relay_.Relay) -> list[mail_events.Event]:
    """Return the events of complaints."""
    found = [main_log.parse(line) for line in relay.log_lines(" complained ")]
    assert None not in found
    return [event for line in found if line is not None for event in mail_events.of(line)]


OPERATOR = "feedback@operator.example"


@pytest.mark.parametrize("part", ["message/rfc822", "text/rfc822-headers"])
@pytest.mark.parametrize(
    "names",
    [
        pytest.param(lambda path: (f"Return-Path: <{path}>",), id="Return-Path"),
        pytest.param(lambda path: (f"X-Mail-Return: <{path}>",), id="X-Mail-Return"),
        pytest.param(lambda path: (f"return-path:\r\n\t{path.upper()}",), id="folded"),
        pytest.param(
            lambda path: ("Return-Path: <srs0=a@list.example>", f"X-Mail-Return: <{path}>"),
            id="handed on",
        ),
    ],
)
def test_a_complaint_is_of_the_message_whose_path_it_names(
    relay: relay_.Relay,
    internet: internet_.Internet,
    names: tp.Callable[[str], tuple[str, ...]],
    part: str,
) -> None:
    got = sent(relay, internet)
    (queue_id,) = re.findall(rb"^Received: by \S+ with esmtpsa id (\S+)", got.data, re.MULTILINE)
    report = complaint(*names(got.sender), fields=f"Original-Rcpt-To: <{BOB}>", part=part)
    assert codes(bring(relay, FEEDBACK, sender=OPERATOR, data=report)) == ["250", "250"]
    (event,) = complained(relay)
    assert (event.type, event.queue_id, event.recipient, event.text, event.client) == (
        *(mail_events.Type.COMPLAINED, queue_id.decode(), BOB, "abuse by Loop/1.0", "127.0.0.1"),
    )
    (onward,) = internet.wait_for(1)
    assert (onward.sender, onward.recipients) == (f"postmaster@{DOMAIN}", [f"abuse@{DOMAIN}"])


def test_a_complaint_may_name_the_path_in_its_own_fields_or_come_to_it(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    path = path_of(relay, internet)
    report = complaint(fields=f"Original-Mail-From: <{path}>")
    assert codes(bring(relay, FEEDBACK, data=report)) == ["250", "250"]
    for sender in ("", OPERATOR):
        assert codes(bring(relay, path, sender=sender, data=complaint())) == ["250", "250"]
    assert [event.type for event in complained(relay)] == [mail_events.Type.COMPLAINED] * 3
    onward = [got.recipients for got in internet.wait_for(3)]
    assert sorted(onward) == [[f"abuse@{DOMAIN}"], [f"abuse@{DOMAIN}"], [ALICE]]


def test_a_complaint_that_names_several_messages_is_told_and_of_none(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    first = path_of(relay, internet)
    second = path_of(relay, internet)
    forged = re.sub(r"-[0-9a-f]{14}-", "-00000000000000-", first)
    for names in (
        (f"Return-Path: <{first}>", f"X-Mail-Return: <{second}>"),
        (f"Return-Path: <{first}>", f"Return-Path: <{second}>"),
        (f"Return-Path: <{first}>", f"X-Mail-Return: <{forged.replace('alice', 'bob')}>"),
    ):
        report = complaint(*names, fields=f"Original-Rcpt-To: {BOB}")
        assert codes(bring(relay, FEEDBACK, sender=OPERATOR, data=report)) == ["250", "250"]
    ignored = mail_events.Type.COMPLAINT_IGNORED
    assert [(event.type, event.queue_id, event.recipient) for event in complained(relay)] == [
        (ignored, "", "")
    ] * 3


def test_a_complaint_of_no_message_of_the_relays_is_refused(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    path = path_of(relay, internet)
    forged = re.sub(r"-[0-9a-f]{14}-", "-00000000000000-", path)
    for names in ((), (f"Return-Path: <{forged}>",), ("Return-Path: <x@elsewhere.example>",)):
        answers = bring(relay, FEEDBACK, sender=OPERATOR, data=complaint(*names))
        assert codes(answers) == ["250", "550 5.7.1"]
    assert complained(relay) == []


@pytest.mark.parametrize("kind", ["not-spam", "auth-failure", "", "$acl_m_good"])
def test_what_is_no_complaint_is_no_event(
    relay: relay_.Relay, internet: internet_.Internet, kind: str
) -> None:
    report = complaint(f"Return-Path: <{path_of(relay, internet)}>", kind=kind)
    assert codes(bring(relay, FEEDBACK, sender=OPERATOR, data=report)) == ["250", "250"]
    assert complained(relay) == []


def test_the_address_of_complaints_takes_nothing_else(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    path = path_of(relay, internet)
    nested = (
        'Subject: Fwd\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="o"\r\n\r\n'
        f"--o\r\nContent-Type: message/rfc822\r\n\r\n{complaint(f'Return-Path: <{path}>')}--o--\r\n"
    )
    late = complaint(f"Return-Path: <{path}>").replace(
        "This is a spam complaint.", "\r\n".join(["x" * 76] * 700)
    )
    for sender in ("", OPERATOR):
        for data in (BOUNCE, delivery_report(), nested, late):
            assert codes(bring(relay, FEEDBACK, sender=sender, data=data)) == ["250", "550 5.7.1"]
    large = complaint(f"Return-Path: <{path}>") + ("x" * 78 + "\r\n") * 13_500
    assert codes(bring(relay, FEEDBACK, sender=OPERATOR, data=large)) == ["250", "552 5.3.4"]
    assert complained(relay) == []
    assert internet.received() == []


def test_a_domain_of_the_name_of_the_paths_keeps_its_role_mail(relay: relay_.Relay) -> None:
    beside = return_paths.host(DOMAIN)
    domains.tell(f"{beside}:send:platform/rsa/sign\n{DOMAIN}:send:platform/rsa/sign\n")
    tell(return_paths.KEEP)
    try:
        answers = bring(
            relay, f"postmaster@{beside}", sender=OPERATOR, data=relay_.message(From=OPERATOR)
        )
        assert codes(answers) == ["250", "250"]
        relay.wait_for_log(rf"=> \S*postmaster\S* <postmaster@{beside}>")
        assert relay.log_lines("blackhole") == []
    finally:
        domains.forget()


def test_complaints_that_nobody_wants_are_told_alone(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    path = path_of(relay, internet)
    tell(return_paths.KEEP)
    report = complaint(f"Return-Path: <{path}>")
    assert codes(bring(relay, FEEDBACK, sender=OPERATOR, data=report)) == ["250", "250"]
    relay.wait_for_queue(0)
    assert internet.received() == []
    assert [event.type for event in complained(relay)] == [mail_events.Type.COMPLAINED]
