# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The domains of an instance: what it may send for.

The same domain may be of several instances, of one project or of two: each has keys of
its own, so the proof of control of one says nothing for the other.
"""

from __future__ import annotations

import typing as tp

from restalchemy.dm import models, properties, relationships, types

from exordos_paas_mail import constants, utils
from exordos_paas_mail.codecs import dkim, return_paths, rules
from exordos_paas_mail.control_plane.records import (
    base,
    bounce_handling,
    domain_states,
    errors,
    fields,
    instances,
    key_rows,
    locks,
    notices,
    of_instance,
    primary_domains,
    sender_rows,
    setting_fields,
)

if tp.TYPE_CHECKING:
    import datetime
    import uuid as sys_uuid

# Beside the primary one.
DOMAINS_MAX: tp.Final = 50
ROTATION_DAYS_MIN: tp.Final = 30
ROTATION_DAYS_MAX: tp.Final = 730
# What webhooks hear when a domain becomes that.
_NOTICES: tp.Final = {
    domain_states.PENDING: "domain.unverified",
    domain_states.VERIFIED: "domain.verified",
    domain_states.DEGRADED: "domain.degraded",
}
_PROOF: tp.Final = "status, error, verified_at, proof_lost_at"


class RotationDays(fields.Integer):
    """How old a DKIM key grows, in days; 0 is as old as it likes."""

    def __init__(self) -> None:
        super().__init__(0, ROTATION_DAYS_MAX)

    def check(self, value: tp.Any) -> int:
        """Return *value*; RuleError names the range."""
        days = super().check(value)
        if 0 < days < ROTATION_DAYS_MIN:
            raise rules.RuleError(
                f"must be 0, or an integer from {ROTATION_DAYS_MIN} to {ROTATION_DAYS_MAX}"
            )
        return days


class MailDomain(base.Record, models.ModelWithProject, base.Stored):
    """A domain of an instance.

    ``status error verified_at proof_lost_at dns_status return_path`` are facts, written by
    column. A write touches the instance when, and only when, its node would hold something else.
    """

    __tablename__ = "mail_domains"

    name = properties.property(fields.Text(0, 255), default="")
    instance = relationships.relationship(instances.MailInstance, required=True, read_only=True)
    domain = properties.property(fields.Domain(), required=True, read_only=True)
    is_primary = properties.property(fields.Boolean(), default=False, read_only=True)
    active = properties.property(fields.Boolean(), default=True)
    status = properties.property(types.Enum(list(domain_states.ALL)), default=domain_states.PENDING)
    error = properties.property(types.String(), default="")
    # Why the manifest that declares the domain is not applied.
    declaration_error = properties.property(types.String(), default="")
    verified_at = properties.property(fields.Moment(), default=None)
    dns_status = properties.property(
        types.Enum(list(domain_states.DNS_ALL)), default=domain_states.DNS_INCOMPLETE
    )
    dns = properties.property(
        setting_fields.Publishing(), default=lambda: {"kind": setting_fields.PUBLISH_NOWHERE}
    )
    bounce_handling = properties.property(
        setting_fields.BounceHandling(), default=lambda: dict(bounce_handling.DEFAULT)
    )
    # The domain of the return paths, as long as DNS leads bounces to the relay.
    return_path = properties.property(types.String(max_length=253), default="")
    dkim_rotation_days = properties.property(RotationDays(), default=0)
    dkim_public_key = properties.property(types.String(), default="")
    dkim_selector = properties.property(
        types.String(max_length=63), default=constants.DKIM_SELECTOR
    )

    def __init__(self, **kwargs: tp.Any) -> None:
        super().__init__(**kwargs)
        # Clients of the platform look a record up by its name.
        if "name" not in kwargs:
            self.name = self.domain
        if "dkim_rotation_days" not in kwargs:
            self._rotate_by_itself()

    def insert(self, session: tp.Any = None) -> None:
        """Add the domain; RecordNotFound if its instance is gone.

        Raises ConflictRecords if the instance has the domain, or as many as it can have.
        """
        of_instance.check_project(self, self.instance)
        with utils.transaction(session) as active:
            of_instance.touch(active, self.instance.uuid)
            (row,) = active.execute(
                "SELECT count(*) AS others FROM mail_domains"
                " WHERE instance = %s AND NOT is_primary",
                (str(self.instance.uuid),),
            ).fetchall()
            if row["others"] >= DOMAINS_MAX:
                raise errors.ConflictRecords(
                    "instance",
                    f"already has {DOMAINS_MAX} domains beside its primary one,"
                    " the most that it can have",
                )
            self._check_bounces()
            self.dkim_selector = key_rows.selector(1, dkim.RSA, self.instance.uuid)
            super().insert(session=active)
            # Every receiver can verify RSA.
            key_rows.make(active, self.uuid, (), dkim.RSA)

    def update(self, session: tp.Any = None, force: bool = False) -> None:  # noqa: FBT001, FBT002
        """Write what changed; ConflictRecords if the primary domain would stop."""
        if self.is_primary and not self.active:
            raise errors.ConflictRecords("active", "the primary domain cannot be switched off")
        with utils.transaction(session) as active:
            if self.properties["active"].is_dirty():
                of_instance.touch(active, self.instance.uuid)
            if self.properties["bounce_handling"].is_dirty():
                self._check_bounces()
                of_instance.touch(active, self.instance.uuid)
                if self.bounce_handling["kind"] == bounce_handling.NONE:
                    self.return_path = ""
            if self.properties["dns"].is_dirty():
                if self.is_primary:
                    instances.MailInstance.take_dns(self.instance.uuid, self.dns, active)
                self._rotate_by_itself()
            super().update(session=active, force=force)

    def delete(self, session: tp.Any = None, **kwargs: tp.Any) -> tp.Any:
        """Remove the domain and its keys; ConflictRecords for the primary one."""
        if self.is_primary:
            raise errors.ConflictRecords("primary", "the primary domain cannot be deleted")
        with utils.transaction(session) as active:
            instances.MailInstance.touch(self.instance.uuid, active)
            if accounts := sender_rows.naming(active, self.instance.uuid, self.domain):
                raise errors.ConflictRecords(
                    "domain", f"is used in senders of {accounts} account(s): remove it there first"
                )
            return super().delete(session=active, **kwargs)

    def _check_bounces(self) -> None:
        if self.bounce_handling["kind"] != bounce_handling.NONE and not return_paths.has_room(
            self.domain
        ):
            raise errors.FieldError(
                "bounce_handling", f"the name {return_paths.host(self.domain)} would be too long"
            )

    def _rotate_by_itself(self) -> None:
        """Have keys rotated where a new one gets into DNS by itself."""
        if self.dns["kind"] == setting_fields.PUBLISH_IN_CORE and not self.dkim_rotation_days:
            self.dkim_rotation_days = primary_domains.PUBLISHED_ROTATION_DAYS


def observe(
    session: tp.Any,
    domain: sys_uuid.UUID,
    seen: bool | None,  # noqa: FBT001 - see domain_states
    now: datetime.datetime,
) -> None:
    """Take over whether DNS shows a key of *domain*, see ``domain_states.observe``.

    A domain that is gone, or goes meanwhile, is no error.
    """
    row = _row(session, domain)
    if row is None or _observed(row, seen, now) == _proof(row):
        return
    if not locks.hold_instance(session, row["instance"]):
        return
    row = _row(session, domain)
    if row is not None:
        _write(session, row, _observed(row, seen, now))


def grant(session: tp.Any, domain: sys_uuid.UUID) -> None:
    """Let *domain* send: its zone is its project's. The caller holds the lock of the instance."""
    row = _row(session, domain)
    if row is not None and domain_states.grant(_proof(row)) != _proof(row):
        _write(session, row, domain_states.grant(_proof(row)))


def withdraw(session: tp.Any, domain: sys_uuid.UUID, reason: str, now: datetime.datetime) -> None:
    """Take the proof of *domain* away; the caller holds the lock of the instance."""
    row = _row(session, domain)
    if row is not None:
        _write(session, row, domain_states.withdraw(_proof(row), reason, now))


def _row(session: tp.Any, domain: sys_uuid.UUID) -> dict[str, tp.Any] | None:
    rows = session.execute(
        f"SELECT uuid, instance, domain, is_primary, {_PROOF} FROM mail_domains WHERE uuid = %s",  # noqa: S608
        (str(domain),),
    ).fetchall()
    return dict(rows[0]) if rows else None


def _proof(row: tp.Mapping[str, tp.Any]) -> domain_states.Proof:
    return domain_states.Proof(
        row["status"],
        row["error"],
        utils.moment(row["verified_at"]),
        utils.moment(row["proof_lost_at"]),
    )


def _observed(
    row: tp.Mapping[str, tp.Any],
    seen: bool | None,  # noqa: FBT001
    now: datetime.datetime,
) -> domain_states.Proof:
    return domain_states.observe(_proof(row), seen, now, is_primary=row["is_primary"])


def _write(session: tp.Any, row: tp.Mapping[str, tp.Any], proof: domain_states.Proof) -> None:
    utils.update_columns(
        session,
        MailDomain.__tablename__,
        {"uuid": str(row["uuid"])},
        {
            "status": proof.status,
            "error": proof.error,
            "verified_at": utils.optional_timestamp(proof.verified_at),
            "proof_lost_at": utils.optional_timestamp(proof.lost_at),
            "updated_at": utils.timestamp(utils.now()),
        },
    )
    if proof.status != row["status"]:
        notices.tell(
            session,
            row["instance"],
            _NOTICES[proof.status],
            {
                "domain": row["domain"],
                "domain_uuid": row["uuid"],
                "status": proof.status,
                "error": proof.error,
            },
        )
    # Only whether it is PENDING is told to a node.
    if domain_states.PENDING in (row["status"], proof.status):
        instances.MailInstance.touch(row["instance"], session)
