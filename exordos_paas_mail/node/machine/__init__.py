# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The machine that a node is: its commands, and the files of exim and of the system.

What daemons keep for themselves is theirs (``node.databases``).
"""

from __future__ import annotations

import dataclasses

from exordos_paas_mail import constants
from exordos_paas_mail.node.machine import errors, files, services

MachineError = errors.MachineError
Signature = files.Signature
Space = files.Space
Delivery = services.Delivery
Unit = services.Unit


@dataclasses.dataclass(frozen=True)
class Machine(files.Files, services.Services):
    """A machine, seen from its root directory.

    *exim_user* is whom exim's own commands run as, where this process may choose.
    """

    exim_user: str = constants.EXIM_USER
