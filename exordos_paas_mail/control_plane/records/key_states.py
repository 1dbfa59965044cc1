# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The life of a DKIM key: which key of a domain signs, and which record may go.

PENDING: made, its record is not published, or not for long enough. VISIBLE: every
authoritative server has shown its record, and no resolver can remember that it was
absent. ACTIVE: it signs. RETIRING: it does not sign, and mail it has signed may still
be on its way. REVOKED: it never signs again. All of this is pure: keys and what DNS
shows go in, keys come out.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as tp

from exordos_paas_mail.codecs import dkim

if tp.TYPE_CHECKING:
    from collections.abc import Collection, Iterable

PENDING: tp.Final = "PENDING"
VISIBLE: tp.Final = "VISIBLE"
ACTIVE: tp.Final = "ACTIVE"
RETIRING: tp.Final = "RETIRING"
REVOKED: tp.Final = "REVOKED"
ALL: tp.Final = (PENDING, VISIBLE, ACTIVE, RETIRING, REVOKED)

# How often every server must have shown a record, or its absence, before it counts:
# one look can hit a server in the middle of a transfer.
_LOOKS: tp.Final = 2
# How long a receiver may still verify what a key has signed: a message leaves the relay's
# queue signed by the key of that moment; a server it was passed on to may try for five days
# (RFC 5321 section 4.5.4.1), and the receiver's own filter may look again a while later.
RETIREMENT: tp.Final = datetime.timedelta(days=10)


@dataclasses.dataclass(frozen=True)
class Key:
    """A key of a domain; *selector* names it."""

    selector: str
    algorithm: str = dkim.RSA
    state: str = PENDING
    public_key: str = ""
    """Empty until a node has told it."""
    takes_over: bool = False
    """Whether it becomes ACTIVE in the place of another as soon as it is VISIBLE."""
    sightings: int = 0
    """Looks in a row that found the record on every server, up to what counts."""
    absences: int = 0
    """Looks in a row that found no record on any server, up to what counts."""
    seen_since: datetime.datetime | None = None
    visible_at: datetime.datetime | None = None
    activated_at: datetime.datetime | None = None
    retiring_at: datetime.datetime | None = None
    revoked_at: datetime.datetime | None = None
    safe_to_remove_at: datetime.datetime | None = None
    remade_at: datetime.datetime | None = None
    """When its private half was lost and made anew, until its new record is seen."""

    def is_published(self) -> bool:
        """Return whether the last look that said anything found its record on every server."""
        return self.sightings > 0


class Look(tp.NamedTuple):
    """What DNS shows of the keys of a domain.

    A selector that is neither visible nor absent was not answered for by all servers.
    """

    visible: Collection[str]
    """The selectors whose record every authoritative server shows, with the domain's key."""
    absent: Collection[str]
    """The selectors whose record, with the domain's key, none of them shows."""
    negative_ttl: float
    """How long a resolver may remember that a name was absent, in seconds."""
    now: datetime.datetime


def observe(keys: Iterable[Key], look: Look) -> list[Key]:
    """Return the keys after a look at DNS."""
    looked = [_look_at(key, look) for key in keys]
    for algorithm in dkim.ALGORITHMS:
        looked = _elect(looked, algorithm, look.now)
    return [_expire(key, look.now) for key in looked]


def lose(keys: Iterable[Key], selector: str, now: datetime.datetime) -> list[Key]:
    """Return the keys after the private half of *selector* was lost.

    Its record must stay for the mail it has signed. A key beside it whose record is
    published signs in its place.
    """
    lost = [
        _revoke(key, now) if key.selector == selector and key.state != REVOKED else key
        for key in keys
    ]
    for algorithm in dkim.ALGORITHMS:
        lost = _elect(lost, algorithm, now)
    return lost


def promote(keys: Iterable[Key], algorithm: str, now: datetime.datetime) -> list[Key]:
    """Return the keys after a person asked for a rotation to the key that is prepared.

    It takes over at once if it is VISIBLE, and as soon as it is otherwise.
    """
    chosen = [
        dataclasses.replace(key, takes_over=True)
        if key.algorithm == algorithm and key.state in (PENDING, VISIBLE)
        else key
        for key in keys
    ]
    return _elect(chosen, algorithm, now)


def _look_at(key: Key, look: Look) -> Key:
    # What no node has told cannot be in DNS, and what never signs again is of no interest.
    if not key.public_key or key.state == REVOKED:
        return key
    if key.selector in look.visible:
        since = key.seen_since or look.now
        key = dataclasses.replace(
            key,
            sightings=min(key.sightings + 1, _LOOKS),
            absences=0,
            seen_since=since,
            remade_at=None,
        )
        wait = datetime.timedelta(seconds=look.negative_ttl)
        if key.state == PENDING and key.sightings >= _LOOKS and look.now >= since + wait:
            return dataclasses.replace(key, state=VISIBLE, visible_at=look.now)
        return key
    if key.selector in look.absent:
        key = dataclasses.replace(
            key, sightings=0, absences=min(key.absences + 1, _LOOKS), seen_since=None
        )
        if key.state == VISIBLE:
            return dataclasses.replace(key, state=PENDING, visible_at=None)
    return key


def _elect(keys: list[Key], algorithm: str, now: datetime.datetime) -> list[Key]:
    """Return *keys* with the one that is to sign by *algorithm* ACTIVE, if there is one."""
    of_it = [key for key in keys if key.algorithm == algorithm]
    signing = next((key for key in of_it if key.state == ACTIVE), None)
    successor = _successor(of_it, signing)
    changes: dict[str, Key] = {}
    if successor is not None:
        changes[successor.selector] = _activate(successor, now)
        if signing is not None:
            changes[signing.selector] = (
                _retire(signing, now) if signing.absences < _LOOKS else _withdraw(signing)
            )
    elif signing is not None and algorithm != dkim.RSA and signing.absences >= _LOOKS:
        # RSA signs beside it, and a signature that nobody can verify helps nobody.
        changes[signing.selector] = _withdraw(signing)
    return [changes.get(key.selector, key) for key in keys]


def _successor(keys: list[Key], signing: Key | None) -> Key | None:
    """Return the key that is to sign in the place of *signing*, if there is one."""
    if signing is None:
        visible = [key for key in keys if key.state == VISIBLE]
        # Nothing was ever signed with it, so no resolver was asked for it and remembers
        # that it was absent.
        first = [key for key in keys if key.algorithm == dkim.RSA and key.state == PENDING]
        candidates = [*visible, *_retiring(keys), *(key for key in first if key.is_published())]
    elif signing.absences >= _LOOKS:
        visible = [key for key in keys if key.state == VISIBLE]
        candidates = [*visible, *_retiring(keys)]
    else:
        candidates = [key for key in keys if key.state == VISIBLE and key.takes_over]
    return candidates[0] if candidates else None


def _retiring(keys: list[Key]) -> list[Key]:
    """Return the RETIRING keys whose record is still published, the last that signed first."""
    retiring = [key for key in keys if key.state == RETIRING and key.is_published()]
    return sorted(retiring, key=lambda key: str(key.activated_at), reverse=True)


def _activate(key: Key, now: datetime.datetime) -> Key:
    return dataclasses.replace(
        key,
        state=ACTIVE,
        takes_over=False,
        visible_at=key.visible_at or now,
        activated_at=now,
        retiring_at=None,
        safe_to_remove_at=None,
    )


def _retire(key: Key, now: datetime.datetime) -> Key:
    return dataclasses.replace(
        key, state=RETIRING, retiring_at=now, safe_to_remove_at=now + RETIREMENT
    )


def _withdraw(key: Key) -> Key:
    """Return a key that vanished from DNS: it signs again once it is VISIBLE again."""
    return dataclasses.replace(key, state=PENDING, takes_over=True, visible_at=None)


def _revoke(key: Key, now: datetime.datetime) -> Key:
    was_used = key.activated_at is not None
    return dataclasses.replace(
        key,
        state=REVOKED,
        takes_over=False,
        revoked_at=now,
        safe_to_remove_at=key.safe_to_remove_at or (now + RETIREMENT if was_used else now),
    )


def _expire(key: Key, now: datetime.datetime) -> Key:
    if key.state == RETIRING and key.safe_to_remove_at and now >= key.safe_to_remove_at:
        return _revoke(key, now)
    return key
