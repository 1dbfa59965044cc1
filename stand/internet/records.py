# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The records of the stand's name space, and what a question about them is answered."""

from __future__ import annotations

import dataclasses
import json
import threading
import typing as tp

import dns.exception
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

if tp.TYPE_CHECKING:
    import pathlib

TTL: tp.Final = 1
_CHAIN_LIMIT: tp.Final = 8
_TXT_CHUNK: tp.Final = 255
# Names that must not exist, whatever is asked (RFC 6761 section 6.4, and the reverse trees).
_CLOSED: tp.Final = tuple(dns.name.from_text(zone) for zone in ("invalid", "arpa"))
_PUBLIC_LABELS: tp.Final = 3  # two and the root


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a question gets: a response code and the records of the answer section.

    *elsewhere* is where its aliases lead, if that is for others to answer.
    """

    rcode: dns.rcode.Rcode
    rrsets: tuple[dns.rrset.RRset, ...] = ()
    elsewhere: dns.name.Name | None = None


@dataclasses.dataclass(frozen=True)
class Delegation:
    """Who answers for a zone: the names of its servers, and their addresses."""

    zone: dns.name.Name
    servers: dns.rrset.RRset
    glue: tuple[dns.rrset.RRset, ...]

    @property
    def addresses(self) -> list[str]:
        """The addresses of the servers."""
        return [rdata.address for rrset in self.glue for rdata in rrset]


class Records:
    """Published records, kept in one JSON file, asked and changed by any thread.

    A name that nobody published still has a mail exchanger, *exchanger*, as long as it
    looks like a public domain: made-up domains of tests can receive mail. An empty list of
    values says that a name has no record of that type, and silences that default.
    """

    def __init__(self, path: pathlib.Path, exchanger: str) -> None:
        """Load *path* if it is there; raises ValueError on a file that is not ours."""
        self._path = path
        self._exchanger = dns.name.from_text(exchanger)
        self._lock = threading.Lock()
        self._values: dict[dns.name.Name, dict[dns.rdatatype.RdataType, tuple[str, ...]]] = {}
        if path.exists():
            for name, types in json.loads(path.read_text()).items():
                for rdtype, values in types.items():
                    self._set(name, rdtype, values)

    def publish(self, name: str, rdtype: str, values: tp.Sequence[str]) -> None:
        """Replace the records of one name and type.

        A TXT value is the whole text, cut into strings of 255 octets here; others are in
        presentation form. Raises ValueError, and changes nothing, on what is not a record.
        """
        with self._lock:
            self._set(name, rdtype, values)
            self._save()

    def withdraw(self, name: str) -> bool:
        """Forget every record of *name*; return whether there was one."""
        with self._lock:
            known = self._values.pop(domain_name(name), None) is not None
            if known:
                self._save()
            return known

    def dump(self) -> dict[str, dict[str, list[str]]]:
        """Return every published record: name, type, values as they were published."""
        with self._lock:
            return self._dump()

    def delegation(self, name: dns.name.Name) -> Delegation | None:
        """Return who answers for *name*, where NS records were published for it or above it."""
        with self._lock:
            return self._delegation(name.canonicalize())

    def types(self, name: dns.name.Name) -> set[dns.rdatatype.RdataType]:
        """Return the types of the records that *name* has."""
        with self._lock:
            known = {*self._values.get(name, {}), dns.rdatatype.MX}
            return {rdtype for rdtype in known if self._rrset(name, rdtype)}

    def answer(
        self,
        name: dns.name.Name,
        rdtype: dns.rdatatype.RdataType,
        within: dns.name.Name = dns.name.root,
    ) -> Answer:
        """Answer one question, following aliases *within* a zone and to no delegated one."""
        name = name.canonicalize()
        with self._lock:
            rrsets: list[dns.rrset.RRset] = []
            for _ in range(_CHAIN_LIMIT):
                if not name.is_subdomain(within) or self._delegation(name) is not None:
                    return Answer(dns.rcode.NOERROR, tuple(rrsets), name)
                found = self._rrset(name, rdtype)
                if found is not None:
                    return Answer(dns.rcode.NOERROR, (*rrsets, found) if len(found) else (*rrsets,))
                alias = self._rrset(name, dns.rdatatype.CNAME)
                if not alias:
                    rcode = dns.rcode.NOERROR if self._exists(name) else dns.rcode.NXDOMAIN
                    return Answer(rcode, tuple(rrsets))
                rrsets.append(alias)
                name = alias[0].target.canonicalize()
            return Answer(dns.rcode.SERVFAIL)

    def _delegation(self, name: dns.name.Name) -> Delegation | None:
        for depth in range(len(name.labels)):
            zone = dns.name.Name(name.labels[depth:])
            servers = self._rrset(zone, dns.rdatatype.NS)
            if servers:
                glue = (
                    self._rrset(rdata.target.canonicalize(), dns.rdatatype.A) for rdata in servers
                )
                return Delegation(zone, servers, tuple(rrset for rrset in glue if rrset))
        return None

    def _rrset(
        self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType
    ) -> dns.rrset.RRset | None:
        values = self._values.get(name, {}).get(rdtype)
        if values is None and rdtype == dns.rdatatype.MX and _looks_public(name):
            if dns.rdatatype.CNAME in self._values.get(name, {}):
                return None
            values = (f"10 {self._exchanger}",)
        if values is None:
            return None
        return _rrset_of(name, rdtype, values)

    def _exists(self, name: dns.name.Name) -> bool:
        # An empty non-terminal exists too (RFC 8020).
        return _looks_public(name) or any(known.is_subdomain(name) for known in self._values)

    def _set(self, name: str, rdtype: str, values: tp.Sequence[str]) -> None:
        key = domain_name(name)
        number = rrset(key, rdtype, values).rdtype
        self._values.setdefault(key, {})[number] = tuple(values)

    def _dump(self) -> dict[str, dict[str, list[str]]]:
        return {
            name.to_text(omit_final_dot=True): {
                dns.rdatatype.to_text(rdtype): list(values)
                for rdtype, values in sorted(types.items())
            }
            for name, types in sorted(self._values.items())
        }

    def _save(self) -> None:
        temporary = self._path.with_suffix(".new")
        temporary.write_text(json.dumps(self._dump(), indent=1) + "\n")
        temporary.replace(self._path)


def rrset(name: dns.name.Name, rdtype: str, values: tp.Iterable[str]) -> dns.rrset.RRset:
    """Return the records of one name and type; raises ValueError on what is no record."""
    try:
        number = dns.rdatatype.from_text(rdtype)
    except (dns.rdatatype.UnknownRdatatype, ValueError) as error:
        raise ValueError(f"{rdtype!r} is not a record type") from error
    if dns.rdatatype.is_metatype(number):
        raise ValueError(f"{rdtype!r} is not a type a record can have")
    return _rrset_of(name, number, values)


def _rrset_of(
    name: dns.name.Name, rdtype: dns.rdatatype.RdataType, values: tp.Iterable[str]
) -> dns.rrset.RRset:
    result = dns.rrset.RRset(name, dns.rdataclass.IN, rdtype)
    result.update_ttl(TTL)
    for value in values:
        result.add(_rdata(rdtype, value))
    return result


def _looks_public(name: dns.name.Name) -> bool:
    # _dmarc, _domainkey, _25._tcp: names for a purpose exist when published, and only then.
    return (
        len(name) >= _PUBLIC_LABELS
        and not any(label.startswith(b"_") for label in name.labels)
        and not any(name.is_subdomain(zone) for zone in _CLOSED)
    )


def domain_name(text: str) -> dns.name.Name:
    """Return a name in its one spelling; raises ValueError on what is none."""
    try:
        return dns.name.from_text(text).canonicalize()
    except (dns.exception.DNSException, ValueError) as error:
        raise ValueError(f"{text!r} is not a domain name") from error


def _rdata(rdtype: dns.rdatatype.RdataType, value: str) -> dns.rdata.Rdata:
    if rdtype == dns.rdatatype.TXT:
        try:
            octets = value.encode("ascii")
        except UnicodeEncodeError as error:
            raise ValueError("a TXT value is ASCII here") from error
        chunks = [octets[at : at + _TXT_CHUNK] for at in range(0, len(octets), _TXT_CHUNK)] or [b""]
        wire = b"".join(bytes([len(chunk)]) + chunk for chunk in chunks)
        return dns.rdata.from_wire(dns.rdataclass.IN, rdtype, wire, 0, len(wire))
    try:
        return dns.rdata.from_text(
            dns.rdataclass.IN, rdtype, value, origin=dns.name.root, relativize=False
        )
    except (dns.exception.DNSException, ValueError) as error:
        text = dns.rdatatype.to_text(rdtype)
        raise ValueError(f"{value!r} is not the data of a {text} record: {error}") from error
