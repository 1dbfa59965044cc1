# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A domain that a manifest declares."""

from __future__ import annotations

import typing as tp

from restalchemy.dm import filters as dm_filters
from restalchemy.dm import properties, types
from restalchemy.storage.sql import orm

from exordos_paas_mail.control_plane.declared import base
from exordos_paas_mail.control_plane.records import domains


class _Declared(orm.ObjectCollection):
    """Lists what a manifest can have declared.

    The agent lists by project, and warns in each pass of what nobody declared to it.
    """

    def get_all(self, filters: tp.Any = None, **kwargs: tp.Any) -> tp.Any:
        if filters is None or "uuid" not in filters:
            filters = {**(filters or {}), "is_primary": dm_filters.EQ(False)}  # noqa: FBT003
        return super().get_all(filters=filters, **kwargs)


class DeclaredDomain(base.Declared, domains.MailDomain):
    """A domain, beside the primary one, that a manifest declares."""

    _ObjectCollection = _Declared
    _SPELLED = ("bounce_handling", "domain", "instance")
    _ERROR = "declaration_error"

    declared = properties.property(types.Dict(), default=dict)

    def get_resource_ignore_fields(self) -> tp.Collection[str]:
        """Return what is nobody's business but this model's, and the status.

        Without one the platform takes a resource for ACTIVE, and an element does not
        wait for somebody's DNS.
        """
        return frozenset({"declared", "declaration_error", "status"})

    def dump_to_simple_view(self, skip: tp.Any = None, **kwargs: tp.Any) -> dict[str, tp.Any]:
        dumped = super().dump_to_simple_view(skip=skip, **kwargs)
        return {**dumped, "error": dumped.get("error") or self.declaration_error}
