# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""An instance that a manifest declares."""

from __future__ import annotations

import typing as tp

from restalchemy.dm import properties, types

from exordos_paas_mail.control_plane.declared import base
from exordos_paas_mail.control_plane.records import instances, queues, stats
from exordos_paas_mail.control_plane.runtime import sealing

# The key of ``declared`` that holds the envelope of a private key: the name of no field.
_PRIVATE_KEY: tp.Final = "tls.private_key"


class DeclaredInstance(base.Declared, instances.MailInstance):
    """An instance that a manifest declares."""

    _SPELLED = ("domain", "hostname", "version", "limits", "reputation", "tls")
    _ERROR = "declaration_error"

    declared = properties.property(types.Dict(), default=dict)

    def get_resource_ignore_fields(self) -> tp.Collection[str]:
        """Return what is nobody's business but this model's."""
        # The figures change each minute, and the element manager would be told each time.
        return frozenset({"declared", "declaration_error", *stats.LAST_DAY, *queues.SUMMARY})

    @classmethod
    def restore_from_simple_view(
        cls,
        skip_unknown_fields: bool = False,  # noqa: FBT001, FBT002 - restalchemy's signature
        **kwargs: tp.Any,
    ) -> tp.Any:
        """Build the model; a declared private key is kept in an envelope alone."""
        restored = super().restore_from_simple_view(skip_unknown_fields, **kwargs)
        spelled = restored.declared.get("tls")
        if isinstance(spelled, dict) and "private_key" in spelled:
            shown = dict(spelled)
            sealed = sealing.seal(str(shown.pop("private_key")), _key_bound_to(restored))
            restored.declared = {**restored.declared, "tls": shown, _PRIVATE_KEY: sealed}
        return restored

    def dump_to_simple_view(self, skip: tp.Any = None, **kwargs: tp.Any) -> dict[str, tp.Any]:
        dumped = super().dump_to_simple_view(skip=skip, **kwargs)
        envelope = self.declared.get(_PRIVATE_KEY)
        if envelope and isinstance(dumped.get("tls"), dict):
            key = sealing.unseal(envelope, _key_bound_to(self))
            # None where another certificate is stored by now: the manifest is applied again.
            if key is not None:
                dumped["tls"] = {**dumped["tls"], "private_key": key}
        return {**dumped, "error": dumped.get("error") or self.declaration_error}


def _key_bound_to(instance: DeclaredInstance) -> str:
    return f"declared {instance.uuid} {instance.tls.get('certificate', '')}"
