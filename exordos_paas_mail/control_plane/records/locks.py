# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The lock that orders the writes of one instance: the row of the instance.

Whoever locks rows of an instance takes this one first, by ``hold_instance`` or
by ``MailInstance.touch``, so that no two writers wait for each other.
"""

from __future__ import annotations

import typing as tp


def hold_instance(session: tp.Any, uuid: tp.Any) -> bool:
    """Lock the row of the instance to the end of the transaction; returns whether it is there.

    Writes nothing: where the node is to hold something else, it is ``touch`` that wakes
    the builders.
    """
    rows = session.execute(
        "SELECT FROM mail_instances WHERE uuid = %s FOR UPDATE", (str(uuid),)
    ).fetchall()
    return bool(rows)
