# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What a node holds for the control plane, a file a part, by its field of the target.

A new part is a codec, a module here that keeps to ``base.Part``, a module of
``control_plane.targets`` that gives its text, a key in the mapping here, in the
one there and in ``reconcile.losses``, and a property of both classes named
``MailInstanceNode``.
"""

from __future__ import annotations

import types
import typing as tp

from exordos_paas_mail.node.parts import (
    accounts,
    base,
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

    from exordos_paas_mail.node import machine

Part = base.Part
Telling = base.Telling

# In this order: no account that can log in before it is known whether it is on hold, how its mail
# is to leave, what it may send as, and how much. Exim takes a table of domains without a senders
# file for one that was lost. A password is taken away after the credential in its place has come.
PARTS: tp.Final[Mapping[str, Callable[[machine.Machine], Part]]] = types.MappingProxyType(
    {
        "holds": holds.Holds,
        "tls_policies": tls_policies.TlsPolicies,
        "senders": senders.Senders,
        "limits": limits.Limits,
        "domains": domains.Domains,
        "return_paths": return_paths.ReturnPaths,
        "credentials": credentials.Credentials,
        "passwd": accounts.Accounts,
    }
)


def of(node: machine.Machine) -> dict[str, Part]:
    """Return the parts of *node* by field."""
    return {field: part(node) for field, part in PARTS.items()}
