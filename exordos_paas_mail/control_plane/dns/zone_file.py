# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Records in the words of a zone file (RFC 1035 chapter 5), to be pasted into one."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail.control_plane.dns import expected

if tp.TYPE_CHECKING:
    from collections.abc import Sequence


def render(domain: str, records: Sequence[expected.Record]) -> str:
    """Return the lines for the zone of *domain*, names in full.

    What belongs to another zone, such as a PTR record, is a comment there: a
    name server refuses a file with a name in it that is outside the zone.
    """
    lines = [f"; {domain}: the records of its mail relay"]
    for record in records:
        text = _line(record)
        if record.name == domain or record.name.endswith(f".{domain}"):
            lines.append(text)
        else:
            lines.append(f"; in the zone of {record.name}:")
            lines.append(f"; {text}")
    return "\n".join(lines) + "\n"


def _line(record: expected.Record) -> str:
    value = {"TXT": _strings, "PTR": _name, "MX": _name}.get(record.type, _plain)(record)
    return f"{record.name}.\t{expected.TTL}\tIN\t{record.type}\t{value}"


def _plain(record: expected.Record) -> str:
    return record.value


def _name(record: expected.Record) -> str:
    return f"{record.value}."


def _strings(record: expected.Record) -> str:
    quoted = [f'"{_escaped(string)}"' for string in record.strings]
    return quoted[0] if len(quoted) == 1 else f"( {' '.join(quoted)} )"


def _escaped(string: str) -> str:
    return string.replace("\\", "\\\\").replace('"', '\\"')
