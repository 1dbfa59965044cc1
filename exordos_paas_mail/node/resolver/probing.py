# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What servers answer about the root: whether they hand signatures on, and whether one validates.

Only looked at, not verified: that there are signatures, by which keys, and of which dates.
Whether they are true unbound finds out, and is asked for it.
"""

from __future__ import annotations

import time
import typing as tp

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype

from exordos_paas_mail.node.resolver import choice

if tp.TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from dns import rrset as rrset_


# Without fragments on any path (DNS flag day 2020).
_PAYLOAD: tp.Final = 1232


class Answer(tp.NamedTuple):
    """What was found, and why it is no better."""

    heard: choice.Heard
    why: str = ""


class Prober:
    """Asks servers on *port*; none is waited for longer than *seconds* a question."""

    def __init__(self, port: int = 53, seconds: float = 3.0) -> None:
        self._port = port
        self._seconds = seconds

    def ask_network(self, server: str, key_ids: Collection[int]) -> Answer:
        """Return whether *server* hands on what validation needs, with the keys *key_ids*."""
        try:
            keys = self._ask(server, dns.rdatatype.DNSKEY, dns.flags.CD)
            absence = self._ask(server, dns.rdatatype.A, dns.flags.CD)
        except (OSError, dns.exception.DNSException) as error:
            return Answer(choice.Heard.NOTHING, f"{server} does not answer: {error}")
        if dns.rcode.SERVFAIL in {keys.rcode(), absence.rcode()}:
            return Answer(choice.Heard.NOTHING, f"{server} cannot ask the root servers")
        wrong = _wrong(keys, absence, key_ids)
        if wrong:
            return Answer(choice.Heard.STRIPPED, f"{server} {wrong}")
        return Answer(choice.Heard.SIGNED)

    def is_working(self, server: str, *, validates: bool) -> bool:
        """Return whether a resolver answers, and says that it has validated where it should."""
        flag = dns.flags.AD if validates else dns.flags.Flag(0)
        try:
            answer = self._ask(server, dns.rdatatype.SOA, flag)
        except (OSError, dns.exception.DNSException):
            return False
        if not validates:
            return answer.rcode() in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}
        return bool(answer.flags & dns.flags.AD and answer.answer)

    def _ask(
        self, server: str, kind: dns.rdatatype.RdataType, flag: dns.flags.Flag
    ) -> dns.message.Message:
        question = dns.message.make_query(
            dns.name.root, kind, want_dnssec=True, payload=_PAYLOAD, flags=dns.flags.RD | flag
        )
        answer, _ = dns.query.udp_with_fallback(question, server, self._seconds, self._port)
        return answer


def _wrong(
    keys: dns.message.Message, absence: dns.message.Message, key_ids: Collection[int]
) -> str:
    signatures = list(_signatures(keys.answer, dns.rdatatype.DNSKEY))
    if not signatures:
        return "hands no signatures on (DNSSEC)"
    ours = [it for it in signatures if it.key_tag in key_ids]
    if not ours:
        return "hands on a root that is not signed by a key of dns-root-data"
    now = time.time()
    if not any(it.inception <= now <= it.expiration for it in ours):
        return "hands on a signature of the root that is not of now; is the clock right?"
    denials = (dns.rdatatype.NSEC, dns.rdatatype.NSEC3)
    if not any(any(_signatures(absence.authority, kind)) for kind in denials):
        return "hands no proofs on that a record is not there (DNSSEC)"
    return ""


def _signatures(section: Iterable[rrset_.RRset], kind: dns.rdatatype.RdataType) -> list[tp.Any]:
    """Return the signatures of records of *kind* that are beside them."""
    rrsets = list(section)
    if not any(rrset.rdtype == kind for rrset in rrsets):
        return []
    return [
        record
        for rrset in rrsets
        if rrset.rdtype == dns.rdatatype.RRSIG and rrset.covers == kind
        for record in rrset
    ]
