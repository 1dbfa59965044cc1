# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What the operator of a mailbox reports of its user's opinion of a message (ARF, RFC 5965).

Anybody can write such a report: it is of the message whose return path it names, and that
the relay has verified.
"""

from __future__ import annotations

import re
import typing as tp

from exordos_paas_mail.codecs import return_paths

if tp.TYPE_CHECKING:
    from collections.abc import Collection

COMPLAINTS: tp.Final = frozenset({"abuse", "fraud", "opt-out", "opt-out-list", "other", "virus"})
"""The types (RFC 5965 7.3) that say that a recipient does not want the message.

``not-spam`` says the contrary, and ``auth-failure`` (RFC 6591) nothing of the sort.
"""


class Report(tp.NamedTuple):
    """What a report says."""

    type: str
    """In lower case; empty where it says none, which is no report."""
    recipient: str
    """Who complains; empty where that is left out, as it often is (RFC 6590)."""
    agent: str
    """The program that has written the report."""


_FOLD = re.compile(r"\r?\n(?=[ \t])")
_FIELD = re.compile(r"([A-Za-z0-9-]{1,40})[ \t]*:[ \t]*(.*)")
_TYPE = re.compile(r"[a-z0-9-]{1,40}")
_ADDRESS = re.compile(r"<?([^\s<>]{1,320}@[^\s<>@]{1,255})>?")


def parse(text: str) -> Report:
    """Return what *text*, the fields of a feedback-report or their start, says.

    Of several fields of one name the first counts; what has another form is passed over.
    """
    fields: dict[str, str] = {}
    for line in _FOLD.sub("", text).splitlines():
        if not line:
            break
        match = _FIELD.fullmatch(line)
        if match:
            fields.setdefault(match[1].lower(), match[2].strip())
    kind = fields.get("feedback-type", "").partition("(")[0].strip().lower()
    addresses = (
        _ADDRESS.fullmatch(fields.get(name, ""))
        for name in ("original-rcpt-to", "removal-recipient")
    )
    return Report(
        kind if _TYPE.fullmatch(kind) else "",
        next((match[1] for match in addresses if match), ""),
        " ".join(fields.get("user-agent", "").split()),
    )


def message(good: Collection[str], named: Collection[str]) -> str:
    """Return the queue id of the one message that a report is of; empty where it is of several.

    *good* are the return paths in it that the relay has verified, *named* are all that it
    names. One that has the form of a return path and is not good says that the report is
    of another message.
    """
    found = {return_paths.parse_path(path.lower()) for path in good}
    claimed = {return_paths.parse_path(path.lower()) for path in named} - {None}
    if None in found or len(found) != 1 or claimed - found:
        return ""
    (path,) = found
    return path.queue_id if path else ""
