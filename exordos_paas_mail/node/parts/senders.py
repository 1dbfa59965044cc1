# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The senders file on the node: who may send as whom."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import senders
from exordos_paas_mail.node.parts import lookup_file

if tp.TYPE_CHECKING:
    from exordos_paas_mail.node import machine

# A line can be long: it is characters that exim's lsearch reads, up to the end mark. What
# accounts.INDEX_ACCOUNTS_MIN lines of the account file have.
INDEX_CHARACTERS_MIN: tp.Final = 100_000


def _is_long(text: str) -> bool:
    return len(text) >= INDEX_CHARACTERS_MIN


class Senders:
    """The senders file of one machine, a ``base.Part``.

    exim looks at the file anew at each MAIL, so a change owes no reload.
    """

    name: tp.ClassVar[str] = "senders"

    def __init__(self, node: machine.Machine) -> None:
        self._file = lookup_file.LookupFile(
            node,
            what="the senders file",
            name=constants.SENDERS_FILE,
            index_name=constants.SENDERS_INDEX_FILE,
            is_long=_is_long,
        )

    def check(self, text: str, domain: str) -> None:
        """Raise ValueError, naming the line, unless *text* is a senders file of *domain*."""
        senders.parse(text, domain)

    def read(self) -> str:
        """Return the text of the senders file, empty when there is none."""
        return self._file.read() or ""

    def faults(self) -> list[str]:
        """Return what ``ensure`` has to repair even where the text is the target's."""
        return self._file.faults()

    def ensure(self, text: str) -> bool:
        """Make *text* the senders file; returns whether it had to be written."""
        return self._file.ensure(text)
