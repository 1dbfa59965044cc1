# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The domains that are suspended: the file that exim looks them up in is the only place."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail import atomic_files
from exordos_paas_mail.codecs import suspensions

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Mapping

# exim reads it, whoever wrote it.
_MODE = 0o644


class FullError(Exception):
    """As many domains are suspended as may be."""


class Suspended:
    """The file at *path*. Each method raises OSError when the disk refuses."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            text = ""
        self._domains = {one.domain: one for one in suspensions.parse(text)}

    def now(self, now: float) -> Mapping[str, suspensions.Suspension]:
        """Return what is suspended at *now*, in seconds since 1970; what is over is taken out."""
        if any(one.until <= now for one in self._domains.values()):
            self._write({name: one for name, one in self._domains.items() if one.until > now})
        return self._domains

    def add(self, one: suspensions.Suspension) -> None:
        """Suspend a domain, or change its end; FullError where there is no room for one more."""
        if one.domain not in self._domains and len(self._domains) >= suspensions.MAX:
            raise FullError(f"{suspensions.MAX} domains are suspended already")
        self._write({**self._domains, one.domain: one})

    def remove(self, domain: str) -> None:
        """Have a domain be suspended no more."""
        self._write({name: one for name, one in self._domains.items() if name != domain})

    def _write(self, domains: dict[str, suspensions.Suspension]) -> None:
        if domains != self._domains:
            content = suspensions.render(domains.values()).encode()
            atomic_files.replace(self._path, content, _MODE)
            self._domains = domains
