# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What a receiver makes of a message: SPF (RFC 7208), DKIM (RFC 6376), DMARC (RFC 7489)."""

from __future__ import annotations

import dataclasses
import email
import email.policy
import email.utils
import typing as tp

import dkim
import dmarc
import dns.resolver
import publicsuffixlist
import spf

_DNS_SECONDS: tp.Final = 5


@dataclasses.dataclass(frozen=True)
class Signature:
    """One DKIM-Signature field and whether it verifies."""

    result: str
    domain: str
    selector: str
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The three results, each in the words of RFC 8601, with their reasons."""

    spf: str
    spf_domain: str
    spf_reason: str
    dkim: str
    signatures: tuple[Signature, ...]
    dmarc: str
    dmarc_domain: str
    dmarc_reason: str


class Judge:
    """Judges messages with the records of one name server."""

    def __init__(self, nameserver: str, port: int = 53) -> None:
        """Ask *nameserver*, and nothing else, from now on.

        pyspf and dkimpy ask dnspython's default resolver, so it is set for the whole process.
        """
        self._resolver = dns.resolver.Resolver(configure=False)
        self._resolver.nameservers = [nameserver]
        self._resolver.port = port
        self._resolver.lifetime = _DNS_SECONDS
        dns.resolver.default_resolver = self._resolver
        self._suffixes = publicsuffixlist.PublicSuffixList()

    def judge(self, raw: bytes, client: str, helo: str, mail_from: str) -> Verdict:
        """Judge *raw* as received from address *client*; *mail_from* is empty for a bounce."""
        spf_result, spf_reason = spf.check2(i=client, s=mail_from, h=helo, timeout=_DNS_SECONDS)
        spf_domain = mail_from.rpartition("@")[2] or helo
        signatures = tuple(self._signatures(raw))
        results = [signature.result for signature in signatures]
        dmarc_result, from_domain, dmarc_reason = self._dmarc(
            raw, (spf_domain, spf_result), signatures
        )
        return Verdict(
            spf=spf_result,
            spf_domain=spf_domain,
            spf_reason=spf_reason,
            dkim="pass" if "pass" in results else results[0] if results else "none",
            signatures=signatures,
            dmarc=dmarc_result,
            dmarc_domain=from_domain,
            dmarc_reason=dmarc_reason,
        )

    def _signatures(self, raw: bytes) -> tp.Iterator[Signature]:
        headers, _ = dkim.rfc822_parse(raw)
        count = sum(name.lower() == b"dkim-signature" for name, _ in headers)
        for index in range(count):
            verifier = dkim.DKIM(raw, timeout=_DNS_SECONDS)
            reason = ""
            try:
                result = "pass" if verifier.verify(idx=index) else "fail"
            except dkim.DnsTimeoutError as error:
                result, reason = "temperror", str(error)
            except dkim.ValidationError as error:
                result, reason = "fail", str(error)
            except dkim.DKIMException as error:
                result, reason = "permerror", str(error)
            fields: dict[bytes, bytes] = verifier.signature_fields
            yield Signature(
                result=result,
                domain=fields.get(b"d", b"").decode("ascii", "replace").lower(),
                selector=fields.get(b"s", b"").decode("ascii", "replace"),
                reason=reason,
            )

    def _dmarc(
        self, raw: bytes, spf_result: tuple[str, str], signatures: tp.Iterable[Signature]
    ) -> tuple[str, str, str]:
        message = email.message_from_bytes(raw, policy=email.policy.compat32)
        addresses = email.utils.getaddresses([str(v) for v in message.get_all("From", [])])
        domains = {address.lower().partition("@")[2] for _, address in addresses}
        if len(domains) != 1 or not all(domains):
            return "permerror", "", "not one domain in From"
        (domain,) = domains
        organisation = self.get_public_suffix(domain)
        records = self._dmarc_records(domain)
        if not records and organisation != domain:
            records = self._dmarc_records(organisation)
        if len(records) != 1:
            return "none", domain, f"{len(records)} DMARC records"
        results: list[tp.Any] = [
            dmarc.DKIM(signature.domain, dmarc.DKIMResult.PASS, signature.selector)
            for signature in signatures
            if signature.result == "pass"
        ]
        if spf_result[1] == "pass":
            results.append(dmarc.SPF(spf_result[0], dmarc.SPFResult.PASS))
        try:
            policy = dmarc.DMARCPolicy(records[0], domain, organisation, publicsuffix=self)
            policy.verify(auth_results=results)
        except dmarc.PolicyError as error:
            return "fail", domain, str(error)
        except dmarc.RecordSyntaxError as error:
            return "permerror", domain, str(error)
        return "pass", domain, records[0]

    def _dmarc_records(self, domain: str) -> list[str]:
        try:
            answer = self._resolver.resolve(f"_dmarc.{domain}", "TXT", search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        texts = [b"".join(rdata.strings).decode("utf-8", "replace") for rdata in answer]
        return [text for text in texts if text.startswith("v=DMARC1")]

    def get_public_suffix(self, domain: str) -> str:
        """Return the organisational domain of *domain*; the name is the one dmarc calls."""
        return self._suffixes.privatesuffix(domain) or domain
