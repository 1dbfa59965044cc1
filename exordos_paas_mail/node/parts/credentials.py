# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The credentials of accounts on the node."""

from __future__ import annotations

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import credentials
from exordos_paas_mail.node.parts import lookup_file


class Credentials(lookup_file.LookupPart):
    """The file of credentials of one machine, looked at for each login and each MAIL."""

    name = "credentials"
    what = "the file of credentials"
    file = constants.CREDENTIALS_FILE
    index = constants.CREDENTIALS_INDEX_FILE

    def check(self, text: str, domain: str) -> None:
        """Raise ValueError, naming the line, unless *text* is a file of credentials of *domain*."""
        credentials.parse(text, domain)
