# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Why a recipient did not get its message: what exim's words say, and their class.

Only ``RECIPIENT_UNKNOWN``, ``RECIPIENT_DISABLED`` and ``DOMAIN_UNKNOWN`` are about
the address. Whoever takes a block of the sender for one of these stops mail to
good addresses: what says both is about the sender, and what is not known is
``OTHER``.

The codes are those of RFC 3463 and its registry (RFC 5248, 7372, 7504, 7505); the
phrases are those of the servers that most mail goes to.
"""

from __future__ import annotations

import enum
import errno
import re
import typing as tp


class Class(str, enum.Enum):
    """Why; the values are the API's."""

    RECIPIENT_UNKNOWN = "recipient_unknown"
    RECIPIENT_DISABLED = "recipient_disabled"
    DOMAIN_UNKNOWN = "domain_unknown"
    MAILBOX_FULL = "mailbox_full"
    POLICY = "policy"
    REPUTATION = "reputation"
    CONTENT = "content"
    RATE = "rate"
    AUTH = "auth"
    TLS = "tls"
    NETWORK = "network"
    EXPIRED = "expired"
    """It was tried for as long as the rule says: why is what the last delay says."""
    OTHER = "other"


class Answer(tp.NamedTuple):
    """What the other server answered."""

    code: int
    """Of the reply (RFC 5321 4.2)."""
    enhanced: str
    """Enhanced status code (RFC 3463), empty where there is none."""
    text: str
    """Without the codes, lines apart by one space."""


# check_response and smtp_deliver in 4.96's transports/smtp.c. What is after RCPT TO is
# the recipient's, and after MAIL FROM the sender's address.
_LOCAL_PART = r'(?:"(?:[^"\\]|\\.)*"|\\.|[^\x00-\x20<>"\\@])*'
_COMMAND = (
    rf"(?P<command>(?:RCPT TO|MAIL FROM):<(?:{_LOCAL_PART}@[^>\s]*)?>(?: [A-Z0-9-]+(?:=[^\s:]*)?)*"
    r"|[A-Za-z][^:<>\"]{0,80})"
)
# Whoever answers to these has been told of no recipient yet.
_BEFORE_RCPT = re.compile(r"MAIL FROM|initial connection|EHLO|HELO|STARTTLS|AUTH")
_ERROR = re.compile(
    rf"(?:.*: )??SMTP error from remote mail server after (?:pipelined )?{_COMMAND}: "
    r"(?P<answer>[2-5]\d\d(?:[ -].*)?)"
)
_ENHANCED = r"[245]\.\d{1,3}\.\d{1,3}"
# string_printing writes the end of a line of an answer as these two characters.
_LINE = re.compile(rf"(?P<code>[2-5]\d\d)(?:[ -](?P<enhanced>{_ENHANCED})?\s*(?P<text>.*))?")
_LINE_END = r"\n"
# qmail and others have theirs in the text, "(#5.1.1)".
_HASHED = re.compile(rf"#({_ENHANCED})\b")


def answer(words: str) -> Answer | None:
    """Return what the other server answered, None where *words*, exim's, quote no answer."""
    match = _ERROR.fullmatch(words)
    return parse(match["answer"]) if match else None


def parse(reply: str) -> Answer | None:
    """Return the answer in *reply*, its lines apart as exim writes them in C= and elsewhere."""
    lines = [match for line in reply.split(_LINE_END) if (match := _LINE.fullmatch(line.strip()))]
    if not lines:
        return None
    code = lines[0]["code"]
    enhanced = next((line["enhanced"] for line in lines if line["enhanced"]), "")
    text = " ".join(line["text"] for line in lines if line["text"])
    if not enhanced and (hashed := _HASHED.search(text)) and hashed[1][0] == code[0]:
        enhanced = hashed[1]
    return Answer(int(code), enhanced, text)


_PERMANENT = 5

# In this order: what is about the sender goes before what is about the address.
_PHRASES: tp.Final = tuple(
    (re.compile(pattern, re.IGNORECASE), result)
    for pattern, result in (
        (
            r"\b(dmarc|spf|dkim|unauthenticated|sender policy|sender id)\b|is not verified"
            r"|authentication (level|information|checks)"
            r"|reverse dns|\bptr\b|\brdns\b|find your (reverse )?host ?name",
            Class.AUTH,
        ),
        (
            r"block ?list|black ?list|deny ?list|\bdnsbl\b|\brbl\b|spamhaus|barracuda|spamcop|sorbs"
            r"|abusix|uceprotect|\bivmsip\b|blocked - see|accepted from (this|your) ip"
            r"|reputation|banned|s3150|s3140|senderscore|\bhas been blocked\b|\bip\b.*\bblocked\b"
            r"|unsolicited|low trust|(?<!not )listed (in|at|by|on)\b|poor standing",
            Class.REPUTATION,
        ),
        (
            r"rate[ -]?limit|too (many|much) (messages|mail|connections|recipients|concurrent)"
            r"|too (quickly|fast)|throttl|try again later.*\b(rate|limit)\b|temporarily deferred"
            r"|frequency limited|limits for how many|mail at a rate|per (hour|day|minute)\b"
            r"|gr[ea]y-?list"
            # Of other things there are limits, too
            r"|exceeded (?!.*\b(size|quota|storage|space)\b).*\b(limit|rate)",
            Class.RATE,
        ),
        (
            r"\bspam\b|virus|malware|phish|message content"
            r"|content (rejected|filter|denied|policy|restriction)"
            r"|prohibited (file|att)|message (size )?(is )?too (large|big)"
            r"|(?<!mailbox )size (limit|exceeds)|exceeds .*size|forbidden attachment",
            Class.CONTENT,
        ),
        (
            r"tls (is )?required|must issue a starttls|encryption (is )?(required|needed)",
            Class.TLS,
        ),
        (
            r"(mailbox|quota|account|inbox|storage|user).*\b(full|over ?quota|exceeded)\b"
            r"|over ?quota|out of storage|insufficient (disk |system )?(space|storage)"
            r"|quota exceeded|exceeded .*\b(storage|quota)|mailbox size limit",
            Class.MAILBOX_FULL,
        ),
        (
            r"(account|mailbox|user|address|recipient).*\b(disabled|inactive|suspended|deactivated"
            r"|discontinued|not active|no longer (active|in use|valid))\b",
            Class.RECIPIENT_DISABLED,
        ),
        (
            r"(user|mailbox|recipient|address|account|alias|inbox)\b.*"
            r"(\bunknown\b|not (be )?found|does ?n.t (exist|have)|not exist|no such"
            r"|not (a )?(known|valid|listed)|\binvalid\b|undeliverable)"
            r"|(unknown|no such|invalid|bad|nonexistent|non-existent|not a (valid|known)) (local )?"
            r"(user|mailbox|recipient|address(?! error)|account|destination mailbox|person)"
            r"|nobody here by that name|nosuchuser|no mailbox here|not our customer",
            Class.RECIPIENT_UNKNOWN,
        ),
        (
            r"(domain|host)\b.*(does ?n.t exist|not exist|not found|unknown|does not accept mail)"
            r"|no such domain|unrouteable|all relevant mx records point to non-existent hosts"
            r"|(null|no) mx\b",
            Class.DOMAIN_UNKNOWN,
        ),
        (
            r"\brelay(ing)?\b.*(denied|prohibited|disallowed|not (permitted|allowed))|\bto relay\b"
            r"|administrative prohibition|access denied|\bpolic(y|ies)\b|rcpthosts|badmailfrom"
            r"|sender rejected",
            Class.POLICY,
        ),
    )
)
# It is the sender whose address or domain there is not: a server that asks the sender's (exim's
# and Postfix's do) quotes what that one answered of its own mailbox.
_SENDER_IS_MEANT: tp.Final = re.compile(
    r"\bsender('s)? (e-?mail )?(address|domain|verif|callout|rejected|denied|invalid|unknown|not\b"
    r"|is\b|has\b(?! been (notified|informed))|does|<?\S+@)"
    r"|\b(invalid|unknown|unverified|bad|envelope) sender\b(?! or recipient)|domain of sender"
    r"|(?<!recipient )(?<!address )verification failed for|callback setup failed"
    r"|in reply to mail from|dns check failed",
    re.IGNORECASE,
)
# About the sender although the address is named, whatever the code says.
_OF_SENDER: tp.Final = frozenset({Class.AUTH, Class.REPUTATION, Class.RATE, Class.CONTENT})

OF_ADDRESS: tp.Final = frozenset(
    {Class.RECIPIENT_UNKNOWN, Class.RECIPIENT_DISABLED, Class.DOMAIN_UNKNOWN}
)
"""What says that there is no such mailbox: all else is about the sender, or will pass."""

# By subject and detail (RFC 3463 3.1): x.SUBJECT.DETAIL.
_BY_CODE: tp.Final = {
    "1.1": Class.RECIPIENT_UNKNOWN,
    "1.2": Class.DOMAIN_UNKNOWN,
    "1.3": Class.RECIPIENT_UNKNOWN,
    "1.6": Class.RECIPIENT_UNKNOWN,
    "1.7": Class.AUTH,
    "1.8": Class.AUTH,
    "2.1": Class.RECIPIENT_DISABLED,
    "2.2": Class.MAILBOX_FULL,
    "2.3": Class.CONTENT,
    "3.1": Class.MAILBOX_FULL,
    "3.4": Class.CONTENT,
    "4.4": Class.DOMAIN_UNKNOWN,
    "4.5": Class.RATE,
    # Of a report: its server has tried for as long as it does.
    "4.7": Class.EXPIRED,
    "5.3": Class.RATE,
    "7.10": Class.TLS,
    "7.11": Class.TLS,
    "7.20": Class.AUTH,
    "7.21": Class.AUTH,
    "7.22": Class.AUTH,
    "7.23": Class.AUTH,
    "7.24": Class.AUTH,
    "7.25": Class.AUTH,
    "7.26": Class.AUTH,
    # The sender's domain has a null MX (RFC 7505); Google's: it does not pass SPF.
    "7.27": Class.AUTH,
    "7.28": Class.RATE,
    # Google's: it came without TLS.
    "7.29": Class.TLS,
}
# What servers that many mailboxes are on say of one that is not there, in words of no
# meaning but with that code: Exchange Online, Outlook.com, Cisco.
_UNKNOWN_HERE: tp.Final = {
    "4.1": "recipient address rejected",
    "5.0": "mailbox unavailable",
    "1.0": "address rejected",
}
# These say more than words like "limit" and "blocked" do: a full mailbox, a large message, no TLS.
_SURE: tp.Final = frozenset({"2.2", "2.3", "3.4", "7.29"})
# Where the text says nothing: 5.1.10 is a null MX (RFC 7505), and Exchange's unknown recipient.
_BY_SUBJECT: tp.Final = {
    "1.10": Class.DOMAIN_UNKNOWN,
    "4": Class.NETWORK,
    "6": Class.CONTENT,
    "7": Class.POLICY,
}

# The relay's own words for a policy that is not met (templates/exim4/routers.j2).
_MTA_STS: tp.Final = "MTA-STS: "
# What exim finds itself; its words begin so.
_BY_WORDS: tp.Final = tuple(
    (re.compile(pattern, re.IGNORECASE), result)
    for pattern, result in (
        (r"retry timeout exceeded", Class.EXPIRED),
        (
            r"unrouteable address|all relevant MX records|.*domain does not exist",
            Class.DOMAIN_UNKNOWN,
        ),
        (r"an? (MX or SRV|upstream|A) record.*|.*lookup did not complete", Class.NETWORK),
        (r".*\bTLS\b|.*\bDANE\b|.*certificate", Class.TLS),
        (r".*\bDKIM\b", Class.AUTH),
        (r".*timeout|.*timed out|.*closed connection|.*connection|.*retry time", Class.NETWORK),
    )
)
_ERRNO: tp.Final = {
    # exim's own (macros.h of 4.96): SMTPCLOSED, UNKNOWNHOST, DNSDEFER, TLSFAILURE,
    # TLSREQUIRED, CONNECTTIMEOUT, and the retry times.
    **dict.fromkeys((-18, -32, -36, -43, -52, -53, -54), Class.NETWORK),
    **dict.fromkeys((-37, -38), Class.TLS),
    # AUTHFAIL: the smarthost lets nobody log in as it was told.
    -42: Class.AUTH,
    **dict.fromkeys(
        (
            *(errno.ETIMEDOUT, errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTUNREACH),
            *(errno.ENETUNREACH, errno.EPIPE, errno.EHOSTDOWN, errno.ENETDOWN),
        ),
        Class.NETWORK,
    ),
}


def classify(words: str, number: int = 0) -> Class:
    """Return the class of a failure or a delay by exim's *words* and its error number."""
    match = _ERROR.fullmatch(words)
    said = parse(match["answer"]) if match else None
    if match and said is not None:
        return of_answer(said, names_recipient=not _BEFORE_RCPT.match(match["command"]))
    # The number is that of a router before.
    if words.startswith(_MTA_STS):
        return Class.TLS
    if number in _ERRNO:
        return _ERRNO[number]
    return next((result for pattern, result in _BY_WORDS if pattern.match(words)), Class.OTHER)


def of_answer(said: Answer, *, names_recipient: bool = True) -> Class:
    """Return the class of what the other server answered.

    Not *names_recipient* says that it had been told of no recipient: what is unknown then is
    the sender.
    """
    result = _class_of(said)
    is_of_sender = not names_recipient or _SENDER_IS_MEANT.search(said.text)
    return Class.AUTH if is_of_sender and result in OF_ADDRESS else result


def _class_of(said: Answer) -> Class:
    phrases = [result for pattern, result in _PHRASES if pattern.search(said.text)]
    # A 4xx says that it is not known yet: 4.2.1 is a mailbox that gets too much mail.
    permanent = said.code // 100 == _PERMANENT
    subject, _, detail = said.enhanced[2:].partition(".")
    key = f"{subject}.{detail}"
    by_code = _BY_CODE.get(key)
    of_sender = next((result for result in phrases if result in _OF_SENDER), None)
    if of_sender is not None and (of_sender is Class.AUTH or key not in _SURE):
        return of_sender
    if by_code in OF_ADDRESS and not permanent:
        by_code = Class.RATE if by_code is Class.RECIPIENT_DISABLED else None
    if permanent and _UNKNOWN_HERE.get(key, "\n") in said.text.lower():
        by_code = Class.RECIPIENT_UNKNOWN
    phrase = next((result for result in phrases if permanent or result not in OF_ADDRESS), None)
    last = _BY_SUBJECT.get(subject, Class.OTHER)
    if permanent:
        last = _BY_SUBJECT.get(key, last)
    return by_code or phrase or last
