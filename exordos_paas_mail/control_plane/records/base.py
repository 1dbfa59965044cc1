# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What all records have, and how they are written: by column, conflicts named by field."""

from __future__ import annotations

import contextlib
import contextvars
import re
import typing as tp

import psycopg
from restalchemy.dm import models, properties
from restalchemy.storage import exceptions as storage_exceptions
from restalchemy.storage.sql import orm
from restalchemy.storage.sql.dialect import exceptions as dialect_exceptions

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import rules
from exordos_paas_mail.control_plane.records import errors, fields
from exordos_paas_mail.control_plane.runtime import log_filters

# Each process that can come across a secret of this plugin has its records.
log_filters.install()

# The constraint a write ran into: the field to name, and why.
_CONFLICTS: tp.Final = {
    "mail_versions_pkey": ("uuid", "is already taken"),
    "mail_versions_name_key": ("name", "is already taken by another version"),
    "mail_instances_pkey": ("uuid", "is already taken"),
    "mail_instances_version_fkey": ("version", "does not exist, or is in use by an instance"),
    "mail_accounts_pkey": ("uuid", "is already taken"),
    "mail_accounts_instance_username_key": ("username", "is already taken by another account"),
    "mail_accounts_instance_fkey": ("instance", "no longer exists"),
    "mail_credentials_pkey": ("uuid", "is already taken"),
    "mail_credentials_instance_fkey": ("account", "no longer exists"),
    "mail_credentials_account_fkey": ("account", "no longer exists"),
    "mail_credentials_account_prefix_key": ("prefix", "is already taken: try again"),
    "mail_domains_pkey": ("uuid", "is already taken"),
    "mail_domains_instance_fkey": ("instance", "no longer exists"),
    "mail_domains_instance_domain_key": ("domain", "is already a domain of the instance"),
    "mail_dkim_keys_pkey": ("uuid", "is already taken"),
    "mail_dkim_keys_domain_fkey": ("domain", "no longer exists"),
    "mail_tls_policies_pkey": ("uuid", "is already taken"),
    "mail_tls_policies_instance_fkey": ("instance", "no longer exists"),
    "mail_tls_policies_instance_domain_key": ("domain", "has a TLS policy already"),
    "mail_webhooks_pkey": ("uuid", "is already taken"),
    "mail_webhooks_instance_fkey": ("instance", "no longer exists"),
    "mail_suppressions_pkey": ("uuid", "is already taken"),
    "mail_suppressions_address_key": ("address", "is already suppressed in this scope"),
    "mail_dkim_keys_domain_selector_key": ("selector", "is already taken by another key"),
}
_UNNAMED: tp.Final = ("record", "conflicts with another record")


def _conflict(error: Exception) -> Exception:
    """Return the conflict *error* tells of in SQL, as one that names the field."""
    # The first name: after it the message of the database has the values.
    named = re.search(r'constraint "(\w+)"', str(error))
    return errors.ConflictRecords(*_CONFLICTS.get(named[1] if named else "", _UNNAMED))


class Record(
    models.ModelWithUUID,
    models.ModelWithNameDesc,
    models.ModelWithTimestamp,
):
    """What all records have."""

    description = properties.property(fields.Text(0, 255, multiline=True), default="")


_parent: tp.Final[contextvars.ContextVar[tuple[str, tp.Any] | None]] = contextvars.ContextVar(
    "parent", default=None
)


@contextlib.contextmanager
def children_of(field: str, parent: tp.Any) -> tp.Iterator[None]:
    """Have records that are read meanwhile have *parent* as their *field*, where it is that.

    The platform would read it once more, with all that it belongs to.
    """
    before = _parent.set((field, parent))
    try:
        yield
    finally:
        _parent.reset(before)


class Stored(orm.SQLStorableMixin):
    """Writes the columns that changed, checked, and names the field of a conflict."""

    @classmethod
    def restore_many_from_storage(cls, rows: tp.Any, session: tp.Any = None) -> tp.Any:
        rows = list(rows)
        if known := _parent.get():
            field, parent = known
            for row in rows:
                if row.get(field) == parent.uuid:
                    row[field] = parent
        return super().restore_many_from_storage(rows, session)

    def insert(self, session: tp.Any = None) -> None:
        """Add the row; FieldError names a value that breaks its rule."""
        self._check_rules(self.get_data_properties())
        try:
            super().insert(session=session)
        except storage_exceptions.ConflictRecords as error:
            raise _conflict(error) from None

    def update(self, session: tp.Any = None, force: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        """Write the columns that changed; RecordNotFound if the row is gone."""
        changed = {n: p for n, p in self.get_data_properties().items() if p.is_dirty()}
        if not changed:
            return
        self._check_rules(changed)
        self._write(self._get_prepared_data(changed), session)

    @staticmethod
    def _check_rules(changed: tp.Mapping[str, tp.Any]) -> None:
        name = ""
        try:
            for name, written in changed.items():  # noqa: B007 - the error's
                if written.value is not None:
                    fields.check(written.get_property_type(), written.value)
        except rules.RuleError as error:
            raise errors.FieldError(name, str(error)) from None

    def delete(self, session: tp.Any = None, **kwargs: tp.Any) -> tp.Any:
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
            with utils.transaction(session) as active:
                written = utils.update_columns(
                    active, self.__tablename__, {"uuid": str(self.uuid)}, columns, at_most
                )
        except psycopg.IntegrityError as error:
            raise _conflict(error) from None
        if not written:
            raise storage_exceptions.RecordNotFound(
                model=type(self).__name__, filters={"uuid": str(self.uuid)}
            )
