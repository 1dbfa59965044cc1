# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What an instance tells of its certificate: what its node serves, and how that is."""

from __future__ import annotations

import datetime
import typing as tp

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import certificates, tls_pairs
from exordos_paas_mail.control_plane.records import notices, tls_kinds
from exordos_paas_mail.control_plane.runtime import sealing

if tp.TYPE_CHECKING:
    import uuid as sys_uuid
    from collections.abc import Mapping

    from exordos_paas_mail.codecs import tls_reports

PENDING: tp.Final = "PENDING"
ACTIVE: tp.Final = "ACTIVE"
EXPIRING: tp.Final = "EXPIRING"
ERROR: tp.Final = "ERROR"
STATUSES: tp.Final = (PENDING, ACTIVE, EXPIRING, ERROR)
# So long before its end a certificate is EXPIRING: somebody has to act, or who renews it by
# himself is late. That are this control plane, 31 days ahead (``tls_orders``), Core, 14, and
# the node, 30.
_EXPIRING: tp.Final = {
    tls_kinds.MANUAL: datetime.timedelta(days=30),
    tls_kinds.ACME: datetime.timedelta(days=30),
    tls_kinds.CORE: datetime.timedelta(days=13),
    tls_kinds.SELF_SIGNED: datetime.timedelta(days=29),
}
# And no more than so much of its life, which is less than ``tls_orders`` renews it ahead.
_PART: tp.Final = 0.6
# What webhooks hear when a certificate becomes that.
_NOTICES: tp.Final = {
    ACTIVE: "certificate.active",
    EXPIRING: "certificate.expiring",
    ERROR: "certificate.error",
}
SERVED: tp.Final = ("tls_certificate", "tls_fingerprint_sha256", "tls_names", "tls_expires_at")
FACTS: tp.Final = ("tls_status", "tls_error", *SERVED)
LOST: tp.Final = (
    "the private key cannot be opened any more, the key file of the control plane was lost:"
    " give certificate and private_key again"
)
LOST_OF_CORE: tp.Final = (
    "the private key cannot be opened any more, the key file of the control plane was lost:"
    " it is read from Core again within an hour"
)


def take_over(session: tp.Any, instance: sys_uuid.UUID, report: tls_reports.Report) -> None:
    """Write what the node of *instance* serves; a report that says nothing new writes nothing."""
    (row,) = session.execute(
        "SELECT i.tls_certificate, p.is_served, p.refused FROM mail_instances i"
        " LEFT JOIN mail_tls_pairs p ON p.instance = i.uuid WHERE i.uuid = %s",
        (str(instance),),
    ).fetchall() or (None,)
    if row is None:
        return
    is_new = row["tls_certificate"] != report.chain
    if is_new:
        served = tls_pairs.served(report.chain)
        columns = {
            "tls_certificate": report.chain,
            "tls_fingerprint_sha256": served.fingerprint_sha256,
            "tls_names": list(served.names),
            "tls_expires_at": utils.timestamp(served.expires_at),
        }
        utils.update_columns(session, "mail_instances", {"uuid": str(instance)}, columns)
    # An upsert that changes nothing locks the row, and each pass over a report would.
    if (row["is_served"], row["refused"]) != (report.is_told, report.refused):
        session.execute(
            "INSERT INTO mail_tls_pairs (instance, is_served, refused) VALUES (%s, %s, %s)"
            " ON CONFLICT ON CONSTRAINT mail_tls_pairs_pkey DO UPDATE"
            " SET is_served = EXCLUDED.is_served, refused = EXCLUDED.refused",
            (str(instance), report.is_told, report.refused),
        )
    settle(session, instance, utils.now(), is_new=is_new)


def settle(
    session: tp.Any, instance: sys_uuid.UUID, now: datetime.datetime, *, is_new: bool = False
) -> None:
    """Write ``tls_status`` and ``tls_error`` by what else there is, if they are not so.

    Webhooks hear of what changed, and where another certificate is served, which *is_new*.
    """
    (row,) = session.execute(
        "SELECT i.tls, i.tls_status, i.tls_error, i.tls_certificate, i.tls_expires_at,"
        " i.tls_names, i.tls_fingerprint_sha256, i.ipsv4,"
        " coalesce(i.hostname, i.domain) AS hostname,"
        " p.chain, p.sealed_key, p.source, p.error, p.is_served, p.refused"
        " FROM mail_instances i LEFT JOIN mail_tls_pairs p ON p.instance = i.uuid"
        " WHERE i.uuid = %s",
        (str(instance),),
    ).fetchall() or (None,)
    if row is None:
        return
    status, error = _judge(instance, row, now)
    if (status, error) != (row["tls_status"], row["tls_error"]):
        utils.update_columns(
            session,
            "mail_instances",
            {"uuid": str(instance)},
            {"tls_status": status, "tls_error": error},
        )
    if status != PENDING and (is_new or (status, error) != (row["tls_status"], row["tls_error"])):
        notices.tell(
            session,
            instance,
            _NOTICES[status],
            {
                "status": status,
                "error": error,
                "kind": row["tls"]["kind"],
                "fingerprint_sha256": row["tls_fingerprint_sha256"],
                "expires_at": utils.moment(row["tls_expires_at"]),
            },
        )


def told(session: tp.Any, instance: sys_uuid.UUID) -> tuple[str, str]:
    """Return ``tls_status`` and ``tls_error`` as they are settled."""
    (row,) = session.execute(
        "SELECT tls_status, tls_error FROM mail_instances WHERE uuid = %s", (str(instance),)
    ).fetchall()
    return row["tls_status"], row["tls_error"]


def settle_ended(now: datetime.datetime) -> None:
    """Settle the instances whose certificate has come near its end, or has ended.

    And those that are told so and need not be: by a clock that was ahead, or by the release
    before, which told it of others.
    """
    with utils.transaction() as session:
        found = session.execute(
            "SELECT i.uuid FROM mail_instances i"
            " JOIN unnest(%s::text[], %s::timestamp[]) e (kind, until) ON e.kind = i.tls->>'kind'"
            " WHERE (i.tls_status = %s AND i.tls_expires_at <= e.until) OR i.tls_status = %s",
            (
                [*_EXPIRING],
                [utils.timestamp(now + ahead) for ahead in _EXPIRING.values()],
                *(ACTIVE, EXPIRING),
            ),
        ).fetchall()
    for row in found:
        with utils.transaction() as session:
            settle(session, row["uuid"], now)


def seal(instance: sys_uuid.UUID, chain: str, key: str) -> str:
    """Return the envelope of the private key of a pair; OSError if there is none to seal with."""
    return sealing.seal(key, _bound_to(instance, chain), sealing.USER_API)


def unseal(instance: sys_uuid.UUID, row: Mapping[str, tp.Any]) -> str | None:
    """Return the private key of the pair of *row*; None if it opens no more."""
    return sealing.unseal(row["sealed_key"], _bound_to(instance, row["chain"]), sealing.USER_API)


def _bound_to(instance: sys_uuid.UUID, chain: str) -> str:
    return f"tls {instance} {chain}"


def _judge(
    instance: sys_uuid.UUID, row: Mapping[str, tp.Any], now: datetime.datetime
) -> tuple[str, str]:
    """Return the status, and what is wrong with it."""
    wanted = tls_kinds.source(row["tls"])
    is_served = bool(row["is_served"])
    if not wanted:
        is_own = row["tls_certificate"] and not is_served and not _is_made_anew(row)
        return _judge_end(row, now, "") if is_own else (PENDING, "")
    error = row["error"] or ""
    if not row["chain"] or row["source"] != wanted:
        # What was served before goes on being served meanwhile.
        return (ERROR if error else PENDING), error
    if is_served and row["tls_certificate"] == row["chain"]:
        return _judge_served(row, now, error)
    if unseal(instance, row) is None:
        return ERROR, LOST if wanted == tls_kinds.MANUAL else LOST_OF_CORE
    if row["refused"]:
        return ERROR, f"the node refuses the certificate: {row['refused']}"
    return PENDING, error


def _judge_served(row: Mapping[str, tp.Any], now: datetime.datetime, error: str) -> tuple[str, str]:
    """Judge what is served of what ``tls`` asks for."""
    if tls_pairs.Names(tuple(row["tls_names"]), ()).covers(row["hostname"]):
        return _judge_end(row, now, error)
    if row["tls"]["kind"] == tls_kinds.ACME and not error:
        # Another is asked for, of the name that the relay has now.
        return PENDING, ""
    return ERROR, error or (
        f"the certificate does not name {row['hostname']}, and clients refuse it:"
        " set tls to one that does"
    )


def _is_made_anew(row: Mapping[str, tp.Any]) -> bool:
    """Return whether the node is about to make its certificate anew: nobody is to pin this one."""
    if set(row["tls_names"]) >= {row["hostname"], *row["ipsv4"]}:
        return False
    # An operator's stays as it is.
    return certificates.served(row["tls_certificate"].encode()).self_signed


def _judge_end(row: Mapping[str, tp.Any], now: datetime.datetime, error: str) -> tuple[str, str]:
    ends = utils.moment(row["tls_expires_at"])
    if ends is None or not _is_expiring(row, ends, now):
        return ACTIVE, error
    what_to_do = ""
    if row["tls"]["kind"] == tls_kinds.MANUAL:
        what_to_do = ": set tls to a renewed certificate, with its private_key if that is new"
    end = f"{ends:%Y-%m-%dT%H:%M:%SZ}"
    if ends <= now:
        return ERROR, error or f"the certificate has expired at {end}{what_to_do}"
    return EXPIRING, error or f"the certificate expires at {end}{what_to_do}"


def _is_expiring(
    row: Mapping[str, tp.Any], ends: datetime.datetime, now: datetime.datetime
) -> bool:
    ahead = _EXPIRING[row["tls"]["kind"]]
    if ends > now + ahead or not row["tls_certificate"]:
        return ends <= now
    life = ends - tls_pairs.served(row["tls_certificate"]).begins_at
    return ends <= now + max(min(ahead, _PART * life), datetime.timedelta())
