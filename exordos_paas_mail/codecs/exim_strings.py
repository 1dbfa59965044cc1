# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""How exim is told things (chapters 11.6, 43.23 of its specification)."""

from __future__ import annotations

import typing as tp

if tp.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exordos_paas_mail.codecs.header_repair import Field

_ESCAPES = {ord('"'): rb"\"", ord("\\"): rb"\\", ord("\n"): rb"\n", ord("\t"): rb"\t"}


def render(values: Mapping[str, bytes]) -> bytes:
    """Return *values* as ``${extract{name}{...}}`` reads them; octets of 0 are not taken."""
    return b" ".join(
        b'%s="%s"' % (name.encode(), b"".join(_ESCAPES.get(o, bytes([o])) for o in value))
        for name, value in values.items()
    )


def distinct(fields: Sequence[Field]) -> list[Field]:
    """Return *fields* such that exim adds each of them.

    It drops one that an earlier one starts with. A space after the colon makes the
    difference, and means nothing in any field.
    """
    found: list[Field] = []
    for field in fields:
        one = field
        while any(earlier.text.startswith(one.text) for earlier in found):
            one = one.with_value(b" " + one.value)
        found.append(one)
    return found
