# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What is made of a server's answers about the root."""

from __future__ import annotations

import contextlib
import socketserver
import threading
import time
import typing as tp

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from exordos_paas_mail.node.resolver import choice, probing

if tp.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY_ID = 20326
ADDRESS = "127.0.0.1"
SIGNED, STRIPPED, NOTHING = choice.Heard.SIGNED, choice.Heard.STRIPPED, choice.Heard.NOTHING


def signature(kind: str, key_id: int = KEY_ID, days: int = 0) -> str:
    day = 86400
    begins, ends = (int(time.time()) + (days + offset) * day for offset in (-1, 1))
    return f"{kind} 8 0 60 {ends} {begins} {key_id} . AAAA"


def root(
    *keys: str, denial: str | None = "NSEC", rcode: dns.rcode.Rcode = dns.rcode.NOERROR
) -> Callable[[dns.message.Message], dns.message.Message]:
    """Return a server whose root has signatures *keys*, and proofs by *denial*."""

    def answer(query: dns.message.Message) -> dns.message.Message:
        response = dns.message.make_response(query)
        response.set_rcode(rcode)
        name = query.question[0].name
        assert query.ednsflags & dns.flags.DO
        if query.question[0].rdtype == dns.rdatatype.DNSKEY:
            response.answer.append(dns.rrset.from_text(name, 60, "IN", "DNSKEY", "257 3 8 AAAA"))
            if keys:
                response.answer.append(dns.rrset.from_text(name, 60, "IN", "RRSIG", *keys))
        elif query.question[0].rdtype == dns.rdatatype.SOA:
            response.flags |= query.flags & dns.flags.AD
            soa = "a. b. 1 60 60 60 60"
            response.answer.append(dns.rrset.from_text(name, 60, "IN", "SOA", soa))
        elif denial is not None:
            response.authority += [
                dns.rrset.from_text(name, 60, "IN", "NSEC", "a. NS SOA"),
                dns.rrset.from_text(name, 60, "IN", "RRSIG", signature(denial)),
            ]
        return response

    return answer


@contextlib.contextmanager
def served(answer: Callable[[dns.message.Message], dns.message.Message]) -> Iterator[int]:
    """Answer on a port of this machine; yields its number."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            data, sock = self.request
            sock.sendto(answer(dns.message.from_wire(data)).to_wire(), self.client_address)

    with socketserver.UDPServer((ADDRESS, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        pytest.param(root(signature("DNSKEY")), (SIGNED, ""), id="signed"),
        pytest.param(
            root(signature("DNSKEY", 1), signature("DNSKEY", 2), signature("DNSKEY")),
            (SIGNED, ""),
            id="by other keys too",
        ),
        pytest.param(
            root(), (STRIPPED, f"{ADDRESS} hands no signatures on (DNSSEC)"), id="no signatures"
        ),
        pytest.param(
            root(signature("SOA")),
            (STRIPPED, f"{ADDRESS} hands no signatures on (DNSSEC)"),
            id="a signature of something else",
        ),
        pytest.param(
            root(signature("DNSKEY", 1)),
            (STRIPPED, f"{ADDRESS} hands on a root that is not signed by a key of dns-root-data"),
            id="another root",
        ),
        *(
            pytest.param(
                root(signature("DNSKEY", days=days)),
                (
                    STRIPPED,
                    f"{ADDRESS} hands on a signature of the root that is not of now;"
                    " is the clock right?",
                ),
                id=f"a signature of {days} days",
            )
            for days in (-7, 7)
        ),
        *(
            pytest.param(
                root(signature("DNSKEY"), denial=denial),
                (
                    STRIPPED,
                    f"{ADDRESS} hands no proofs on that a record is not there (DNSSEC)",
                ),
                id=f"proofs by {denial}",
            )
            for denial in (None, "SOA")
        ),
        pytest.param(
            root(rcode=dns.rcode.REFUSED),
            (STRIPPED, f"{ADDRESS} hands no signatures on (DNSSEC)"),
            id="refused",
        ),
        pytest.param(
            root(rcode=dns.rcode.SERVFAIL),
            (NOTHING, f"{ADDRESS} cannot ask the root servers"),
            id="a failure",
        ),
    ],
)
def test_a_server_hands_on_what_validation_needs_or_not(
    answer: Callable[[dns.message.Message], dns.message.Message],
    found: tuple[choice.Heard, str],
) -> None:
    with served(answer) as port:
        assert probing.Prober(port, 60).ask_network(ADDRESS, {KEY_ID}) == found


def test_a_server_that_does_not_answer_is_silent() -> None:
    # Nobody takes what comes to it.
    with socketserver.UDPServer((ADDRESS, 0), socketserver.BaseRequestHandler) as deaf:
        prober = probing.Prober(deaf.server_address[1], 0.2)
        heard, why = prober.ask_network(ADDRESS, {KEY_ID})
        assert (heard, why.partition(":")[0]) == (NOTHING, f"{ADDRESS} does not answer")
        assert not prober.is_working(ADDRESS, validates=False)


@pytest.mark.parametrize("validates", [True, False])
def test_a_resolver_works_that_says_what_it_has_validated(*, validates: bool) -> None:
    def unverified(query: dns.message.Message) -> dns.message.Message:
        response = root()(query)
        response.flags &= ~dns.flags.AD
        return response

    for answer, works in (
        (root(), True),
        (unverified, not validates),
        (root(rcode=dns.rcode.SERVFAIL), validates),
        (root(rcode=dns.rcode.REFUSED), validates),
    ):
        with served(answer) as port:
            found = probing.Prober(port, 60).is_working(ADDRESS, validates=validates)
            assert found == works
