# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""One check of a domain: every record it needs, asked of every server."""

from __future__ import annotations

import asyncio
import dataclasses
import typing as tp

from exordos_paas_mail.control_plane.dns import (
    answers,
    asking,
    expected,
    judging,
    organizations,
    spf_checking,
    spf_merging,
)
from exordos_paas_mail.control_plane.records import dns_statuses

if tp.TYPE_CHECKING:
    from exordos_paas_mail.control_plane.dns import settings as dns_settings

# A name that nobody publishes a key at: what is found there answers for every name.
_NOBODY: tp.Final = "no-such-selector-mailaas"
# RFC 2308 section 5 lets a resolver remember absence for a day at most.
_NEGATIVE_TTL_MAX: tp.Final = 86400
_NEGATIVE_TTL_DEFAULT: tp.Final = 3600
# Different SPF records of different servers that are looked at.
_VARIANTS_MAX: tp.Final = 4


@dataclasses.dataclass(frozen=True)
class Check:
    """What a check found.

    *visible* are the selectors of the keys that every server shows, *absent*
    those that no server shows; what a server was silent about is in neither, and
    neither is what they disagree about. A server that serves the zone to nobody
    does not count. *negative_ttl*: seconds that a resolver may still believe that
    a selector is not there. *proofs*: the selectors of the keys that prove control.
    """

    verdicts: tuple[tuple[expected.Record, judging.Verdict], ...]
    visible: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()
    negative_ttl: int = _NEGATIVE_TTL_DEFAULT
    proofs: frozenset[str] = frozenset()

    @property
    def is_proven(self) -> bool | None:
        """Return whether a key of the domain is in its DNS: None if nobody can say."""
        statuses = {_selector(record): verdict.status for record, verdict in self.verdicts}
        if any(statuses[selector] == dns_statuses.OK for selector in self.proofs):
            return True
        return False if self.proofs and self.proofs <= self.absent else None


async def check(
    facts: expected.Facts, settings: dns_settings.Settings, delegations: asking.Delegations
) -> Check:
    """Return what DNS says of the records of a domain now."""
    return await _Check(facts, asking.Asker(settings, delegations)).report()


class _Check:
    def __init__(self, facts: expected.Facts, asker: asking.Asker) -> None:
        self._facts = facts
        self._asker = asker

    async def report(self) -> Check:
        records = expected.records(self._facts)
        # One walk to the domain's zone, which the other questions then begin at.
        await self._asker.everyone(self._facts.domain, "TXT")
        verdicts = await asyncio.gather(*(self._verdict(record) for record in records))
        judged = tuple(zip(records, verdicts, strict=True))
        keys = {
            _selector(record): verdict
            for record, verdict in judged
            if record.purpose == expected.DKIM
        }
        heard = {s: v for s, v in keys.items() if not any(a.is_silent for a in v.servers)}
        report = Check(
            judged,
            frozenset(s for s, v in heard.items() if v.status == dns_statuses.OK),
            frozenset(
                s
                for s, v in heard.items()
                if v.status in (dns_statuses.MISSING, dns_statuses.MISMATCH)
            ),
            proofs=frozenset(key.selector for key in self._facts.keys if key.proves),
        )
        return await self._with_absence(report) if keys else report

    async def _with_absence(self, report: Check) -> Check:
        """Return *report* with what is said of a selector that nobody has."""
        said = await self._asker.anyone(expected.dkim_name(_NOBODY, self._facts.domain), "TXT")
        everywhere = answers.texts(said)
        ttls = [ttl for a in said for ttl in (a.negative_ttl, a.ttl) if ttl is not None]
        verdicts = tuple(
            (record, _told_of_wildcard(record, verdict, everywhere))
            for record, verdict in report.verdicts
        )
        negative_ttl = min(max(ttls), _NEGATIVE_TTL_MAX) if ttls else _NEGATIVE_TTL_DEFAULT
        return dataclasses.replace(report, verdicts=verdicts, negative_ttl=negative_ttl)

    async def _verdict(self, record: expected.Record) -> judging.Verdict:
        if record.purpose in expected.SPFS:
            return await self._spf(record)
        said = await self._asker.everyone(record.name, record.type)
        if record.purpose == expected.BOUNCES_MX:
            return await self._exchanger(record, said)
        if record.type == "A":
            return judging.combined(said, judging.address(record, self._facts.ipsv4))
        if record.purpose == expected.PTR:
            return await self._pointer(record, said)
        if record.purpose == expected.DKIM:
            return judging.combined(said, judging.dkim(record))
        inherited = None
        if not any(judging.is_dmarc(text) for text in answers.texts(said)):
            inherited = await organizations.inherited(self._facts.domain, self._texts)
        return judging.combined(said, judging.dmarc(record, inherited))

    async def _exchanger(
        self, record: expected.Record, said: tp.Sequence[answers.Answer]
    ) -> judging.Verdict:
        """Judge an MX record; without one, the addresses of the name count (RFC 5321 5.1)."""
        hosts = {judging.exchange(text) for text in answers.texts(said)} - {""}
        # The relay's own name is another record's matter.
        names = sorted({record.name, *hosts} - {self._facts.hostname})[:_VARIANTS_MAX]
        found = await asyncio.gather(*(self._asker.anyone(name, "A") for name in names))
        addresses = {name: answers.texts(words) for name, words in zip(names, found, strict=True)}
        return judging.combined(
            said,
            judging.exchanger(record, self._facts.hostname, self._facts.ipsv4, addresses),
        )

    async def _pointer(
        self, record: expected.Record, said: tp.Sequence[answers.Answer]
    ) -> judging.Verdict:
        (address,) = (a for a in self._facts.ipsv4 if expected.reverse_name(a) == record.name)
        forward: dict[str, tuple[str, ...]] = {}
        if record.value in answers.texts(said):
            back = await self._asker.everyone(record.value, "A")
            forward[record.value] = answers.texts(back)
        return judging.combined(said, judging.pointer(record, address, forward))

    async def _spf(self, record: expected.Record) -> judging.Verdict:
        said = [_spf_alone(a) for a in await self._asker.everyone(record.name, "TXT")]
        variants = {answer.texts for answer in answers.words(said)}
        judgements = {
            texts: await self._spf_judgement(record.name, texts)
            for texts in sorted(variants)[:_VARIANTS_MAX]
        }
        different = judging.Judgement(
            dns_statuses.MISMATCH, "the servers have many different records"
        )
        return judging.combined(said, lambda texts: judgements.get(texts, different))

    async def _spf_judgement(self, domain: str, records: tuple[str, ...]) -> judging.Judgement:
        addresses = self._facts.ipsv4
        if not records:
            return judging.Judgement(dns_statuses.MISSING, f"{domain} has no SPF record")
        suggestion = spf_merging.merged(records, addresses)
        if len(records) > 1:
            return judging.Judgement(
                dns_statuses.CONFLICT,
                f"{domain} has {len(records)} SPF records: receivers refuse all (permerror)",
                suggestion,
            )
        for address in addresses:
            sender = f"postmaster@{domain}"
            check = spf_checking.Check(self._lookup, address, sender, self._facts.hostname)
            found = await check.host(domain, records[0])
            if found.result == spf_checking.TEMPERROR:
                return judging.Judgement(dns_statuses.ERROR, found.reason)
            if found.result != spf_checking.PASS:
                told = f"{address} does not pass: {found.result}, {found.reason}"
                return judging.Judgement(dns_statuses.MISMATCH, told, suggestion)
        return judging.Judgement(dns_statuses.OK)

    async def _lookup(self, name: str, rdtype: str) -> tuple[str, ...]:
        words = answers.words(await self._asker.anyone(name, rdtype))
        if not words:
            raise spf_checking.Silence
        return answers.texts(words)

    async def _texts(self, name: str) -> tuple[str, ...] | None:
        words = answers.words(await self._asker.anyone(name, "TXT"))
        return answers.texts(words) if words else None


def _selector(record: expected.Record) -> str:
    """Return the selector of the key that *record* publishes; "" of another record."""
    return record.name.partition(".")[0] if record.purpose == expected.DKIM else ""


def _spf_alone(answer: answers.Answer) -> answers.Answer:
    """Return *answer* without the TXT records that are no SPF."""
    if answer.outcome != answers.RECORDS:
        return answer
    records = tuple(judging.spf_records(answer.texts))
    outcome = answers.RECORDS if records else answers.EMPTY
    return dataclasses.replace(answer, outcome=outcome, texts=records)


def _told_of_wildcard(
    record: expected.Record, verdict: judging.Verdict, everywhere: tuple[str, ...]
) -> judging.Verdict:
    if record.purpose != expected.DKIM or verdict.status in (dns_statuses.OK, dns_statuses.ERROR):
        return verdict
    if not everywhere or not set(everywhere) & set(verdict.found):
        return verdict
    told = f"{verdict.detail}; a wildcard record answers for every selector"
    return dataclasses.replace(verdict, detail=told)
