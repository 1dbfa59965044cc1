# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The certificate and key that the node of an instance is to serve; the key is sealed.

Whoever calls holds the instance (``locks``). What changes here marks the document that
tells the node, and settles what the instance tells.
"""

from __future__ import annotations

import typing as tp

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import rules, tls_document
from exordos_paas_mail.codecs import tls_pairs as pairs
from exordos_paas_mail.control_plane.records import document_marks, tls_facts, tls_kinds

if tp.TYPE_CHECKING:
    import uuid as sys_uuid


def put(  # noqa: PLR0913 - a pair is two
    session: tp.Any,
    instance: sys_uuid.UUID,
    chain: str,
    key: str,
    source: str,
    *,
    error: str | None = "",
) -> None:
    """Have the node of *instance* serve a pair; *source* is ``tls_kinds.source`` of its choice.

    *error* is what is wrong although there is one, None where that is noted already.
    RuleError says why it may not, OSError that the key cannot be kept: then all stays as it was.
    """
    pair = pairs.check(chain, key, _hostname(session, instance), utils.now())
    stored = _read(session, instance)
    if (
        stored is None
        or (stored["chain"], stored["source"]) != (pair.chain, source)
        or tls_facts.unseal(instance, stored) != pair.key
    ):
        session.execute(
            "INSERT INTO mail_tls_pairs (instance, chain, sealed_key, source)"
            " VALUES (%s, %s, %s, %s) ON CONFLICT ON CONSTRAINT mail_tls_pairs_pkey DO UPDATE"
            " SET chain = EXCLUDED.chain, sealed_key = EXCLUDED.sealed_key,"
            " source = EXCLUDED.source, refused = ''",
            (
                *(str(instance), pair.chain),
                *(tls_facts.seal(instance, pair.chain, pair.key), source),
            ),
        )
        mark(session, instance)
    if error is None:
        tls_facts.settle(session, instance, utils.now())
    else:
        fail(session, instance, error)


def drop(session: tp.Any, instance: sys_uuid.UUID) -> None:
    """Have the node of *instance* serve what it makes itself."""
    session.execute(
        "UPDATE mail_tls_pairs SET chain = '', sealed_key = '', source = '', refused = ''"
        " WHERE instance = %s",
        (str(instance),),
    )
    mark(session, instance)
    fail(session, instance, "")


def fail(session: tp.Any, instance: sys_uuid.UUID, error: str) -> None:
    """Note why there is no pair that was asked for, or no newer one; empty where all is well."""
    session.execute(
        "INSERT INTO mail_tls_pairs (instance, error) VALUES (%s, %s)"
        " ON CONFLICT ON CONSTRAINT mail_tls_pairs_pkey DO UPDATE SET error = EXCLUDED.error"
        " WHERE mail_tls_pairs.error <> EXCLUDED.error",
        (str(instance), error),
    )
    tls_facts.settle(session, instance, utils.now())


def fail_if_well(session: tp.Any, instance: sys_uuid.UUID, error: str) -> None:
    """Note why there is no pair, if nothing is noted yet."""
    (row,) = session.execute(
        "SELECT error FROM mail_tls_pairs WHERE instance = %s", (str(instance),)
    ).fetchall() or (None,)
    if row is None or not row["error"]:
        fail(session, instance, error)


def choose(session: tp.Any, instance: sys_uuid.UUID, choice: tls_kinds.Choice) -> None:
    """Have *choice* be what the relay serves; the row of the instance has it already.

    What others are to issue is not there yet, and what was served goes on being served
    until it is. A pair of the tenant's without a key goes with the key given before.
    RuleError says why it may not be served.
    """
    if choice["kind"] == tls_kinds.SELF_SIGNED:
        drop(session, instance)
    elif choice["kind"] == tls_kinds.MANUAL:
        chain = choice["certificate"]
        key = choice.private_key or _key_before(session, instance)
        put(session, instance, chain, key, tls_kinds.MANUAL)
    else:
        fail(session, instance, "")


def pair_of(session: tp.Any, instance: sys_uuid.UUID) -> pairs.Pair | None:
    """Return the pair that the node of *instance* is to serve, None for its own.

    Raises ValueError if its key cannot be opened.
    """
    stored = _read(session, instance)
    if stored is None or not stored["chain"]:
        return None
    key = tls_facts.unseal(instance, stored)
    if key is None:
        raise ValueError(tls_facts.LOST)
    return pairs.Pair(stored["chain"], key)


def check_hostname(session: tp.Any, instance: sys_uuid.UUID) -> None:
    """Raise RuleError if the pair that ``tls`` chose is not the relay's name as the row has it.

    One that is issued for the relay is not looked at: there will be another.
    """
    stored = _read(session, instance)
    (row,) = session.execute(
        "SELECT tls FROM mail_instances WHERE uuid = %s", (str(instance),)
    ).fetchall()
    wanted = tls_kinds.source(row["tls"])
    if (
        stored is not None
        and wanted not in {"", tls_kinds.ACME}
        # What Core has not given yet, or gives anew, is looked at then.
        and stored["source"] == wanted
        and not pairs.first_names(stored["chain"]).covers(_hostname(session, instance))
    ):
        raise rules.RuleError(
            "is not named by the certificate of tls, and clients would refuse it:"
            " give a tls whose certificate names it in the same request"
        )


def mark(session: tp.Any, instance: sys_uuid.UUID) -> None:
    """Have the node of *instance* told anew what it is to serve."""
    document_marks.mark(session, instance, tls_document.COLLECTION, (tls_document.SHARD,))


def _key_before(session: tp.Any, instance: sys_uuid.UUID) -> str:
    stored = _read(session, instance)
    if stored is None or stored["source"] != tls_kinds.MANUAL:
        raise rules.RuleError("private_key is required: none was given before")
    key = tls_facts.unseal(instance, stored)
    if key is None:
        raise rules.RuleError(f"private_key is required: {tls_facts.LOST}")
    return key


def _hostname(session: tp.Any, instance: sys_uuid.UUID) -> str:
    (row,) = session.execute(
        "SELECT coalesce(hostname, domain) AS hostname FROM mail_instances WHERE uuid = %s",
        (str(instance),),
    ).fetchall()
    return str(row["hostname"])


def _read(session: tp.Any, instance: sys_uuid.UUID) -> tp.Any:
    (row,) = session.execute(
        "SELECT chain, sealed_key, source FROM mail_tls_pairs WHERE instance = %s",
        (str(instance),),
    ).fetchall() or (None,)
    return row
