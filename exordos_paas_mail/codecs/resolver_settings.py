# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What relay.env says of the node's own resolver.

``RELAY_RESOLVER``: ``yes`` or ``no``. ``RELAY_PRIVATE_ZONES``: names that only the network
knows, separated by spaces. exim's configuration has neither (``exim_conf.Settings``).
"""

from __future__ import annotations

import re
import typing as tp

from exordos_paas_mail.codecs import env_files

_SWITCH: tp.Final = "RELAY_RESOLVER"
_ZONES: tp.Final = "RELAY_PRIVATE_ZONES"
KEYS: tp.Final = (_SWITCH, _ZONES)

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_ZONE = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_ZONES_MAX = 50


class Settings(tp.NamedTuple):
    """What an operator has asked for."""

    is_on: bool = True
    """Whether the node has a resolver of its own."""
    private_zones: tuple[str, ...] = ()
    """Domains that are asked of the network's first server alone, and not validated."""


def parse(text: str, before: Settings = Settings()) -> Settings:  # noqa: B008 - a tuple never changes
    """Return *before* with what *text*, a file of settings, says otherwise.

    Raises ValueError for a value that is none, and where ``env_files.parse`` does.
    """
    values = env_files.parse(text)
    switch = values.get(_SWITCH)
    if switch not in {None, "yes", "no"}:
        raise ValueError(f"{_SWITCH} is neither yes nor no")
    zones = before.private_zones
    if _ZONES in values:
        names = values[_ZONES].lower().split()
        if len(names) > _ZONES_MAX or not all(map(is_zone, names)):
            raise ValueError(f"{_ZONES} is not at most {_ZONES_MAX} domains, separated by spaces")
        zones = tuple(dict.fromkeys(names))
    return Settings(before.is_on if switch is None else switch == "yes", zones)


def is_zone(name: str) -> bool:
    """Return whether *name* is a domain in lower case, of one label or more."""
    return _ZONE.fullmatch(name) is not None
