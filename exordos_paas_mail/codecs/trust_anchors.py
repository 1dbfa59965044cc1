# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The keys of the root that validation begins with: root.key of Debian's dns-root-data.

One record a line, as in a zone file (RFC 1035 5.1): DNSKEY or DS. While a key is being
replaced there are two, and either is enough.
"""

from __future__ import annotations

import typing as tp

import dns.dnssec
import dns.exception
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.DNSKEY
import dns.rdtypes.ANY.DS

_TYPES: tp.Final = ("DNSKEY", "DS")


class Anchor(tp.NamedTuple):
    """One key of the root."""

    record: str
    """In the words of a zone file."""
    key_id: int
    """As in the signatures made with it (RFC 4034, appendix B)."""


def parse(text: str) -> tuple[Anchor, ...]:
    """Return the anchors in *text*; ValueError where there is none, or a line is no record."""
    found = []
    for line in text.splitlines():
        words = line.partition(";")[0].split()
        if not words:
            continue
        kind = next((word for word in words[1:4] if word in _TYPES), None)
        if words[0] != "." or kind is None:
            raise ValueError("a line is no key of the root")
        data = " ".join(words[words.index(kind) + 1 :])
        try:
            record = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.from_text(kind), data)
        except dns.exception.DNSException as error:
            raise ValueError("a line is no key of the root") from error
        found.append(Anchor(f". IN {kind} {record.to_text()}", _key_id(record)))
    if not found:
        raise ValueError("there is no key of the root")
    return tuple(found)


def _key_id(record: dns.rdata.Rdata) -> int:
    if isinstance(record, dns.rdtypes.ANY.DS.DS):
        return int(record.key_tag)
    assert isinstance(record, dns.rdtypes.ANY.DNSKEY.DNSKEY)  # noqa: S101 - one of _TYPES
    return int(dns.dnssec.key_id(record))
