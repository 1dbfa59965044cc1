# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The file of holds on the node: which accounts are on hold."""

from __future__ import annotations

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import holds
from exordos_paas_mail.node.parts import lookup_file


class Holds(lookup_file.LookupPart):
    """The file of holds of one machine, looked at for each MAIL and each delivery."""

    name = "the file of holds"
    what = name
    file = constants.HOLDS_FILE
    index = constants.HOLDS_INDEX_FILE

    def check(self, text: str, domain: str) -> None:
        """Raise ValueError, naming the line, unless *text* is a file of holds of *domain*."""
        holds.parse(text, domain)
