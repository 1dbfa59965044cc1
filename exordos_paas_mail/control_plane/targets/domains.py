# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The table of domains a node should hold, and the DKIM keys it should make."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail.codecs import dkim, domain_table
from exordos_paas_mail.control_plane.records import domain_states, key_rows, key_states

if tp.TYPE_CHECKING:
    from exordos_paas_mail.control_plane.records import instances


def text(session: tp.Any, instance: instances.MailInstance) -> str:
    """Return the text of the table: the domains of *instance*, each with its keys, sorted."""
    rows = key_rows.with_domains(session, instance.uuid)
    return domain_table.render(_domain(row, keys) for row, keys in rows)


def _domain(row: tp.Mapping[str, tp.Any], keys: tp.Iterable[key_states.Key]) -> domain_table.Domain:
    held = tuple(
        domain_table.Key(
            key.selector,
            key.algorithm,
            domain_table.SIGN if key.state == key_states.ACTIVE else domain_table.HOLD,
        )
        for key in keys
        if key.state != key_states.REVOKED
    )
    return domain_table.Domain(row["domain"], _use(row, held), held)


def _use(row: tp.Mapping[str, tp.Any], keys: tp.Iterable[domain_table.Key]) -> str:
    if not row["active"]:
        return domain_table.INACTIVE
    # Every receiver verifies RSA, and some nothing else.
    is_signed = any((key.algorithm, key.duty) == (dkim.RSA, domain_table.SIGN) for key in keys)
    is_proven = row["is_primary"] or row["status"] != domain_states.PENDING
    return domain_table.SEND if is_proven and is_signed else domain_table.PENDING
