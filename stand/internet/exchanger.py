# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The mail exchanger: takes mail for every domain, and keeps it with its verdict."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import datetime
import ipaddress
import logging
import socket
import ssl
import struct
import typing as tp

import aiosmtpd.smtp
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import oid

from stand.internet import mailbox as mailbox_lib
from stand.internet import showing

if tp.TYPE_CHECKING:
    import pathlib

    from clients import issuing
    from stand.internet import verdicts

LOG = logging.getLogger(__name__)
_SIZE_MAX: tp.Final = 64 * 2**20
_CERTIFICATE_DAYS: tp.Final = 825
# Local parts that get what their name says, with and without a +tag, so that queues and
# bounces can be seen.
REFUSED: tp.Final = "refused"
DEFERRED: tp.Final = "deferred"
# Of linux/filter.h and asm-generic/socket.h, where Python's socket has no names for them.
_SO_ATTACH_FILTER: tp.Final = 26
_LOAD_WORD: tp.Final = 0x20
_JUMP_EQUAL: tp.Final = 0x15
_RETURN: tp.Final = 0x06
# An instruction jumps over no more.
_DROPPED_MAX: tp.Final = 255
# SKF_NET_OFF, and where a header of IPv4 has the sender's address.
_SENDER: tp.Final = 2**32 - 0x100000 + 12
_WHOLE: tp.Final = 2**32 - 1


class _Handler:
    def __init__(self, mailbox: mailbox_lib.Mailbox, judge: verdicts.Judge) -> None:
        self._mailbox = mailbox
        self._judge = judge

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self,
        server: aiosmtpd.smtp.SMTP,
        session: aiosmtpd.smtp.Session,
        envelope: aiosmtpd.smtp.Envelope,
        address: str,
        rcpt_options: list[str],
    ) -> str:
        del server, session, rcpt_options
        local, _, domain = address.rpartition("@")
        if not local or not domain:
            return "501 5.1.3 Bad recipient address"
        mailbox = local.lower().partition("+")[0]
        if mailbox == REFUSED:
            return "550 5.1.1 No such mailbox"
        if mailbox == DEFERRED:
            return "451 4.2.1 Mailbox busy, try later"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self,
        server: aiosmtpd.smtp.SMTP,
        session: aiosmtpd.smtp.Session,
        envelope: aiosmtpd.smtp.Envelope,
    ) -> str:
        del server
        raw = tp.cast("bytes", envelope.content)
        tls = "" if session.ssl is None else str(session.ssl["cipher"][1])
        # A v4 client of a v6 socket is judged by its v4 address.
        peer = tp.cast("tuple[str, int]", session.peer)  # aiosmtpd declares a string
        client = ipaddress.ip_address(peer[0])
        mapped = client.ipv4_mapped if isinstance(client, ipaddress.IPv6Address) else None
        facts = mailbox_lib.Envelope(
            client=str(mapped or client),
            helo=session.host_name or "",
            mail_from="" if envelope.mail_from == "<>" else envelope.mail_from or "",
            recipients=tuple(envelope.rcpt_tos),
            tls=tls,
        )
        verdict = await asyncio.to_thread(
            self._judge.judge, raw, facts.client, facts.helo, facts.mail_from
        )
        identifier = await asyncio.to_thread(self._mailbox.keep, raw, facts, verdict)
        LOG.info("%s from %s dkim=%s", identifier, facts.client, verdict.dkim)
        return f"250 2.0.0 Kept as {identifier}"


async def start(
    address: tuple[str, int],
    name: str,
    tls: ssl.SSLContext,
    keep: tuple[mailbox_lib.Mailbox, verdicts.Judge],
) -> asyncio.Server:
    """Accept mail under the host name *name*; raises OSError where *address* cannot be had."""
    handler = _Handler(*keep)
    server = await asyncio.get_running_loop().create_server(
        lambda: aiosmtpd.smtp.SMTP(
            handler, hostname=name, tls_context=tls, data_size_limit=_SIZE_MAX, ident="ESMTP"
        ),
        *address,
    )
    LOG.info("mail exchanger %s on %s port %d", name, *server.sockets[0].getsockname()[:2])
    return server


def drop(server: asyncio.Server, clients: tp.Sequence[str]) -> None:
    """Drop all packets by which *clients*, IPv4 addresses, begin a connection, and no others.

    As in a network that closes port 25 outward: nothing is refused, and nobody answers.
    Connections that there are go on. Raises ValueError on what is no such address, and on more
    than 255 of them.
    """
    addresses = [int(ipaddress.IPv4Address(client)) for client in clients]
    if len(addresses) > _DROPPED_MAX:
        raise ValueError(f"{len(addresses)} addresses, {_DROPPED_MAX} at most")
    instructions = [
        (_LOAD_WORD, 0, 0, _SENDER),
        # To the last instruction, by how many there are between.
        *((_JUMP_EQUAL, len(addresses) - place, 0, each) for place, each in enumerate(addresses)),
        (_RETURN, 0, 0, _WHOLE),
        (_RETURN, 0, 0, 0),
    ]
    program = ctypes.create_string_buffer(
        b"".join(struct.pack("HBBI", *instruction) for instruction in instructions)
    )
    told = struct.pack("HP", len(instructions), ctypes.addressof(program))
    for listening in server.sockets:
        # It replaces the filter that was attached before.
        listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, told)


def ensure_certificate(
    directory: pathlib.Path, name: str, authority: issuing.Authority
) -> ssl.SSLContext:
    """Return a server context with a self-signed certificate of *name*, made once.

    A client that asks for another name (SNI) is shown one of *authority*'s, of the same key.
    """
    certificate, key = directory / "mx.pem", directory / "mx.key"
    if not certificate.exists():
        private = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(oid.NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.timezone.utc)
        signed = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(private.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=_CERTIFICATE_DAYS))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .sign(private, hashes.SHA256())
        )
        key.touch(mode=0o600)
        key.write_bytes(
            private.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    loaded = serialization.load_pem_private_key(key.read_bytes(), None)
    shown = showing.Shown(authority, directory / "mx", tp.cast("issuing.Key", loaded))

    def show(
        connection: ssl.SSLObject | ssl.SSLSocket, asked: str | None, _: ssl.SSLContext
    ) -> None:
        if asked and asked.lower() != name:
            # What is no domain name is the client's own affair: mail goes on (RFC 7672 8.1).
            with contextlib.suppress(ValueError):
                connection.context = shown.context(asked)

    context.sni_callback = show
    return context
