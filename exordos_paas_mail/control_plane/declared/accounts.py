# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""An account that a manifest declares."""

from __future__ import annotations

import typing as tp

from restalchemy.dm import properties, types

from exordos_paas_mail.codecs import password_hashes
from exordos_paas_mail.control_plane.declared import base
from exordos_paas_mail.control_plane.records import accounts, fields
from exordos_paas_mail.control_plane.runtime import sealing

if tp.TYPE_CHECKING:
    from gcl_sdk.agents.universal.dm import models as ua_models


class DeclaredAccount(base.Declared, accounts.AccountRecord):
    """An account that a manifest declares, by ``password`` or by ``password_hash``.

    ``password`` is plaintext in memory and an envelope in the table, bound to
    the hash it belongs to: when something else changes the hash, or the key is
    lost, there is no plaintext to report, the agent writes again, and the
    password is verified against the hash, which is one made here and cheap to
    verify unless somebody set another, before a new one is made.
    """

    _SPELLED = ("username", "instance", "password_hash", "senders", "limits")
    _ERROR = "error"

    declared = properties.property(types.Dict(), default=dict)
    password = properties.property(types.AllowNone(fields.Password()), default=None)

    def __init__(self, **kwargs: tp.Any) -> None:
        accounts.refuse_both(kwargs.get("password"), kwargs.get("password_hash"))
        super().__init__(**kwargs)

    def get_resource_ignore_fields(self) -> tp.Collection[str]:
        """Return what is not reported: of the two ways to say a password, the unused one."""
        unused = "password" if self.password is None else "password_hash"
        return frozenset({"declared", unused})

    @classmethod
    def from_ua_resource(cls, resource: ua_models.Resource) -> tp.Any:
        restored = super().from_ua_resource(resource)
        # The agent copies the fields that the resource names: without this one, a declaration
        # that now gives a hash would leave the password in place, which would win.
        resource.value.setdefault("password", None)
        return restored

    @classmethod
    def restore_row(cls, row: tp.Any, pour: tp.Any = None) -> tp.Any:
        """Build the model from a row, its envelope opened."""
        envelope = row.get("password")
        if envelope is not None:
            row = {**row, "password": sealing.unseal(envelope, cls._binding(row))}
        return super().restore_row(row, pour)

    def insert(self, session: tp.Any = None) -> None:
        """Add the account."""
        self._hash_password()
        super().insert(session=session)

    def update(self, session: tp.Any = None, force: bool = False) -> None:  # noqa: FBT001, FBT002
        """Write what changed; a password that has the stored hash changes no hash."""
        self._hash_password()
        super().update(session=session, force=force)

    def _hash_password(self) -> None:
        if self.password is None:
            return
        self._secret_field = "password"  # noqa: S105
        stored = self.password_hash
        if stored is None or not password_hashes.means(self.password, stored):
            self.password_hash = password_hashes.to_hash(self.password)

    def _get_prepared_data(self, columns: tp.Any = None) -> dict[str, tp.Any]:
        data: dict[str, tp.Any] = super()._get_prepared_data(columns)
        if data.get("password") is not None:
            data["password"] = sealing.seal(
                data["password"],
                self._binding({"uuid": self.uuid, "password_hash": self.password_hash}),
            )
        return data

    @staticmethod
    def _binding(row: tp.Mapping[str, tp.Any]) -> str:
        return f"{row['uuid']} {row['password_hash']}"
