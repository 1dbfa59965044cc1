# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The DKIM keys of the table of domains: made on the machine, and told by their public halves.

Each is a file ``<selector>.private`` in a directory of its domain's name. The
exception is the primary domain's first key, which configure makes and repairs
(``node.dkim_keys``): it is told here and never touched. A domain that is no
longer listed keeps its directory, so that coming back finds its keys.
"""

from __future__ import annotations

import typing as tp

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import dkim, dkim_values, domain_table, mail_env
from exordos_paas_mail.node.machine import watched

if tp.TYPE_CHECKING:
    from exordos_paas_mail.node import machine

_SUFFIX: tp.Final = ".private"
_MODE: tp.Final = 0o640
_DIRECTORY_MODE: tp.Final = 0o750


class Told(tp.NamedTuple):
    """What there is to tell of the keys of a table."""

    values: str
    """The public keys that can be signed with, see ``dkim_values``."""
    faults: list[str]
    """What ``ensure`` has to repair."""


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
        self._swept: tuple[list[domain_table.Domain], str, watched.Sweep[Told]] | None = None

    def tell(self, table: list[domain_table.Domain]) -> Told:
        """Return what there is to tell of the keys of *table*."""
        _, primary = self._primary.read()
        if self._swept is None or self._swept[:2] != (table, primary):
            self._swept = (table, primary, self._sweep(table, primary))
        return self._swept[2].read(
            lambda: Told(
                self._values(table, primary),
                [fault for domain in table for fault in self._faults(domain, primary)],
            )
        )

    def _sweep(self, table: list[domain_table.Domain], primary: str) -> watched.Sweep[Told]:
        files, directories = [], set()
        for domain in table:
            files += [_path(domain.name, key, primary) for key in domain.keys]
            directories.update(_directories(domain.name, _ours(domain, primary)))
        return watched.Sweep(self._node, files=files, directories=sorted(directories))

    def _values(self, table: list[domain_table.Domain], primary: str) -> str:
        found = []
        for domain in table:
            for key in domain.keys:
                seen = self._look(_path(domain.name, key, primary), key)
                if seen is not None and seen.public_key:
                    found.append(
                        dkim_values.Value(
                            domain.name, key.selector, seen.algorithm, seen.public_key
                        )
                    )
        return dkim_values.render(found)

    def _faults(self, domain: domain_table.Domain, primary: str) -> list[str]:
        keys = _ours(domain, primary)
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
        keys = _ours(domain, primary)
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
        return signature is not None and self._node.is_owned(signature, _DIRECTORY_MODE, exim=True)

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
        if watched.is_settled(signature.ctime_ns):
            self._seen[path] = seen
        return seen


def _is_configures(domain: str, key: domain_table.Key, primary: str) -> bool:
    """Return whether the key is the primary's first, which configure sees to.

    While there is no mail.env nobody knows whose that is.
    """
    return key.selector == constants.DKIM_SELECTOR and primary in {"", domain}


def _ours(domain: domain_table.Domain, primary: str) -> list[domain_table.Key]:
    """Return the keys of *domain* that are made here."""
    return [key for key in domain.keys if not _is_configures(domain.name, key, primary)]


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
