# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What every effect on a machine raises when the machine refuses."""

from __future__ import annotations


class MachineError(Exception):
    """The machine refused; the message is one line and holds no secret."""
