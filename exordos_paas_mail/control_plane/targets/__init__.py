# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What a node should hold, a file a part, by the field that travels to the node."""

from __future__ import annotations

import types
import typing as tp

from exordos_paas_mail.codecs import tls_policies as policy_files
from exordos_paas_mail.control_plane.targets import (
    account_shards,
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
    from collections.abc import Callable, Collection, Mapping

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


# The fact of an image that finds out what recipients' domains publish by MTA-STS.
MTA_STS: tp.Final = "mta_sts"

# The part that is told by reference from so many accounts on, see ``account_shards``.
ACCOUNTS: tp.Final = "passwd"
first_reference = account_shards.first
worthwhile_reference = account_shards.worthwhile
reference = account_shards.reference


def texts(
    session: tp.Any, instance: instances.MailInstance, without: Collection[str] = ()
) -> dict[str, str]:
    """Return the text of each part of *instance*, by field, but for those of *without*."""
    return {field: text(session, instance) for field, text in PARTS.items() if field not in without}


def known(texts: Mapping[str, str], reported: Collection[str] | None) -> dict[str, str]:
    """Return those of *texts*, by field, that a node can be told, in words that it knows.

    *reported* are the fields of its last report. One that has not reported, None, is told all:
    its image is the version's.
    """
    if reported is None:
        return dict(texts)
    told = {field: text for field, text in texts.items() if field in reported}
    if MTA_STS not in reported and "tls_policies" in told:
        told["tls_policies"] = policy_files.without_mta_sts(told["tls_policies"])
    return told
