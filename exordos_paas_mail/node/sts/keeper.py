# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Answers exim what is known of a domain, finds out what is not, and keeps it fresh.

A policy is looked at again before a quarter of its time is over, every six hours at least: the
id in DNS says whether there is another, and once a day, or when half of its time is over, it is
fetched whatever that says. While that fails a policy is kept until it ends.
"""

from __future__ import annotations

import typing as tp

from exordos_paas_mail.codecs import bounded, mta_sts
from exordos_paas_mail.node.sts import finder as finder_
from exordos_paas_mail.node.sts import findings, workers

if tp.TYPE_CHECKING:
    from collections.abc import Callable

    from exordos_paas_mail.node.sts import shards as shards_
    from exordos_paas_mail.node.sts import store as store_

FAST, SLOW = 32, 4
"""Threads for looks, and for those that take their time."""
LOOK_PERIOD: tp.Final = 6 * 3600
FETCH_PERIOD: tp.Final = 86_400
ASK_PERIOD: tp.Final = 6 * 3600
"""Seconds after which exim asks again for what it knows: it shows that a domain is sent to."""
ABSENT_PERIOD: tp.Final = 3600
"""Seconds for which a domain without a policy is taken to have none."""
FAILED_PERIOD: tp.Final = 300
"""Seconds after a look that has failed; twice as long after each more, to an hour."""
FAILED_PERIOD_MAX: tp.Final = 3600
UNUSED_MAX: tp.Final = 30 * 86_400
"""Seconds after which a policy that nobody sends to is not kept fresh any more."""
_USE: tp.Final = 3600
_USES_MAX: tp.Final = 1000
_DUE_MAX: tp.Final = 20
_ERROR_SIZE_MAX: tp.Final = 200


class Keeper:
    """Keeps *store* and the files of *shards*. Times are seconds since 1970.

    *ended* is called when a look is over, by the thread that has looked.
    Each method raises sqlite3.Error and OSError when the disk refuses.
    """

    def __init__(
        self,
        store: store_.Store,
        shards: shards_.Shards,
        finder: finder_.Finder,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._shards = shards
        self._fast = workers.Workers(finder.find, FAST, ended)
        self._slow = workers.Workers(finder.find, SLOW, ended)
        shards.prepare()
        for shard in mta_sts.SHARDS:
            self._write(shard)

    def answer(self, line: str, waited: float, now: float) -> str | None:
        """Return the answer to *line*, asked *waited* seconds ago; None while there is none yet.

        Raises ValueError where it is no request.
        """
        request = mta_sts.parse_request(line)
        known = self._store.get(request.domain)
        # One that has ended is found out anew, however short its time was.
        is_to_wait = known is not None and (
            known.look_at > now and (bool(known.failures) or known.mode not in mta_sts.POLICIES)
        )
        if known is not None and (known.is_policy(now) or is_to_wait):
            return _words(self._use(known, now))
        if request.domain in self._slow or not self._begin(request.domain, known, now):
            return mta_sts.UNKNOWN
        # Also where the look was begun for another: a domain is in the way of mail once.
        if max(waited, self._fast.age(request.domain)) * 1000 >= request.wait:
            return mta_sts.UNKNOWN
        return None

    def turn(self, now: float) -> None:
        """Take in what was found out, and look at what is due."""
        for of in (self._fast, self._slow):
            for job, found in of.ended():
                if found.is_slow and of is self._fast:
                    again = job._replace(seconds=finder_.PATIENCE)
                    if self._slow.begin(again):
                        continue
                self._take(job.domain, found, int(now))
        for known in self._store.due(int(now), _DUE_MAX):
            if known.domain in self._slow:
                continue
            if known.until <= now or known.used_at < now - UNUSED_MAX:
                self._end(known, int(now))
            elif self._begin(known.domain, known, now):
                # Until something comes of it others are due.
                self._store.put(known._replace(look_at=int(now) + FAILED_PERIOD))

    def failing(self) -> int:
        """Return how many domains could not be found out, or not anew."""
        return self._store.failing()

    def _begin(self, domain: str, known: findings.Known | None, now: float) -> bool:
        is_fresh = (
            known is not None
            and known.is_policy(now)
            and not known.failures
            and now - known.fetched_at < min(FETCH_PERIOD, known.max_age / 2)
        )
        known_id = known.id if known is not None and is_fresh else ""
        return self._fast.begin(workers.Job(domain, known_id, finder_.TIMEOUT))

    def _use(self, known: findings.Known, now: float) -> findings.Known:
        if known.used_at > now - _USE:
            # Who asks for what is in the file does not have the file of now.
            self._write(mta_sts.shard_of(known.domain))
            return known
        look_at = known.look_at
        if known.used_at < now - UNUSED_MAX:
            # It was left to end.
            look_at = min(look_at, int(now))
        used = known._replace(
            used_at=int(now), uses=min(known.uses + 1, _USES_MAX), look_at=look_at
        )
        self._keep(used)
        return used

    def _take(self, domain: str, found: findings.Finding, now: int) -> None:
        before = self._store.get(domain)
        known = before or findings.Known(domain, mta_sts.Mode.FAILED, used_at=now, uses=1)
        is_policy = known.is_policy(now)
        if found.error or (found.id is None and is_policy):
            # RFC 8461 5.1: a policy is applied until it ends, also where none is published now.
            words = found.error or "it publishes no policy any more"
            failures = known.failures + 1
            pause = min(FAILED_PERIOD * 2 ** min(failures - 1, 10), FAILED_PERIOD_MAX)
            known = known._replace(
                failures=failures,
                error=bounded.plain(words, _ERROR_SIZE_MAX),
                look_at=now + pause,
            )
            if not is_policy:
                known = known._replace(mode=mta_sts.Mode.FAILED, id="", mx=(), max_age=0)
        elif found.id is None:
            known = findings.Known(
                domain,
                mta_sts.Mode.ABSENT,
                look_at=now + ABSENT_PERIOD,
                used_at=known.used_at,
                uses=known.uses,
            )
        else:
            known = known._replace(failures=0, error="")
            if found.policy is not None:
                known = known._replace(
                    mode=found.policy.mode,
                    id=found.id,
                    mx=found.policy.mx,
                    max_age=found.policy.max_age,
                    fetched_at=now,
                )
            pause = max(min(LOOK_PERIOD, known.max_age // 4), findings.AGE_MIN)
            known = known._replace(look_at=now + pause)
        self._keep(known)

    def _end(self, known: findings.Known, now: int) -> None:
        if known.until > now:
            # Nobody sends to it: it is left to end.
            self._keep(known._replace(look_at=known.until))
            return
        self._store.forget(known.domain)
        self._write(mta_sts.shard_of(known.domain))

    def _keep(self, known: findings.Known) -> None:
        forgotten = self._store.put(known)
        for shard in {mta_sts.shard_of(domain) for domain in (known.domain, *forgotten)}:
            self._write(shard)

    def _write(self, shard: str) -> None:
        self._shards.write(shard, map(_line, self._store.of_shard(shard)))


def _line(known: findings.Known) -> str:
    return mta_sts.line(known.domain, _words(known))


def _words(known: findings.Known) -> str:
    ask = known.look_at
    if known.mode in mta_sts.POLICIES:
        ask = min(known.used_at + ASK_PERIOD, known.until)
    return mta_sts.words(known.mode, until=known.until, ask=ask, mx=known.mx, why=known.error)
