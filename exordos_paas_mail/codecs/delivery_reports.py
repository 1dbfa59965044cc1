# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What another server reports of a message that it had taken (RFC 3464).

Anybody can write such a report, and does: only what has the form is read, and
what it says is what somebody claims.
"""

from __future__ import annotations

import binascii
import re
import typing as tp

from exordos_paas_mail.codecs import answers

FAILED: tp.Final = "failed"
DELAYED: tp.Final = "delayed"
DONE: tp.Final = frozenset({"delivered", "relayed", "expanded"})
RECIPIENTS_MAX: tp.Final = 20
"""Recipients that are read of one report."""


class Report(tp.NamedTuple):
    """What is said of one recipient."""

    recipient: str
    """As the message was sent to it, where the report says so."""
    action: str
    """``FAILED``, ``DELAYED`` or one of ``DONE``."""
    server: str
    """Who the report has it from, empty where it does not say."""
    answer: answers.Answer
    reason: answers.Class


_ACTIONS: tp.Final = frozenset({FAILED, DELAYED, *DONE})
_BLANK_LINE = re.compile(r"\r?\n[ \t]*\r?\n")
# The first line of another part, or the end of all.
_BOUNDARY = re.compile(r"^--\S.*", re.MULTILINE | re.DOTALL)
_FOLD = re.compile(r"\r?\n(?=[ \t])")
_FIELD = re.compile(r"([A-Za-z0-9-]{1,40})[ \t]*:[ \t]*(.*)")
_ADDRESS = re.compile(
    r"(?:rfc/?822|utf-8)[ \t]*;[ \t]*<?([^\s<>;]{1,320}@[^\s<>;@]{1,255})>?", re.IGNORECASE
)
_NAME = re.compile(r"dns[ \t]*;[ \t]*([A-Za-z0-9._-]{1,255})", re.IGNORECASE)
_STATUS = re.compile(r"([245])\.\d{1,3}\.\d{1,3}")
_SMTP = re.compile(r"(?:smtp|x-\S+)[ \t]*;[ \t]*(.*)", re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9+/]{40,}={0,2}")
# Of a code that nobody names: what it stands for is permanent, or it is not.
_CODES: tp.Final = {"5": 550, "4": 450, "2": 250}


def parse(text: str) -> list[Report]:
    """Return what *text*, the delivery-status of a report or its start, says by recipient.

    What is cut off, or has another form, is passed over.
    """
    blocks = _BLANK_LINE.split(_decoded(_BOUNDARY.sub("", text)))
    groups = [_fields(block) for block in blocks]
    reporter = next((name for group in groups if (name := _name(group, "reporting-mta"))), "")
    reports = (_report(group, reporter) for group in groups)
    return [report for report in reports if report is not None][:RECIPIENTS_MAX]


def _decoded(text: str) -> str:
    """Return *text*, or what it is in base64, which a report in UTF-8 may be (RFC 6533 3)."""
    packed = "".join(text.split())
    if not _BASE64.fullmatch(packed):
        return text
    # It may have been cut.
    whole = packed[: len(packed) // 4 * 4]
    return binascii.a2b_base64(whole).decode("utf-8", "replace")


def _fields(block: str) -> dict[str, str]:
    """Return the fields of a group; of several with one name the first."""
    fields: dict[str, str] = {}
    for line in _FOLD.sub("", block).splitlines():
        match = _FIELD.fullmatch(line)
        if match:
            fields.setdefault(match[1].lower(), match[2].strip())
    return fields


def _name(group: tp.Mapping[str, str], field: str) -> str:
    match = _NAME.match(group.get(field, ""))
    return match[1].rstrip(".") if match else ""


def _report(group: tp.Mapping[str, str], reporter: str) -> Report | None:
    addresses = (
        _ADDRESS.match(group.get(field, "")) for field in ("original-recipient", "final-recipient")
    )
    recipient = next((match[1] for match in addresses if match), "")
    action = group.get("action", "").partition("(")[0].strip().lower()
    status = _STATUS.match(group.get("status", ""))
    if not recipient or action not in _ACTIONS or status is None:
        return None
    said = _answer(group.get("diagnostic-code", ""), status)
    server = _name(group, "remote-mta") or reporter
    return Report(recipient, action, server, said, answers.of_answer(said))


def _answer(diagnostic: str, status: re.Match[str]) -> answers.Answer:
    quoted = _SMTP.match(diagnostic)
    text = " ".join((quoted[1] if quoted else diagnostic).split())
    found = answers.parse(text)
    if found is not None and str(found.code)[0] == status[1]:
        return found._replace(enhanced=found.enhanced or status[0])
    return answers.Answer(_CODES[status[1]], status[0], text)
