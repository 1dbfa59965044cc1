# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Every authoritative server's answer, found from the root servers on.

No resolver of the platform is asked: it may have a view of its own, and it
remembers. What one check may spend is bounded, because everything below a
tenant's delegation is the tenant's: names, addresses, loops, silence.
"""

from __future__ import annotations

import asyncio
import dataclasses
import random
import time
import typing as tp

import dns.exception
import dns.name
import dns.rdatatype

from exordos_paas_mail.control_plane.dns import answers, replies, transport

if tp.TYPE_CHECKING:
    from exordos_paas_mail.control_plane.dns import settings as dns_settings

QUERIES_MAX: tp.Final = 300
SECONDS_MAX: tp.Final = 30.0
# Of one zone: the internet's largest have 13 names (RFC 1912 section 2.8 asks for 7 at most).
SERVERS_MAX: tp.Final = 16
_UNRESOLVED_MAX: tp.Final = 13
# How deep servers are named in zones whose servers are named in other zones.
_DEPTH_MAX: tp.Final = 4
_ALIASES_MAX: tp.Final = 8
# Different aliases that the servers of one zone give for one name.
_FAN_OUT_MAX: tp.Final = 3
_ZONE_DEPTH_MAX: tp.Final = 16
# Of servers that are asked until one says where to go, at once.
_BATCH: tp.Final = 3
# Seconds that a delegation near the root is remembered beyond a check.
_KEEP_MAX: tp.Final = 3600
_KEPT_MAX: tp.Final = 2000
_ARPA: tp.Final = dns.name.from_text("arpa.")


class Delegations:
    """Delegations near the root, kept for all checks: of top-level domains, and below arpa."""

    def __init__(self) -> None:
        self._zones: dict[dns.name.Name, tuple[float, replies.Zone]] = {}

    def closest(self, name: dns.name.Name) -> replies.Zone | None:
        """Return the lowest zone known that *name* is in."""
        for depth in (5, 4, 3, 2):
            if depth > len(name.labels):
                continue
            origin = name.split(depth)[1]
            kept = self._zones.get(origin)
            if kept is not None and kept[0] > time.monotonic():
                return kept[1]
        return None

    def keep(self, zone: replies.Zone) -> None:
        """Remember *zone* for as long as its TTL says, an hour at most."""
        labels = len(zone.origin.labels)
        is_near = labels <= 2 or (zone.origin.is_subdomain(_ARPA) and labels <= 4)  # noqa: PLR2004
        if is_near and zone.servers:
            if len(self._zones) >= _KEPT_MAX:
                self._zones.clear()
            until = time.monotonic() + min(zone.ttl, _KEEP_MAX)
            self._zones[zone.origin] = (until, zone)


class Asker:
    """Asks for one check."""

    def __init__(
        self,
        settings: dns_settings.Settings,
        delegations: Delegations,
        budget: transport.Budget | None = None,
    ) -> None:
        self._settings = settings
        self._delegations = delegations
        self._budget = budget or transport.Budget(QUERIES_MAX, SECONDS_MAX)
        self._zones: dict[dns.name.Name, replies.Zone] = {}
        self._servers: dict[dns.name.Name, tuple[list[replies.Server], list[answers.Answer]]] = {}
        self._asked: dict[tuple[dns.name.Name, str, bool], list[answers.Answer]] = {}

    async def everyone(self, name: str, rdtype: str) -> list[answers.Answer]:
        """Return the answer of each authoritative server of *name*, sorted."""
        try:
            wire_name = dns.name.from_text(name)
        except dns.exception.DNSException:
            return [answers.Answer("", "", answers.NO_NAME, note="no DNS name")]
        found = await self._resolve(wire_name, rdtype, is_for_all=True)
        return sorted(found, key=lambda answer: (answer.server, answer.address, answer.via))

    async def anyone(self, name: str, rdtype: str) -> list[answers.Answer]:
        """Return the answer of the authoritative server that gave its word first.

        Those of the servers that gave none if no server did.
        """
        try:
            wire_name = dns.name.from_text(name)
        except dns.exception.DNSException:
            return [answers.Answer("", "", answers.NO_NAME, note="no DNS name")]
        return await self._resolve(wire_name, rdtype, is_for_all=False)

    async def _resolve(
        self,
        name: dns.name.Name,
        rdtype: str,
        *,
        is_for_all: bool,
        depth: int = 0,
        aliases: int = 0,
    ) -> list[answers.Answer]:
        known = self._asked.get((name, rdtype, is_for_all))
        if known is not None:
            return known
        found = await self._walk(name, rdtype, is_for_all=is_for_all, depth=depth)
        resolved = await self._follow(
            found, rdtype, is_for_all=is_for_all, depth=depth, aliases=aliases
        )
        self._asked[name, rdtype, is_for_all] = resolved
        return resolved

    async def _follow(
        self,
        found: list[answers.Answer],
        rdtype: str,
        *,
        is_for_all: bool,
        depth: int,
        aliases: int,
    ) -> list[answers.Answer]:
        """Return *found* with what the servers of the aliases in it say."""
        resolved = list(found)
        targets = sorted({answer.alias for answer in found if answer.outcome == answers.ALIAS})
        for target in targets[:_FAN_OUT_MAX]:
            if aliases >= _ALIASES_MAX:
                resolved.append(
                    answers.Answer("", "", answers.FAILED, via=target, note="too many aliases")
                )
                continue
            there = await self._resolve(
                dns.name.from_text(target),
                rdtype,
                is_for_all=is_for_all,
                depth=depth,
                aliases=aliases + 1,
            )
            resolved.extend(dataclasses.replace(a, via=a.via or target) for a in there)
        return resolved

    async def _walk(
        self, name: dns.name.Name, rdtype: str, *, is_for_all: bool, depth: int
    ) -> list[answers.Answer]:
        """Return the answers of the servers of the zone that *name* is in."""
        zone = self._start(name)
        for _ in range(_ZONE_DEPTH_MAX):
            found, below = await self._first_word(zone, name, rdtype, depth)
            if below is None and is_for_all and _is_own(zone) and _has_word(found):
                rest, below = await self._everyone_else(zone, name, rdtype, depth, found)
                found = found + rest
            if below is None:
                return found
            zone = below
            self._zones[zone.origin] = zone
            self._delegations.keep(zone)
        return [answers.Answer("", "", answers.FAILED, note="too many zones in one another")]

    def _start(self, name: dns.name.Name) -> replies.Zone:
        for depth in range(len(name.labels), 1, -1):
            zone = self._zones.get(name.split(depth)[1])
            if zone is not None:
                return zone
        kept = self._delegations.closest(name)
        if kept is not None:
            return kept
        servers = tuple(replies.Server("root", a) for a in self._settings.root_servers)
        return replies.Zone(dns.name.root, servers)

    async def _first_word(
        self, zone: replies.Zone, name: dns.name.Name, rdtype: str, depth: int
    ) -> tuple[list[answers.Answer], replies.Zone | None]:
        """Ask servers of *zone* until one gives its word, or sends us to a zone below."""
        found: list[answers.Answer] = []
        servers = random.sample(zone.servers, len(zone.servers))[:SERVERS_MAX]
        unresolved = random.sample(zone.unresolved, len(zone.unresolved))[:_UNRESOLVED_MAX]
        size = 1
        while servers or unresolved:
            if not servers:
                addresses, silence = await self._servers_of(unresolved.pop(), depth)
                servers = list(addresses)
                found.extend(silence)
            batch, servers = servers[:size], servers[size:]
            size = _BATCH
            for answer, below in await self._ask_each(batch, zone, name, rdtype):
                if below is not None:
                    return found, below
                found.append(answer)
            if _has_word(found):
                break
        return found, None

    async def _everyone_else(
        self,
        zone: replies.Zone,
        name: dns.name.Name,
        rdtype: str,
        depth: int,
        found: list[answers.Answer],
    ) -> tuple[list[answers.Answer], replies.Zone | None]:
        """Ask the servers of *zone* that are not in *found*, those too that the zone names itself.

        Returns a zone below if one of them knows of one.
        """
        asked = {(answer.server, answer.address) for answer in found}
        servers, silence = await self._all_servers(zone, depth)
        rest = [s for s in servers if (s.name, s.address) not in asked]
        said = await self._ask_each(rest, zone, name, rdtype)
        for _, below in said:
            if below is not None:
                return [], below
        named = {(answer.server, answer.address) for answer in silence} - asked
        return [
            *(answer for answer, _ in said),
            *(answer for answer in silence if (answer.server, answer.address) in named),
        ], None

    async def _all_servers(
        self, zone: replies.Zone, depth: int
    ) -> tuple[list[replies.Server], list[answers.Answer]]:
        """Return the servers of *zone* by its delegation and by its own NS records."""
        if zone.origin not in self._servers:
            own, _ = await self._first_word(zone, zone.origin, "NS", depth)
            named = {
                dns.name.from_text(text)
                for answer in own
                if answer.outcome == answers.RECORDS
                for text in answer.texts[:SERVERS_MAX]
            }
            known = {server.name for server in zone.servers}
            names = {n for n in named if replies.host(n) not in known} | set(zone.unresolved)
            servers = list(zone.servers)
            silence: list[answers.Answer] = []
            for resolved, silent in await asyncio.gather(
                *(self._servers_of(n, depth) for n in sorted(names)[:_UNRESOLVED_MAX])
            ):
                servers.extend(resolved)
                silence.extend(silent)
            self._servers[zone.origin] = (servers[:SERVERS_MAX], silence)
        return self._servers[zone.origin]

    async def _servers_of(
        self, name: dns.name.Name, depth: int
    ) -> tuple[list[replies.Server], list[answers.Answer]]:
        """Return the addresses of the name server *name*, or why there is none."""
        host = replies.host(name)
        if depth >= _DEPTH_MAX:
            return [], [answers.Answer(host, "", answers.FAILED, note="needs too many zones")]
        silence: list[answers.Answer] = []
        for rdtype in ("A", "AAAA"):
            found = await self._resolve(name, rdtype, is_for_all=False, depth=depth + 1)
            addresses = answers.texts(found)
            if addresses:
                return [replies.Server(host, a) for a in addresses[:_BATCH]], []
            silence = [a for a in found if a.is_silent]
        outcome = answers.FAILED if silence else answers.NO_ADDRESS
        note = "its address cannot be found" if silence else ""
        return [], [answers.Answer(host, "", outcome, note=note)]

    async def _ask_each(
        self,
        servers: tp.Sequence[replies.Server],
        zone: replies.Zone,
        name: dns.name.Name,
        rdtype: str,
    ) -> list[tuple[answers.Answer, replies.Zone | None]]:
        return await asyncio.gather(*(self._ask(s, zone, name, rdtype) for s in servers))

    async def _ask(
        self, server: replies.Server, zone: replies.Zone, name: dns.name.Name, rdtype: str
    ) -> tuple[answers.Answer, replies.Zone | None]:
        made = answers.Answer(server.name, server.address, answers.FORBIDDEN)
        if not self._settings.may_ask(server.address):
            return made, None
        try:
            message = await transport.exchange(
                name, rdtype, server.address, self._settings.port, self._budget
            )
        except transport.SilenceError as silence:
            return dataclasses.replace(made, outcome=silence.outcome, note=silence.note), None
        below = replies.referral(message, zone.origin, name)
        if below is not None:
            return made, below
        return replies.answer_of(message, server, zone.origin, name, rdtype), None


def _has_word(found: tp.Iterable[answers.Answer]) -> bool:
    return any(answer.is_word or answer.outcome == answers.ALIAS for answer in found)


def _is_own(zone: replies.Zone) -> bool:
    """Return whether *zone* may be a tenant's: not the root, nor a top-level domain."""
    return len(zone.origin.labels) > 2  # noqa: PLR2004 - the root is a label
