# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The file of limits on the node: how much may be sent."""

from __future__ import annotations

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import limits
from exordos_paas_mail.node.parts import lookup_file


class Limits(lookup_file.LookupPart):
    """The file of limits of one machine, looked at for each MAIL.

    exordos-mail-policy looks at it for each recipient.
    """

    name = "limits"
    what = "the file of limits"
    file = constants.LIMITS_FILE
    index = constants.LIMITS_INDEX_FILE

    def check(self, text: str, domain: str) -> None:
        """Raise ValueError, naming the line, unless *text* is a file of limits of *domain*."""
        limits.parse(text, domain)
