# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Recipients that nothing is sent to: what the control plane has a node hold of them.

It is the collection ``COLLECTION`` of documents (``node_documents``): the entries, in
``SHARDS`` shards by address, so that one that changes is 1/256 of all, and the shard
``SETTINGS``. A shard of entries is lines of five fields with a tab between them, sorted::

    bob@elsewhere.example	1764115200	1771891200	HARD_BOUNCE
    bob@elsewhere.example	1764115200	0	MANUAL	alice@example.com

exim looks an address up in the cdb of its shard (``records``) by ``key``.
"""

from __future__ import annotations

import datetime
import enum
import hashlib
import itertools
import re
import typing as tp

from exordos_paas_mail.codecs import bounded, domains, node_documents, rules, usernames

if tp.TYPE_CHECKING:
    from collections.abc import Iterable

COLLECTION: tp.Final = "suppressions"
SETTINGS: tp.Final = "settings"
"""The shard of what is not of one address."""
SHARDS: tp.Final = tuple(f"{number:02x}" for number in range(256))
ENTRIES_MAX: tp.Final = 20_000
"""Of a shard; its octets are bounded as well."""
SIZE_MAX: tp.Final = node_documents.RAW_SIZE_MAX
ADDRESS_SIZE_MAX: tp.Final = 254
"""RFC 5321 4.5.3.1.3, without the angle brackets."""
RULE: tp.Final = "must be an address local@domain of at most 254 characters"

# As a person may type it, a backslash before each character, or letters of several.
_TYPED_SIZE_MAX: tp.Final = 4 * ADDRESS_SIZE_MAX
_TIME_MAX: tp.Final = 2**40
_VERSION: tp.Final = 1
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
# What acl_rcpt lets through (templates/exim4/acl/recipient.j2), without quotes. A space
# may be in it, a tab not.
_LOCAL = re.compile(r"(?![./|])[ -~]{1,64}")
_REFUSED = frozenset("@%!")


class Reason(str, enum.Enum):
    """Why nothing is sent to an address; the values are the API's."""

    HARD_BOUNCE = "HARD_BOUNCE"
    COMPLAINT = "COMPLAINT"
    MANUAL = "MANUAL"


class Action(str, enum.Enum):
    """What a client is answered; the values are the API's."""

    REJECT = "reject"
    """This recipient is refused, the others pass."""
    ACCEPT_AND_DROP = "accept_and_drop"
    """All recipients are taken, and this one gets nothing."""


class Entry(tp.NamedTuple):
    """One address; times are whole seconds since 1970, UTC."""

    address: str
    """As ``normalise`` has it."""
    since: int
    until: int
    """From then on it is none; 0 for ever."""
    reason: Reason
    login: str = ""
    """The account that it is for; empty for all of the instance."""


class Settings(tp.NamedTuple):
    """What is not of one address."""

    action: Action = Action.REJECT


def normalise(address: object) -> str:
    """Return *address* in the one spelling that exim looks up; raises RuleError if it is none.

    That is in lower case, the domain in A-labels and the local part without quotes.
    Tags and dots are part of it.
    """
    if not isinstance(address, str) or len(address) > _TYPED_SIZE_MAX:
        raise rules.RuleError(RULE)
    local, at, domain = address.rpartition("@")
    if quoted := _QUOTED.fullmatch(local):
        local = re.sub(r"\\(.)", r"\1", quoted[1])
    if not at or not _LOCAL.fullmatch(local) or _REFUSED & set(local):
        raise rules.RuleError(RULE)
    # Of strangers: labels older than IDNA 2008 are as good as others.
    name = domain.lower() if domain.isascii() else domains.normalise(domain)
    whole = f"{local.lower()}@{name}"
    if not domains.is_host_name(name) or len(whole) > ADDRESS_SIZE_MAX:
        raise rules.RuleError(RULE)
    return whole


def is_normal(address: object) -> tp.TypeGuard[str]:
    """Return whether *address* is one that ``normalise`` may return."""
    if not isinstance(address, str) or len(address) > ADDRESS_SIZE_MAX:
        return False
    local, _, domain = address.rpartition("@")
    return (
        _LOCAL.fullmatch(local) is not None
        and not _REFUSED & set(local)
        and local == local.lower()
        and domains.is_host_name(domain)
    )


def shard_of(address: str) -> str:
    """Return the shard of the normalised *address*."""
    return hashlib.md5(address.encode(), usedforsecurity=False).hexdigest()[:2]


def render(entries: Iterable[Entry]) -> bytes:
    """Return the content of a shard with *entries*; equal ones give equal bytes.

    ``parse`` is the inverse. Raises ValueError, without a word of them, where they
    are more than a shard may have: the rule is the control plane's to keep.
    """
    ordered = sorted(entries, key=_order)
    lines = [
        f"{one.address}\t{one.since}\t{one.until}\t{one.reason.value}\t{one.login}\n"
        for one in ordered
    ]
    content = "".join(lines).encode("ascii")
    if len(lines) > ENTRIES_MAX or len(content) > SIZE_MAX:
        raise ValueError("a shard has more suppressions than it may have")
    return content


def parse(content: bytes, shard: str) -> list[Entry]:
    """Return the entries of the *content* of *shard*.

    Raises ValueError, without a word of it, when one of them is none, has another
    shard's place, or is there twice.
    """
    if len(content) > SIZE_MAX:
        raise ValueError("a shard of suppressions is too large")
    try:
        text = content.decode("ascii")
    except UnicodeDecodeError as error:
        raise ValueError("a shard of suppressions is not in ASCII") from error
    lines = text.split("\n")
    if lines.pop() or len(lines) > ENTRIES_MAX:
        raise ValueError("a shard of suppressions is cut, or has too many")
    entries = [_entry(line, f"line {number}") for number, line in enumerate(lines, start=1)]
    places = [_order(entry) for entry in entries]
    if any(one >= other for one, other in itertools.pairwise(places)):
        raise ValueError("a suppression is out of order, or there twice")
    if any(shard_of(entry.address) != shard for entry in entries):
        raise ValueError("a suppression is in another shard's place")
    return entries


def render_settings(settings: Settings) -> bytes:
    """Return the content of the shard ``SETTINGS``; ``parse_settings`` is the inverse."""
    return bounded.dump({"version": _VERSION, "action": settings.action.value})


def parse_settings(content: bytes) -> Settings:
    """Return the settings of *content*; raises ValueError, without a word of it."""
    fields = bounded.Fields(bounded.load(content, "the settings"), "the settings")
    if fields.number("version") != _VERSION:
        raise ValueError("the settings are of no version that is known")
    try:
        return Settings(Action(fields.text("action")))
    except ValueError as error:
        raise fields.error("action") from error


def key(address: str, login: str) -> str:
    """Return what exim looks an entry up by (``templates/exim4/acl/suppressed.j2``).

    No two entries have the same: a login begins with no slash, and ends with the first
    domain after its only at sign.
    """
    return f"{login}/{address}"


def records(entries: Iterable[Entry]) -> list[tuple[str, str]]:
    """Return the records of the cdb: ``until=SECONDS since=DATE reason="WORDS"`` by ``key``.

    What has no end has the largest one.
    """
    return [
        (
            key(one.address, one.login),
            f"until={one.until or _TIME_MAX} since={_date(one.since)}"
            f' reason="{_WORDS[one.reason]}"',
        )
        for one in entries
    ]


_WORDS: tp.Final = {
    Reason.HARD_BOUNCE: "hard bounce",
    Reason.COMPLAINT: "complaint",
    Reason.MANUAL: "by hand",
}


def _date(seconds: int) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).date().isoformat()


def _order(entry: Entry) -> tuple[str, str]:
    return entry.address, entry.login


def _entry(line: str, where: str) -> Entry:
    fields = line.split("\t")
    if len(fields) != len(Entry._fields):
        raise ValueError(f"{where}: not of five fields")
    address, since, until, reason, login = fields
    if not is_normal(address):
        raise ValueError(f"{where}: not an address, or in another spelling")
    try:
        entry = Entry(address, _seconds(since), _seconds(until), Reason(reason), login)
    except ValueError as error:
        raise ValueError(f"{where}: a time or the reason is none") from error
    if login and not _is_login(login):
        raise ValueError(f"{where}: not a login")
    return entry


def _seconds(text: str) -> int:
    if _NUMBER.fullmatch(text) is None:
        raise ValueError("not a number of seconds")
    return int(text)


_NUMBER = re.compile(r"0|[1-9][0-9]{0,10}")


def _is_login(login: str) -> bool:
    local, _, domain = login.partition("@")
    return usernames.fits_account_file(local) and domains.is_host_name(domain)
