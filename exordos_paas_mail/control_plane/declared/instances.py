# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""An instance that a manifest declares."""

from __future__ import annotations

import typing as tp

from restalchemy.dm import properties, types

from exordos_paas_mail.control_plane.declared import base
from exordos_paas_mail.control_plane.records import instances, queues, stats


class DeclaredInstance(base.Declared, instances.MailInstance):
    """An instance that a manifest declares."""

    _SPELLED = ("domain", "hostname", "version", "limits", "reputation")
    _ERROR = "declaration_error"

    declared = properties.property(types.Dict(), default=dict)

    def get_resource_ignore_fields(self) -> tp.Collection[str]:
        """Return what is nobody's business but this model's."""
        # The figures change each minute, and the element manager would be told each time.
        return frozenset({"declared", "declaration_error", *stats.LAST_DAY, *queues.SUMMARY})

    def dump_to_simple_view(self, skip: tp.Any = None, **kwargs: tp.Any) -> dict[str, tp.Any]:
        dumped = super().dump_to_simple_view(skip=skip, **kwargs)
        return {**dumped, "error": dumped.get("error") or self.declaration_error}
