# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The DKIM keys of a domain: made on the node, known here by what may be published.

A key is asked for by its row, the node makes it and tells its public half, and the
checker tells what DNS shows. What follows from that is ``key_states``'; what is here
reads it from the table and writes it back, under the lock of the instance.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as tp

from restalchemy.dm import models, properties, relationships, types
from restalchemy.storage import exceptions as storage_exceptions

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import dkim
from exordos_paas_mail.control_plane.records import (
    base,
    domains,
    errors,
    fields,
    instances,
    key_rows,
    key_states,
    locks,
    of_instance,
    primary_domains,
)

if tp.TYPE_CHECKING:
    import uuid as sys_uuid
    from collections.abc import Collection, Iterable

# How long a key that is REVOKED is remembered.
_MEMORY: tp.Final = datetime.timedelta(days=90)
_NOTHING_PREPARED: tp.Final = (key_states.ACTIVE, key_states.RETIRING, key_states.REVOKED)
_LOST: tp.Final = (
    "the private keys of the domain were lost and made anew: the domain sends again once the"
    " record of the new key is published"
)


class MailDkimKey(
    models.ModelWithUUID,
    models.ModelWithProject,
    models.ModelWithTimestamp,
    base.Stored,
    models.CustomPropertiesMixin,
):
    """A DKIM key of a domain."""

    __tablename__ = "mail_dkim_keys"
    __custom_properties__: tp.ClassVar[dict[str, tp.Any]] = {
        "record": types.Dict(),
        "safe_to_remove": types.Boolean(),
    }

    instance = properties.property(types.UUID(), read_only=True)
    domain = relationships.relationship(domains.MailDomain, required=True, read_only=True)
    selector = properties.property(types.String(max_length=63), default="")
    algorithm = properties.property(types.Enum(list(dkim.ALGORITHMS)), default=dkim.RSA)
    state = properties.property(types.Enum(list(key_states.ALL)), default=key_states.PENDING)
    public_key = properties.property(types.String(), default="")
    visible_at = properties.property(fields.Moment(), default=None)
    activated_at = properties.property(fields.Moment(), default=None)
    retiring_at = properties.property(fields.Moment(), default=None)
    revoked_at = properties.property(fields.Moment(), default=None)
    safe_to_remove_at = properties.property(fields.Moment(), default=None)

    @property
    def record(self) -> dict[str, str]:
        """Return the record to publish; its value is empty until a node has made the key."""
        value = dkim.value_for(self.algorithm, self.public_key) if self.public_key else ""
        name = f"{self.selector}._domainkey.{self.domain.domain}"
        return {"name": name, "type": "TXT", "value": value}

    @property
    def safe_to_remove(self) -> bool:
        """Return whether nothing that the key signed can still be on its way."""
        at = self.safe_to_remove_at
        return self.state == key_states.REVOKED and at is not None and utils.now() >= at

    def insert(self, session: tp.Any = None) -> None:
        """Ask for the key: it is made by the node, and does not sign before it is visible.

        Raises ConflictRecords if one of its algorithm is prepared already, and if the
        domain has as many as it can have; RecordNotFound if the domain is gone.
        """
        of_instance.check_project(self, self.domain)
        with utils.transaction(session) as active:
            keys = _held_keys(self.domain, active)
            self.selector = _new_selector(keys, self.domain, self.algorithm, active)
            self.properties["instance"].set_value_force(self.domain.instance.uuid)
            super().insert(session=active)

    def delete(self, session: tp.Any = None, **kwargs: tp.Any) -> tp.Any:
        """Forget the key; ConflictRecords if it signs, or if mail it signed may be on its way."""
        with utils.transaction(session) as active:
            keys = {key.selector: key for key in _held_keys(self.domain, active)}
            held = keys.get(self.selector)
            if held is not None and held.state == key_states.ACTIVE:
                raise errors.ConflictRecords(
                    "state", "the key is ACTIVE: without it the domain's mail would be unsigned"
                )
            if held is not None and held.state == key_states.RETIRING:
                raise errors.ConflictRecords(
                    "state", "the key is RETIRING: mail it has signed may still be on its way"
                )
            if held is not None and _is_only_rsa(held, keys.values()):
                raise errors.ConflictRecords(
                    "state", "the key is the domain's only RSA key that is not REVOKED"
                )
            return super().delete(session=active, **kwargs)


def _is_only_rsa(key: key_states.Key, keys: Iterable[key_states.Key]) -> bool:
    rsa = [k for k in keys if k.algorithm == dkim.RSA and k.state != key_states.REVOKED]
    return rsa == [key]


def rotate(domain: domains.MailDomain, session: tp.Any = None) -> None:
    """Begin to replace each key of *domain* that signs; RecordNotFound if the domain is gone.

    A key that is prepared is the successor, else one is made. It signs as soon as it is
    visible, and until then nothing changes. Raises ConflictRecords if a rotation is under
    way, or if no key signs yet.
    """
    with utils.transaction(session) as active:
        keys = _held_keys(domain, active)
        if not any(key.state == key_states.ACTIVE for key in keys):
            raise errors.ConflictRecords("dkim_keys", "no key of the domain signs yet")
        waiting = [key.selector for key in keys if _is_successor(key)]
        if waiting:
            raise errors.ConflictRecords(
                "dkim_keys",
                f"a rotation is under way: the record of {waiting[0]} is not visible yet",
            )
        _rotate(domain.uuid, keys, active)


def observe(  # noqa: PLR0913 - what a look tells
    session: tp.Any,
    domain: sys_uuid.UUID,
    visible: Collection[str],
    absent: Collection[str],
    negative_ttl: float,
    now: datetime.datetime,
) -> bool:
    """Take over what DNS shows of the keys of *domain*, see ``key_states.observe``.

    Returns whether the node is to do something else than before. Starts the rotation that
    is due. A domain that is gone, or goes meanwhile, is no error.
    """
    look = key_states.Look(visible, absent, negative_ttl, now)
    if not _is_worth_a_lock(session, domain, look):
        return False
    row = _hold(session, domain)
    if row is None:
        return False
    keys = key_rows.read(session, domain)
    seen = key_states.observe(keys, look)
    duties = key_rows.write(session, domain, keys, seen)
    if _is_due(row, seen, now):
        _rotate(domain, seen, session)
        duties = True
    if duties:
        instances.MailInstance.touch(row["instance"], session)
    _forget(session, domain, now)
    return duties


def report(session: tp.Any, instance: sys_uuid.UUID, told: Iterable[tuple[str, ...]]) -> None:
    """Take over the public keys that a node of *instance* holds.

    *told* are (domain, selector, algorithm, public key). One that is not the key known by
    its selector was lost and made anew: see ``_lose``.
    """
    wanted = {(domain, selector): rest for domain, selector, *rest in told}
    differing = _differing(session, instance, wanted)
    if not differing or not locks.hold_instance(session, instance):
        return
    now = utils.now()
    for row in _differing(session, instance, wanted):
        domain = row["domain"]
        keys = key_rows.read(session, domain)
        known = next(key for key in keys if key.selector == row["selector"])
        told_key = dataclasses.replace(known, public_key=wanted[row["name"], row["selector"]][1])
        if known.public_key and (known.seen_since or known.activated_at):
            _lose(session, row, keys, told_key, now)
        else:
            # Nobody has relied on it yet.
            key_rows.write(session, domain, [known], [told_key])


def remade(session: tp.Any, instance: sys_uuid.UUID) -> str:
    """Return the selector of the primary's key that was made anew and is not in DNS, or nothing."""
    rows = session.execute(
        "SELECT selector FROM mail_dkim_keys WHERE domain = %s AND remade_at IS NOT NULL"
        " ORDER BY selector LIMIT 1",
        (str(primary_domains.primary_uuid(instance)),),
    ).fetchall()
    return str(rows[0]["selector"]) if rows else ""


def _is_successor(key: key_states.Key) -> bool:
    return key.takes_over and key.state in (key_states.PENDING, key_states.VISIBLE)


def _held_keys(domain: domains.MailDomain, session: tp.Any) -> list[key_states.Key]:
    """Return the keys of *domain*, which stay as they are to the end of the transaction.

    The instance is touched: what its node holds is about to change. RecordNotFound if the
    domain is gone.
    """
    instances.MailInstance.touch(domain.instance.uuid, session)
    if _hold(session, domain.uuid) is None:
        raise storage_exceptions.RecordNotFound(
            model="MailDomain", filters={"uuid": str(domain.uuid)}
        )
    return key_rows.read(session, domain.uuid)


def _hold(session: tp.Any, domain: sys_uuid.UUID) -> dict[str, tp.Any] | None:
    """Lock the instance of *domain*; return what is asked of its keys, None if it is gone."""
    rows = session.execute(
        "SELECT instance FROM mail_domains WHERE uuid = %s", (str(domain),)
    ).fetchall()
    if not rows or not locks.hold_instance(session, rows[0]["instance"]):
        return None
    found = session.execute(
        "SELECT uuid, instance, is_primary, dkim_rotation_days FROM mail_domains WHERE uuid = %s",
        (str(domain),),
    ).fetchall()
    return dict(found[0]) if found else None


def _new_selector(
    keys: Collection[key_states.Key], domain: domains.MailDomain, algorithm: str, session: tp.Any
) -> str:
    """Return the selector of another key of *domain*; ConflictRecords if it may not have one."""
    for key in keys:
        if key.algorithm == algorithm and key.state not in _NOTHING_PREPARED:
            raise errors.ConflictRecords(
                "algorithm", f"the {algorithm} key {key.selector} is prepared already"
            )
    return key_rows.next_selector(session, domain.uuid, keys, algorithm)


def _rotate(domain: sys_uuid.UUID, keys: list[key_states.Key], session: tp.Any) -> None:
    """Give each key that signs a successor."""
    now = utils.now()
    for algorithm in dkim.ALGORITHMS:
        of_it = [key for key in keys if key.algorithm == algorithm]
        if not any(key.state == key_states.ACTIVE for key in of_it):
            continue
        if any(key.state not in _NOTHING_PREPARED for key in of_it):
            key_rows.write(session, domain, of_it, key_states.promote(of_it, algorithm, now))
        else:
            key_rows.make(session, domain, keys, algorithm)


def _is_due(
    row: tp.Mapping[str, tp.Any], keys: Collection[key_states.Key], now: datetime.datetime
) -> bool:
    """Return whether the key that signs is old enough to be replaced, and nothing is under way."""
    if not row["dkim_rotation_days"] or any(_is_successor(key) for key in keys):
        return False
    if sum(key.state != key_states.REVOKED for key in keys) > key_rows.KEYS_MAX - len(
        dkim.ALGORITHMS
    ):
        return False
    age = datetime.timedelta(days=row["dkim_rotation_days"])
    return any(
        key.algorithm == dkim.RSA
        and key.state == key_states.ACTIVE
        and key.activated_at is not None
        and now >= key.activated_at + age
        for key in keys
    )


def _is_worth_a_lock(session: tp.Any, domain: sys_uuid.UUID, look: key_states.Look) -> bool:
    """Return whether the look changes anything: nearly none does, and a lock makes others wait."""
    rows = session.execute(
        "SELECT dkim_rotation_days FROM mail_domains WHERE uuid = %s", (str(domain),)
    ).fetchall()
    keys = key_rows.read(session, domain)
    return bool(rows) and (
        key_states.observe(keys, look) != keys or _is_due(rows[0], keys, look.now)
    )


def _differing(
    session: tp.Any, instance: sys_uuid.UUID, wanted: tp.Mapping[tuple[str, str], list[str]]
) -> list[dict[str, tp.Any]]:
    """Return the rows of keys whose public half is not what was told."""
    rows = session.execute(
        "SELECT k.domain, k.selector, k.algorithm, k.public_key, d.domain AS name, d.instance,"
        " d.is_primary FROM mail_dkim_keys k JOIN mail_domains d ON d.uuid = k.domain"
        " WHERE k.instance = %s AND k.state <> %s ORDER BY d.domain, k.selector",
        (str(instance), key_states.REVOKED),
    ).fetchall()
    return [
        row
        for row in rows
        if (row["name"], row["selector"]) in wanted
        and wanted[row["name"], row["selector"]][0] == row["algorithm"]
        and wanted[row["name"], row["selector"]][1] != row["public_key"]
    ]


def _lose(
    session: tp.Any,
    row: tp.Mapping[str, tp.Any],
    keys: list[key_states.Key],
    made: key_states.Key,
    now: datetime.datetime,
) -> None:
    """Take over that the private half of a key was lost, and *made* in its place.

    The selector's record is still the old key's, and resolvers remember it: the key is
    REVOKED, another takes its place, and one with a new selector is made. The primary
    domain signs at all times, so where it has no other key it goes on with what was made.
    """
    domain = row["domain"]
    after = key_states.lose(keys, made.selector, now)
    signs = any(k.algorithm == dkim.RSA and k.state == key_states.ACTIVE for k in after)
    if row["is_primary"] and not signs:
        unseen = dataclasses.replace(made, sightings=0, seen_since=None, remade_at=now)
        key_rows.write(session, domain, keys, [unseen])
        return
    key_rows.write(session, domain, keys, after)
    if made.state != key_states.RETIRING:
        key_rows.make(session, domain, after, made.algorithm)
    if not signs:
        domains.withdraw(session, domain, _LOST, now)


def _forget(session: tp.Any, domain: sys_uuid.UUID, now: datetime.datetime) -> None:
    session.execute(
        "DELETE FROM mail_dkim_keys WHERE domain = %s AND state = %s AND revoked_at < %s",
        (str(domain), key_states.REVOKED, utils.timestamp(now - _MEMORY)),
    )
