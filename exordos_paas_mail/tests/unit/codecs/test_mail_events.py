# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import base64
import dataclasses
import json
import typing as tp

import hypothesis
import pytest
from hypothesis import strategies as st

from exordos_paas_mail.codecs import mail_events, main_log, tls_policies
from exordos_paas_mail.codecs.mail_events import Event, Type
from exordos_paas_mail.tests.unit.codecs import log_lines
from exordos_paas_mail.tests.unit.codecs.log_lines import ALICE, AT, CIPHER, ID, MX_FIELD, TLS

AT_MS = 1_795_692_336_641
MX: dict[str, tp.Any] = {"mx": "mx.example.net", "mx_address": "203.0.113.25"}
# What is said of a certificate of the right name, by the policy.
_NAMES = {"mta_sts": "mta_sts"}
OVER_TLS: dict[str, tp.Any] = {"tls": TLS.version, "cipher": TLS.cipher}


def _all_of(text: str) -> list[Event]:
    line = main_log.parse(f"{AT} [493] {text}")
    assert line is not None
    return mail_events.of(line)


def _of(text: str) -> Event:
    (event,) = _all_of(text)
    return event


def test_the_events_of_a_message() -> None:
    texts = [text for text, _ in log_lines.LINES if text.startswith(ID)]
    assert [_of(text) for text in texts[:2]] == [
        Event(AT_MS, Type.SUBMITTED, ID, account=ALICE, recipients=1, size=381),
        Event(
            AT_MS,
            Type.ACCEPTED,
            ID,
            account=ALICE,
            sender=ALICE,
            size=516,
            client="192.0.2.1",
            verified="no",
            **OVER_TLS,
        ),
    ]


def test_a_report_is_an_event_of_the_message_that_it_returns() -> None:
    said = (
        "Reporting-MTA: dns; mx.example.net\n\n"
        "Final-Recipient: rfc822; bob@example.net\nAction: failed\nStatus: 5.1.1\n"
        "Diagnostic-Code: smtp; 550 5.1.1 unknown\x07 user\n\n"
        "Final-Recipient: rfc822; eve@example.net\nAction: relayed\nStatus: 2.1.9\n"
    )
    text = log_lines.report(said, log_lines.OTHER_ID, "1@example.com")
    common: dict[str, tp.Any] = {
        "account": ALICE,
        "client": "192.0.2.25",
        "mx": "mx.example.net",
        "message_id": "1@example.com",
    }
    assert _all_of(text) == [
        Event(
            AT_MS,
            Type.BOUNCED,
            log_lines.OTHER_ID,
            recipient="bob@example.net",
            code=550,
            enhanced="5.1.1",
            text="unknown\ufffd user",
            reason="recipient_unknown",
            **common,
        ),
        Event(
            AT_MS,
            Type.DELIVERY_REPORTED,
            log_lines.OTHER_ID,
            recipient="eve@example.net",
            code=250,
            enhanced="2.1.9",
            **common,
        ),
    ]


@pytest.mark.parametrize("returned", ["", "no id", "1xWXbc-00007x-2"])
def test_a_report_that_returns_no_message_of_this_relay_is_of_none(returned: str) -> None:
    said = "Final-Recipient: rfc822; bob@example.net\nAction: delayed\nStatus: 4.4.1"
    (event,) = _all_of(log_lines.report(said, returned, ""))
    assert (event.type, event.queue_id) == (Type.DELAY_REPORTED, "")


def test_what_the_other_server_said_is_taken_apart() -> None:
    failed = (
        f"{ID} ** bob@example.net F=<{ALICE}> R=mx T=remote_smtp {MX_FIELD}: SMTP error from remote"
        r" mail server after RCPT TO:<bob@example.net>: 550-5.1.1 Nobody\n550 5.1.1 here DT=0.100s"
    )
    assert _of(failed) == Event(
        AT_MS,
        Type.FAILED,
        ID,
        sender=ALICE,
        recipient="bob@example.net",
        code=550,
        enhanced="5.1.1",
        text="Nobody here",
        reason="recipient_unknown",
        tls_policy="auto",
        **MX,
    )


def test_a_delay_has_its_reason() -> None:
    deferred = (
        f"{ID} == bob@example.net R=mx T=remote_smtp defer (113): No route to host {MX_FIELD}"
    )
    assert _of(deferred) == Event(
        AT_MS,
        Type.DEFERRED,
        ID,
        recipient="bob@example.net",
        text="No route to host",
        reason="network",
        tls_policy="auto",
        **MX,
    )


@pytest.mark.parametrize(
    "line",
    [
        "=> {address} F=<{sender}> R=mx T={transport} S=9 {mx} X={tls} CV=yes QT=1s DT=1s",
        "** {address} F=<{sender}> R=mx T={transport} {mx} X={tls} CV=yes: 550 5.1.1 Nobody",
        "== {address} R=mx T={transport} defer (-53): retry time not reached for any host",
    ],
    ids=["delivered", "failed", "deferred"],
)
@pytest.mark.parametrize(
    ("transport", "policy"),
    [
        *((transport, mode.value) for transport, mode in tls_policies.TRANSPORTS.items()),
        ("smarthost_starttls", ""),
        ("role_mailbox", ""),
        ("remote_smtp_invented", ""),
    ],
)
def test_an_attempt_has_the_policy_that_it_was_made_under(
    line: str, transport: str, policy: str
) -> None:
    event = _of(
        f"{ID} "
        + line.format(
            address="bob@example.net", sender=ALICE, transport=transport, mx=MX_FIELD, tls=CIPHER
        )
    )
    verified = "" if event.type is Type.DEFERRED else _NAMES.get(policy, "yes")
    assert (event.tls_policy, event.verified) == (policy, verified)


def test_what_no_router_takes_has_no_policy() -> None:
    waits = f"{ID} == bob@example.net R=tls_policy_unknown defer (-1): the TLS policies are unknown"
    assert _of(waits).tls_policy == ""


@pytest.mark.parametrize("said", ["no", "dane"])
def test_a_certificate_that_is_not_by_a_name_is_not_by_a_published_one(said: str) -> None:
    assert (
        _of(
            f"{ID} => bob@example.net F=<{ALICE}> R=mx T=remote_smtp_mta_sts S=9 {MX_FIELD}"
            f" X={CIPHER} CV={said} QT=1s DT=1s"
        ).verified
        == said
    )


@pytest.mark.parametrize(
    ("transport", "words", "text"),
    [
        ("remote_smtp", "a TLS session is required", "a TLS session is required"),
        ("remote_smtp_opportunistic", "a TLS session failed", "a TLS session failed"),
        ("remote_smtp_verify", "a TLS session failed", "TLS policy verify: a TLS session failed"),
        ("remote_smtp_else", "a TLS session failed", "a TLS session failed"),
    ],
)
def test_a_delay_for_its_tls_names_the_policy(transport: str, words: str, text: str) -> None:
    event = _of(f"{ID} == bob@example.net R=mx T={transport} defer (-38) {MX_FIELD}: {words}")
    assert (event.reason, event.text) == ("tls", text)


def test_a_delay_for_something_else_names_no_policy() -> None:
    event = _of(f"{ID} == bob@example.net R=mx T=remote_smtp_dane defer (111): Refused {MX_FIELD}")
    assert (event.reason, event.text) == ("network", "Refused")


def test_a_refusal_is_of_no_message() -> None:
    refused = f"{ID} H=[192.0.2.1]:1 F=<{ALICE}> A=plain:{ALICE} temporarily rejected after DATA: x"
    assert _of(refused) == Event(
        AT_MS,
        Type.REJECTED,
        account=ALICE,
        sender=ALICE,
        client="192.0.2.1",
        command="after DATA",
        temporary=True,
        text="x",
    )


def test_a_message_has_the_fields_its_sender_gave_it() -> None:
    (text,) = (text for text, _ in log_lines.LINES if " tags=d" in text)
    assert _of(text) == Event(
        AT_MS,
        Type.SUBMITTED,
        ID,
        account=ALICE,
        recipients=2,
        size=381,
        header_from=f"Alice <{ALICE}>",
        message_id="17.24@example.com",
        tags=("welcome", "campaign 7"),
    )


def test_the_fields_a_sender_gives_are_bounded() -> None:
    def field(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    tags = f" a\n\n{'b' * 70}\n a \nc\td\x00\nfourth"
    event = _of(
        f"{ID} accepted account={ALICE} recipients=1 size=1 from={field('A' * 2000)}"
        f" message_id={field(' <' + chr(7) + '@x> ')} tags={field(tags)} id={ID}"
    )
    assert (event.header_from, event.message_id) == ("A" * 1024, "\N{REPLACEMENT CHARACTER}@x")
    assert event.tags == ("a", "b" * 64, "c d\N{REPLACEMENT CHARACTER}")
    assert mail_events.parse(mail_events.render([event])) == [event]


@pytest.mark.parametrize(
    ("field", "tag"),
    [
        ("=?utf-8?q?n=C3=BA?=", "n\u00fa"),
        ("=?utf-8?b?bsO6?=\n =?iso-8859-1?q?_=FA?= x", "n\u00fa \u00fa x"),
        ("=?utf-8?q?a=0A=00b?=", "a \N{REPLACEMENT CHARACTER}b"),
        ("=?nowhere-1?q?a?=", "=?nowhere-1?q?a?="),
        ("=?hex?q?a?=", "=?hex?q?a?="),
        ("=?utf-8?q?=FF?=", "=?utf-8?q?=FF?="),
        ("a =?utf-8?q?cut", "a =?utf-8?q?cut"),
    ],
)
def test_tags_are_what_a_reader_sees(field: str, tag: str) -> None:
    said = base64.b64encode(f"\n{field}".encode()).decode()
    event = _of(
        f"{ID} accepted account={ALICE} recipients=1 size=1 from= message_id= tags={said} id={ID}"
    )
    assert event.tags == (tag,)


def test_a_message_that_is_put_apart_says_why() -> None:
    texts = [text for text, entry in log_lines.LINES if getattr(entry, "hold", "")]
    line = main_log.parse(f"{log_lines.AT} [7] {texts[0]}")
    assert line is not None
    submitted, held = mail_events.of(line)
    assert (submitted.type, submitted.account) == (Type.SUBMITTED, ALICE)
    assert held == Event(AT_MS, Type.HELD, ID, account=ALICE, text="account")


def test_a_message_that_is_moved_is_held_or_released() -> None:
    apart = _of(f"{ID} moved from input, msglog to (hold) input, msglog")
    assert apart == Event(AT_MS, Type.HELD, ID, text="account")
    back = _of(f"{ID} moved from (hold) input, msglog to input, msglog")
    assert back == Event(AT_MS, Type.RELEASED, ID)


def test_types_of_a_later_release_are_passed_over() -> None:
    known, later = ({"at": AT_MS, "type": kind} for kind in ("completed", "invented"))
    assert mail_events.parse(json.dumps([later, known, later]).encode()) == [
        Event(AT_MS, Type.COMPLETED)
    ]


def test_a_report_to_a_return_path_is_an_event_of_the_message_that_the_path_is_of() -> None:
    said = f"{log_lines.REPORT}\n{log_lines.REPORT.replace('bob', 'eve')}"
    assert _all_of(log_lines.returned(said)) == [
        Event(
            AT_MS,
            Type.BOUNCED,
            log_lines.PATH_ID,
            recipient=recipient,
            client="192.0.2.25",
            code=550,
            enhanced="5.1.1",
            reason="recipient_unknown",
        )
        for recipient in ("bob@example.net", "eve@example.net")
    ]
    assert _all_of(log_lines.returned("nothing")) == []
    assert _all_of(log_lines.returned(said, "alice@example.com")) == []


def test_a_complaint_is_an_event_of_the_message_whose_path_it_names() -> None:
    path, other = log_lines.PATH, log_lines.PATH.replace("bvqtdj4", "bvqtdj5")
    said = "Feedback-Type: abuse\nUser-Agent: Loop/1.0\x07\nOriginal-Rcpt-To: bob@example.net\n"
    (event,) = _all_of(log_lines.complained(path, path, said))
    assert event == Event(
        AT_MS,
        Type.COMPLAINED,
        log_lines.PATH_ID,
        recipient="bob@example.net",
        client="192.0.2.25",
        text=event.text,
    )
    assert event.text.startswith("abuse by Loop/1.0")
    assert event.text.isprintable()
    (ignored,) = _all_of(log_lines.complained(f"{path}\n{other}", f"{path}\n{other}", said))
    assert ignored == Event(AT_MS, Type.COMPLAINT_IGNORED, client="192.0.2.25", text=event.text)
    for kind in ("not-spam", "auth-failure", "unheard-of"):
        assert _all_of(log_lines.complained(path, path, f"Feedback-Type: {kind}\n")) == []


def test_a_report_that_nobody_wants_is_no_event() -> None:
    assert _all_of(f"{ID} => :blackhole: <{log_lines.PATH}> R=returned") == []


def test_each_event_travels() -> None:
    texts = [text for text, entry in log_lines.LINES if not getattr(entry, "hold", "")]
    events = [event for text in texts for event in _all_of(text)]
    others = (log_lines.REPORT.replace("failed", action) for action in ("delayed", "relayed"))
    events += [_of(log_lines.report(said, log_lines.OTHER_ID, "")) for said in others]
    events += [Event(AT_MS, Type.GAP, text="lost", count=n) for n in (0, 1, 2)]
    # The lines of these are in test_limit_signals.
    events += [Event(AT_MS, kind, text="used") for kind in (Type.LIMIT_NEAR, Type.LIMIT_REACHED)]
    events.append(mail_events.unaccounted(AT_MS, ID))
    assert mail_events.parse(mail_events.render(events)) == events
    events.append(Event(AT_MS, Type.REPUTATION_LOW, text="5 %"))
    assert {event.type for event in events} == set(Type)


@hypothesis.given(st.text(max_size=2000))
def test_what_others_write_is_bounded_and_printable(words: str) -> None:
    words = words.replace("\n", " ")
    event = _of(f"{ID} ** bob@example.net F=<{ALICE}>: {words} DT=0s")
    assert len(event.text) <= mail_events.TEXT_SIZE_MAX
    assert event.text.isprintable()
    assert mail_events.parse(mail_events.render([event])) == [event]


@pytest.mark.parametrize(
    "changes",
    [
        {"at": None},
        {"at": -1},
        {"at": 1.5},
        {"at": 2**60},
        {"at": True},
        {"type": None},
        {"type": ["failed"]},
        {"text": "x" * 2000},
        {"text": "two\nlines"},
        {"text": 1},
        {"size": "1"},
        {"temporary": 1},
        {"recipient": None},
        {"count": -1},
        {"tags": "a"},
        {"tags": [""]},
        {"tags": ["a\nb"]},
        {"tags": ["a", "b", "c", "d"]},
        {"tags": ["x" * 65]},
        {"tags": [1]},
        {"tags": {"a": 1}},
    ],
)
def test_what_is_no_event_is_refused(changes: dict[str, object]) -> None:
    sound: dict[str, object] = {"at": AT_MS, "type": "failed", "queue_id": ID}
    assert len(mail_events.parse(json.dumps([sound, sound]).encode())) == 2
    with pytest.raises(ValueError, match="event"):
        mail_events.parse(json.dumps([sound, {**sound, **changes}]).encode())


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"[[]]", b"\xff", b"[" * 100_000, b"[{}]"])
def test_what_is_no_list_of_events_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="event"):
        mail_events.parse(data)


def test_fields_of_a_later_release_are_passed_over() -> None:
    data = json.dumps([{"at": AT_MS, "type": "completed", "queue_id": ID, "colour": ["red"]}])
    assert mail_events.parse(data.encode()) == [Event(AT_MS, Type.COMPLETED, ID)]


def test_every_field_has_a_kind_that_is_checked() -> None:
    assert {field.type for field in dataclasses.fields(Event)} == {
        "int",
        "str",
        "bool",
        "Type",
        "tuple[str, ...]",
    }
