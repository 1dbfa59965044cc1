# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""One attempt: over TLS, to the address that was looked at, in its time."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import socket
import ssl
import threading
import time
import typing as tp
import uuid

import dns.message
import dns.resolver
import dns.rrset
import pytest
import standardwebhooks

from exordos_paas_mail.codecs import mail_events, webhook_config, webhook_messages
from exordos_paas_mail.node import machine
from exordos_paas_mail.node.web import connections, networks, resolver
from exordos_paas_mail.node.webhooks import client
from exordos_paas_mail.tests.unit.node import webhook_stage

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Iterator

    from exordos_paas_mail.codecs import public_addresses

EVENT = uuid.UUID("6b5d7a3e-3a0e-4a53-8a3e-0d6b1c8a0001")
INSTANCE = uuid.UUID("6b5d7a3e-3a0e-4a53-8a3e-0d6b1c8a0002")
SECRETS = (webhook_config.new_secret(), webhook_config.new_secret())
BODY = webhook_messages.body(
    INSTANCE, mail_events.Event(1, mail_events.Type.DELIVERED, "1xWfZB-00000a-2E")
)


def deliver(made: client.Client) -> client.Outcome:
    return made.deliver(SECRETS, EVENT, BODY)


@contextlib.contextmanager
def speaking(speak: Callable[[ssl.SSLSocket], None]) -> Iterator[str]:
    """Run a server that says what it likes once it was asked; gives its url."""
    over = threading.Event()

    def serve(raw: socket.socket) -> None:
        with contextlib.suppress(OSError):
            secured = webhook_stage.server_context().wrap_socket(raw, server_side=True)
            secured.recv(65536)
            speak(secured)
            over.wait(60)
            secured.close()

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"https://a.{webhook_stage.DOMAIN}:{listener.getsockname()[1]}/"
        over.set()
        listener.shutdown(socket.SHUT_RDWR)


def drip(secured: ssl.SSLSocket, begun: bytes) -> None:
    """Go on for ever after *begun*, an octet now and then."""
    secured.sendall(begun)
    while True:
        time.sleep(0.05)
        secured.sendall(b"x")


def test_what_arrives_is_signed_as_the_reference_library_has_it() -> None:
    with webhook_stage.receiving() as receiver:
        made = client.Client(receiver.url(path="/mail?x=1"), webhook_stage.opener())
        outcome = deliver(made)
        made.close()
    assert (outcome.code, outcome.error, outcome.body) == (204, "", "")
    (request,) = receiver.requests
    assert (request.path, request.body) == ("/mail?x=1", BODY)
    assert request.headers["Host"] == f"a.{webhook_stage.DOMAIN}:{receiver.port}"
    for secret in SECRETS:
        verified = standardwebhooks.Webhook(secret).verify(request.body, request.headers)
        assert verified == json.loads(BODY)
    for other, body in ((webhook_config.new_secret(), BODY), (SECRETS[0], BODY + b" ")):
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            standardwebhooks.Webhook(other).verify(body, request.headers)


def test_a_connection_is_used_again_and_one_that_was_closed_is_no_failure() -> None:
    closing = iter([False, False, True, False])

    def answer(request: webhook_stage.Request) -> webhook_stage.Answer:
        return 200, b"x" * 5000 if next(closing) else b"ok"

    with webhook_stage.receiving(answer) as receiver:
        made = client.Client(receiver.url(), webhook_stage.opener())
        assert [deliver(made).error for _ in range(4)] == [""] * 4
        assert [request.connection for request in receiver.requests] == [1, 1, 1, 2]
        # Closed by the other side while nobody looks.
        made._idle[0]._channel._socket.shutdown(socket.SHUT_RDWR)
        receiver.answer = lambda _: (200, b"")
        assert deliver(made).error == ""
        assert [request.connection for request in receiver.requests] == [1, 1, 1, 2, 3]
        made.close()


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(code: int) -> None:
    with webhook_stage.receiving(lambda _: (code, b"")) as receiver:
        outcome = deliver(client.Client(receiver.url(), webhook_stage.opener()))
    assert (outcome.code, outcome.error) == (code, f"answered {code}: redirects are not followed")
    assert [request.path for request in receiver.requests] == ["/"]


def test_what_a_receiver_says_is_kept_in_bounds() -> None:
    said = "no\r\n\x1b[31m \N{PILE OF POO}".encode() + b"\xff" + b"x" * 100_000
    with webhook_stage.receiving(lambda _: (500, said)) as receiver:
        outcome = deliver(client.Client(receiver.url(), webhook_stage.opener()))
    assert (outcome.code, outcome.error) == (500, "answered 500")
    assert outcome.body.startswith("no \ufffd[31m \N{PILE OF POO}\ufffdxxx")
    assert len(outcome.body) == 512


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4000\r\n",
    ],
    ids=["status", "headers", "body", "chunk"],
)
def test_who_drips_has_no_more_time_than_who_hangs(begun: bytes) -> None:
    with speaking(lambda secured: drip(secured, begun)) as url:
        outcome = deliver(client.Client(url, webhook_stage.opener(), timeout=1))
    assert outcome.error == "no answer within 1 seconds"


def test_who_hangs_is_left() -> None:
    with speaking(lambda _: None) as url:
        outcome = deliver(client.Client(url, webhook_stage.opener(), timeout=0.3))
    assert outcome.error == "no answer within 0.3 seconds"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # Nobody shakes hands.
        url = f"https://a.{webhook_stage.DOMAIN}:{listener.getsockname()[1]}/"
        outcome = deliver(client.Client(url, webhook_stage.opener(), timeout=0.3))
    assert outcome.error == "no answer within 0.3 seconds"


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"hello\r\n\r\n", "its answer is no HTTP: BadStatusLine"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, "its answer is no HTTP: LineTooLong"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "its answer is no HTTP: IncompleteRead",
        ),
    ],
)
def test_what_is_no_http_is_said_to_be_none(said: bytes, error: str) -> None:
    with speaking(lambda secured: secured.sendall(said)) as url:
        outcome = deliver(client.Client(url, webhook_stage.opener(), timeout=60))
    assert outcome.error == error


def test_who_closes_or_is_not_there_is_told_apart() -> None:
    with speaking(lambda secured: secured.close()) as url:
        outcome = deliver(client.Client(url, webhook_stage.opener()))
    assert outcome.error == "the connection was closed without an answer"
    assert deliver(client.Client(url, webhook_stage.opener())).error == (
        "no connection: Connection refused"
    )


def test_the_certificate_has_to_be_of_the_name() -> None:
    with webhook_stage.receiving() as receiver:
        url = f"https://hooks.example.org:{receiver.port}/"
        outcome = deliver(client.Client(url, webhook_stage.opener()))
        strict = connections.Opener(
            lambda *_: [webhook_stage.LOOPBACK], lambda _: False, ssl.create_default_context()
        )
        unknown = deliver(client.Client(receiver.url(), strict))
    assert outcome.error.startswith("its certificate is not accepted: Hostname mismatch")
    assert unknown.error.startswith("its certificate is not accepted: ")
    assert receiver.requests == []


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with webhook_stage.receiving() as receiver:
        assert deliver(client.Client(receiver.url(), webhook_stage.opener())).error == ""


def test_the_parts_of_production_reach_nothing_here() -> None:
    """By the real guard of networks: this machine is none that a tenant may name."""
    with webhook_stage.receiving() as receiver:
        for found in ("127.0.0.1", "::1", "::ffff:127.0.0.1", "2002:7f00:1::"):
            address = ipaddress.ip_address(found)
            strict = connections.Opener(
                lambda *_, address=address: [address],
                networks.Networks(machine.Machine()).refuses,
                webhook_stage.context(),
            )
            outcome = deliver(client.Client(receiver.url(), strict))
            assert outcome.error == f"its name leads to {address}, which is not public"
    assert receiver.connections == 0


def test_the_networks_of_the_node_are_refused_and_their_neighbours_are_not(
    tmp_path: pathlib.Path,
) -> None:
    folder = tmp_path / "proc" / "net"
    folder.mkdir(parents=True)
    (folder / "fib_trie").write_text(
        "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 9.9.1.7\n        /32 host LOCAL\n"
    )
    (folder / "route").write_text(
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t01090909\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "eth0\t00090909\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    )
    (folder / "if_inet6").write_text("2a010000000000000000000000000001 04 40 00 82     eth0\n")
    guard = networks.Networks(machine.Machine(root=str(tmp_path)))
    refused = ["9.9.1.7", "9.9.9.1", "9.9.9.255", "2a01::5", "2a01::1", "10.0.0.1"]
    allowed = ["9.9.1.8", "9.9.8.255", "9.9.10.0", "2a01:0:0:1::1"]
    found = {name: guard.refuses(ipaddress.ip_address(name)) for name in refused + allowed}
    assert found == {**dict.fromkeys(refused, True), **dict.fromkeys(allowed, False)}


def test_the_networks_of_this_machine_are_found() -> None:
    found = networks.Networks(machine.Machine())._found()
    assert ipaddress.ip_network("127.0.0.1/32") in found


@contextlib.contextmanager
def name_server(
    answer: Callable[[str], list[str]],
) -> Iterator[tuple[resolver.Resolver, list[str]]]:
    """Run a name server that answers by the kind of record; gives a resolver, and what it asked."""
    asked: list[str] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]

        def serve() -> None:
            while True:
                wire, client_ = server.recvfrom(4096)
                if not wire:
                    return
                query = dns.message.from_wire(wire)
                (question,) = query.question
                kind = question.rdtype.name
                asked.append(kind)
                response = dns.message.make_response(query)
                found = answer(kind)
                if found:
                    response.answer.append(
                        dns.rrset.from_text(question.name, 0, "IN", kind, *found)
                    )
                server.sendto(response.to_wire(), client_)

        def make() -> dns.resolver.Resolver:
            made = dns.resolver.Resolver(configure=False)
            made.nameservers, made.port = ["127.0.0.1"], port
            return made

        thread = threading.Thread(target=serve)
        thread.start()
        yield resolver.Resolver(make), asked
        server.sendto(b"", ("127.0.0.1", port))
        thread.join()


def test_a_name_that_leads_elsewhere_meanwhile_leads_nowhere() -> None:
    """DNS rebinding: what was looked at is what is connected to, for each connection anew."""
    answers = iter([["127.0.0.2"], ["127.0.0.1"]])
    with (
        webhook_stage.receiving(host="0.0.0.0") as receiver,  # noqa: S104 - to see where it comes to
        name_server(lambda _: next(answers)) as (resolving, asked),
    ):
        guarded = webhook_stage.opener(resolving.addresses, frozenset({webhook_stage.LOOPBACK}))
        first = deliver(client.Client(receiver.url(), guarded))
        assert (first.error, asked) == ("", ["A"])
        second = deliver(client.Client(receiver.url(), guarded))
        assert second.error == "its name leads to 127.0.0.1, which is not public"
        assert asked == ["A", "A"]
    assert [request.address for request in receiver.requests] == ["127.0.0.2"]
    assert receiver.connections == 1


def test_one_address_that_is_refused_is_enough() -> None:
    with (
        webhook_stage.receiving(host="0.0.0.0") as receiver,  # noqa: S104 - as above
        name_server(lambda _: ["127.0.0.2", "10.0.0.1"]) as (resolving, _),
    ):
        outcome = deliver(client.Client(receiver.url(), webhook_stage.opener(resolving.addresses)))
    assert outcome.error == "its name leads to 10.0.0.1, which is not public"
    assert receiver.connections == 0


def test_a_name_without_ipv4_leads_to_its_ipv6_addresses() -> None:
    answers: dict[str, list[str]] = {"A": [], "AAAA": ["::1"]}
    with (
        webhook_stage.receiving() as receiver,
        name_server(lambda kind: answers[kind]) as (resolving, asked),
    ):
        guarded = webhook_stage.opener(resolving.addresses)
        outcome = deliver(client.Client(receiver.url(), guarded))
        # It listens on IPv4 alone.
        assert outcome.error.startswith("no connection: ")
        answers["AAAA"] = ["::ffff:127.0.0.1"]
        strict = connections.Opener(
            resolving.addresses,
            networks.Networks(machine.Machine()).refuses,
            webhook_stage.context(),
        )
        mapped = deliver(client.Client(receiver.url(), strict))
        answers["AAAA"] = []
        nothing = deliver(client.Client(receiver.url(), guarded))
    assert "which is not public" in mapped.error
    assert nothing.error == "its name has no address"
    assert asked == ["A", "AAAA"] * 3


def test_another_address_is_tried_where_one_does_not_answer() -> None:
    dead: list[public_addresses.Address] = [ipaddress.IPv4Address("127.0.0.3")]
    with webhook_stage.receiving() as receiver:
        guarded = webhook_stage.opener(lambda *_: [*dead, webhook_stage.LOOPBACK])
        assert deliver(client.Client(receiver.url(), guarded)).error == ""


def test_a_name_that_nobody_answers_for_is_waited_for_no_longer() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))

        def make() -> dns.resolver.Resolver:
            made = dns.resolver.Resolver(configure=False)
            made.nameservers, made.port = ["127.0.0.1"], silent.getsockname()[1]
            return made

        guarded = webhook_stage.opener(resolver.Resolver(make).addresses)
        outcome = deliver(client.Client("https://a.hooks.example/", guarded, timeout=1))
    assert outcome.error == "its name cannot be resolved"
