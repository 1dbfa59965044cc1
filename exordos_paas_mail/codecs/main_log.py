# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Exim's main log, a line at a time (exim specification, chapter 53; 4.96's deliver.c, receive.c).

Others write parts of a line: a client its name and the addresses, the server at
the far end its name and its words. So a line is read from its start, each field
in the place and the form that exim gives it, and what is free text is the end of
the line and is never looked at for fields. What has another form is not guessed
at: it is no entry.

The selectors are those of ``templates/exim4/main.j2``; fields of selectors that
may be added (``dnssec``, ``tls_peerdn``) are read past.
"""

from __future__ import annotations

import binascii
import datetime
import re
import string
import typing as tp

from exordos_paas_mail.codecs import limit_signals, return_paths

# Longer than exim writes (LOG_BUFFER_SIZE): who follows the log need not hold more of one.
LINE_SIZE_MAX: tp.Final = 8192


LOGIN_REFUSED: tp.Final = -42
"""exim's error number where the smarthost does not let it log in (ERRNO_AUTHFAIL)."""
HELD: tp.Final = -23
"""exim's error number of a recipient whose domain is held (hold_domains, macros.h)."""
NOT_TRIED_MAX: tp.Final = -52
"""From here down they are of a recipient whose time to be tried has not come."""


class Remote(tp.NamedTuple):
    """The server at the far end of a delivery."""

    name: str
    address: str
    port: int | None


class Tls(tp.NamedTuple):
    """The TLS of a connection."""

    version: str
    cipher: str
    verified: str
    """``yes``, ``no``, ``dane`` or, where the log does not say, empty."""


class Accepted(tp.NamedTuple):
    """A message of an account that acl_data lets in; in the spool it is an ``Arrival``."""

    account: str
    recipients: int
    size: int
    header_from: str = ""
    """The header field From; this and the next two are the client's text, and cut if long."""
    message_id: str = ""
    tags: tuple[str, ...] = ()
    """What its fields X-Mail-Tag say."""
    credential: str = ""
    """The prefix of the credential that it was sent with; empty where a password was."""
    client: str = ""
    """The address that it was sent from, where there is a credential."""
    hold: str = ""
    """Why it is put apart, in a word (``acl_m_hold``); empty where it is not."""


class Reported(tp.NamedTuple):
    """A report of another server (RFC 3464) that acl_data lets in; in the spool an ``Arrival``."""

    account: str
    """Whom it is for."""
    client: str
    said: str
    """Its delivery-status, or the start of that; this and the next two are anybody's text."""
    returned: str
    """The queue id, as far as it is one, of the message that the report returns."""
    message_id: str
    """The Message-ID of that message, without the angle brackets."""


class Returned(tp.NamedTuple):
    """A report (RFC 3464) that came to a return path; in the spool it is an ``Arrival``.

    The relay has verified that it made the path: see ``codecs.return_paths``.
    """

    path: str
    client: str
    said: str
    """Its delivery-status, or the start of that; anybody's text."""


class Complained(tp.NamedTuple):
    """A complaint (RFC 5965) that names a return path of the relay's; else an ``Arrival``."""

    good: tuple[str, ...]
    """The return paths in it that the relay has verified."""
    named: tuple[str, ...]
    """All that it names."""
    client: str
    said: str
    """Its feedback-report, or the start of that; anybody's text."""


class Arrival(tp.NamedTuple):
    """``<=``: a message is in the spool, and whoever sent it is told so."""

    sender: str
    """Empty for a report."""
    client: str
    """The address it came from, empty for what exim or a local process made."""
    protocol: str
    account: str
    tls: Tls | None
    size: int
    about: str
    """The id of the message that this one, made by exim, is a report of; else empty."""


class Delivery(tp.NamedTuple):
    """``=>`` and ``->``: a recipient has its message."""

    recipient: str
    sender: str
    transport: str
    remote: Remote | None
    tls: Tls | None
    words: str
    """What the other server answered, as exim escapes it."""
    queued: float
    """Seconds since the arrival, to the millisecond where they are few."""


class Deferral(tp.NamedTuple):
    """``==``: a recipient is tried again later."""

    recipient: str
    transport: str
    remote: Remote | None
    errno: int
    """Of the system where above 0, else of exim (``-44``: a 4xx to RCPT)."""
    words: str


class Failure(tp.NamedTuple):
    """``**``: a recipient will not get its message."""

    recipient: str
    sender: str | None
    """None where retrying has ended (retry_update in retry.c): the last deferral says why."""
    transport: str
    remote: Remote | None
    tls: Tls | None
    words: str


class Withheld(tp.NamedTuple):
    """A recipient of a message gets nothing, because it is suppressed (the router of that name)."""

    recipient: str
    sender: str
    words: str
    """What its sender is told; empty where nobody is."""


class Dropped(tp.NamedTuple):
    """A report was told, and its message's sender does not want it (the router ``returned``)."""


class Completed(tp.NamedTuple):
    """A message has left the spool."""


class Removal(tp.NamedTuple):
    """Somebody on the node has ended a message (``exim -Mrm``; ``-Mg``, with a bounce)."""

    by: str


class Move(tp.NamedTuple):
    """A message was moved from one of exim's queues to another (``exim -MG``)."""

    queue: str
    """Where it is now; empty for the queue that is run."""


class Refusal(tp.NamedTuple):
    """A command that an ACL refused."""

    client: str
    account: str
    sender: str | None
    """None where there is none yet."""
    command: str
    temporary: bool
    words: str
    """The command's argument and the reason; the first is the client's."""


class LimitSigns(tp.NamedTuple):
    """Limits that are near or reached, by a recipient of an account."""

    account: str
    signals: tuple[limit_signals.Signal, ...]


class Unreached(tp.NamedTuple):
    """A server that a message was not handed to; what comes of it is a line of its own."""

    remote: Remote
    words: str


class LoginRefused(tp.NamedTuple):
    """The smarthost refuses the login that it was sent (try_authenticator in smtp.c)."""

    remote: Remote
    words: str
    """What it answered, as exim escapes it."""


class Suppressed(tp.NamedTuple):
    """A recipient that is refused because nothing is sent to it; of no message yet."""

    account: str
    client: str
    sender: str
    recipient: str
    """As it was sent, but for its case and quotes."""
    since: str
    """The day."""
    reason: str


class Login(tp.NamedTuple):
    """An account has logged in; of whom is no matter of the log."""

    port: int
    secret: str
    """``password`` or ``credential``."""


class FailedLogin(tp.NamedTuple):
    """A wrong name or password."""

    client: str
    account: str = ""
    """Empty where the name is no account's: people type passwords there."""


Entry = (
    Accepted
    | Reported
    | Returned
    | Complained
    | Arrival
    | Delivery
    | Deferral
    | Failure
    | Withheld
    | Dropped
    | Completed
    | Removal
    | Move
    | Refusal
    | Suppressed
    | Login
    | FailedLogin
    | LimitSigns
    | Unreached
    | LoginRefused
)


class Line(tp.NamedTuple):
    """A line that is understood."""

    at: datetime.datetime
    pid: int
    queue_id: str
    """Empty for what is of no message."""
    entry: Entry


# parse_extract_address of 4.96: dots where they may be in nobody's address, and pairs
# of a backslash and a character outside quotes as well.
_ATOM = r'(?:[^\x00-\x20\x7f()<>@,;:\\"\[\]]|\\.)'
_LOCAL_PART = rf'(?:{_ATOM}|"(?:[^"\\]|\\.)*")+'
_DOMAIN = r'[^\x00-\x20\x7f()<>@,;:\\"\[\]]+'
_ADDRESS = rf"{_LOCAL_PART}@{_DOMAIN}"
_PATH = rf"(?:{_ADDRESS})?"

_ID = r"[0-9A-Za-z]{6}-[0-9A-Za-z]{6}(?:[0-9A-Za-z]{5})?-[0-9A-Za-z]{2}(?:[0-9A-Za-z]{2})?"
_IP = r"[0-9a-fA-F.:]{2,45}"
# Fractions are of what is less than five seconds. What is less than nothing, because the clock was
# set back, is as well, and counts from 2^32 (string_timediff); 4.96 writes six digits of that.
_FRACTIONS_MAX = 5
_DURATION = r"(?:\d+\.\d{3}s|(?:\d+[wdhms])+|\d{6})"
# Of a resumed session exim writes `TLS1.3:(AES_256_GCM:256*`.
_CIPHER = r"[A-Za-z0-9_.:+()-]+"
_NAME = r"[A-Za-z0-9_]+"
_BASE64 = r"[A-Za-z0-9+/]*={0,2}"
_LOGIN = r'[^\x00-\x20\x7f()<>,;:\\"\[\]]+'

_START_OF_ADDRESS = re.compile(_ADDRESS)
_AS_SENT = re.compile(rf" <(?P<address>{_ADDRESS})>")
_NAME_OF_A_FIELD = re.compile(r"[A-Z]")
# A field that is folded goes on.
_NEXT_FIELD = re.compile(r"\n(?![ \t])")
_TLS = (
    rf"(?: X=(?P<cipher>{_CIPHER})\*?)?(?: CV=(?P<verified>yes|no|dane))?"
    r'(?: DN="[^"\x00-\x1f]*")?'
)
_REMOTE = (
    rf"(?: H=(?P<host>[^\s\[\]]+)(?: DS)? \[(?P<address>{_IP})\](?::(?P<port>\d+))?\*?"
    rf"(?: I=\[{_IP}\](?::\d+)?)?(?: TFO\*?)?)?"
)
_QUEUE = rf"(?: Q={_NAME})?"
# No name can hold what ends it (acl_helo), see string_sender_host in host.c.
_CLIENT = (
    rf"H=(?:[^\s()\[\]]+ )?(?:\(.*?\) )?\[(?P<client>{_IP})\](?::\d+)?"
    rf"(?: I=\[{_IP}\](?::\d+)?)?"
)
# strerror(3) has no such characters, and exim goes on with " H=", " DT=" or ": ".
_SYSTEM_ERROR = r"[A-Z][A-Za-z /(),'.-]*"

_LINE = re.compile(
    r"(?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{3})?)(?: (?P<zone>[+-]\d\d\d\d))? "
    rf"\[(?P<pid>\d+)\] (?:(?P<id>{_ID}) )?(?P<rest>.*)"
)
_ACCEPTED = re.compile(
    rf"accepted account=(?P<account>{_LOGIN}) recipients=(?P<recipients>\d+)"
    rf" size=(?P<size>-?\d+)"
    # Not in the log of an image before this field
    rf"(?: from=(?P<header_from>{_BASE64}) message_id=(?P<message_id>{_BASE64})"
    rf" tags=(?P<tags>{_BASE64}))?"
    # Of a session that a password has opened there are none
    rf"(?: credential=(?P<credential>mlk_[0-9a-z]{{8}}) client=(?P<client>{_IP}))?"
    r"(?: hold=(?P<hold>[a-z_]*))?"
    rf" id={_ID}"
)
_REPORTED = re.compile(
    rf"reported account=(?P<account>{_LOGIN}) client=(?P<client>{_IP}) said=(?P<said>{_BASE64})"
    rf" returned=(?P<returned>{_BASE64}) message_id=(?P<message_id>{_BASE64}) id={_ID}"
)
_RETURNED = re.compile(
    rf"returned path=(?P<path>{_BASE64}) client=(?P<client>{_IP}) said=(?P<said>{_BASE64}) id={_ID}"
)
_COMPLAINED = re.compile(
    rf"complained good=(?P<good>{_BASE64}) named=(?P<named>{_BASE64}) client=(?P<client>{_IP})"
    rf" said=(?P<said>{_BASE64}) id={_ID}"
)
_ARRIVAL = re.compile(
    rf"<= (?:<>|(?P<sender>{_ADDRESS}))(?: R=(?P<about>{_ID}))?"
    rf"(?: {_CLIENT}(?: TFO\*?)?)?(?: U=\S+)?(?: P=(?P<protocol>[a-z0-9]+))?(?: L[*.]?-?)?{_TLS}"
    rf"(?: A=[a-z]+(?::(?P<account>{_LOGIN}))?)?(?: K)? S=(?P<size>\d+)(?: .*)?"
)
_DELIVERY = re.compile(
    rf" F=<(?P<sender>{_PATH})>{_QUEUE}(?: R={_NAME})? T=(?P<transport>{_NAME})"
    rf" S=\d+{_REMOTE}{_TLS}(?: A=[a-z]+(?::\S+)?)?(?: L\*?)?(?: PRDR)?(?: K)?"
    rf'(?: C="(?P<words>(?:[^"\\]|\\.)*)")? QT=(?P<queued>{_DURATION}) DT={_DURATION}'
)
_DEFER = (
    rf"{_QUEUE}(?: (?:routing|transporting)|(?: R={_NAME})?(?: T=(?P<transport>{_NAME}))?) defer"
)
_WHERE_AND_WHY = rf"{_REMOTE}(?: DT={_DURATION})?(?:: (?P<words>.*))?"
_DEFERRAL_BY_SYSTEM = re.compile(
    rf"{_DEFER} \((?P<errno>\d+)\): (?P<system>{_SYSTEM_ERROR}){_WHERE_AND_WHY}"
)
_DEFERRAL_BY_EXIM = re.compile(rf"{_DEFER} \((?P<errno>0|-\d+)\){_WHERE_AND_WHY}")
_FAILURE = re.compile(
    rf"(?: F=<(?P<sender>{_PATH})>)?{_QUEUE}(?: R=(?P<router>{_NAME}))?"
    rf"(?: T=(?P<transport>{_NAME}))?{_REMOTE}{_TLS}(?:: (?P<words>.*?))?(?: DT={_DURATION})?"
)
_SUPPRESSING = "suppressed"
# What its authenticators' names begin with.
_SMARTHOST = "smarthost"
_DROPPED = re.compile(rf"=> :blackhole: <(?P<recipient>{_ADDRESS})> R={_SUPPRESSING}")
_UNWANTED = re.compile(rf"=> :blackhole: <{_ADDRESS}> R=(?:returned|feedback)")
_SUPPRESSED = re.compile(
    rf"suppressed account=(?P<account>{_LOGIN}) client=(?P<client>{_IP})"
    rf" sender=(?P<sender>{_BASE64}) recipient=(?P<recipient>{_BASE64})"
    rf" since=(?P<since>\d{{4}}-\d\d-\d\d) reason=(?P<reason>{_BASE64})"
)
_COMPLETED = re.compile(rf"Completed(?: QT={_DURATION})?")
_REMOVAL = re.compile(r"(?:removed|cancelled) by (?P<by>.*)")
_MOVE = re.compile(
    rf"moved from (?:\({_NAME}\) )?input, msglog to (?:\((?P<queue>{_NAME})\) )?input, msglog"
)
_REFUSAL = re.compile(
    rf"{_CLIENT}(?: U=\S+)?{_TLS} "
    rf"(?:F=<(?P<sender>{_PATH})>(?: A=[a-z]+(?::(?P<account>{_LOGIN}))?)? )?"
    r"(?P<temporary>temporarily )?rejected"
    r" (?P<command>connection|MAIL|RCPT|DATA|after DATA|AUTH|EHLO or HELO|STARTTLS|VRFY|EXPN|ETRN)"
    r"(?:[ :] ?(?P<words>.*))?"
)
_FAILED_LOGIN = re.compile(
    r"[a-z]+ authenticator failed for (?:[^\s()\[\]]+ )?(?:\(.*?\) )?"
    rf"\[(?P<client>{_IP})\](?::\d+)?: 535 .*?(?: \(set_id=(?P<account>{_LOGIN})\))?"
)
# write_logs in smtp.c: of each server that was tried, where that is not the recipients' matter.
_UNREACHED = re.compile(
    rf"H=(?P<host>[^\s()\[\]]+)(?: DS)? \[(?P<address>{_IP})\]:(?P<port>\d+)"
    rf"(?:: (?P<words>.*)| (?P<system>{_SYSTEM_ERROR}))"
)
_LOGIN_REFUSED = re.compile(
    rf"{_SMARTHOST}[a-z]+ authenticator failed"
    rf" H=(?P<host>[^\s()\[\]]+) \[(?P<address>{_IP})\] (?P<words>.*)"
)
_LOGGED_IN = re.compile(r"logged in port=(?P<port>\d{1,5}) secret=(?P<secret>password|credential)")
_LIMIT_SIGNS = re.compile(
    rf"limits account=(?P<account>{_LOGIN})"
    rf" signals=(?P<signals>{limit_signals.PATTERN}(?:;{limit_signals.PATTERN}){{0,7}})"
)
# What has no message, whatever exim names one.
_OF_NO_MESSAGE: tp.Final = (Refusal, Suppressed, Login, FailedLogin, LimitSigns)
_UNITS = {"w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1}


def parse(line: str) -> Line | None:
    """Return what *line*, without its end, says; None where it is not one of the entries above.

    *line* is the log's octets decoded as UTF-8 with ``surrogateescape`` or
    ``replace``. A time without a zone is one in UTC: no node has another.
    """
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    rest = match["rest"]
    make = _BY_START.get(rest[:2])
    if make is None:
        make = next((make for start, make in _BY_WORD if rest.startswith(start)), _failed_login)
    entry = make(rest)
    of_message = not isinstance(entry, _OF_NO_MESSAGE)
    # exim names the message of a refusal after DATA as well: it is not one that is there.
    if entry is None or (of_message and match["id"] is None):
        return None
    try:
        at = _time(match["at"], match["zone"] or "+0000")
    except ValueError:
        return None
    return Line(at, int(match["pid"]), match["id"] or "", entry)


def _time(local: str, zone: str) -> datetime.datetime:
    minutes = int(zone[0] + "1") * (60 * int(zone[1:3]) + int(zone[3:]))
    at = datetime.datetime.fromisoformat(local).replace(tzinfo=datetime.timezone.utc)
    return at - datetime.timedelta(minutes=minutes)


def _seconds(duration: str) -> float:
    """Return a duration of string_timesince or readconf_printtime in seconds, 0 for none."""
    if "." in duration:
        seconds = float(duration[:-1])
        return seconds if seconds < _FRACTIONS_MAX else 0.0
    return float(sum(int(n) * _UNITS[unit] for n, unit in re.findall(r"(\d+)([wdhms])", duration)))


def _remote(match: re.Match[str]) -> Remote | None:
    if match["host"] is None:
        return None
    return Remote(match["host"], match["address"], int(match["port"]) if match["port"] else None)


def _tls(match: re.Match[str]) -> Tls | None:
    if match["cipher"] is None:
        return None
    version, _, cipher = match["cipher"].partition(":")
    return Tls(version, cipher, match["verified"] or "")


def _recipient(text: str) -> tuple[str, str]:
    """Return the recipient that *text* starts with, as it was sent, and what follows.

    The recipient is empty where there is none. string_log_address writes the address in
    lower case and without quotes, so that its local part may hold anything, or that part
    alone for a mailbox here, and then, where that is not what was sent, what was. That
    begins before the first field, whose name has a capital; of several that could be it,
    all but the last are part of the address.
    """
    capital = _NAME_OF_A_FIELD.search(text)
    end = capital.start() if capital else len(text)
    while (start := text.rfind(" <", 0, end)) > 0:
        match = _AS_SENT.match(text, start)
        bare = text[:start]
        if match and _local_part(match["address"]) in {bare, bare.rpartition("@")[0]}:
            return match["address"], text[match.end() :]
        # What came to a return path goes on to its message's sender: the log has both.
        for address in return_paths.goes_on_to(match["address"]) if match else ():
            if match and bare.lower() in _forms(address):
                return address, text[match.end() :]
        end = start + 1
    plain = _START_OF_ADDRESS.match(text)
    return (plain[0], text[plain.end() :]) if plain else ("", text)


def _forms(address: str) -> tuple[str, str]:
    """Return how string_log_address may begin: an address, or the local part of a mailbox here."""
    return address, address.rpartition("@")[0]


def _local_part(address: str) -> str:
    """Return the local part of *address* in lower case and without quotes."""
    local = re.sub(r'\\(.)|"', r"\1", address.rpartition("@")[0])
    # As exim does: only these letters.
    return local.translate(_LOWER_CASE)


_LOWER_CASE = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def _accepted(rest: str) -> Entry | None:
    match = _ACCEPTED.fullmatch(rest)
    if match is None:
        return None
    fields = (match["header_from"], match["message_id"], match["tags"])
    try:
        header_from, message_id, tags = (_decoded(field or "") for field in fields)
    except binascii.Error:
        return None
    return Accepted(
        match["account"],
        int(match["recipients"]),
        int(match["size"]),
        header_from,
        message_id,
        tuple(filter(None, _NEXT_FIELD.split(tags))),
        match["credential"] or "",
        match["client"] or "",
        match["hold"] or "",
    )


def _reported(rest: str) -> Entry | None:
    match = _REPORTED.fullmatch(rest)
    if match is None:
        return None
    try:
        said, returned, message_id = map(_decoded, match.group("said", "returned", "message_id"))
    except binascii.Error:
        return None
    return Reported(match["account"], match["client"], said, returned, message_id)


def _returned(rest: str) -> Entry | None:
    match = _RETURNED.fullmatch(rest)
    if match is None:
        return None
    try:
        path, said = map(_decoded, match.group("path", "said"))
    except binascii.Error:
        return None
    return Returned(path, match["client"], said)


def _complained(rest: str) -> Entry | None:
    match = _COMPLAINED.fullmatch(rest)
    if match is None:
        return None
    try:
        good, named, said = map(_decoded, match.group("good", "named", "said"))
    except binascii.Error:
        return None
    return Complained(tuple(good.split()), tuple(named.split()), match["client"], said)


def _decoded(base64: str) -> str:
    """Return the text of *base64*, which may end inside of a character."""
    return binascii.a2b_base64(base64).decode("utf-8", "replace")


def _arrival(rest: str) -> Entry | None:
    match = _ARRIVAL.fullmatch(rest)
    if match is None:
        return None
    return Arrival(
        match["sender"] or "",
        match["client"] or "",
        match["protocol"] or "",
        match["account"] or "",
        _tls(match),
        int(match["size"]),
        match["about"] or "",
    )


def _delivery(rest: str) -> Entry | None:
    if dropped := _DROPPED.fullmatch(rest):
        return Withheld(dropped["recipient"], "", "")
    if _UNWANTED.fullmatch(rest):
        return Dropped()
    recipient, rest = _recipient(rest[3:])
    match = _DELIVERY.fullmatch(rest) if recipient else None
    if match is None:
        return None
    return Delivery(
        recipient,
        match["sender"],
        match["transport"],
        _remote(match),
        _tls(match),
        match["words"] or "",
        _seconds(match["queued"]),
    )


def _deferral(rest: str) -> Entry | None:
    recipient, rest = _recipient(rest[3:])
    by_system = _DEFERRAL_BY_SYSTEM.fullmatch(rest)
    match = by_system or _DEFERRAL_BY_EXIM.fullmatch(rest)
    if match is None or not recipient:
        return None
    reasons = [by_system["system"] if by_system else "", match["words"] or ""]
    return Deferral(
        recipient,
        match["transport"] or "",
        _remote(match),
        int(match["errno"]),
        ": ".join(filter(None, reasons)),
    )


def _failure(rest: str) -> Entry | None:
    recipient, rest = _recipient(rest[3:])
    match = _FAILURE.fullmatch(rest) if recipient else None
    if match is None:
        return None
    if match["router"] == _SUPPRESSING:
        return Withheld(recipient, match["sender"] or "", match["words"] or "")
    return Failure(
        recipient,
        match["sender"],
        match["transport"] or "",
        _remote(match),
        _tls(match),
        match["words"] or "",
    )


def _suppressed(rest: str) -> Entry | None:
    match = _SUPPRESSED.fullmatch(rest)
    if match is None:
        return None
    try:
        sender, recipient, reason = map(_decoded, match.group("sender", "recipient", "reason"))
    except binascii.Error:
        return None
    return Suppressed(match["account"], match["client"], sender, recipient, match["since"], reason)


def _completed(rest: str) -> Entry | None:
    return Completed() if _COMPLETED.fullmatch(rest) else None


def _removal(rest: str) -> Entry | None:
    match = _REMOVAL.fullmatch(rest)
    return None if match is None else Removal(match["by"])


def _move(rest: str) -> Entry | None:
    match = _MOVE.fullmatch(rest)
    return None if match is None else Move(match["queue"] or "")


def _refusal(rest: str) -> Entry | None:
    match = _REFUSAL.fullmatch(rest)
    if match is None:
        return _unreached(rest)
    return Refusal(
        match["client"],
        match["account"] or "",
        match["sender"],
        match["command"],
        match["temporary"] is not None,
        match["words"] or "",
    )


def _unreached(rest: str) -> Entry | None:
    match = _UNREACHED.fullmatch(rest)
    if match is None:
        return None
    remote = Remote(match["host"], match["address"], int(match["port"]))
    return Unreached(remote, match["words"] or match["system"] or "")


def _login_refused(rest: str) -> Entry | None:
    match = _LOGIN_REFUSED.fullmatch(rest)
    if match is None:
        return None
    return LoginRefused(Remote(match["host"], match["address"], None), match["words"])


def _failed_login(rest: str) -> Entry | None:
    match = _FAILED_LOGIN.fullmatch(rest)
    return None if match is None else FailedLogin(match["client"], match["account"] or "")


def _login(rest: str) -> Entry | None:
    match = _LOGGED_IN.fullmatch(rest)
    return None if match is None else Login(int(match["port"]), match["secret"])


def _limit_signs(rest: str) -> Entry | None:
    match = _LIMIT_SIGNS.fullmatch(rest)
    if match is None:
        return None
    try:
        return LimitSigns(match["account"], tuple(limit_signals.parse(match["signals"])))
    except ValueError:
        return None


_BY_START: tp.Final = {
    "<=": _arrival,
    "=>": _delivery,
    "->": _delivery,
    "==": _deferral,
    "**": _failure,
    "H=": _refusal,
}
_BY_WORD: tp.Final = (
    ("accepted ", _accepted),
    ("reported ", _reported),
    ("returned ", _returned),
    ("complained ", _complained),
    ("limits ", _limit_signs),
    ("logged in ", _login),
    ("suppressed ", _suppressed),
    ("Completed", _completed),
    ("removed by ", _removal),
    ("cancelled by ", _removal),
    ("moved from ", _move),
    (_SMARTHOST, _login_refused),
)
