# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The account file a node should hold, by reference: what its shards are, and lines it lacks.

The cost of a change of one account is that of the accounts in its shard, whatever the
others are.
"""

from __future__ import annotations

import logging
import typing as tp

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import account_shards as codec
from exordos_paas_mail.control_plane.records import account_shards

if tp.TYPE_CHECKING:
    from exordos_paas_mail.control_plane.records import instances

LOG = logging.getLogger(__name__)

ACCOUNTS_MIN: tp.Final = 500
"""Accounts of an instance from which on its node is told them by reference: the SDK writes a
text of them, some 250 octets each, to the node's disk every three seconds."""
# Of accounts in one target: the loop of gservice serves all plugins, and what is left comes with
# the next report. One shard is told, however long.
LINES_MAX: tp.Final = 20_000


class Reference(tp.NamedTuple):
    """An account file, by reference."""

    shards: str
    """The digests of its shards."""
    lines: str
    """The lines of shards that the node lacks."""


def first(instance: instances.MailInstance) -> Reference | None:
    """Return what ``reference`` does for a node that has reported nothing, None for a text.

    What its image can do is not known yet. Where one target does not tell all accounts, it
    is asked which lines it lacks, and reports that or that it knows no references.
    """
    known = _known(instance)
    return _reference(instance, known, None) if sum(known.accounts) > LINES_MAX else None


def worthwhile(
    instance: instances.MailInstance, reported: codec.Digests | None, *, gathers: bool
) -> Reference | None:
    """Return what ``reference`` does, None for a node that is to be told a text.

    It has the whole file at once where there are few accounts, or where it has none of
    them: a client that comes meanwhile is not to be told for good that there is no such
    account. One that *gathers* lines until it has all gets only as many at once as are
    told in one target.
    """
    known = _known(instance)
    count = sum(known.accounts)
    is_worth_it = count >= ACCOUNTS_MIN and (
        reported is None
        or (gathers and count > LINES_MAX)
        or any(known.accounts[n] and known.digests[n] == reported[n] for n in range(codec.COUNT))
    )
    return _reference(instance, known, reported) if is_worth_it else None


def reference(instance: instances.MailInstance, reported: codec.Digests | None) -> Reference:
    """Return the active accounts of *instance* for a node that has reported these digests.

    One that has reported none is told no line: it tells what it has.
    """
    return _reference(instance, _known(instance), reported)


def _known(instance: instances.MailInstance) -> account_shards.Known:
    with utils.transaction() as session:
        return account_shards.known(session, instance.uuid)


def _reference(
    instance: instances.MailInstance, known: account_shards.Known, reported: codec.Digests | None
) -> Reference:
    if reported is None:
        return Reference(codec.render(known.digests), "")
    lacking = [n for n in range(codec.COUNT) if known.digests[n] != reported[n]]
    with utils.transaction() as session:
        told = account_shards.lines(session, instance.uuid, _some(lacking, known.accounts))
    # What was read of the accounts counts, whatever was read of their digests before it.
    digests = {n: codec.digest(pairs) for n, pairs in told.items()}
    if any(digest != known.digests[n] for n, digest in digests.items()):
        repaired = account_shards.repair(instance.uuid)
        if repaired:
            LOG.warning("%s: %d digests of accounts were wrong, repaired", instance.uuid, repaired)
    wanted = [digests.get(n, known.digests[n]) for n in range(codec.COUNT)]
    lines = {n: pairs for n, pairs in told.items() if digests[n] != reported[n]}
    return Reference(codec.render(wanted), codec.render_lines(lines))


def _some(lacking: list[int], accounts: tp.Sequence[int]) -> list[int]:
    """Return the first of the shards *lacking*, as many as are told at once."""
    some: list[int] = []
    lines = 0
    for shard in lacking:
        lines += accounts[shard]
        if some and lines > LINES_MAX:
            break
        some.append(shard)
    return some
