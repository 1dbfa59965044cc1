# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What a node should hold, a file a part, by the field that travels to the node."""

from __future__ import annotations

import types
import typing as tp

from exordos_paas_mail.control_plane.targets import (
    accounts,
    credentials,
    domains,
    holds,
    limits,
    return_paths,
    senders,
    tls_policies,
)

if tp.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exordos_paas_mail.control_plane.records import instances

# node.parts has the same fields; what a field's text may be is its codec's to say.
PARTS: tp.Final[Mapping[str, Callable[[tp.Any, instances.MailInstance], str]]] = (
    types.MappingProxyType(
        {
            "passwd": accounts.text,
            "credentials": credentials.text,
            "domains": domains.text,
            "senders": senders.text,
            "limits": limits.text,
            "holds": holds.text,
            "return_paths": return_paths.text,
            "tls_policies": tls_policies.text,
        }
    )
)


def texts(session: tp.Any, instance: instances.MailInstance) -> dict[str, str]:
    """Return the text of each part of *instance*, by field."""
    return {field: text(session, instance) for field, text in PARTS.items()}
