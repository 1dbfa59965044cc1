# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What the node of an instance is to serve TLS with: one document, with a private key."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail.codecs import tls_document
from exordos_paas_mail.control_plane.records import tls_pairs

if tp.TYPE_CHECKING:
    import uuid as sys_uuid


def content(session: tp.Any, instance: sys_uuid.UUID, shard: str) -> bytes:  # noqa: ARG001
    """Return the pair of *instance* and its addresses; there is one shard.

    Raises ValueError if the key cannot be opened: the node keeps what it has.
    """
    (row,) = session.execute(
        "SELECT ipsv4 FROM mail_instances WHERE uuid = %s", (str(instance),)
    ).fetchall()
    pair = tls_pairs.pair_of(session, instance)
    return tls_document.render(tls_document.Document(pair, tuple(row["ipsv4"] or ())))
