# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What the servers' answers mean for a record: its status, and what a person should know."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import typing as tp

from exordos_paas_mail.control_plane.dns import answers, spf_syntax, tags
from exordos_paas_mail.control_plane.records import dns_statuses, domain_states

if tp.TYPE_CHECKING:
    from exordos_paas_mail.control_plane.dns import expected

_POLICIES: tp.Final = frozenset({"none", "quarantine", "reject"})


@dataclasses.dataclass(frozen=True)
class Judgement:
    """What one set of records is: OK, MISSING, MISMATCH, CONFLICT or ERROR."""

    status: str
    detail: str = ""
    suggestion: str = ""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What is said of a record."""

    status: str
    found: tuple[str, ...] = ()
    detail: str = ""
    suggestion: str = ""
    servers: tuple[answers.Answer, ...] = ()


def combined(
    said: tp.Sequence[answers.Answer], judge: tp.Callable[[tuple[str, ...]], Judgement]
) -> Verdict:
    """Return the verdict on what all servers said.

    OK if all that gave their word have it right; PROPAGATING if some do. A server
    that fails says nothing: the others count, and ERROR is when nobody answers.
    """
    found = answers.texts(said)
    words = answers.words(said)
    servers = tuple(said)
    faults = _faults(said)
    if not words:
        return Verdict(
            dns_statuses.ERROR,
            found,
            _joined("no server of the zone answers", *faults),
            "",
            servers,
        )
    judgements = {word.texts: judge(word.texts) for word in words}
    statuses = {judgement.status for judgement in judgements.values()}
    wrong = [j for j in judgements.values() if j.status != dns_statuses.OK]
    if not wrong:
        (*_, right) = judgements.values()
        return Verdict(dns_statuses.OK, found, _joined(right.detail, *faults), "", servers)
    details = sorted({judgement.detail for judgement in wrong if judgement.detail})
    suggestion = next((j.suggestion for j in wrong if j.suggestion), "")
    if dns_statuses.OK in statuses:
        behind = sorted({w.server for w in words if judgements[w.texts].status != dns_statuses.OK})
        told = f"not right yet on {', '.join(behind)}"
        return Verdict(
            dns_statuses.PROPAGATING, found, _joined(told, *details, *faults), suggestion, servers
        )
    for status in (
        dns_statuses.CONFLICT,
        dns_statuses.MISMATCH,
        dns_statuses.ERROR,
        dns_statuses.MISSING,
    ):
        if status in statuses:
            return Verdict(status, found, _joined(*details, *faults), suggestion, servers)
    raise AssertionError(statuses)


def _faults(said: tp.Sequence[answers.Answer]) -> list[str]:
    return sorted(
        {
            f"{a.server or 'a server'} {a.sentence()}"
            for a in said
            if not a.is_word and a.outcome != answers.ALIAS
        }
    )


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def address(
    record: expected.Record, all_addresses: tp.Collection[str]
) -> tp.Callable[[tuple[str, ...]], Judgement]:
    """Return the judge of an address record, one of *all_addresses* of its name."""

    def judge(texts: tuple[str, ...]) -> Judgement:
        if not texts:
            return Judgement(dns_statuses.MISSING, f"{record.name} has no address record")
        foreign = sorted(set(texts) - set(all_addresses))
        if record.value not in texts:
            return Judgement(
                dns_statuses.MISMATCH,
                f"{record.name} leads to {', '.join(texts)}, not to {record.value}",
            )
        if foreign:
            return Judgement(
                dns_statuses.MISMATCH,
                f"{record.name} leads to {', '.join(foreign)} too, where the relay is not",
            )
        return Judgement(dns_statuses.OK)

    return judge


def exchange(text: str) -> str:
    """Return the host that an MX record leads to; empty for none (RFC 7505)."""
    return text.partition(" ")[2].removesuffix(".")


def exchanger(
    record: expected.Record,
    hostname: str,
    relay: tp.Collection[str],
    addresses: tp.Mapping[str, tp.Collection[str]],
) -> tp.Callable[[tuple[str, ...]], Judgement]:
    """Return the judge of an MX record that is to lead to *hostname*, at *relay*, alone.

    *addresses* are those of the other names, and of the record's own.
    """

    def leads_here(host: str) -> bool:
        found = set(addresses.get(host, ()))
        return host == hostname or (bool(found) and found <= set(relay))

    def judge(texts: tuple[str, ...]) -> Judgement:
        if not texts and leads_here(record.name):
            return Judgement(dns_statuses.OK, "it has no MX record, and its address is the relay's")
        if not texts:
            return Judgement(dns_statuses.MISSING, f"{record.name} has no MX record")
        hosts = {exchange(text) for text in texts}
        elsewhere = sorted(host for host in hosts if not leads_here(host))
        if elsewhere:
            return Judgement(
                dns_statuses.MISMATCH,
                f"{record.name} leads to {', '.join(filter(None, elsewhere)) or 'no host'},"
                " where the relay is not",
            )
        return Judgement(dns_statuses.OK)

    return judge


def pointer(
    record: expected.Record, address_of_value: str, forward: tp.Mapping[str, tp.Collection[str]]
) -> tp.Callable[[tuple[str, ...]], Judgement]:
    """Return the judge of a PTR record; *forward* has the addresses of the names it may hold."""

    def judge(texts: tuple[str, ...]) -> Judgement:
        if not texts:
            return Judgement(
                dns_statuses.MISSING,
                f"{address_of_value} has no name; whoever the address was assigned by sets it",
            )
        if record.value not in texts:
            return Judgement(
                dns_statuses.MISMATCH,
                f"{address_of_value} is called {', '.join(texts)}, not {record.value}",
            )
        if address_of_value not in forward.get(record.value, ()):
            return Judgement(
                dns_statuses.MISMATCH,
                f"the name is right, but {record.value} does not lead back to {address_of_value}",
            )
        others = [text for text in texts if text != record.value]
        return Judgement(dns_statuses.OK, f"it is called {', '.join(others)} too" if others else "")

    return judge


def dkim(record: expected.Record) -> tp.Callable[[tuple[str, ...]], Judgement]:
    """Return the judge of a DKIM key record (RFC 6376 sections 3.6.1 and 3.6.2.2)."""
    wanted = tags.parse(record.value) or {}

    def judge(texts: tuple[str, ...]) -> Judgement:
        if not texts:
            return Judgement(dns_statuses.MISSING, f"{record.name} has no TXT record")
        keys = [text for text in texts if _is_key(text)]
        if not keys:
            return Judgement(
                dns_statuses.MISMATCH,
                f"{record.name} has a TXT record, and it is no DKIM key",
                record.value,
            )
        if len(texts) > 1:
            return Judgement(
                dns_statuses.CONFLICT,
                f"{record.name} has {len(texts)} TXT records: which one a receiver takes is chance",
                record.value,
            )
        problem = _key_problem(tags.parse(keys[0]) or {}, wanted)
        if problem:
            return Judgement(dns_statuses.MISMATCH, problem, record.value)
        flags = tags.words((tags.parse(keys[0]) or {}).get("t", ""))
        return Judgement(
            dns_statuses.OK,
            "t=y says that the domain is testing: receivers may act as if mail were not signed"
            if "y" in flags
            else "",
        )

    return judge


def _is_key(text: str) -> bool:
    found = tags.parse(text)
    return found is not None and "p" in found and found.get("v", "DKIM1") == "DKIM1"


def _key_problem(found: tp.Mapping[str, str], wanted: tp.Mapping[str, str]) -> str:
    key = tags.without_space(found["p"])
    if not key:
        return "the key is revoked: p= is empty"
    if found.get("k", "rsa").lower() != wanted["k"]:
        return f"k={found.get('k', 'rsa')} is not the key's algorithm, {wanted['k']}"
    if "h" in found and "sha256" not in tags.words(found["h"]):
        return f"h={found['h']} does not let sha256 be used, which signatures are made with"
    if not {"*", "email"} & set(tags.words(found.get("s", "*")) or ["*"]):
        return f"s={found['s']} does not let the key be used for mail"
    if _decoded(key) != _decoded(tags.without_space(wanted["p"])):
        return "p= is another key, or this one with a part missing or changed"
    return ""


def _decoded(key: str) -> bytes | None:
    try:
        return base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        return None


@dataclasses.dataclass(frozen=True)
class Inherited:
    """The DMARC record that holds for the names below *domain*; "" if that cannot be found out."""

    domain: str
    record: str


def is_dmarc(text: str) -> bool:
    """Return whether a TXT record is a DMARC record: v=DMARC1 comes first."""
    head, _, _ = text.partition(";")
    name, _, value = head.partition("=")
    return name.strip() == "v" and value.strip() == "DMARC1"


def dmarc_problem(text: str) -> str:
    """Return what is wrong with a DMARC record, "" if nothing is."""
    found = tags.parse(text)
    if found is None:
        return "it is no list of tags, or has a tag twice"
    policy = found.get("p", "none" if "rua" in found else "").lower()
    if not policy:
        return "it has no policy: p= is missing"
    if policy not in _POLICIES:
        return f"p={found['p']}: p must be none, quarantine or reject"
    return ""


def dmarc(
    record: expected.Record, inherited: Inherited | None
) -> tp.Callable[[tuple[str, ...]], Judgement]:
    """Return the judge of a DMARC record; *inherited* holds where the domain has none."""

    def judge(texts: tuple[str, ...]) -> Judgement:
        found = [text for text in texts if is_dmarc(text)]
        if len(found) > 1:
            return Judgement(
                dns_statuses.CONFLICT,
                f"{record.name} has {len(found)} DMARC records: receivers then take none",
                record.value,
            )
        if found:
            problem = dmarc_problem(found[0])
            return (
                Judgement(dns_statuses.MISMATCH, problem, record.value)
                if problem
                else Judgement(dns_statuses.OK)
            )
        if inherited is not None and not inherited.record:
            return Judgement(
                dns_statuses.ERROR, f"no server of {inherited.domain} says whether it has DMARC"
            )
        if inherited is not None:
            applied = tags.parse(inherited.record) or {}
            policy = applied.get("sp") or applied.get("p", "none")
            return Judgement(
                dns_statuses.OK,
                f"inherited from {inherited.domain}, whose policy for it is {policy}",
            )
        others = f"; what is there is no DMARC record: {texts[0]}" if texts else ""
        return Judgement(dns_statuses.MISSING, f"{record.name} has no DMARC record{others}")

    return judge


def spf_records(texts: tp.Iterable[str]) -> list[str]:
    """Return which TXT records are SPF records."""
    return [text for text in texts if spf_syntax.is_spf(text)]


def dns_status(required: tp.Iterable[str]) -> str:
    """Return the status of a domain whose required records have these.

    Of a record that nobody answers for it is the one it had before.
    """
    statuses = set(required)
    if statuses & {dns_statuses.MISMATCH, dns_statuses.CONFLICT}:
        return domain_states.DNS_BROKEN
    if statuses <= {dns_statuses.OK}:
        return domain_states.DNS_OK
    return domain_states.DNS_INCOMPLETE


def worst(statuses: tp.Iterable[str]) -> str:
    """Return the worst of *statuses* of domains."""
    order = domain_states.DNS_ALL.index
    return max(statuses, key=order, default=domain_states.DNS_INCOMPLETE)
