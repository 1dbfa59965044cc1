# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The account file on the node, and the reload that a change of it owes."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import passwd
from exordos_paas_mail.node.parts import lookup_file

if tp.TYPE_CHECKING:
    from exordos_paas_mail.node import machine

# exim's lsearch reads the file from its start, a look-up in the index and the
# check that it belongs to the file cost the same as about so many lines.
INDEX_ACCOUNTS_MIN: tp.Final = 1000
# Characters that so many accounts rarely have more of.
_INDEX_SIZE: tp.Final = 200_000


def _is_long(text: str) -> bool:
    # So many lines are in the first hundredth of a file of 100,000.
    return any(text.count("\n", 0, end) >= INDEX_ACCOUNTS_MIN for end in (_INDEX_SIZE, len(text)))


class Accounts:
    """The accounts exim knows on one machine, a ``base.Part``.

    A marker on disk stands for a reload that is still owed, so that neither a
    failed reload nor a crash before it is forgotten.
    """

    name: tp.ClassVar[str] = "accounts"

    def __init__(self, node: machine.Machine) -> None:
        self._node = node
        self._file = lookup_file.LookupFile(
            node,
            what="the account file",
            name=constants.PASSWD_FILE,
            index_name=constants.PASSWD_INDEX_FILE,
            is_long=_is_long,
        )
        # Dovecot scheme prefixes that the target came with, by address. They never
        # reach the file; put back in what is read, they let the target settle.
        self._prefixes: dict[str, str] = {}

    def check(self, text: str, domain: str) -> None:
        """Raise ValueError, naming the line, unless *text* is an account file of *domain*."""
        plain, _ = passwd.split_prefixes(text)
        passwd.parse(plain, domain)

    def read(self) -> str:
        """Return the text of the account file, empty when there is none."""
        return passwd.join_prefixes(self._file.read() or "", self._prefixes)

    def faults(self) -> list[str]:
        """Return what ``ensure`` has to repair even where the text is the target's."""
        faults = self._file.faults()
        if self._node.exists(constants.RELOAD_PENDING_FILE):
            faults.append("a reload is owed")
        return faults

    def ensure(self, text: str) -> bool:
        """Make *text* the account file and have exim reload; returns whether it changed."""
        text, self._prefixes = passwd.split_prefixes(text)
        if not self._file.holds(text):
            self._node.ensure_file(constants.RELOAD_PENDING_FILE, b"", 0o600)
        changed = self._file.ensure(text)
        if self._node.exists(constants.RELOAD_PENDING_FILE):
            self._node.reload_relay()
            self._node.ensure_absent(constants.RELOAD_PENDING_FILE)
        return changed
