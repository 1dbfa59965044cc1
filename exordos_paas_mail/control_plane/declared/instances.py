# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""An instance that a manifest declares."""

from __future__ import annotations

import typing as tp

from restalchemy.dm import properties, types

from exordos_paas_mail.control_plane.declared import base
from exordos_paas_mail.control_plane.records import instances, queues, stats
from exordos_paas_mail.control_plane.runtime import sealing

# What of a field is a secret. The key of ``declared`` that holds its envelope is the name of no
# field: both with a dot between them.
_SECRETS: tp.Final = (("tls", "private_key"), ("smarthost", "password"))


class DeclaredInstance(base.Declared, instances.MailInstance):
    """An instance that a manifest declares."""

    _SPELLED = ("domain", "hostname", "version", "limits", "reputation", "tls", "smarthost")
    _ERROR = "declaration_error"

    declared = properties.property(types.Dict(), default=dict)

    def get_resource_ignore_fields(self) -> tp.Collection[str]:
        """Return what is nobody's business but this model's."""
        # The figures change each minute, and the element manager would be told each time.
        figures = (*stats.LAST_DAY, *queues.SUMMARY, *queues.OUTBOUND)
        return frozenset({"declared", "declaration_error", *figures})

    @classmethod
    def restore_from_simple_view(
        cls,
        skip_unknown_fields: bool = False,  # noqa: FBT001, FBT002 - restalchemy's signature
        **kwargs: tp.Any,
    ) -> tp.Any:
        """Build the model; a declared secret is kept in an envelope alone."""
        restored = super().restore_from_simple_view(skip_unknown_fields, **kwargs)
        for field, name in _SECRETS:
            spelled = restored.declared.get(field)
            if isinstance(spelled, dict) and name in spelled:
                shown = dict(spelled)
                bound_to = _bound_to(restored, field)
                sealed = sealing.seal(str(shown.pop(name)), bound_to)
                restored.declared = {
                    **restored.declared,
                    field: shown,
                    f"{field}.{name}": sealed,
                }
        return restored

    def dump_to_simple_view(self, skip: tp.Any = None, **kwargs: tp.Any) -> dict[str, tp.Any]:
        dumped = super().dump_to_simple_view(skip=skip, **kwargs)
        for field, name in _SECRETS:
            envelope = self.declared.get(f"{field}.{name}")
            if envelope and isinstance(dumped.get(field), dict):
                secret = sealing.unseal(envelope, _bound_to(self, field))
                # None where another one is stored by now: the manifest is applied again.
                if secret is not None:
                    dumped[field] = {**dumped[field], name: secret}
        return {**dumped, "error": dumped.get("error") or self.declaration_error}


def _bound_to(instance: DeclaredInstance, field: str) -> str:
    if field == "tls":
        return f"declared {instance.uuid} {instance.tls.get('certificate', '')}"
    smarthost = instance.smarthost
    return f"declared {instance.uuid} {smarthost.get('host', '')} {smarthost.get('username', '')}"
