# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import dataclasses
import json
import typing as tp
import uuid

import pytest

from exordos_paas_mail.codecs import mail_events, rules, webhook_config
from exordos_paas_mail.codecs.webhook_config import Action, Config, Hook, Request

ONE = uuid.UUID("6b5d7a3e-3a0e-4a53-8a3e-0d6b1c8a0001")
TWO = uuid.UUID("6b5d7a3e-3a0e-4a53-8a3e-0d6b1c8a0002")
SECRET = webhook_config.new_secret()
HOOK = Hook(ONE, "https://hooks.example.org/mail?x=1", ("message.delivered",), (SECRET,))
CONFIG = Config(
    TWO,
    (
        HOOK,
        Hook(TWO, "https://hooks.example.org:8443/", (), (SECRET, SECRET), active=False, since=5),
    ),
    (
        Request(TWO, ONE, Action.TEST, 9),
        Request(ONE, ONE, Action.REPLAY, 9, since=1, until=2),
    ),
)


def _changed(key: str, changes: dict[str, tp.Any]) -> bytes:
    value = json.loads(webhook_config.render(CONFIG))
    value[key][0].update(changes)
    return json.dumps(value).encode()


def test_what_is_told_is_read() -> None:
    assert webhook_config.parse(webhook_config.render(CONFIG)) == CONFIG
    assert webhook_config.parse(webhook_config.render(Config(ONE))) == Config(ONE)


def test_every_type_of_event_can_be_asked_for_by_one_name() -> None:
    assert set(webhook_config.TYPES.values()) == set(mail_events.Type)
    assert webhook_config.NAMES[mail_events.Type.DELIVERED] == "message.delivered"
    assert webhook_config.NAMES[mail_events.Type.LOGIN_FAILED] == "account.login_failed"
    assert webhook_config.NAMES[mail_events.Type.GAP] == "log.gap"


def test_what_a_later_release_tells_is_passed_over() -> None:
    later = ["message.delivered", "message.teleported"]
    assert webhook_config.parse(_changed("hooks", {"types": later, "colour": "red"})) == CONFIG
    (_, replay) = CONFIG.requests
    parsed = webhook_config.parse(_changed("requests", {"action": "explode"}))
    assert parsed == dataclasses.replace(CONFIG, requests=(replay,))


@pytest.mark.parametrize(
    ("key", "changes"),
    [
        ("hooks", {"id": "x"}),
        ("hooks", {"id": str(TWO)}),
        ("hooks", {"url": "http://hooks.example.org/"}),
        ("hooks", {"url": "https://HOOKS.example.org/"}),
        ("hooks", {"url": 5}),
        ("hooks", {"types": "message.delivered"}),
        ("hooks", {"types": [5]}),
        ("hooks", {"secrets": []}),
        ("hooks", {"secrets": [SECRET] * 3}),
        ("hooks", {"secrets": ["whsec_!"]}),
        ("hooks", {"secrets": ["whsec_AAAA"]}),
        ("hooks", {"secrets": [SECRET.removeprefix("whsec_")]}),
        ("hooks", {"active": 1}),
        ("hooks", {"since": -1}),
        ("hooks", {"revision": "1"}),
        ("requests", {"id": "x"}),
        ("requests", {"hook": None}),
        ("requests", {"not_after": -1}),
        ("requests", {"since": "yesterday"}),
    ],
)
def test_what_is_out_of_bounds_is_refused_without_a_word_of_it(
    key: str, changes: dict[str, tp.Any]
) -> None:
    with pytest.raises(ValueError) as caught:
        webhook_config.parse(_changed(key, changes))
    assert SECRET[6:] not in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b'{"version":2}', b'{"version":1}', b'{"version":1,"hooks":[1]}'],
)
def test_what_is_no_configuration_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"webhook|JSON"):
        webhook_config.parse(data)


@pytest.mark.parametrize(
    ("url", "spelled"),
    [
        ("https://hooks.example.org", "https://hooks.example.org/"),
        ("HTTPS://Hooks.Example.ORG/A?b=C", "https://hooks.example.org/A?b=C"),
        ("https://hooks.example.org:443/", "https://hooks.example.org/"),
        ("https://hooks.example.org:8443", "https://hooks.example.org:8443/"),
        ("https://hooks.example.org?a", "https://hooks.example.org/?a"),
        ("https://xn--bcher-kva.example/%C3%BC", "https://xn--bcher-kva.example/%C3%BC"),
        ("https://hooks.example.org/a@b:c", "https://hooks.example.org/a@b:c"),
    ],
)
def test_a_url_has_one_spelling(url: str, spelled: str) -> None:
    assert webhook_config.check_url(url) == spelled
    assert webhook_config.check_url(spelled) == spelled


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://hooks.example.org/", ("hooks.example.org", 443, "/")),
        ("https://hooks.example.org:8443/a?b=c", ("hooks.example.org", 8443, "/a?b=c")),
        ("https://hooks.example.org/?a//b?c", ("hooks.example.org", 443, "/?a//b?c")),
        ("https://hooks.example.org//a", ("hooks.example.org", 443, "//a")),
    ],
)
def test_a_url_is_a_host_a_port_and_what_is_asked_for(
    url: str, parts: tuple[str, int, str]
) -> None:
    assert webhook_config.check_url(url) == url
    assert webhook_config.split_url(url) == parts


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example.org",
        "http://hooks.example.org/",
        "//hooks.example.org/",
        "https:hooks.example.org/",
        "https:/hooks.example.org/",
        "https:///",
        "ftp://hooks.example.org/",
        "https://hooks/",
        "https://localhost/",
        "https://a.localhost/",
        "https://printer.local/",
        "https://db.internal/",
        "https://1.0.0.127.in-addr.arpa/",
        "https://hooks.example.org./",
        "https://.example.org/",
        "https://hooks_.example.org/",
        "https://127.0.0.1/",
        "https://8.8.8.8/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.0.0.1/",
        "https://127.0.0.0x1/",
        "https://127.0.0.0x/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[fe80::1%25eth0]/",
        "https://user@hooks.example.org/",
        "https://user:password@hooks.example.org/",
        "https://hooks.example.org@127.0.0.1/",
        "https://hooks.example.org\\@127.0.0.1/",
        "https://hooks.example.org%2f@127.0.0.1/",
        "https://127%2e0%2e0%2e1/",
        "https://hooks.example.org:22/",
        "https://hooks.example.org:25/",
        "https://hooks.example.org:80/",
        "https://hooks.example.org:0/",
        "https://hooks.example.org:0443/",
        "https://hooks.example.org:65536/",
        "https://hooks.example.org:/",
        "https://hooks.example.org:443:443/",
        "https://hooks.example.org: 443/",
        "https://hooks.example.org/#a",
        "https://hooks.example.org/a b",
        "https://hooks.example.org/a\r\nHost: b",
        "https://hooks.example.org/a\tb",
        "https://hooks.example.org/%zz",
        'https://hooks.example.org/"',
        " https://hooks.example.org/",
        "https://hooks.example.org\n",
        "https://b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example/",
        "https://\N{CIRCLED DIGIT ONE}\N{CIRCLED DIGIT TWO}\N{CIRCLED DIGIT SEVEN}.0.0.1/",
        "https://127\N{IDEOGRAPHIC FULL STOP}0.0.1/",
        "https://xn--a.example/",
        "https://hooks.example.org/" + "a" * 1024,
    ],
)
def test_what_no_webhook_may_have_is_refused(url: str) -> None:
    with pytest.raises(rules.RuleError, match=r"^(must|has) "):
        webhook_config.check_url(url)


def test_a_secret_is_one_of_the_specification() -> None:
    secret = webhook_config.new_secret()
    assert secret.startswith("whsec_")
    assert len(webhook_config.signing_key(secret)) == 32
    assert webhook_config.new_secret() != secret
    for wrong in ("", "whsec_", secret[:-1], f"x{secret}", f"{secret}\n", "whsec_" + "A" * 200):
        with pytest.raises(ValueError, match=r"^a secret of a webhook is"):
            webhook_config.signing_key(wrong)
