# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Why the relay refused a command: the class of what its ACLs say (``templates/exim4/acl``).

A refusal's text begins with what the client said. It is the last phrase that counts,
which is the relay's own: a client has no choice but of the class of its own refusal.
"""

from __future__ import annotations

import enum
import re
import typing as tp


class Reason(str, enum.Enum):
    """Why; the values are those of a metric's label."""

    LOGIN = "login"
    """Nobody has logged in, or not over TLS."""
    ACCOUNT = "account"
    """Who has logged in may not any more."""
    SENDER = "sender"
    """The account may not send as that address."""
    RECIPIENT = "recipient"
    LIMIT = "limit"
    CONTENT = "content"
    NODE = "node"
    """The node cannot do now what it has to: a file is lost, its disk is full."""
    OTHER = "other"


_PHRASES: tp.Final = (
    (r"Authentication required|Start TLS first|Relaying denied", Reason.LOGIN),
    (
        r"Account is disabled|Password was changed|credential cannot be used|account is on hold",
        Reason.ACCOUNT,
    ),
    (r"is not an address of the login|cannot be sent as by|Sender beyond ASCII", Reason.SENDER),
    (
        r"Restricted characters in address|names in ASCII only|which has no such mailbox"
        r"|takes no mail \(RFC 7505\)|does not exist|has no mail server that mail can go to"
        r"|No mailbox here takes mail|There is no account|an account takes reports only"
        r"|is suppressed since|is the return path of no message|The report is of no message"
        r"|A return path takes reports only|takes feedback reports only",
        Reason.RECIPIENT,
    ),
    (
        r"limit reached|has reached its limit|recipients at most|has one recipient here|MB at most"
        r"|messages an hour from|reports an hour from|failed logins in",
        Reason.LIMIT,
    ),
    (
        r"NUL byte in message|Line longer than|Malformed (?:address header|header field)"
        r"|is there twice|has white space before its colon|has no address"
        r"|a message may have 1 MB",
        Reason.CONTENT,
    ),
    (
        r"is lost|has no end mark|is not known now|are free: (?:mail without a login|try later)"
        r"|cannot repair the message|repair that cannot be made now",
        Reason.NODE,
    ),
)
_ANY: tp.Final = re.compile("|".join(f"({phrases})" for phrases, _ in _PHRASES))
_REASONS: tp.Final = tuple(reason for _, reason in _PHRASES)


# Of what is found wrong with a message there are many words (``header_repair``).
_OF_MESSAGE: tp.Final = frozenset({"DATA", "after DATA"})


def classify(command: str, words: str) -> Reason:
    """Return why *command* was refused, by *words*: its argument and what the ACL says."""
    found = [match.lastindex for match in _ANY.finditer(words)]
    if found:
        return _REASONS[(found[-1] or 0) - 1]
    return Reason.CONTENT if command in _OF_MESSAGE else Reason.OTHER
