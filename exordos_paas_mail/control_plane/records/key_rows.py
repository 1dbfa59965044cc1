# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The rows of DKIM keys: read as ``key_states`` has them, and written back by column.

Whoever writes them holds the lock of the instance (``locks``).
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import hashlib
import typing as tp
import uuid as sys_uuid

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import dkim
from exordos_paas_mail.control_plane.records import errors, key_states, notices, primary_domains

if tp.TYPE_CHECKING:
    from collections.abc import Collection, Iterable

# Keys of a domain that are not REVOKED: the node makes and holds each of them.
KEYS_MAX: tp.Final = 10
_LETTERS: tp.Final = {dkim.RSA: "r", dkim.ED25519: "e"}
# What webhooks hear when a key becomes that.
_NOTICES: tp.Final = {
    key_states.PENDING: "dkim.degraded",
    key_states.VISIBLE: "dkim.visible",
    key_states.ACTIVE: "dkim.activated",
    key_states.RETIRING: "dkim.retiring",
    key_states.REVOKED: "dkim.revoked",
}
_STATE: tp.Final = tuple(field.name for field in dataclasses.fields(key_states.Key))


def read(session: tp.Any, domain: sys_uuid.UUID) -> list[key_states.Key]:
    """Return the keys of *domain*, the newest first."""
    rows = session.execute(
        f"SELECT {', '.join(_STATE)} FROM mail_dkim_keys"  # noqa: S608 - names of ours
        " WHERE domain = %s ORDER BY created_at DESC, selector",
        (str(domain),),
    ).fetchall()
    return [_key(row) for row in rows]


def with_domains(
    session: tp.Any, instance: sys_uuid.UUID
) -> list[tuple[dict[str, tp.Any], list[key_states.Key]]]:
    """Return the rows of the domains of *instance*, each with its keys.

    What a control plane of the release before has left out of the primary's is written.
    """
    with utils.transaction(session) as active:
        found = _with_domains(active, instance)
        if not any(row["is_primary"] and keys for row, keys in found):
            primary_domains.write_primary(active, instance)
            found = _with_domains(active, instance)
    return found


def _with_domains(
    session: tp.Any, instance: sys_uuid.UUID
) -> list[tuple[dict[str, tp.Any], list[key_states.Key]]]:
    rows = session.execute(
        "SELECT uuid, domain, is_primary, active, status FROM mail_domains WHERE instance = %s",
        (str(instance),),
    ).fetchall()
    of_domain: dict[tp.Any, list[key_states.Key]] = {row["uuid"]: [] for row in rows}
    for row in session.execute(
        f"SELECT domain, {', '.join(_STATE)} FROM mail_dkim_keys WHERE instance = %s",  # noqa: S608
        (str(instance),),
    ).fetchall():
        of_domain.setdefault(row["domain"], []).append(_key(row))
    return [(dict(row), of_domain[row["uuid"]]) for row in rows]


def _key(row: tp.Mapping[str, tp.Any]) -> key_states.Key:
    return key_states.Key(**{name: utils.moment(row[name]) for name in _STATE})


def write(
    session: tp.Any,
    domain: sys_uuid.UUID,
    before: Iterable[key_states.Key],
    after: Iterable[key_states.Key],
) -> bool:
    """Write the columns that differ; returns whether the node is to do something else."""
    now = utils.timestamp(utils.now())
    known = {key.selector: key for key in before}
    has_new_duty = has_new_facts = False
    for key in after:
        if key.state != known[key.selector].state:
            _tell(session, domain, key)
        old = dataclasses.asdict(known[key.selector])
        changed = {n: v for n, v in dataclasses.asdict(key).items() if v != old[n]}
        if not changed:
            continue
        has_new_duty = has_new_duty or "state" in changed
        has_new_facts = has_new_facts or "public_key" in changed
        columns = {
            name: utils.timestamp(value) if isinstance(value, datetime.datetime) else value
            for name, value in changed.items()
        }
        utils.update_columns(
            session,
            "mail_dkim_keys",
            {"domain": str(domain), "selector": key.selector},
            {**columns, "updated_at": now},
        )
    if has_new_duty or has_new_facts:
        _write_facts(session, domain)
    return has_new_duty


def _tell(session: tp.Any, domain: sys_uuid.UUID, key: key_states.Key) -> None:
    rows = session.execute(
        "SELECT instance, domain FROM mail_domains WHERE uuid = %s", (str(domain),)
    ).fetchall()
    for row in rows:
        notices.tell(
            session,
            row["instance"],
            _NOTICES[key.state],
            {
                "domain": row["domain"],
                "domain_uuid": domain,
                "selector": key.selector,
                "algorithm": key.algorithm,
                "state": key.state,
                "safe_to_remove_at": key.safe_to_remove_at,
            },
        )


def facts(session: tp.Any, domain: sys_uuid.UUID) -> dict[str, str]:
    """Return the columns of ``primary_domains.FACTS`` as the keys of *domain* say them.

    They are of the RSA key that signs or, before one does, of the one that is to.
    """
    rsa = [key for key in read(session, domain) if key.algorithm == dkim.RSA]
    of_state = {key.state: key for key in reversed(rsa)}
    key = of_state.get(key_states.ACTIVE) or of_state.get(key_states.PENDING)
    if key is None:
        return {}
    value = dkim.value_for(key.algorithm, key.public_key) if key.public_key else ""
    return {"dkim_public_key": value, "dkim_selector": key.selector}


def make(
    session: tp.Any, domain: sys_uuid.UUID, keys: Collection[key_states.Key], algorithm: str
) -> None:
    """Add a key that takes over as soon as it is visible; *keys* are those there are."""
    now = utils.timestamp(utils.now())
    session.execute(
        "INSERT INTO mail_dkim_keys (uuid, project_id, instance, domain, selector, algorithm,"
        " takes_over, created_at, updated_at)"
        " SELECT %s, project_id, instance, uuid, %s, %s, TRUE, %s, %s FROM mail_domains"
        " WHERE uuid = %s",
        (
            str(sys_uuid.uuid4()),
            next_selector(session, domain, keys, algorithm),
            algorithm,
            now,
            now,
            str(domain),
        ),
    )
    _write_facts(session, domain)


def next_selector(
    session: tp.Any, domain: sys_uuid.UUID, keys: Collection[key_states.Key], algorithm: str
) -> str:
    """Return the selector of a new key; ConflictRecords if the domain has all it can have."""
    if sum(key.state != key_states.REVOKED for key in keys) >= KEYS_MAX:
        raise errors.ConflictRecords(
            "dkim_keys",
            f"the domain already has {KEYS_MAX} keys that are not REVOKED, the most that it can"
            " have",
        )
    (row,) = session.execute(
        "UPDATE mail_domains SET keys_made = keys_made + 1 WHERE uuid = %s"
        " RETURNING keys_made, instance",
        (str(domain),),
    ).fetchall()
    return selector(row["keys_made"], algorithm, row["instance"])


def selector(number: int, algorithm: str, instance: sys_uuid.UUID) -> str:
    """Return the selector of a domain's key *number*, counted from 1.

    It is never another key's. Two instances that send for one domain do not publish at one
    name: its last four letters are the instance's.
    """
    suffix = base64.b32encode(hashlib.sha256(instance.bytes).digest())[:4].decode().lower()
    return f"m{number}{_LETTERS[algorithm]}{suffix}"


def _write_facts(session: tp.Any, domain: sys_uuid.UUID) -> None:
    columns = facts(session, domain)
    if not columns:
        return
    utils.update_columns(session, "mail_domains", {"uuid": str(domain)}, columns)
    rows = session.execute(
        "SELECT instance FROM mail_domains WHERE uuid = %s AND is_primary", (str(domain),)
    ).fetchall()
    for row in rows:
        utils.update_columns(session, "mail_instances", {"uuid": str(row["instance"])}, columns)
