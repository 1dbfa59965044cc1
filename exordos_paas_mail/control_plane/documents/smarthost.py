# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The server that the node of an instance sends by: one document, with a password."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail.codecs import smarthosts
from exordos_paas_mail.control_plane.records import smarthost_passwords

if tp.TYPE_CHECKING:
    import uuid as sys_uuid


def content(session: tp.Any, instance: sys_uuid.UUID, shard: str) -> bytes:  # noqa: ARG001
    """Return the smarthost of *instance*; there is one shard.

    Raises ValueError if the password cannot be opened: the node keeps what it has.
    """
    return smarthosts.render(smarthost_passwords.smarthost_of(session, instance))
