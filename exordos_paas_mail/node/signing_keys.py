# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The DKIM keys of the table of domains: made on the machine, and told by their public halves.

Each is a file ``<selector>.private`` in a directory of its domain's name. The
exception is the primary domain's first key, which configure makes and repairs
(``node.dkim_keys``): it is told here and never touched. A domain that is no
longer listed keeps its directory, so that coming back finds its keys.
"""

from __future__ import annotations

import time
import typing as tp

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import dkim, dkim_values, domain_table, mail_env
from exordos_paas_mail.node.machine import watched

if tp.TYPE_CHECKING:
    from exordos_paas_mail.node import machine

_SUFFIX: tp.Final = ".private"
_MODE: tp.Final = 0o640
_DIRECTORY_MODE: tp.Final = 0o750
# See ``watched``: what has just changed may change again and look the same.
_SETTLING_TIME = 1.0


class _Seen(tp.NamedTuple):
    signature: machine.Signature
    algorithm: str
    public_key: str
    fault: str


def _parse_domain(data: bytes | None) -> str:
    """Return the domain of mail.env, empty while there is none."""
    try:
        return "" if data is None else mail_env.parse(data.decode(errors="replace")).domain
    except ValueError:
        return ""


class SigningKeys:
    """The keys on one machine; a look at one that has not changed costs one stat(2)."""

    def __init__(self, node: machine.Machine) -> None:
        self._node = node
        self._primary = watched.Watched(node, constants.MAIL_ENV_FILE, _parse_domain)
        self._seen: dict[str, _Seen] = {}
        self._told: tuple[list[tuple[str, str, _Seen]], str] = ([], "")
        self._sound_directories: dict[str, machine.Signature] = {}

    def values(self, table: list[domain_table.Domain]) -> str:
        """Return the public keys of *table* that can be signed with, see ``dkim_values``."""
        _, primary = self._primary.read()
        found = []
        for domain in table:
            for key in domain.keys:
                seen = self._look(_path(domain.name, key, primary), key)
                if seen is not None and seen.public_key:
                    found.append((domain.name, key.selector, seen))
        if found != self._told[0]:
            values = [
                dkim_values.Value(n, s, seen.algorithm, seen.public_key) for n, s, seen in found
            ]
            self._told = (found, dkim_values.render(values))
        return self._told[1]

    def faults(self, domain: domain_table.Domain) -> list[str]:
        """Return what ``ensure`` has to repair."""
        _, primary = self._primary.read()
        keys = [key for key in domain.keys if not _is_configures(domain.name, key, primary)]
        faults = [
            f"{directory} is not as exim needs it"
            for directory in _directories(domain.name, keys)
            if not self._is_sound(directory)
        ]
        for key in keys:
            seen = self._look(_path(domain.name, key, primary), key)
            fault = "is missing" if seen is None else seen.fault
            if fault:
                faults.append(f"the DKIM key {key.selector} of {domain.name} {fault}")
        return faults

    def ensure(self, domain: domain_table.Domain) -> bool:
        """Make the keys of *domain* that are missing or damaged; returns whether any was."""
        _, primary = self._primary.read()
        keys = [key for key in domain.keys if not _is_configures(domain.name, key, primary)]
        changes = [
            self._node.ensure_directory(directory, _DIRECTORY_MODE, exim=True)
            for directory in _directories(domain.name, keys)
        ]
        changes += [self._ensure_key(_path(domain.name, key, primary), key) for key in keys]
        return any(changes)

    def others(self, domain: domain_table.Domain) -> list[str]:
        """Return the files of keys that *domain* has no more."""
        listed = {f"{key.selector}{_SUFFIX}" for key in domain.keys}
        directory = _directory(domain.name)
        names = [name for name in self._node.names(directory) if name.endswith(_SUFFIX)]
        return [f"{directory}/{name}" for name in names if name not in listed]

    def _is_sound(self, directory: str) -> bool:
        signature = self._node.directory_signature(directory)
        if signature is None:
            return False
        # Its times change with the files in it.
        owned = signature._replace(size=0, mtime_ns=0, ctime_ns=0)
        if self._sound_directories.get(directory) == owned:
            return True
        if not self._node.is_owned(signature, _DIRECTORY_MODE, exim=True):
            return False
        self._sound_directories[directory] = owned
        return True

    def _ensure_key(self, path: str, key: domain_table.Key) -> bool:
        content = self._node.read(path)
        if content is None or not _public_key(content, key.algorithm):
            content = dkim.generate(key.algorithm)
        self._seen.pop(path, None)
        return self._node.ensure_file(path, content, _MODE, exim=True)

    def _look(self, path: str, key: domain_table.Key) -> _Seen | None:
        signature = self._node.signature(path)
        if signature is None:
            return None
        seen = self._seen.get(path)
        if seen is not None and seen[:2] == (signature, key.algorithm):
            return seen
        content = self._node.read(path)
        public_key = "" if content is None else _public_key(content, key.algorithm)
        fault = ""
        if not self._node.is_owned(signature, _MODE, exim=True):
            fault = "has another mode or owner, or is a link"
        elif not public_key:
            fault = "is damaged"
        seen = _Seen(signature, key.algorithm, public_key, fault)
        if time.time() - signature.ctime_ns / 1e9 > _SETTLING_TIME:
            self._seen[path] = seen
        return seen


def _is_configures(domain: str, key: domain_table.Key, primary: str) -> bool:
    """Return whether the key is the primary's first, which configure sees to.

    While there is no mail.env nobody knows whose that is.
    """
    return key.selector == constants.DKIM_SELECTOR and primary in {"", domain}


def _path(domain: str, key: domain_table.Key, primary: str) -> str:
    if _is_configures(domain, key, primary):
        return constants.DKIM_PRIVATE_KEY_FILE
    return f"{_directory(domain)}/{key.selector}{_SUFFIX}"


def _directory(domain: str) -> str:
    return f"{constants.DKIM_DOMAINS_DIR}/{domain}"


def _directories(domain: str, keys: list[domain_table.Key]) -> list[str]:
    return [constants.DKIM_DOMAINS_DIR, *([_directory(domain)] if keys else [])]


def _public_key(private_key: bytes, algorithm: str) -> str:
    """Return the public half, empty for what cannot be signed with."""
    try:
        return dkim.public_key_of(private_key, algorithm)
    except ValueError:
        return ""
