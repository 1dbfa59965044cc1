# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The file of TLS policies on the node: how mail leaves for which domain."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import tls_policies
from exordos_paas_mail.node.parts import lookup_file

if tp.TYPE_CHECKING:
    from exordos_paas_mail.node import machine

# Characters that exim's lsearch reads, up to the end mark.
INDEX_CHARACTERS_MIN: tp.Final = 100_000


def _is_long(text: str) -> bool:
    return len(text) >= INDEX_CHARACTERS_MIN


class TlsPolicies:
    """The file of TLS policies of one machine, a ``base.Part``.

    exim looks at the file anew at each delivery, so a change owes no reload.
    """

    name: tp.ClassVar[str] = "the file of TLS policies"

    def __init__(self, node: machine.Machine) -> None:
        self._file = lookup_file.LookupFile(
            node,
            what=self.name,
            name=constants.TLS_POLICIES_FILE,
            index_name=constants.TLS_POLICIES_INDEX_FILE,
            is_long=_is_long,
        )

    def check(self, text: str, domain: str) -> None:
        """Raise ValueError, naming the line, unless *text* is a file of *domain*."""
        tls_policies.parse(text, domain)

    def read(self) -> str:
        """Return the text of the file, empty when there is none."""
        return self._file.read() or ""

    def faults(self) -> list[str]:
        """Return what ``ensure`` has to repair even where the text is the target's."""
        return self._file.faults()

    def ensure(self, text: str) -> bool:
        """Make *text* the file of TLS policies; returns whether it had to be written."""
        return self._file.ensure(text)
