# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Accounts of an instance."""

from __future__ import annotations

import typing as tp

from restalchemy.dm import models, properties, relationships, types
from restalchemy.storage import exceptions as storage_exceptions

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import password_hashes
from exordos_paas_mail.control_plane.records import base, errors, fields, instances


class AccountRecord(base.Record, models.ModelWithProject, base.Stored):
    """What an account is, however it was made.

    A write touches the instance in the same transaction when, and only when,
    the node would hold something else after it. The touch comes first: it is
    the lock that orders the writes of one instance.
    """

    __tablename__ = "mail_accounts"

    # What the node's copy of an account is made of.
    _ON_NODE: tp.ClassVar[tuple[str, ...]] = ("username", "password_hash", "active")

    name = properties.property(fields.Text(0, 255), default="")
    instance = relationships.relationship(instances.MailInstance, required=True, read_only=True)
    username = properties.property(fields.Username(), required=True, read_only=True)
    password_hash = properties.property(fields.PasswordHash())
    active = properties.property(fields.Boolean(), default=True)

    @classmethod
    def active_pairs(cls, instance_uuid: tp.Any, session: tp.Any = None) -> list[tuple[str, str]]:
        """Return (username, hash) of each active account of the instance, sorted.

        Ten thousand of these cost milliseconds; as models, seconds.
        """
        with utils.transaction(session) as active:
            rows = active.execute(
                "SELECT username, password_hash FROM mail_accounts"
                " WHERE instance = %s AND active ORDER BY username",
                (str(instance_uuid),),
            ).fetchall()
        return [(row["username"], row["password_hash"]) for row in rows]

    def _touch_instance(self, session: tp.Any) -> bool:
        return instances.MailInstance.touch(self.instance.uuid, session)

    def _check(self) -> None:
        if self.project_id != self.instance.project_id:
            raise errors.FieldError("project_id", "must be the project of the instance")
        if not self.password_hash:
            raise errors.FieldError("password", "one of password and password_hash is required")
        # Asked here and not by the type, which also reads: one stored hash that
        # an earlier release took must not make the others unreadable.
        try:
            password_hashes.check_cost(self.password_hash)
        except ValueError as error:
            raise errors.FieldError("password_hash", str(error)) from None

    def insert(self, session: tp.Any = None) -> None:
        """Add the account; RecordNotFound if its instance is gone."""
        self._check()
        with utils.transaction(session) as active:
            if not self._touch_instance(active):
                raise storage_exceptions.RecordNotFound(
                    model="MailInstance", filters={"uuid": str(self.instance.uuid)}
                )
            super().insert(session=active)

    def update(self, session: tp.Any = None, force: bool = False) -> None:  # noqa: FBT001, FBT002
        """Write what changed."""
        if self.properties["password_hash"].is_dirty():
            self._check()
        with utils.transaction(session) as active:
            if any(self.properties[name].is_dirty() for name in self._ON_NODE):
                self._touch_instance(active)
            super().update(session=active, force=force)

    def delete(self, session: tp.Any = None, **kwargs: tp.Any) -> tp.Any:
        """Remove the account."""
        with utils.transaction(session) as active:
            self._touch_instance(active)
            return super().delete(session=active, **kwargs)


class MailAccount(AccountRecord, models.CustomPropertiesMixin):
    """An account of an instance, as the REST API makes it.

    ``password`` can be set and not be read: it becomes a hash at once, unless
    the account has a hash of that password already that is cheap to verify, as
    those made here are. Without a ``name`` the account has that of its user.
    """

    __custom_properties__: tp.ClassVar[dict[str, tp.Any]] = {
        "password": types.AllowNone(fields.Plaintext())
    }

    def __init__(self, password: str | None = None, **kwargs: tp.Any) -> None:
        refuse_both(password, kwargs.get("password_hash"))
        if password is not None:
            kwargs["password_hash"] = password_hashes.hash_plaintext(password)
        super().__init__(**kwargs)
        # Clients of the platform look a record up by its name.
        if "name" not in kwargs:
            self.name = self.username

    @property
    def password(self) -> None:
        """Return nothing: a plaintext is not kept."""
        return

    @password.setter
    def password(self, plaintext: str) -> None:
        if not password_hashes.verify(plaintext, self.password_hash):
            self.password_hash = password_hashes.hash_plaintext(plaintext)


def refuse_both(password: str | None, password_hash: str | None) -> None:
    """Raise the API's error if both ways to say a password are used at once."""
    if password is not None and password_hash is not None:
        raise errors.FieldError("password", "excludes password_hash: give one of them")
