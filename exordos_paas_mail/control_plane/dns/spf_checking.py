# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Whether SPF lets an address send for a domain: check_host() of RFC 7208 chapter 4."""

from __future__ import annotations

import dataclasses
import ipaddress
import typing as tp

from exordos_paas_mail.control_plane.dns import expected, spf_syntax

PASS: tp.Final = "pass"  # noqa: S105 - a result
FAIL: tp.Final = "fail"
SOFTFAIL: tp.Final = "softfail"
NEUTRAL: tp.Final = "neutral"
NONE: tp.Final = "none"
TEMPERROR: tp.Final = "temperror"
PERMERROR: tp.Final = "permerror"

# RFC 7208 section 4.6.4.
LOOKUPS_MAX: tp.Final = 10
VOID_LOOKUPS_MAX: tp.Final = 2
_NAMES_MAX: tp.Final = 10
_LABEL_MAX: tp.Final = 63


class Silence(Exception):  # noqa: N818 - what SPF calls temperror
    """A question has no answer now."""


# The records of a name and type as texts, () if there are none; raises Silence.
Lookup: tp.TypeAlias = tp.Callable[[str, str], tp.Awaitable[tuple[str, ...]]]


@dataclasses.dataclass(frozen=True)
class Result:
    """What a receiver would find, and why: the term that matched, or what is wrong."""

    result: str
    reason: str = ""
    lookups: int = 0


class _EndedError(Exception):
    def __init__(self, result: str, reason: str) -> None:
        super().__init__(result, reason)
        self.result = result
        self.reason = reason


class Check:
    """One sender, checked as a receiver of its mail does."""

    def __init__(self, lookup: Lookup, address: str, sender: str, helo: str) -> None:
        self._lookup = lookup
        parsed = ipaddress.ip_address(address)
        self._address = getattr(parsed, "ipv4_mapped", None) or parsed
        local, _, domain = sender.rpartition("@")
        self._sender = f"{local or 'postmaster'}@{domain}"
        self._helo = helo
        self._lookups = 0
        self._voids = 0

    async def host(self, domain: str, record: str | None = None) -> Result:
        """Return the result for *domain*; *record* is its SPF record where that is known."""
        try:
            result, reason = await self._host(domain, record)
        except _EndedError as ended:
            result, reason = ended.result, ended.reason
        return Result(result, reason, self._lookups)

    async def _host(self, domain: str, record: str | None = None) -> tuple[str, str]:
        if not _is_name(domain):
            return NONE, f"{domain} is no domain name"
        if record is None:
            found = [t for t in await self._ask(domain, "TXT") if spf_syntax.is_spf(t)]
            if not found:
                return NONE, f"{domain} has no SPF record"
            if len(found) > 1:
                raise _EndedError(PERMERROR, f"{domain} has {len(found)} SPF records")
            record = found[0]
        try:
            policy = spf_syntax.parse(record)
        except spf_syntax.SyntaxProblem as problem:
            raise _EndedError(PERMERROR, f"{problem}, in the record of {domain}") from None
        for mechanism in policy.mechanisms:
            if await self._matches(mechanism, domain):
                return mechanism.qualifier, f"{mechanism.text} of {domain}"
        if policy.redirect and not any(m.kind == "all" for m in policy.mechanisms):
            self._spend()
            target = await self._expand(policy.redirect, domain)
            result, reason = await self._host(target)
            if result == NONE:
                raise _EndedError(PERMERROR, f"redirect={target}: {reason}")
            return result, reason
        return NEUTRAL, f"no term of {domain} matches"

    async def _matches(self, mechanism: spf_syntax.Mechanism, domain: str) -> bool:
        kind = mechanism.kind
        if kind == "all":
            return True
        if mechanism.network is not None:
            return self._address.version == mechanism.network.version and (
                self._address in mechanism.network
            )
        self._spend()
        name = await self._expand(mechanism.name, domain) if mechanism.name else domain
        if kind == "include":
            return await self._includes(name)
        if kind == "exists":
            return bool(await self._ask_void(name, "A"))
        if kind == "ptr":
            return await self._has_name_below(name)
        return await self._has_address(kind, name, mechanism.lengths)

    async def _includes(self, name: str) -> bool:
        result, reason = await self._host(name)
        if result == NONE:
            raise _EndedError(PERMERROR, f"include:{name}: {reason}")
        return result == PASS

    async def _has_address(self, kind: str, name: str, lengths: tuple[int, int]) -> bool:
        names = [name]
        if kind == "mx":
            # A preference stands before the name.
            exchangers = await self._ask_void(name, "MX")
            names = [text.split()[-1].removesuffix(".") for text in exchangers]
            if len(names) > _NAMES_MAX:
                raise _EndedError(PERMERROR, f"{name} has more than {_NAMES_MAX} MX records")
        is_four = self._address.version == 4  # noqa: PLR2004
        length = lengths[0] if is_four else lengths[1]
        for each in names:
            ask = self._ask_void if kind == "a" else self._ask
            for address in await ask(each, "A" if is_four else "AAAA"):
                if self._address in ipaddress.ip_network(f"{address}/{length}", strict=False):
                    return True
        return False

    async def _has_name_below(self, name: str) -> bool:
        return any(
            n == name.lower() or n.endswith(f".{name.lower()}") for n in await self._own_names()
        )

    async def _own_names(self) -> list[str]:
        """Return the names of the address that lead back to it (RFC 7208 section 5.5)."""
        try:
            names = await self._ask_void(expected.reverse_name(str(self._address)), "PTR")
        except _EndedError as ended:
            if ended.result != TEMPERROR:
                raise
            return []
        rdtype = "A" if self._address.version == 4 else "AAAA"  # noqa: PLR2004
        own: list[str] = []
        for name in names[:_NAMES_MAX]:
            try:
                addresses = await self._lookup(name, rdtype)
            except Silence:
                continue
            if any(ipaddress.ip_address(a) == self._address for a in addresses):
                own.append(name.lower())
        return own

    def _spend(self) -> None:
        self._lookups += 1
        if self._lookups > LOOKUPS_MAX:
            raise _EndedError(PERMERROR, f"more than {LOOKUPS_MAX} DNS look-ups are needed")

    async def _ask_void(self, name: str, rdtype: str) -> tuple[str, ...]:
        found = await self._ask(name, rdtype)
        if not found:
            self._voids += 1
            if self._voids > VOID_LOOKUPS_MAX:
                raise _EndedError(
                    PERMERROR, f"more than {VOID_LOOKUPS_MAX} of the names it has do not exist"
                )
        return found

    async def _ask(self, name: str, rdtype: str) -> tuple[str, ...]:
        try:
            return await self._lookup(name, rdtype)
        except Silence:
            raise _EndedError(TEMPERROR, f"{rdtype} of {name} has no answer") from None

    async def _expand(self, name: str, domain: str) -> str:
        if not spf_syntax.has_macros(name):
            return spf_syntax.expand(name, {})
        local, _, sender_domain = self._sender.rpartition("@")
        values = {
            "s": self._sender,
            "l": local,
            "o": sender_domain,
            "d": domain,
            "i": _dotted(self._address),
            "h": self._helo,
            "v": "in-addr" if self._address.version == 4 else "ip6",  # noqa: PLR2004
            "p": "unknown",
        }
        if "%{p" in name.lower():
            own = await self._own_names()
            below = [n for n in own if n == domain or n.endswith(f".{domain}")]
            values["p"] = next(iter(below or own), "unknown")
        return spf_syntax.expand(name, values)


def _dotted(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return ".".join(address.exploded.replace(":", ""))


def _is_name(domain: str) -> bool:
    labels = domain.removesuffix(".").split(".")
    return len(labels) > 1 and all(0 < len(label) <= _LABEL_MAX for label in labels)
