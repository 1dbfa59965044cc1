# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The file of TLS policies on the node: how mail leaves for which domain."""

from __future__ import annotations

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import tls_policies
from exordos_paas_mail.node.parts import lookup_file


class TlsPolicies(lookup_file.LookupPart):
    """The file of TLS policies of one machine, looked at for each delivery."""

    name = "the file of TLS policies"
    what = name
    file = constants.TLS_POLICIES_FILE
    index = constants.TLS_POLICIES_INDEX_FILE

    def check(self, text: str, domain: str) -> None:
        """Raise ValueError, naming the line, unless *text* is a file of policies of *domain*."""
        tls_policies.parse(text, domain)
