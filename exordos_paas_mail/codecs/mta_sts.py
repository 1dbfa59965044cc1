# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""MTA-STS (RFC 8461): what a domain publishes, and how exim is told of it.

A domain says by a TXT record that it has a policy, and which (``record_id``); the policy is a
file of its web server (``parse``). What is known of a domain is a line of the file of its shard
(``line``), which exim looks up; what is not, exim asks for on a socket (``parse_request``),
and is answered by the words of such a line::

    bank.example: mode=enforce until=1796000000 ask=1795400000 mx=(?i)^(?:mx[.]bank[.]example)$
    slow.example: mode=failed ask=1795400000 why="no answer within 10 seconds"
"""

from __future__ import annotations

import enum
import hashlib
import re
import typing as tp

from exordos_paas_mail.codecs import bounded, domains

if tp.TYPE_CHECKING:
    from collections.abc import Iterable

SIZE_MAX: tp.Final = 65_536
"""Octets of a policy that are read (RFC 8461 3.3 suggests this bound)."""
MAX_AGE_MAX: tp.Final = 31_557_600
"""Seconds that a policy may be kept at most (RFC 8461 3.2)."""
PATTERNS_SIZE_MAX: tp.Final = 4096
"""Characters of all names of a policy: one with more is no policy. Large operators have ten."""
WAIT_MAX: tp.Final = 1800
"""Milliseconds that a message waits for what is not known yet; exim gives up after 2 seconds."""
SHARDS: tp.Final = tuple(f"{number:02x}" for number in range(256))
MEDIA_TYPE: tp.Final = "text/plain"
UNNAMED: tp.Final = "has no mail server that its policy names"
"""How exim says so of a domain, whose mail waits."""
UNKNOWN: tp.Final = "mode=unknown"
"""What exim is answered where nothing is known yet: it goes by what the file says, if anything."""

_VERSION: tp.Final = "STSv1"
# RFC 8461 3.1: the version first, then fields apart by semicolons, the last one ended or not.
_RECORD = re.compile(r"v=STSv1[ \t]*(?:;(?P<fields>.*))?", re.DOTALL)
_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_NUMBER = re.compile(r"[0-9]{1,10}")
# RFC 8461 3.2: field names are letters, digits, and within them _ - .
_FIELD = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9_.-]{0,31})[ \t]*:[ \t]*(?P<value>.*?)[ \t]*")
_REQUEST = re.compile(r"know (?P<domain>[a-z0-9.-]{1,253}) (?P<wait>[0-9]{1,4})")
_ENFORCED = re.compile(
    r"(?P<domain>[a-z0-9.-]+): mode=enforce ask=\d+ until=(?P<until>\d+) mx=(?P<mx>\S+)"
)
_WILDCARD = "*."
_WHY_SIZE_MAX = 200
_SETTINGS = "# exordos-mail-sts:"


class Mode(str, enum.Enum):
    """What is known of a domain; the first three are the words of a policy (RFC 8461 5)."""

    ENFORCE = "enforce"
    TESTING = "testing"
    NONE = "none"
    ABSENT = "absent"
    """It has no policy."""
    FAILED = "failed"
    """What it has could not be found out, and nothing is known from before."""


POLICIES: tp.Final = frozenset({Mode.ENFORCE, Mode.TESTING, Mode.NONE})


class Settings(tp.NamedTuple):
    """What an operator has set (relay.env), as exim4.conf has it."""

    on: bool = True
    private: bool = False
    """Whether web servers of private networks are asked."""


class Figures(tp.NamedTuple):
    """What there is to tell, for the metrics."""

    failing: int
    """Domains that could not be found out, or not anew."""


class Policy(tp.NamedTuple):
    """What a policy file says."""

    mode: Mode
    max_age: int
    """Seconds for which it is kept from when it was fetched."""
    mx: tuple[str, ...]
    """The names that mail may go to, in lower case; ``*.`` stands for one label."""


class Enforced(tp.NamedTuple):
    """A policy that is kept to."""

    until: int
    """When it ends, in seconds since 1970."""
    mx: str
    """A regular expression of the servers that mail may go to."""


class Request(tp.NamedTuple):
    """What exim asks."""

    domain: str
    wait: int
    """Milliseconds until an answer comes too late."""


def record_id(texts: Iterable[str]) -> str | None:
    """Return the id that the TXT records *texts* of ``_mta-sts.<domain>`` say, None for no policy.

    Records of something else are passed over; of two of this kind none counts (RFC 8461 3.1).
    """
    records = [match for text in texts if (match := _RECORD.fullmatch(text))]
    if len(records) != 1:
        return None
    fields = [field.strip(" \t") for field in (records[0]["fields"] or "").split(";")]
    ids = [field[3:] for field in fields if field.startswith("id=")]
    return ids[0] if len(ids) == 1 and _ID.fullmatch(ids[0]) else None


def parse(data: bytes) -> Policy:
    """Return the policy that a web server gave; ValueError, saying why, if it is none.

    Unknown fields are passed over; of one that may be there once the first counts (RFC 8461 3.2).
    """
    if len(data) > SIZE_MAX:
        raise ValueError(f"the policy has more than {SIZE_MAX} octets")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError("the policy is not in UTF-8") from error
    rows = [_FIELD.fullmatch(row) for row in re.split(r"\r?\n", text) if row.strip(" \t")]
    if None in rows:
        raise ValueError("the policy has a line that is no field")
    named = [(row["name"], row["value"]) for row in rows if row]
    mx = [_pattern(value) for name, value in named if name == "mx"]
    # The last one that is put in is the first that was said.
    once = dict(reversed(named))
    if once.get("version") != _VERSION:
        raise ValueError("the policy is not of version STSv1")
    age = once.get("max_age", "")
    if not _NUMBER.fullmatch(age):
        raise ValueError("the policy has no max_age")
    if once.get("mode") not in {mode.value for mode in POLICIES}:
        raise ValueError("the policy has no mode that is known")
    mode = Mode(once["mode"])
    if not mx and mode is not Mode.NONE:
        raise ValueError("the policy names no MX")
    if sum(map(len, mx)) > PATTERNS_SIZE_MAX:
        raise ValueError("the policy names more MX than are kept")
    return Policy(mode, min(int(age), MAX_AGE_MAX), tuple(dict.fromkeys(mx)))


def _pattern(value: str) -> str:
    name = value.lower()
    if not domains.is_host_name(name.removeprefix(_WILDCARD)):
        raise ValueError("the policy has an mx that is no name")
    return name


def allows(mx: Iterable[str], name: str) -> bool:
    """Return whether *mx* of a policy names the host *name* (RFC 8461 4.1)."""
    return re.search(expression(mx), name) is not None


def expression(mx: Iterable[str]) -> str:
    """Return a regular expression of the hosts that *mx* names.

    In it is no character that exim expands, ends a word with or splits a list at.
    """
    each = (
        ("[^.]+[.]" if name.startswith(_WILDCARD) else "")
        + name.removeprefix(_WILDCARD).replace(".", "[.]")
        for name in mx
    )
    return f"^(?i:{'|'.join(each)})$"


def shard_of(domain: str) -> str:
    """Return the shard of *domain*, in lower case and A-labels."""
    return hashlib.md5(domain.encode(), usedforsecurity=False).hexdigest()[:2]


def line(domain: str, said: str) -> str:
    """Return the line of *domain* in the file of its shard; *said* are its ``words``."""
    return f"{domain}: {said}\n"


def words(
    mode: Mode,
    *,
    until: int = 0,
    ask: int = 0,
    mx: Iterable[str] = (),
    why: str = "",
) -> str:
    """Return what exim is told of a domain.

    *until* and *ask* are seconds since 1970: when a policy ends, and from when on exim asks
    again, and goes by the line where it is not answered.
    """
    told = [f"mode={mode.value}", f"ask={ask}"]
    if mode is Mode.ENFORCE:
        told += [f"until={until}", f"mx={expression(mx)}"]
    elif mode is Mode.FAILED:
        said = bounded.plain(why, _WHY_SIZE_MAX).replace("\\", "/").replace('"', "'")
        # The files are ASCII, whatever others have said.
        said = said.encode("ascii", "replace").decode()
        told.append(f'why="{said}"')
    return " ".join(told)


def enforced(content: str) -> dict[str, Enforced]:
    """Return the policies that are kept to, by their domain, by the *content* of a shard's file."""
    found = map(_ENFORCED.fullmatch, content.splitlines())
    return {match["domain"]: Enforced(int(match["until"]), match["mx"]) for match in found if match}


def parse_request(text: str) -> Request:
    """Return what exim asks by *text*; raises ValueError if it is no request."""
    match = _REQUEST.fullmatch(text)
    if match is None:
        raise ValueError("not a request")
    return Request(match["domain"], min(int(match["wait"]), WAIT_MAX))


def render_settings(settings: Settings) -> str:
    """Return the line of exim4.conf that says *settings*."""
    said = {True: "yes", False: "no"}
    return f"{_SETTINGS} on={said[settings.on]} private={said[settings.private]}"


def parse_settings(text: str) -> Settings:
    """Return what *text*, an exim4.conf, says; the defaults where it says nothing of it."""
    for row in text.splitlines():
        if row.startswith(_SETTINGS):
            said = row.removeprefix(_SETTINGS).split()
            return Settings("on=no" not in said, "private=yes" in said)
    return Settings()


def render_figures(figures: Figures) -> bytes:
    """Return *figures* as JSON; ``parse_figures`` is the inverse."""
    return bounded.dump({"failing": figures.failing})


def parse_figures(data: bytes) -> Figures:
    """Return the figures of *data*; ValueError, without a word of it, when it holds none."""
    fields = bounded.Fields(bounded.load(data, "the figures"), "the figures of MTA-STS")
    return Figures(fields.number("failing"))
