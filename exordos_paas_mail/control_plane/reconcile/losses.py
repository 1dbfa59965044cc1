# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What a node cannot do because its image is older than the control plane.

A node keeps its image until somebody asks for its version again, so it may lack a
part or a fact that the control plane knows. Such a part is not sent to it, and the
instance's ``error`` says what that costs, if it costs this instance anything.
"""

from __future__ import annotations

import json
import types
import typing as tp

from exordos_paas_mail import constants, utils
from exordos_paas_mail.codecs import limits, tls_policies

if tp.TYPE_CHECKING:
    import uuid as sys_uuid
    from collections.abc import Callable, Mapping


def _accounts(session: tp.Any, instance: sys_uuid.UUID) -> str:
    (row,) = session.execute(
        "SELECT EXISTS (SELECT FROM mail_accounts WHERE instance = %s AND active) AS needed",
        (str(instance),),
    ).fetchall()
    return "let its accounts log in" if row["needed"] else ""


def _credentials(session: tp.Any, instance: sys_uuid.UUID) -> str:
    (row,) = session.execute(
        "SELECT EXISTS (SELECT FROM mail_credentials WHERE instance = %s AND active) AS needed",
        (str(instance),),
    ).fetchall()
    return "let its accounts log in by their credentials" if row["needed"] else ""


def _hostname(session: tp.Any, instance: sys_uuid.UUID) -> str:
    rows = session.execute(
        "SELECT hostname FROM mail_instances WHERE uuid = %s AND hostname <> domain",
        (str(instance),),
    ).fetchall()
    return "".join(f"call itself {row['hostname']}" for row in rows)


def _domains(session: tp.Any, instance: sys_uuid.UUID) -> str:
    (row,) = session.execute(
        "SELECT EXISTS (SELECT FROM mail_domains WHERE instance = %s AND active"
        " AND NOT is_primary) AS of_domains,"
        " EXISTS (SELECT FROM mail_dkim_keys k JOIN mail_domains d ON d.uuid = k.domain"
        " WHERE k.instance = %s AND d.is_primary AND k.state = 'ACTIVE'"
        " AND k.selector <> %s) AS of_keys",
        (str(instance), str(instance), constants.DKIM_SELECTOR),
    ).fetchall()
    needed = {
        "send for its further domains": row["of_domains"],
        "sign with its further DKIM keys": row["of_keys"],
    }
    return ", ".join(loss for loss, is_needed in needed.items() if is_needed)


def _senders(session: tp.Any, instance: sys_uuid.UUID) -> str:
    (row,) = session.execute(
        "SELECT sender_policy <> 'account' OR EXISTS (SELECT FROM mail_accounts"
        " WHERE instance = i.uuid AND active AND senders IS NOT NULL) AS needed"
        " FROM mail_instances i WHERE uuid = %s",
        (str(instance),),
    ).fetchall() or ({"needed": False},)
    return "let its accounts send as other addresses than their own" if row["needed"] else ""


def _limits(session: tp.Any, instance: sys_uuid.UUID) -> str:
    none = json.dumps(dict(limits.NONE))
    (row,) = session.execute(
        "SELECT limits <> %s::jsonb OR EXISTS (SELECT FROM mail_accounts WHERE instance = i.uuid"
        " AND active AND limits <> %s::jsonb) AS needed FROM mail_instances i WHERE uuid = %s",
        (none, none, str(instance)),
    ).fetchall() or ({"needed": False},)
    return "hold its accounts to their limits" if row["needed"] else ""


def _holds(session: tp.Any, instance: sys_uuid.UUID) -> str:
    (row,) = session.execute(
        "SELECT EXISTS (SELECT FROM mail_accounts WHERE instance = %s"
        " AND (hold->>'active')::boolean) AS needed",
        (str(instance),),
    ).fetchall()
    return "keep accounts on hold" if row["needed"] else ""


def _return_paths(session: tp.Any, instance: sys_uuid.UUID) -> str:
    (row,) = session.execute(
        "SELECT EXISTS (SELECT FROM mail_domains WHERE instance = %s AND active"
        " AND bounce_handling->>'kind' <> 'none') AS needed",
        (str(instance),),
    ).fetchall()
    return "take bounces for its domains" if row["needed"] else ""


def _tls(session: tp.Any, instance: sys_uuid.UUID) -> str:
    (row,) = session.execute(
        "SELECT EXISTS (SELECT FROM mail_instances WHERE uuid = %s"
        " AND tls->>'kind' <> 'self_signed') AS needed",
        (str(instance),),
    ).fetchall()
    return "serve another certificate than its own" if row["needed"] else ""


def _tls_policies(session: tp.Any, instance: sys_uuid.UUID) -> str:
    (row,) = session.execute(
        "SELECT EXISTS (SELECT FROM mail_tls_policies WHERE instance = %s AND mode <> 'auto')"
        " OR EXISTS (SELECT FROM mail_accounts WHERE instance = %s AND active AND require_tls)"
        " AS needed",
        (str(instance), str(instance)),
    ).fetchall()
    return "keep its TLS policies" if row["needed"] else ""


def _mta_sts(session: tp.Any, instance: sys_uuid.UUID) -> str:
    (row,) = session.execute(
        "SELECT EXISTS (SELECT FROM mail_tls_policies WHERE instance = %s AND mode = %s) AS needed",
        (str(instance), tls_policies.Mode.MTA_STS.value),
    ).fetchall()
    return (
        "keep TLS policies of the mode mta_sts, and keeps them as verify" if row["needed"] else ""
    )


def _smarthost(session: tp.Any, instance: sys_uuid.UUID) -> str:
    (row,) = session.execute(
        "SELECT EXISTS (SELECT FROM mail_instances WHERE uuid = %s"
        " AND smarthost->>'kind' <> 'none') AS needed",
        (str(instance),),
    ).fetchall()
    return "send its mail by its smarthost" if row["needed"] else ""


def _smarthost_below(session: tp.Any, instance: sys_uuid.UUID) -> str:
    (row,) = session.execute(
        "SELECT EXISTS (SELECT FROM mail_instances WHERE uuid = %s"
        " AND jsonb_path_exists(smarthost, '$.domains[*] ? (@ starts with \"*.\")')) AS needed",
        (str(instance),),
    ).fetchall()
    return (
        'take "*.domain" among the domains of its smarthost, and sends that mail by MX records'
        if row["needed"]
        else ""
    )


# By the field of a part, see ``targets``, or of a fact: what an image without it
# cannot do for an instance, empty if the instance does not need it.
LOSSES: tp.Final[Mapping[str, Callable[[tp.Any, sys_uuid.UUID], str]]] = types.MappingProxyType(
    {
        "passwd": _accounts,
        "hostname": _hostname,
        "domains": _domains,
        "senders": _senders,
        "limits": _limits,
        "credentials": _credentials,
        "holds": _holds,
        "return_paths": _return_paths,
        "tls": _tls,
        "tls_policies": _tls_policies,
        "mta_sts": _mta_sts,
        "smarthost": _smarthost,
        "smarthost_below": _smarthost_below,
    }
)


def told(instance: sys_uuid.UUID, known: frozenset[str] | None) -> str:
    """Return what nodes that report the fields *known* cannot do for *instance*, in a sentence.

    Empty if they can do all of it, and while nothing was reported (None).
    """
    lacking = [] if known is None else [field for field in LOSSES if field not in known]
    if not lacking:
        return ""
    with utils.transaction() as session:
        losses = list(filter(None, (LOSSES[field](session, instance) for field in lacking)))
    if not losses:
        return ""
    return (
        f"the node's image is older than this control plane and cannot {', '.join(losses)}:"
        " set the instance's version again to get the image it has now"
    )
