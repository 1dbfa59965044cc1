# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The senders file on the node: who may send as whom."""

from __future__ import annotations

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import senders
from exordos_paas_mail.node.parts import lookup_file


class Senders(lookup_file.LookupPart):
    """The senders file of one machine, looked at for each MAIL."""

    name = "senders"
    what = "the senders file"
    file = constants.SENDERS_FILE
    index = constants.SENDERS_INDEX_FILE

    def check(self, text: str, domain: str) -> None:
        """Raise ValueError, naming the line, unless *text* is a senders file of *domain*."""
        senders.parse(text, domain)
