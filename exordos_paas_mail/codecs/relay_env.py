# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""relay.env, by which an operator overrides the relay's defaults on a node.

Optional, KEY=value (``env_files``). A key ``RELAY_<NAME>`` sets the field
``<name>`` of ``exim_conf.Settings``.
"""

from __future__ import annotations

import re
import typing as tp

from exordos_paas_mail.codecs import env_files

if tp.TYPE_CHECKING:
    from collections.abc import Mapping

Value: tp.TypeAlias = bool | int | str

_PREFIX = "RELAY_"
_KEY = re.compile(r"RELAY_[A-Z][A-Z0-9_]*")
_BOOLEANS = {"yes": True, "no": False}
_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")
# No character that exim expands, splits a list or ends a string with.
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/ -]{0,62}")


def _value(key: str, text: str, kind: type[Value]) -> Value:
    if kind is bool:
        if text not in _BOOLEANS:
            raise ValueError(f"{key} is neither yes nor no")
        return _BOOLEANS[text]
    if kind is int:
        if _NUMBER.fullmatch(text) is None:
            raise ValueError(f"{key} is not a number from 0 to 999999999")
        return int(text)
    if _WORD.fullmatch(text) is None:
        raise ValueError(f"{key} holds characters other than letters, digits, space and ._/-")
    return text


def parse(text: str, kinds: Mapping[str, type[Value]]) -> dict[str, Value]:
    """Return the overrides in *text* as a mapping of field name to value.

    *kinds* maps each field that may be set to its type: ``bool`` is written
    ``yes`` or ``no``, ``int`` in decimal, ``str`` as a plain word such as
    ``25M`` or ``500 / 1h``. Fields that are not in *kinds* are passed over
    (``unknown`` has them): a file of the data disk may be a later release's.
    Raises ValueError for a value of another type, and where ``env_files.parse``
    does.
    """
    return {
        field: _value(_key(field), value, kinds[field])
        for field, value in _fields(text).items()
        if field in kinds
    }


def unknown(text: str, kinds: Mapping[str, type[Value]]) -> list[str]:
    """Return the keys in *text* that ``parse`` passes over, in their order."""
    return [_key(field) for field in _fields(text) if field not in kinds]


def _key(field: str) -> str:
    return f"{_PREFIX}{field.upper()}"


def _fields(text: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for key, value in env_files.parse(text).items():
        if _KEY.fullmatch(key) is None:
            raise ValueError(f"a key is not {_PREFIX}NAME")
        fields[key.removeprefix(_PREFIX).lower()] = value
    return fields


def render(values: Mapping[str, Value]) -> str:
    """Return relay.env for *values*, the inverse of ``parse``."""
    words = {True: "yes", False: "no"}
    return env_files.render(
        {
            _key(field): words[value] if isinstance(value, bool) else str(value)
            for field, value in values.items()
        }
    )
