# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The life of a domain: whether its owner has shown to control it, by its DNS.

The proof is the public key of one of its DKIM keys in DNS: nobody else can know that key
before the control plane tells it, and nobody else can publish it there. All of this is pure.
"""

from __future__ import annotations

import datetime
import typing as tp

PENDING: tp.Final = "PENDING"
VERIFIED: tp.Final = "VERIFIED"
DEGRADED: tp.Final = "DEGRADED"
ALL: tp.Final = (PENDING, VERIFIED, DEGRADED)

# The three words for a domain's DNS, the checker's to say.
DNS_OK: tp.Final = "OK"
DNS_INCOMPLETE: tp.Final = "INCOMPLETE"
DNS_BROKEN: tp.Final = "BROKEN"
DNS_ALL: tp.Final = (DNS_OK, DNS_INCOMPLETE, DNS_BROKEN)

# How long a domain sends on after every authoritative server has said that the proof is gone.
GRACE: tp.Final = datetime.timedelta(hours=72)


class Proof(tp.NamedTuple):
    """What is known of a domain's proof of control."""

    status: str = PENDING
    error: str = ""
    verified_at: datetime.datetime | None = None
    """When the proof was last seen after it had not been there."""
    lost_at: datetime.datetime | None = None


def observe(
    proof: Proof,
    seen: bool | None,  # noqa: FBT001 - one of three
    now: datetime.datetime,
    *,
    is_primary: bool = False,
) -> Proof:
    """Return the proof after a look at DNS.

    *seen* is whether a key of the domain is there; False only where all authoritative
    servers say that none is, None where they do not all answer, which changes nothing. The
    primary domain is VERIFIED without a proof, and sends on whatever becomes of it.
    """
    if seen is None:
        return proof
    if seen:
        verified_at = now if proof.status != VERIFIED else proof.verified_at or now
        return Proof(VERIFIED, "", verified_at)
    if proof.status == PENDING or proof.verified_at is None:
        return proof
    lost_at = proof.lost_at or now
    since = f"no DKIM record of the domain is in its DNS since {lost_at:%Y-%m-%d %H:%M} UTC"
    if is_primary:
        return Proof(DEGRADED, since, proof.verified_at, lost_at)
    stop = lost_at + GRACE
    if now >= stop:
        return Proof(PENDING, f"{since}: the domain no longer sends", None, lost_at)
    error = f"{since}: the domain stops sending at {stop:%Y-%m-%d %H:%M} UTC"
    return Proof(DEGRADED, error, proof.verified_at, lost_at)


def grant(proof: Proof) -> Proof:
    """Return the proof of a domain whose zone is its project's, whatever DNS shows so far.

    Absence means nothing until the proof was seen. A domain whose proof was lost waits
    for it to be seen again.
    """
    return Proof(VERIFIED) if proof.status == PENDING and proof.lost_at is None else proof


def withdraw(proof: Proof, reason: str, now: datetime.datetime) -> Proof:
    """Return the proof of a domain whose keys were lost: there is nothing in DNS to see."""
    return Proof(PENDING, reason, None, proof.lost_at or now)
