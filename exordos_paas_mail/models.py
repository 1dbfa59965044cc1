# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The records behind the REST API: versions, instances, accounts."""

from __future__ import annotations

import re
import typing as tp

import psycopg
from gcl_sdk.agents.universal.dm import models as ua_models
from gcl_sdk.infra.dm import models as sdk_models
from restalchemy.dm import models, properties, relationships, types
from restalchemy.storage import exceptions as storage_exceptions
from restalchemy.storage.sql import orm
from restalchemy.storage.sql.dialect import exceptions as dialect_exceptions

from exordos_paas_mail import constants, errors, field_types, log_filters, utils
from exordos_paas_mail.codecs import password_hashes

# Each process that can come across a secret of this plugin has its models.
log_filters.install()

STATUSES: tp.Final = (utils.NEW, utils.IN_PROGRESS, utils.ACTIVE, utils.ERROR)

# The constraint a write ran into: the field to name, and why.
_CONFLICTS: tp.Final = {
    "mail_versions_pkey": ("uuid", "is taken"),
    "mail_versions_name_key": ("name", "is taken by another version"),
    "mail_instances_pkey": ("uuid", "is taken"),
    "mail_instances_version_fkey": ("version", "does not exist any more, or is in use"),
    "mail_accounts_pkey": ("uuid", "is taken"),
    "mail_accounts_instance_username_key": ("username", "is taken by another account"),
    "mail_accounts_instance_fkey": ("instance", "does not exist any more"),
}
# What the builders keep under the uuid of an instance until it is gone from Core.
_REMAINS: tp.Final = (
    constants.INSTANCE_KIND,
    constants.INSTANCE_INFRA_KIND,
    sdk_models.NodeSet.get_resource_kind(),
)
_CONTRADICTION: tp.Final = ("record", "contradicts another record")


def _conflict(error: Exception) -> Exception:
    """Return the conflict *error* tells of in SQL, as one that names the field."""
    # The first name: after it the message of the database has the values.
    named = re.search(r'constraint "(\w+)"', str(error))
    return errors.ConflictRecords(*_CONFLICTS.get(named[1] if named else "", _CONTRADICTION))


class _Record(
    models.ModelWithUUID,
    models.ModelWithNameDesc,
    models.ModelWithTimestamp,
):
    """What all records have."""

    description = properties.property(field_types.Text(0, 255, multiline=True), default="")


class _Stored(orm.SQLStorableMixin):
    """Writes the columns that changed, and names the field of a conflict."""

    def insert(self, session: tp.Any = None) -> None:
        """Add the row."""
        try:
            super().insert(session=session)
        except storage_exceptions.ConflictRecords as error:
            raise _conflict(error) from None

    def update(self, session: tp.Any = None, force: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        """Write the columns that changed; RecordNotFound if the row is gone."""
        changed = {n: p for n, p in self.get_data_properties().items() if p.is_dirty()}
        if not changed:
            return
        self.validate()
        self._write(self._get_prepared_data(changed), session)

    def delete(self, session: tp.Any = None, **kwargs: tp.Any) -> tp.Any:
        """Remove the row."""
        try:
            return super().delete(session=session, **kwargs)
        except storage_exceptions.UnknownStorageException as error:
            if isinstance(error.caused, dialect_exceptions.Conflict):
                raise _conflict(error.caused) from None
            raise

    def _write(
        self,
        columns: tp.Mapping[str, tp.Any],
        session: tp.Any = None,
        at_most: tp.Mapping[str, tp.Any] | None = None,
    ) -> None:
        try:
            with self._get_engine().session_manager(session=session) as active:
                written = utils.update_columns(
                    active, self.__tablename__, {"uuid": str(self.uuid)}, columns, at_most
                )
        except psycopg.IntegrityError as error:
            raise _conflict(error) from None
        if not written:
            raise storage_exceptions.RecordNotFound(
                model=type(self).__name__, filters={"uuid": str(self.uuid)}
            )


class MailVersion(_Record, _Stored, ua_models.TargetResourceMixin):
    """An image that instances are made of."""

    __tablename__ = "mail_versions"

    name = properties.property(field_types.Text(1, 255), required=True)
    image = properties.property(field_types.Text(1, 2048), required=True)


class MailInstance(_Record, models.ModelWithProject, _Stored):
    """A relay of one domain.

    ``status error ipsv4 dkim_public_key dkim_selector`` are facts: the builders
    write them, by column and without a change of ``updated_at``, which is the
    time of the last wish (a change by a user, of the instance or an account).
    """

    __tablename__ = "mail_instances"

    name = properties.property(field_types.Text(1, 255), required=True)
    domain = properties.property(field_types.Domain(), required=True, read_only=True)
    cpu = properties.property(
        field_types.Integer(constants.CPU_MIN, constants.CPU_MAX), required=True
    )
    ram = properties.property(
        field_types.Integer(constants.RAM_MIN, constants.RAM_MAX), required=True
    )
    disk_size = properties.property(
        field_types.Integer(constants.DISK_SIZE_MIN, constants.DISK_SIZE_MAX), required=True
    )
    version = relationships.relationship(MailVersion, required=True)
    # The version's image when the version was last asked for. Another image
    # under the same version must not re-image nodes when an account changes.
    image = properties.property(types.String(max_length=2048), default="")
    status = properties.property(types.Enum(list(STATUSES)), default=utils.NEW)
    error = properties.property(types.String(), default="")
    ipsv4 = properties.property(types.TypedList(types.String(max_length=15)), default=list)
    dkim_public_key = properties.property(types.String(), default="")
    dkim_selector = properties.property(
        types.String(max_length=63), default=constants.DKIM_SELECTOR
    )

    @classmethod
    def touch(cls, uuid: tp.Any, session: tp.Any = None) -> bool:
        """Mark the instance as wished anew, so that the builders look at it.

        Writes ``updated_at`` alone and locks the row to the end of the
        transaction. Returns whether the instance is there.
        """
        with cls._get_engine().session_manager(session=session) as active:
            return bool(
                utils.update_columns(
                    active,
                    cls.__tablename__,
                    {"uuid": str(uuid)},
                    {"updated_at": utils.timestamp(utils.now())},
                )
            )

    def insert(self, session: tp.Any = None) -> None:
        """Add the instance, to be made of the image its version has now.

        Raises ConflictRecords as long as anything of a removed instance of this
        uuid is left: the builders would give its machine, with the mail and the
        keys on its disk, to this one, which may be somebody else's.
        """
        self.image = self.version.image
        with self._get_engine().session_manager(session=session) as active:
            super().insert(session=active)
            left = active.execute(
                "SELECT FROM ua_target_resources WHERE uuid = %(uuid)s AND kind = ANY(%(kinds)s)"
                " UNION ALL"
                " SELECT FROM ua_actual_resources WHERE uuid = %(uuid)s AND kind = ANY(%(kinds)s)"
                " LIMIT 1",
                {"uuid": str(self.uuid), "kinds": list(_REMAINS)},
            ).fetchall()
            if left:
                raise errors.ConflictRecords("uuid", "is of an instance that is being removed")

    def update(self, session: tp.Any = None, force: bool = False) -> None:  # noqa: FBT001, FBT002
        """Write what changed; another version brings its image."""
        if self.properties["version"].is_dirty():
            self.image = self.version.image
        super().update(session=session, force=force)

    def _write(
        self,
        columns: tp.Mapping[str, tp.Any],
        session: tp.Any = None,
        at_most: tp.Mapping[str, tp.Any] | None = None,
    ) -> None:
        if "disk_size" not in columns:
            super()._write(columns, session, at_most)
            return
        shrunk = errors.FieldError("disk_size", "may grow and never shrink")
        if columns["disk_size"] < self.properties["disk_size"].old_value:
            raise shrunk
        # The row may have grown since it was read.
        try:
            super()._write(columns, session, {"disk_size": columns["disk_size"]})
        except storage_exceptions.RecordNotFound:
            if type(self).objects.get_one_or_none(filters={"uuid": self.uuid}, session=session):
                raise shrunk from None
            raise

    def delete(self, session: tp.Any = None, **kwargs: tp.Any) -> tp.Any:
        """Remove the instance and its accounts."""
        with self._get_engine().session_manager(session=session) as active:
            # An account that is being made holds this lock until it is in.
            type(self).touch(self.uuid, active)
            active.execute("DELETE FROM mail_accounts WHERE instance = %s", (str(self.uuid),))
            return super().delete(session=active, **kwargs)


class AccountRecord(_Record, models.ModelWithProject, _Stored):
    """What an account is, however it was made.

    A write touches the instance in the same transaction when, and only when,
    the node would hold something else after it. The touch comes first: it is
    the lock that orders the writes of one instance.
    """

    __tablename__ = "mail_accounts"

    # What the node's copy of an account is made of.
    _ON_NODE: tp.ClassVar[tuple[str, ...]] = ("username", "password_hash", "active")

    name = properties.property(field_types.Text(0, 255), default="")
    instance = relationships.relationship(MailInstance, required=True, read_only=True)
    username = properties.property(field_types.Username(), required=True, read_only=True)
    password_hash = properties.property(field_types.PasswordHash())
    active = properties.property(field_types.Boolean(), default=True)

    @classmethod
    def active_pairs(cls, instance_uuid: tp.Any, session: tp.Any = None) -> list[tuple[str, str]]:
        """Return (username, hash) of each active account of the instance, sorted.

        Ten thousand of these cost milliseconds; as models, seconds.
        """
        with cls._get_engine().session_manager(session=session) as active:
            rows = active.execute(
                "SELECT username, password_hash FROM mail_accounts"
                " WHERE instance = %s AND active ORDER BY username",
                (str(instance_uuid),),
            ).fetchall()
        return [(row["username"], row["password_hash"]) for row in rows]

    def _touch_instance(self, session: tp.Any) -> bool:
        return MailInstance.touch(self.instance.uuid, session)

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
        with self._get_engine().session_manager(session=session) as active:
            if not self._touch_instance(active):
                raise storage_exceptions.RecordNotFound(
                    model="MailInstance", filters={"uuid": str(self.instance.uuid)}
                )
            super().insert(session=active)

    def update(self, session: tp.Any = None, force: bool = False) -> None:  # noqa: FBT001, FBT002
        """Write what changed."""
        if self.properties["password_hash"].is_dirty():
            self._check()
        with self._get_engine().session_manager(session=session) as active:
            if any(self.properties[name].is_dirty() for name in self._ON_NODE):
                self._touch_instance(active)
            super().update(session=active, force=force)

    def delete(self, session: tp.Any = None, **kwargs: tp.Any) -> tp.Any:
        """Remove the account."""
        with self._get_engine().session_manager(session=session) as active:
            self._touch_instance(active)
            return super().delete(session=active, **kwargs)


class MailAccount(AccountRecord, models.CustomPropertiesMixin):
    """An account of an instance, as the REST API makes it.

    ``password`` can be set and not be read: it becomes a hash at once, unless
    the account has a hash of that password already that is cheap to verify, as
    those made here are. Without a ``name`` the account has that of its user.
    """

    __custom_properties__: tp.ClassVar[dict[str, tp.Any]] = {
        "password": types.AllowNone(field_types.Plaintext())
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
