# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A webhook that a manifest declares."""

from __future__ import annotations

import typing as tp

from restalchemy.dm import properties, types

from exordos_paas_mail.control_plane.declared import base
from exordos_paas_mail.control_plane.records import webhooks

_SECRET: tp.Final = "cannot be declared: it is made here, and shown by rotate_secret"  # noqa: S105
_SECRETS: tp.Final = ("secret_key", "secrets", "signing_keys")
_FACT: tp.Final = "cannot be declared: it is what the node tells"


class DeclaredWebhook(base.Declared, webhooks.MailWebhook):
    """A webhook that a manifest declares; whoever may rotate its secret learns of one."""

    _SPELLED = ("url", "events", "instance")
    _ERROR = "error"
    _NOT_DECLARED: tp.ClassVar[tp.Mapping[str, str]] = {
        **dict.fromkeys(_SECRETS, _SECRET),
        **dict.fromkeys(("revision", *webhooks.FACTS), _FACT),
    }

    declared = properties.property(types.Dict(), default=dict)

    def get_resource_ignore_fields(self) -> tp.Collection[str]:
        """Return what is nobody's business but this model's, and what changes with each event.

        Without a status the platform takes a resource for ACTIVE, and an element does not
        wait for somebody's server.
        """
        return frozenset({"declared", "revision", *_SECRETS, *webhooks.FACTS})

    def dump_to_simple_view(self, skip: tp.Any = None, **kwargs: tp.Any) -> dict[str, tp.Any]:
        """Return the values; the platform's own skips no property that is not stored."""
        dumped = super().dump_to_simple_view(skip=skip, **kwargs)
        return {
            name: value
            for name, value in dumped.items()
            if name not in _SECRETS or value == base.NOT_APPLIED
        }
