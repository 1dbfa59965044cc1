# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Who an agent on this machine says it is."""

from __future__ import annotations

import typing as tp

from gcl_sdk.agents.universal import utils

if tp.TYPE_CHECKING:
    import uuid as sys_uuid


def assume(uuid: sys_uuid.UUID) -> None:
    """Let this process's agent be *uuid*.

    gcl_sdk reads the identity from /sys/class/dmi/id/product_uuid and has no
    option for it: a machine without DMI has no such file, and an agent that
    stands for a node that is being flashed must not be this machine.
    """
    utils.system_uuid = lambda *_path: uuid
    utils.node_uuid = lambda *_path, **_options: uuid
