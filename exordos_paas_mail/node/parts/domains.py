# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The table of domains on the node, and the DKIM keys it lists."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import dkim, domain_table
from exordos_paas_mail.node import signing_keys
from exordos_paas_mail.node.machine import watched

if tp.TYPE_CHECKING:
    from exordos_paas_mail.node import machine

_MODE = 0o640


class _Content(tp.NamedTuple):
    text: str
    table: list[domain_table.Domain]


def _parse(data: bytes | None) -> _Content:
    # Whatever somebody put there has to read as something else than a target.
    text = "" if data is None else data.decode("utf-8", errors="replace")
    try:
        return _Content(text, domain_table.parse(text))
    except ValueError:
        return _Content(text, [])


class Domains:
    """The domains exim knows on one machine, a ``base.Part``.

    Exim reads the file anew for each message, so a change owes no reload. The
    keys are there before a table that names them, and go after it.
    """

    name: tp.ClassVar[str] = "domains"

    def __init__(self, node: machine.Machine) -> None:
        self._node = node
        self._file = watched.Watched(node, constants.DOMAINS_FILE, _parse)
        self._keys = signing_keys.SigningKeys(node)
        # The table that has been looked through for keys that are no longer in it.
        self._cleared: machine.Signature | None = None
        self._just_told: tuple[list[domain_table.Domain], signing_keys.Told] | None = None

    def check(self, text: str, domain: str) -> None:
        """Raise ValueError, naming the line, unless *text* is a table that *domain* is in."""
        table = {entry.name: entry for entry in domain_table.parse(text)}
        if domain not in table:
            raise ValueError(f"{domain}, the primary domain, is not in it")
        for key in table[domain].keys:
            if key.selector == constants.DKIM_SELECTOR and key.algorithm != dkim.RSA:
                raise ValueError(f"the key {key.selector} of {domain} is not {dkim.RSA}")

    def read(self) -> str:
        """Return the text of the table, empty when there is none."""
        _, content = self._file.read()
        return content.text

    def facts(self) -> dict[str, str]:
        """Return the public keys of the table's domains, see ``codecs.dkim_values``."""
        _, content = self._file.read()
        told = self._keys.tell(content.table)
        self._just_told = (content.table, told)
        return {"dkim_keys": told.values}

    def faults(self) -> list[str]:
        """Return what ``ensure`` has to repair even where the text is the target's."""
        file, content = self._file.read()
        if file is None:
            # Never told, or lost: then the text is not the target's.
            return []
        # A pass asks for facts, then for faults: one look at the keys does for both, once.
        table, told = self._just_told or (None, None)
        self._just_told = None
        if told is None or table is not content.table:
            told = self._keys.tell(content.table)
        faults = list(told.faults)
        if not self._node.is_owned(file, _MODE, exim=True):
            faults.append("the table of domains has another mode or owner")
        if self._cleared != file:
            faults += [f"{name} is of no domain's any more" for name in self._others(content.table)]
            self._cleared = None if faults else file
        return faults

    def ensure(self, text: str) -> bool:
        """Make *text* the table, with its keys; returns whether anything had to be written."""
        table = domain_table.parse(text)
        self._just_told = None
        changes = [self._keys.ensure(domain) for domain in table]
        changes.append(
            self._node.ensure_file(constants.DOMAINS_FILE, text.encode(), _MODE, exim=True)
        )
        changes += [self._node.ensure_absent(name) for name in self._others(table)]
        return any(changes)

    def _others(self, table: list[domain_table.Domain]) -> list[str]:
        return [name for domain in table for name in self._keys.others(domain)]
