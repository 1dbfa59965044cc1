# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Which pairs a relay serves: the one that it was told, or its own."""

from __future__ import annotations

import datetime
import typing as tp

from exordos_paas_mail.codecs import rules, tls_pairs, tls_reports

EARLY: tp.Final = datetime.timedelta(minutes=5)
"""So much a pair may be early: the authority's clock may be ahead of the relay's."""

_BLOCK: tp.Final = b"-----BEGIN "
# What is before the first block of PEM, the key, and the server's certificate.
_PAIR: tp.Final = 3


class Own(tp.NamedTuple):
    """The relay's own pairs, PEM of the key and the chain each."""

    bundle: bytes
    other: bytes
    """Of the other kind, RSA or EC; the first again where that was installed."""


class Serving(tp.NamedTuple):
    """What is served."""

    bundle: bytes
    """PEM of the key and the chain."""
    other: bytes
    """What clients get that do not know the kind of the first; that again if there is none."""
    refused: str = ""
    """Why the pair that was told is not served."""


def plan(
    told: tls_pairs.Pair | None,
    own: Own,
    served: bytes | None,
    hostname: str,
    now: datetime.datetime,
) -> Serving:
    """Return what a relay called *hostname* serves: *told* if it may be, else its *own* pairs.

    What is *served* now stays if it is what was told, also when it has expired or the
    relay has got another name: its own verifies no better, and a new one is on its way.
    So does what was told without an issuer that had ended when it was first served.
    """
    if told is None:
        return Serving(*own)
    bundle = (told.key + told.chain).encode()
    if bundle == served:
        return Serving(bundle, bundle)
    try:
        pair = tls_pairs.check(told.chain, told.key, hostname, now, EARLY)
    except rules.RuleError as error:
        if served is not None and _is_part(served, bundle):
            return Serving(served, served)
        return Serving(*own, str(error))
    bundle = (pair.key + pair.chain).encode()
    return Serving(bundle, bundle)


def report(
    told: tls_pairs.Pair | None, served: Own, hostname: str, now: datetime.datetime
) -> tls_reports.Report:
    """Return what a relay tells of *served*; ValueError if that holds no certificate."""
    chain = tls_pairs.chain_of(served.bundle)
    # Not what was told itself: an issuer of it may have ended since.
    target = plan(told, served, served.bundle, hostname, now)
    if told is not None and not target.refused and target.bundle == served.bundle:
        return tls_reports.Report(chain, is_told=True)
    if served.other != served.bundle:
        chain += tls_pairs.chain_of(served.other)
    return tls_reports.Report(chain, refused=target.refused[: tls_reports.REASON_SIZE_MAX])


def _is_part(bundle: bytes, whole: bytes) -> bool:
    """Return whether *bundle* is *whole*, PEM of a key and a chain, but for some issuers."""
    found, known = (each.split(_BLOCK) for each in (bundle, whole))
    return found[:_PAIR] == known[:_PAIR] and set(found) <= set(known)
