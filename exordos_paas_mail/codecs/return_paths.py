# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Return paths that the relay makes: ``b-<message>-<mac>-<local part>@bounces.<domain>``.

exim makes them (``templates/exim4/transports.j2``) and knows its own again
(``acl/returned.j2``): the mac is an HMAC over the rest, by a key that never leaves the
node. So a report that comes to one is of that message, and nobody can write another.
The message is its queue id, each of its three numbers in base32: there are servers
that write a local part in lower case.

The file says for which domains, and whether what comes goes on to the sender::

    example.com:forward
    example.net:keep
    .:2
"""

from __future__ import annotations

import re
import typing as tp

from exordos_paas_mail.codecs import domains

if tp.TYPE_CHECKING:
    from collections.abc import Iterable

LABEL: tp.Final = "bounces"
"""The name below a domain that its return paths are of."""
FEEDBACK: tp.Final = "fbl"
"""The local part there that takes complaints (RFC 5965), of whatever message."""
ROLE: tp.Final = "abuse"
"""Whom they go on to."""
LOCAL_SIZE_MAX: tp.Final = 29
"""Characters of a sender's local part: a return path's has 64 at most (RFC 5321 4.5.3.1.1)."""
MAC_SIZE: tp.Final = 14
"""Hexadecimal digits: 56 bits."""
DAYS_MAX: tp.Final = 30
"""How long after its message a return path takes reports."""
END_KEY: tp.Final = "."
FORWARD: tp.Final = "forward"
KEEP: tp.Final = "keep"
USES: tp.Final = (FORWARD, KEEP)
# The primary domain, and those beside it.
DOMAINS_MAX: tp.Final = 51
KEY_PATTERN: tp.Final = "[0-9a-f]{64}"
"""A key, as a regular expression of exim's as well."""
KEYS_MAX: tp.Final = 2
"""The first makes return paths, both are good for those that come back."""
ID_PATTERN: tp.Final = "[a-z2-7]{1,7}-[a-z2-7]{1,5}-[a-z2-7]{0,3}"
LOCAL_PATTERN: tp.Final = rf"[A-Za-z0-9_.+=-]{{1,{LOCAL_SIZE_MAX}}}"
"""Of a sender that gets one; servers take other characters for ways to route (``acl_rcpt``)."""
DOMAIN_PATTERN: tp.Final = "[a-z0-9.-]{3,253}"

_PATH = re.compile(
    rf"b-(?P<id>{ID_PATTERN})-[0-9a-f]{{{MAC_SIZE}}}-(?P<local>{LOCAL_PATTERN})"
    rf"@{LABEL}\.(?P<domain>{DOMAIN_PATTERN})",
    # Of ASCII alone: there are letters beyond it that are the same as one of these but for case.
    re.IGNORECASE | re.ASCII,
)
_BASE32: tp.Final = "abcdefghijklmnopqrstuvwxyz234567"
_BASE62: tp.Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# Of exim's queue ids: second, process, part of the second.
_ID_SIZES: tp.Final = (6, 6, 2)


class Path(tp.NamedTuple):
    """What a return path says."""

    queue_id: str
    sender: str
    """Who the client had sent the message as; the local part as the path has it."""


def parse_path(address: str) -> Path | None:
    """Return what a return path says; None where *address* is none, whoever made it."""
    match = _PATH.fullmatch(address)
    if match is None:
        return None
    numbers = [_number(digits) for digits in match["id"].lower().split("-")]
    parts = [_base62(number, size) for number, size in zip(numbers, _ID_SIZES, strict=True)]
    if any(len(part) > size for part, size in zip(parts, _ID_SIZES, strict=True)):
        return None
    return Path("-".join(parts), f"{match['local']}@{match['domain'].lower()}")


def _number(digits: str) -> int:
    number = 0
    for digit in digits:
        number = number << 5 | _BASE32.index(digit)
    return number


def _base62(number: int, size: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, len(_BASE62))
        digits = _BASE62[digit] + digits
    return digits.rjust(size, "0")


def goes_on_to(address: str) -> tuple[str, ...]:
    """Return whom what came to *address* goes on to, in lower case: nobody if it is none here."""
    path = parse_path(address)
    local, _, name = address.lower().rpartition("@")
    domain = name.removeprefix(f"{LABEL}.")
    if domain == name or (path is None and local != FEEDBACK):
        return ()
    return (f"{ROLE}@{domain}", *((path.sender.lower(),) if path else ()))


def host(domain: str) -> str:
    """Return the domain of the return paths of *domain*."""
    return f"{LABEL}.{domain}"


def has_room(domain: str) -> bool:
    """Return whether there can be return paths of *domain*: a name ends at 253 characters."""
    return domains.is_host_name(host(domain))


def render(uses: Iterable[tuple[str, str]]) -> str:
    """Return the file for (domain, use) pairs, sorted; ``parse`` is the exact inverse."""
    lines = [f"{domain}:{use}\n" for domain, use in sorted(uses)]
    return "".join([*lines, f"{END_KEY}:{len(lines)}\n"])


def parse(text: str) -> list[tuple[str, str]]:
    """Return the (domain, use) pairs of a file.

    Accepts what ``render`` writes and nothing else: ValueError, naming the number of
    the line, for any other text.
    """
    if not text.endswith("\n"):
        raise ValueError("the last line has no end")
    *lines, last = text.split("\n")[:-1]
    if last != f"{END_KEY}:{len(lines)}":
        raise ValueError("the end mark is missing, or counts another number of lines")
    if len(lines) > DOMAINS_MAX:
        raise ValueError(f"more than {DOMAINS_MAX} domains")
    uses: list[tuple[str, str]] = []
    for number, line in enumerate(lines, start=1):
        domain, _, use = line.partition(":")
        if not domains.is_host_name(domain) or not has_room(domain):
            raise ValueError(f"line {number}: not a domain that can have return paths")
        if use not in USES:
            raise ValueError(f"line {number}: the use is not one of {', '.join(USES)}")
        if uses and domain <= uses[-1][0]:
            raise ValueError(f"line {number}: out of order, or given twice")
        uses.append((domain, use))
    return uses


def are_keys(text: str) -> bool:
    """Return whether *text* is a file of keys: one or two, a line each."""
    lines = text.split("\n")
    return (
        lines.pop() == ""
        and 0 < len(lines) <= KEYS_MAX
        and all(re.fullmatch(KEY_PATTERN, line) for line in lines)
    )
