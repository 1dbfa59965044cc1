# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A domain is asked for its policy: of a real web server, over TLS that is verified."""

from __future__ import annotations

import typing as tp

import pytest

from exordos_paas_mail.codecs import mta_sts
from exordos_paas_mail.node.sts import findings
from exordos_paas_mail.tests.unit.node import sts_stage

if tp.TYPE_CHECKING:
    from collections.abc import Iterator

FOUND = findings.Finding("1", mta_sts.Policy(mta_sts.Mode.ENFORCE, 604_800, ("mx.bank.example",)))


@pytest.fixture(scope="module")
def running() -> Iterator[sts_stage.Site]:
    with sts_stage.site() as made:
        yield made


@pytest.fixture
def site(running: sts_stage.Site) -> sts_stage.Site:
    fresh = sts_stage.Site()
    fresh.port, fresh.context = running.port, running.context
    running.code, running.kind, running.body = fresh.code, fresh.kind, fresh.body
    running.headers, running.ids, running.fetches = {}, {sts_stage.DOMAIN: "1"}, 0
    running.silent, running.refused, running.raw = set(), False, b""
    return running


def found(site: sts_stage.Site, known_id: str = "", seconds: float = 60) -> findings.Finding:
    return site.finder().find(sts_stage.DOMAIN, known_id, seconds)


def test_what_is_published_is_found(site: sts_stage.Site) -> None:
    assert found(site) == FOUND
    site.kind = "Text/Plain; charset=UTF-8"
    assert found(site) == FOUND


def test_a_policy_that_is_known_is_not_fetched(site: sts_stage.Site) -> None:
    assert found(site, "1") == findings.Finding("1")
    assert site.fetches == 0
    assert found(site, "0") == FOUND


def test_a_domain_without_a_record_is_not_asked_any_further(site: sts_stage.Site) -> None:
    site.ids = {}
    assert found(site) == findings.Finding(None)
    assert site.fetches == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"code": 404}, "its web server answers 404"),
        ({"code": 302, "headers": {"Location": "/"}}, "its web server answers 302"),
        ({"code": 204}, "its web server answers 204"),
        ({"kind": "text/html"}, "the policy is not text/plain"),
        ({"body": b"<html>"}, "the policy has a line that is no field"),
        ({"body": sts_stage.policy() + b"\n" * 65_536}, "the policy has more than 65536 octets"),
        ({"silent": {sts_stage.DOMAIN}}, "_mta-sts.bank.example cannot be resolved"),
        ({"refused": True}, "its name leads to 127.0.0.1, which is not public"),
    ],
)
def test_what_is_no_policy_is_told(
    site: sts_stage.Site, change: dict[str, tp.Any], words: str
) -> None:
    vars(site).update(change)
    told = found(site)
    assert (told.id, told.policy, told.is_slow) == (None, None, False)
    assert told.error.startswith(words)


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"\xff" * 100, id="no HTTP"),
        pytest.param(b"HTTP/1.1 2x0 OK\r\n\r\n", id="no code"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", id="it never begins"),
        pytest.param(OK + b"a: b\r\n" * 200, id="too many headers"),
        pytest.param(OK + b"a: " + b"b" * 70_000, id="too long a header"),
        pytest.param(
            OK + b"Content-Type: multipart/a; x*0*=b; x*=c; boundary*0*=d; boundary*=e\r\n\r\n",
            id="a header that its parser trips over",
        ),
        pytest.param(CHUNKED + b"-1\r\n", id="a chunk that never ends"),
        pytest.param(CHUNKED + b"g\r\n", id="a chunk of no size"),
        pytest.param(CHUNKED + b"f" * 60_000 + b"\r\n", id="a chunk of any size"),
    ],
)
def test_whatever_a_web_server_says_it_is_heard_to_an_end(site: sts_stage.Site, raw: bytes) -> None:
    site.raw = raw
    told = found(site)
    assert (told.id, told.policy, told.is_slow) == (None, None, False)
    assert told.error


def test_a_web_server_with_the_certificate_of_another_is_not_believed() -> None:
    with sts_stage.site("www.bank.example") as other:
        told = found(other)
    assert told.policy is None
    assert told.error.startswith("the certificate of its web server is not accepted")


def test_who_is_slow_is_given_up_in_its_time() -> None:
    with sts_stage.site() as slow:
        slow.hanging.set()
        told = found(slow, seconds=2)
    assert told == findings.Finding(
        None, None, "no answer of its web server within 2 seconds", is_slow=True
    )
