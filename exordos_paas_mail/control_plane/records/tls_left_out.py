# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Names that an order for a certificate leaves out, because Core has issued nothing with them.

An authority issues for all names of an order or for none, and Core does not say which of them
it has failed for. So one domain whose CAA record forbids the authority, or whose delegation is
lost, would cost the relay's own name its certificate. What was asked for in vain is given up,
and the order that is served already, or one of fewer names, takes its place. Each name that
was left out is asked for once more a day, one at a time: so the others come back.
"""

from __future__ import annotations

import typing as tp

from exordos_paas_mail import utils
from exordos_paas_mail.control_plane.records import locks, tls_kinds, tls_orders, tls_pairs

if tp.TYPE_CHECKING:
    import datetime
    from collections.abc import Mapping, Sequence

# What is told to the node came of *s*, which names the host that the newest order is for.
_EXHAUSTED: tp.Final = f"""\
SELECT {tls_orders.COLUMNS}, i.tls_expires_at,
  s.uuid AS spare, s.renew_at AS spare_renew_at, coalesce(s.names, '{{}}') AS spare_names
FROM mail_tls_orders o
JOIN mail_instances i ON i.uuid = o.instance
LEFT JOIN mail_tls_pairs p ON p.instance = i.uuid AND p.source = o.source
LEFT JOIN mail_tls_orders s ON s.instance = i.uuid AND s.uuid <> o.uuid
  AND s.withdrawn_at IS NULL AND NOT s.is_given_up AND s.source = o.source
  AND s.digest = md5(p.chain) AND o.names[1] = ANY (s.names)
WHERE o.source = '{tls_kinds.ACME}' AND o.digest = '' AND o.asked_at IS NOT NULL
  AND cardinality(o.names) > 1 AND o.since <= %s AND o.uuid = ({tls_orders.NEWEST})
"""  # noqa: S608 - no value is in it
_SPARE: tp.Final = f"""\
mail_tls_orders o
JOIN mail_instances i ON i.uuid = o.instance
JOIN mail_tls_pairs p ON p.instance = i.uuid AND p.source = o.source
WHERE o.source = '{tls_kinds.ACME}' AND o.digest = md5(p.chain)
  AND o.withdrawn_at IS NULL AND NOT o.is_given_up
  AND i.tls->>'kind' = '{tls_kinds.ACME}'
  AND coalesce(i.hostname, i.domain) = ANY (o.names) AND o.uuid <> ({tls_orders.NEWEST})
  AND EXISTS (SELECT FROM mail_tls_orders w
    WHERE w.uuid = ({tls_orders.NEWEST}) AND w.digest = '' AND w.since <= %s)
"""


def kept_out(target: tls_orders.Target, now: datetime.datetime) -> tuple[str, ...] | None:
    """Return what a new order for *target* leaves out, None where it needs none.

    The order of it has been asked for.
    """
    order = target.order
    if order is None:
        return ()
    names = [name for name in order.left_out if name in target.allowed and name != target.hostname]
    is_ending = order.renew_at is not None and order.renew_at <= now
    if is_ending or not target.fits:
        return tuple(names)
    if order.is_taken and order.retry_at is not None and order.retry_at <= now:
        # One that nobody finds at Core now is not asked for.
        retried = next((name for name in names if name in target.wanted), None)
        if retried is not None:
            return tuple(name for name in names if name != retried)
    return None


def give_up(now: datetime.datetime) -> None:
    """Give up the orders of several names that Core has not issued in time."""
    with utils.transaction() as session:
        rows = session.execute(_EXHAUSTED, (utils.timestamp(now - tls_orders.PATIENCE),)).fetchall()
    for row in rows:
        order = tls_orders.order_of(row)
        failing = _failing(order, row, now)
        if failing is None:
            continue
        with utils.transaction() as session:
            if locks.hold_instance(session, order.instance) and (
                tls_orders.is_wanted(session, order)
            ):
                _replace(session, order, row, failing, now)


def spares(
    session: tp.Any, now: datetime.datetime, latest: datetime.datetime
) -> list[tls_orders.Order]:
    """Return the due orders that are served while Core has not issued a newer one in time.

    Core renews what it has issued, so what is served need not end with the newer one failing.
    """
    rows = session.execute(
        f"SELECT {tls_orders.COLUMNS} FROM {_SPARE}"  # noqa: S608
        " AND NOT (o.next_at > %s AND o.next_at <= %s)",
        (_in_time(now), utils.timestamp(now), utils.timestamp(latest)),
    ).fetchall()
    return [tls_orders.order_of(row) for row in rows]


def is_spare(session: tp.Any, order: tls_orders.Order, now: datetime.datetime) -> bool:
    """Return whether *order* is one that ``spares`` returns in time; the caller holds it."""
    return bool(
        session.execute(
            f"SELECT FROM {_SPARE} AND o.uuid = %s",
            (_in_time(now), str(order.uuid)),
        ).fetchall()
    )


def text(left_out: Sequence[str]) -> str:
    """Return what an instance tells of the names that its certificate lacks, empty for none."""
    if not left_out:
        return ""
    return (
        f"Core has issued no certificate that names {', '.join(left_out)} too, and they are left"
        " out. Each is asked for once more a day: is its zone in Core DNS public, do its NS"
        " records in the zone above lead to Core's name servers, and does no CAA record forbid"
        " the authority?"
    )


def _in_time(now: datetime.datetime) -> str:
    return utils.timestamp(now - tls_orders.PATIENCE)


def _failing(
    order: tls_orders.Order, row: Mapping[str, tp.Any], now: datetime.datetime
) -> list[str] | None:
    """Return the names that *order* is to go on without, None if it is waited for."""
    further = [name for name in order.names[1:] if name not in row["spare_names"]]
    if further:
        # What is new to Core is what has most likely failed.
        return further
    renew_at = utils.moment(row["spare_renew_at"])
    if renew_at is not None and renew_at > now and {*row["spare_names"]} <= {*order.considered}:
        # Core itself has renewed what is served.
        return []
    ends = utils.moment(row["tls_expires_at"])
    # A renewal costs none of its names as long as there is time: Core or the authority may be
    # away for hours.
    patience = tls_orders.PATIENCE if ends is None else (ends - order.since) / 2
    is_over = order.since + max(tls_orders.PATIENCE, patience) <= now
    return list(order.names[1:]) if is_over else None


def _replace(
    session: tp.Any,
    order: tls_orders.Order,
    row: Mapping[str, tp.Any],
    failing: Sequence[str],
    now: datetime.datetime,
) -> None:
    """Have what is served already take the place of *order*, or else an order of fewer names."""
    tls_orders.update(session, order.uuid, {"is_given_up": True})
    # The one that was asked for comes last.
    left_out = list(dict.fromkeys([*order.left_out, *failing]))
    if row["spare"] is None:
        tls_orders.open_order(session, order, now, left_out)
        return
    considered = list(dict.fromkeys([*order.considered, *row["spare_names"]]))
    columns: dict[str, tp.Any] = {"left_out": left_out, "considered": considered}
    if left_out:
        columns["retry_at"] = utils.timestamp(tls_orders.retry_at(left_out, now))
    tls_orders.update(session, row["spare"], columns)
    missing = [name for name in left_out if name not in row["spare_names"]]
    tls_pairs.fail(session, order.instance, text(missing))
