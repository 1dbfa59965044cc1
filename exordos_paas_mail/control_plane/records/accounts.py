# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Accounts of an instance."""

from __future__ import annotations

import typing as tp

from restalchemy.dm import models, properties, relationships, types

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import crypt_strings, password_hashes, rules
from exordos_paas_mail.codecs import limits as limits_
from exordos_paas_mail.control_plane.records import (
    account_holds,
    base,
    credential_rows,
    erasures,
    errors,
    fields,
    instances,
    notices,
    of_instance,
    pairs,
    sender_rows,
    setting_fields,
)

EITHER: tp.Final = "give either password or password_hash, not both"
# Of an instance. The change of one account sends the whole file to the node, which the platform
# stores and hashes in the one thread that serves all plugins.
ACCOUNTS_MAX: tp.Final = 100_000


class AccountRecord(base.Record, models.ModelWithProject, base.Stored):
    """What an account is, however it was made.

    A write touches the instance in the same transaction when, and only when,
    the node would hold something else after it. The touch comes first: it is
    the lock that orders the writes of one instance.
    """

    __tablename__ = "mail_accounts"

    # What the node's copy of an account is made of.
    _ON_NODE: tp.ClassVar[tuple[str, ...]] = (
        "username",
        "password_hash",
        "active",
        "senders",
        "limits",
        "on_limit",
        "require_tls",
    )

    name = properties.property(fields.Text(0, 255), default="")
    instance = relationships.relationship(instances.MailInstance, required=True, read_only=True)
    username = properties.property(fields.Username(), required=True, read_only=True)
    # None: its credentials are all that it can log in with.
    password_hash = properties.property(fields.PasswordHashOrNone(), default=None)
    active = properties.property(fields.Boolean(), default=True)
    # None is what the instance's ``sender_policy`` says.
    senders = properties.property(types.AllowNone(fields.Senders()), default=None)
    # How much it may send beside what the instance's say, and what is done beyond a limit.
    limits = properties.property(setting_fields.Limits(), default=lambda: dict(limits_.NONE))
    on_limit = properties.property(types.Enum(list(limits_.ON_LIMIT)), default=limits_.DEFER)
    # Whether its mail must not leave in clear, whatever the policies of the instance let.
    require_tls = properties.property(fields.Boolean(), default=False)
    # Why the manifest that declares the account is not applied.
    error = properties.property(types.String(), default="")

    @classmethod
    def active_pairs(cls, instance_uuid: tp.Any, session: tp.Any = None) -> list[tuple[str, str]]:
        """Return (username, hash) of each active account of the instance, sorted.

        An account without a password has what is no hash of any. Ten thousand of
        these cost milliseconds; as models, seconds.
        """
        with utils.transaction(session) as active:
            found = pairs.select(
                active,
                "SELECT username AS key, password_hash AS value FROM mail_accounts"
                " WHERE instance = %s AND active",
                (str(instance_uuid),),
            )
        return sorted(found)

    # The field that a client said the hash in.
    _secret_field: str = "password_hash"  # noqa: S105 - a name

    def _check(self) -> None:
        of_instance.check_project(self, self.instance)
        self._check_cost(self.instance.ram)

    def _check_cost(self, ram: int) -> None:
        if self.password_hash is None:
            return
        try:
            crypt_strings.check_cost(self.password_hash, ram)
        except rules.RuleError as error:
            raise errors.FieldError(self._secret_field, str(error)) from None

    def _check_credential(self, session: tp.Any) -> None:
        if self.password_hash is None and not credential_rows.is_usable(
            session, self.uuid, utils.now()
        ):
            raise errors.FieldError(
                self._secret_field,
                "cannot be removed while the account has no usable credential",
            )

    def _lock_instance(self, session: tp.Any) -> tuple[int, int]:
        """Touch the instance; return its ram and the number of its accounts.

        Both stay what they are to the end of the transaction: whoever changes
        them waits for the lock.
        """
        of_instance.touch(session, self.instance.uuid)
        (row,) = session.execute(
            "SELECT ram, (SELECT count(*) FROM mail_accounts WHERE instance = i.uuid) AS accounts"
            " FROM mail_instances i WHERE uuid = %s",
            (str(self.instance.uuid),),
        ).fetchall()
        return row["ram"], row["accounts"]

    def insert(self, session: tp.Any = None) -> None:
        """Add the account; RecordNotFound if its instance is gone.

        Raises ConflictRecords if the instance has as many as it can have.
        """
        if not self.password_hash:
            raise errors.FieldError("password", "either password or password_hash is required")
        self._check()
        with utils.transaction(session) as active:
            ram, accounts = self._lock_instance(active)
            self._check_cost(ram)
            if accounts >= ACCOUNTS_MAX:
                raise errors.ConflictRecords(
                    "instance",
                    f"already has {ACCOUNTS_MAX} accounts, the most that it can have",
                )
            sender_rows.check(active, self.instance.uuid, self.uuid, self.senders)
            super().insert(session=active)
            self._tell(active, "account.created")

    def update(self, session: tp.Any = None, force: bool = False) -> None:  # noqa: FBT001, FBT002
        """Write what changed."""
        has_new_hash = self.properties["password_hash"].is_dirty()
        if has_new_hash:
            self._check()
        with utils.transaction(session) as active:
            if has_new_hash:
                # Without the lock: a credential may go the moment after, too.
                self._check_credential(active)
                ram, _ = self._lock_instance(active)
                self._check_cost(ram)
            elif any(self.properties[name].is_dirty() for name in self._ON_NODE):
                instances.MailInstance.touch(self.instance.uuid, active)
            if self.properties["senders"].is_dirty():
                sender_rows.check(active, self.instance.uuid, self.uuid, self.senders)
            is_switched = self.properties["active"].is_dirty()
            super().update(session=active, force=force)
            if is_switched:
                self._tell(active, "account.enabled" if self.active else "account.disabled")

    def delete(self, session: tp.Any = None, **kwargs: tp.Any) -> tp.Any:
        with utils.transaction(session) as active:
            instances.MailInstance.touch(self.instance.uuid, active)
            erasures.ask(active, self.instance.uuid, account=self.uuid)
            deleted = super().delete(session=active, **kwargs)
            self._tell(active, "account.deleted")
            return deleted

    def _tell(self, session: tp.Any, kind: str) -> None:
        login = f"{self.username}@{self.instance.domain}"
        told = {"account": self.uuid, "login": login, "name": self.name}
        notices.tell(session, self.instance.uuid, kind, told)


class MailAccount(AccountRecord, models.CustomPropertiesMixin):
    """An account of an instance, as the REST API makes it.

    ``password`` can be set and not be read: it becomes a hash at once, unless
    the account has a hash of that password already that is cheap to verify, as
    those made here are. Without a ``name`` the account has that of its user.
    """

    # A fact to whoever writes the account: actions and machines change it.
    hold = properties.property(
        setting_fields.AccountHold(), default=lambda: dict(account_holds.NEVER)
    )

    __custom_properties__: tp.ClassVar[dict[str, tp.Any]] = {
        "password": types.AllowNone(fields.Password())
    }

    def put_on_hold(self, reason: str) -> None:
        """Have the account be on hold, as a user asks."""
        with utils.transaction() as session:
            account_holds.hold(session, self.instance.uuid, self.uuid, account_holds.USER, reason)

    def release(self, messages: str) -> None:
        """Have the account be on hold no more, as a user asks (``account_holds.release``)."""
        with utils.transaction() as session:
            account_holds.release(session, self.instance.uuid, self.uuid, messages)

    def __init__(self, password: str | None = None, **kwargs: tp.Any) -> None:
        refuse_both(password, kwargs.get("password_hash"))
        if password is not None:
            kwargs["password_hash"] = password_hashes.to_hash(password)
        super().__init__(**kwargs)
        if password is not None:
            self._secret_field = "password"  # noqa: S105
        # Clients of the platform look a record up by its name.
        if "name" not in kwargs:
            self.name = self.username

    @property
    def password(self) -> None:
        """Return nothing: a plaintext is not kept."""
        return

    @password.setter
    def password(self, value: str | None) -> None:
        self._secret_field = "password"  # noqa: S105
        if value is None:
            self.password_hash = None
        elif self.password_hash is None or not password_hashes.means(value, self.password_hash):
            self.password_hash = password_hashes.to_hash(value)


def refuse_both(password: str | None, password_hash: str | None) -> None:
    """Raise the API's error if both ways to say a password are used at once."""
    if password is not None and password_hash is not None:
        raise errors.FieldError("password", EITHER)
