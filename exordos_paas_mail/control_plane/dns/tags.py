# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Lists of tags, ``v=DKIM1; p=...``: what DKIM and DMARC records are (RFC 6376 section 3.2)."""

from __future__ import annotations

import re
import typing as tp

_TAG: tp.Final = re.compile(r"[ \t]*([A-Za-z][A-Za-z0-9_]*)[ \t]*=[ \t]*(.*?)[ \t]*", re.DOTALL)


def parse(text: str) -> dict[str, str] | None:
    """Return the tags of *text* by their names, None if it is no list of tags.

    A tag that is there twice makes it none. White space around names and values
    is gone.
    """
    found: dict[str, str] = {}
    for part in text.split(";"):
        if not part.strip():
            continue
        match = _TAG.fullmatch(part)
        if match is None or match[1] in found:
            return None
        found[match[1]] = match[2]
    return found or None


def without_space(value: str) -> str:
    """Return a value that may be folded anywhere, such as a key, without white space."""
    return "".join(value.split())


def words(value: str) -> list[str]:
    """Return the words of a value that is a list, in lower case."""
    return [word.strip().lower() for word in value.split(":") if word.strip()]
