# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Credentials of an account: secrets to log in with that are made here and shown once."""

from __future__ import annotations

import datetime
import typing as tp

from restalchemy.dm import models, properties, relationships, types
from restalchemy.storage import exceptions as storage_exceptions

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import credentials
from exordos_paas_mail.control_plane.records import (
    accounts,
    base,
    credential_rows,
    errors,
    fields,
    instances,
    of_instance,
)

NEW: tp.Final = "NEW"
ACTIVE: tp.Final = "ACTIVE"
INACTIVE: tp.Final = "INACTIVE"
EXPIRED: tp.Final = "EXPIRED"
STATUSES: tp.Final = (NEW, ACTIVE, INACTIVE, EXPIRED)

OVERLAP_HOURS_MAX: tp.Final = 30 * 24
OVERLAP_HOURS_DEFAULT: tp.Final = 24


class MailCredential(
    base.Record, models.ModelWithProject, base.Stored, models.CustomPropertiesMixin
):
    """A credential of an account.

    ``secret_key`` is there in the object that made it and nowhere else. A write
    touches the instance first, if the node would hold something else after it.
    """

    __tablename__ = "mail_credentials"
    __custom_properties__: tp.ClassVar[dict[str, tp.Any]] = {
        "secret_key": types.AllowNone(types.String()),
        "status": types.Enum(list(STATUSES)),
    }
    _ON_NODE: tp.ClassVar[tuple[str, ...]] = ("active", "expires_at", "networks")
    _secret_key: str | None = None

    name = properties.property(fields.Text(0, 255), default="")
    instance = properties.property(types.UUID(), read_only=True)
    account = relationships.relationship(accounts.MailAccount, required=True, read_only=True)
    prefix = properties.property(types.String(max_length=credentials.PREFIX_LENGTH), default="")
    digest = properties.property(types.String(max_length=64), default="")
    active = properties.property(fields.Boolean(), default=True)
    expires_at = properties.property(fields.Deadline(), default=None)
    # Empty: from everywhere.
    networks = properties.property(fields.Networks(), default=list)
    # When the node told that it has the credential as it is.
    applied_at = properties.property(fields.Moment(), default=None)
    last_used_at = properties.property(fields.Moment(), default=None)
    last_used_ip = properties.property(types.AllowNone(types.String()), default=None)

    @property
    def secret_key(self) -> str | None:
        """Return the secret, of an object that has just made it."""
        return self._secret_key

    @property
    def status(self) -> str:
        """Return whether a login by the credential is taken now."""
        if self._has_expired():
            return EXPIRED
        if not self.active:
            return INACTIVE
        return NEW if self.applied_at is None else ACTIVE

    def _has_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= utils.now()

    def insert(self, session: tp.Any = None) -> None:
        """Make the credential with its secret; RecordNotFound if its account's instance is gone.

        Raises ConflictRecords if the account has as many as it can have. One that has
        expired makes room.
        """
        of_instance.check_project(self, self.account)
        self._check_end()
        uuid = self.account.instance.uuid
        with utils.transaction(session) as active:
            of_instance.touch(active, uuid)
            credential_rows.make_room(active, uuid, self.account.uuid, utils.now())
            made = credentials.make()
            self.prefix, self.digest = made.prefix, made.digest
            self.name = self.name or made.prefix
            self.properties["instance"].set_value_force(uuid)
            super().insert(session=active)
        self._secret_key = made.secret_key

    def update(self, session: tp.Any = None, force: bool = False) -> None:  # noqa: FBT001, FBT002
        """Write what changed."""
        changed = {name for name in self._ON_NODE if self.properties[name].is_dirty()}
        if "expires_at" in changed:
            self._check_end()
            before = self.properties["expires_at"].old_value
            if before is not None and before <= utils.now():
                self.applied_at = None
        if changed - {"expires_at"}:
            self.applied_at = None
        with utils.transaction(session) as active:
            if changed:
                instances.MailInstance.touch(self.instance, active)
            super().update(session=active, force=force)

    def delete(self, session: tp.Any = None, **kwargs: tp.Any) -> tp.Any:
        with utils.transaction(session) as active:
            instances.MailInstance.touch(self.instance, active)
            return super().delete(session=active, **kwargs)

    def _check_end(self) -> None:
        if self._has_expired():
            raise errors.FieldError("expires_at", "must be in the future")


def rotate(
    old: MailCredential,
    overlap_hours: int = OVERLAP_HOURS_DEFAULT,
    expires_at: datetime.datetime | None = None,
) -> MailCredential:
    """Return a new credential in the place of *old*, which ends *overlap_hours* from now.

    It has the name and the networks of the old one, and ends at *expires_at*. Raises
    ConflictRecords if the old one cannot be used any more, and if there is no room.
    """
    now = utils.now()
    with utils.transaction() as session:
        of_instance.touch(session, old.instance)
        end = credential_rows.end(
            session, old.uuid, now, now + datetime.timedelta(hours=overlap_hours)
        )
        if not end.is_there:
            raise storage_exceptions.RecordNotFound(
                model="MailCredential", filters={"uuid": str(old.uuid)}
            )
        if not end.was_usable:
            raise errors.ConflictRecords(
                "status", "the credential cannot be used any more: make a new one"
            )
        new = MailCredential(
            name=old.name,
            description=old.description,
            project_id=old.project_id,
            account=old.account,
            networks=list(old.networks),
            expires_at=expires_at,
        )
        new.insert(session=session)
    return new
