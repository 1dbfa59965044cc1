# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The password that an instance logs in with at its smarthost, sealed.

Whoever calls holds the instance (``locks``). What changes here marks the document that
tells the node.
"""

from __future__ import annotations

import typing as tp

from exordos_paas_mail.codecs import rules, smarthosts
from exordos_paas_mail.control_plane.records import document_marks, smarthost_choices
from exordos_paas_mail.control_plane.runtime import sealing

if tp.TYPE_CHECKING:
    import uuid as sys_uuid


def choose(session: tp.Any, instance: sys_uuid.UUID, choice: smarthost_choices.Choice) -> None:
    """Have the mail of *instance* go as *choice*, which its row has already, says.

    Without a password it is the one that was given before, if that was for this server and
    user name: it is not told to another. RuleError says why mail may not go so, OSError that
    the password cannot be kept: then all stays as it was.
    """
    if choice["kind"] == smarthost_choices.NONE:
        dropped = session.execute(
            "DELETE FROM mail_smarthosts WHERE instance = %s RETURNING instance", (str(instance),)
        ).fetchall()
        if dropped:
            _mark(session, instance)
        return
    check_hostname(session, instance)
    password = choice.password
    if password is None:
        password = _password_before(session, instance, choice)
    session.execute(
        "INSERT INTO mail_smarthosts (instance, sealed_password) VALUES (%s, %s)"
        " ON CONFLICT ON CONSTRAINT mail_smarthosts_pkey DO UPDATE"
        " SET sealed_password = EXCLUDED.sealed_password",
        (str(instance), sealing.seal(password, _bound_to(instance, choice), sealing.USER_API)),
    )
    _mark(session, instance)


def check_hostname(session: tp.Any, instance: sys_uuid.UUID) -> None:
    """Raise RuleError if the row of *instance* has its mail go by the relay itself."""
    found = session.execute(
        "SELECT FROM mail_instances WHERE uuid = %s"
        " AND smarthost->>'host' = coalesce(hostname, domain)",
        (str(instance),),
    ).fetchall()
    if found:
        raise rules.RuleError(
            "the host of smarthost must not be the name of this relay: its mail would go round"
        )


def smarthost_of(session: tp.Any, instance: sys_uuid.UUID) -> smarthosts.Smarthost | None:
    """Return the smarthost of *instance*, None for none.

    Raises ValueError if its password cannot be opened.
    """
    rows = session.execute(
        "SELECT i.smarthost, s.sealed_password FROM mail_instances i"
        " JOIN mail_smarthosts s ON s.instance = i.uuid WHERE i.uuid = %s",
        (str(instance),),
    ).fetchall()
    if not rows or rows[0]["smarthost"]["kind"] == smarthost_choices.NONE:
        return None
    choice = rows[0]["smarthost"]
    password = _unseal(instance, choice, rows[0]["sealed_password"])
    if password is None:
        raise ValueError("the password of the smarthost cannot be opened any more")
    return smarthosts.Smarthost(
        host=choice["host"],
        port=choice["port"],
        tls=choice["tls"],
        username=choice["username"],
        password=password,
        domains=tuple(choice["domains"]),
    )


def _password_before(
    session: tp.Any, instance: sys_uuid.UUID, choice: smarthost_choices.Choice
) -> str:
    rows = session.execute(
        "SELECT sealed_password FROM mail_smarthosts WHERE instance = %s", (str(instance),)
    ).fetchall()
    password = _unseal(instance, choice, rows[0]["sealed_password"]) if rows else None
    if password is None:
        raise rules.RuleError("password is required: none was given for this host and username")
    return password


def _unseal(instance: sys_uuid.UUID, choice: tp.Mapping[str, tp.Any], envelope: str) -> str | None:
    return sealing.unseal(envelope, _bound_to(instance, choice), sealing.USER_API)


def _bound_to(instance: sys_uuid.UUID, choice: tp.Mapping[str, tp.Any]) -> str:
    return f"smarthost {instance} {choice['host']} {choice['username']}"


def _mark(session: tp.Any, instance: sys_uuid.UUID) -> None:
    document_marks.mark(session, instance, smarthosts.COLLECTION, (smarthosts.SHARD,))
