# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Certificates of the public authority as servers show them: one for each name asked for."""

from __future__ import annotations

import ssl
import typing as tp

from clients import issuing
from stand.internet import records as records_lib

if tp.TYPE_CHECKING:
    import pathlib

_HOUR: tp.Final = issuing.DAY / 24


class Shown:
    """Makes them when they are asked for; all are of *key*, or each of a key of its own."""

    def __init__(
        self,
        authority: issuing.Authority,
        directory: pathlib.Path,
        key: issuing.Key | None = None,
    ) -> None:
        """Certificates of *authority* pass through *directory*."""
        directory.mkdir(parents=True, exist_ok=True)
        self._authority = authority
        self._directory = directory
        self._key = key
        self._contexts: dict[tuple[str, bool], ssl.SSLContext] = {}

    def context(self, name: str, *, expired: bool = False) -> ssl.SSLContext:
        """Return a server's context for *name*; raises ValueError on what is no domain name."""
        key = records_lib.domain_name(name).to_text(omit_final_dot=True), expired
        if key not in self._contexts:
            ends = -_HOUR if expired else 90 * issuing.DAY
            issued = self._authority.issue(key[0], key=self._key, ends=ends)
            pair = self._directory / "pair.pem"
            pair.write_text(issued.key + issued.chain)
            self._contexts[key] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._contexts[key].load_cert_chain(pair)
        return self._contexts[key]
