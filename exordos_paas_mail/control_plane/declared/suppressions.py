# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A suppression that a manifest declares."""

from __future__ import annotations

import typing as tp

from restalchemy.dm import properties, types

from exordos_paas_mail import utils
from exordos_paas_mail.control_plane.declared import base
from exordos_paas_mail.control_plane.records import (
    errors,
    fields,
    locks,
    suppression_rows,
    suppressions,
)

_FACT: tp.Final = "cannot be declared: it is what the log tells"
# What those of nobody's manifest have null in.
_OWN: tp.Final = ("project_id", "declared", "error")


class DeclaredSuppression(base.Declared, suppressions.MailSuppression):
    """A suppression that a manifest declares: the only ones that have a ``project_id``.

    So the agent, which lists by project, reads no others, of which there may be a million.
    An automatic entry gives way to it, a user's does not.
    """

    _SPELLED = ("address", "instance", "account")
    _ERROR = "error"
    _NOT_DECLARED: tp.ClassVar[tp.Mapping[str, str]] = {
        "expires_at": "cannot be declared: the entry lasts as long as it is declared",
        **dict.fromkeys(("origin", "message", "hits", "last_hit_at", "shard", "size"), _FACT),
    }

    declared = properties.property(types.Dict(), default=dict)
    project_id = properties.property(types.AllowNone(types.UUID()), read_only=True, default=None)
    instance = properties.property(fields.Reference(), required=True, read_only=True)
    address = properties.property(fields.Recipient(), required=True, read_only=True)
    scope = properties.property(
        fields.Choice(list(suppression_rows.SCOPES)),
        read_only=True,
        default=suppression_rows.INSTANCE,
    )
    account = properties.property(types.AllowNone(fields.Reference()), read_only=True, default=None)

    def __init__(self, **kwargs: tp.Any) -> None:
        of_account = kwargs.get("account") is not None
        scope = suppression_rows.ACCOUNT if of_account else suppression_rows.INSTANCE
        if kwargs.setdefault("scope", scope) != scope:
            raise errors.FieldError("account", suppressions.OTHER_SCOPE)
        super().__init__(**kwargs)

    def get_resource_ignore_fields(self) -> tp.Collection[str]:
        """Return what is nobody's business but this model's, and what changes with mail."""
        return frozenset({"declared", "message", "hits", "last_hit_at", "shard", "size"})

    def insert(self, session: tp.Any = None) -> None:
        """Add the entry, in the place of an automatic one.

        Raises ConflictRecords if there is one of a user's, or no room for it.
        """
        self._check_rules(self.get_data_properties())
        with utils.transaction(session) as active:
            self._hold(active)
            account = self.account
            login = suppressions.login_of(active, self.instance, account) if account else ""
            suppression_rows.give_way(active, self.instance, self.address, account)
            suppressions.put(
                active,
                self.instance,
                suppression_rows.Entry(
                    self.address,
                    self.reason,
                    suppression_rows.USER,
                    account=account,
                    login=login,
                    detail=self.detail,
                    uuid=self.uuid,
                ),
            )
            self._write(
                self._get_prepared_data({name: self.properties[name] for name in _OWN}), active
            )

    def update(self, session: tp.Any = None, force: bool = False) -> None:  # noqa: FBT001, FBT002
        """Write what changed."""
        with utils.transaction(session) as active:
            if locks.hold_instance(active, self.instance):
                if self.properties["reason"].is_dirty():
                    suppression_rows.mark(active, self.instance, (self.shard,))
                super().update(session=active, force=force)

    def delete(self, session: tp.Any = None, **kwargs: tp.Any) -> tp.Any:  # noqa: ARG002
        """Take out the entry, as a user does; that of an instance that is gone is an erasure's."""
        with utils.transaction(session) as active:
            if locks.hold_instance(active, self.instance):
                suppression_rows.remove(active, self.instance, self.uuid, utils.now())

    def _hold(self, session: tp.Any) -> None:
        if not locks.hold_instance(session, self.instance):
            raise errors.FieldError("instance", "does not exist")
        (row,) = session.execute(
            "SELECT project_id FROM mail_instances WHERE uuid = %s", (str(self.instance),)
        ).fetchall()
        if row["project_id"] != self.project_id:
            raise errors.FieldError("project_id", "must be the project of the instance")
