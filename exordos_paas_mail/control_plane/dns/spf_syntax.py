# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""SPF records as terms, and their macros (RFC 7208 chapters 5 to 7 and 12)."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import typing as tp
import urllib.parse

from exordos_paas_mail.codecs import domains

QUALIFIERS: tp.Final = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}

_VERSION: tp.Final = re.compile(r"v=spf1(?: |\Z)", re.IGNORECASE)
_MODIFIER: tp.Final = re.compile(r"([a-z][a-z0-9_.-]*)=(.*)", re.IGNORECASE)
_MECHANISM: tp.Final = re.compile(r"([+?~-]?)([a-z0-9]+)(?::(.*?))?((?:/[0-9/]*)?)", re.IGNORECASE)
# An octet as replies.text_of writes it.
_NOT_ASCII: tp.Final = re.compile(r"\\[12][0-9]{2}")
_ADDRESS: tp.Final = re.compile(
    r"([+?~-]?)(ip4|ip6):([0-9a-f.:]+)(?:/(0|[1-9][0-9]*))?", re.IGNORECASE
)
_LENGTHS: tp.Final = re.compile(r"(?:/(0|[1-9][0-9]?))?(?://(0|[1-9][0-9]{0,2}))?")
_MACRO: tp.Final = re.compile(
    r"%(?:\{([slodiphcrtv])([0-9]*)(r?)([-.+,/_=]*)\}|([%_-]))", re.IGNORECASE
)
# A macro string between macros: any visible character but %.
_LITERAL: tp.Final = re.compile(r"[!-$&-~]*")
_END: tp.Final = re.compile(
    r"(?:\.(?:[a-z0-9]*[a-z][a-z0-9]*|[a-z0-9]+-[a-z0-9-]*[a-z0-9])\.?|%\{[^}]*\}|%[%_-])\Z",
    re.IGNORECASE,
)
_ONLY_IN_EXPLANATIONS: tp.Final = frozenset("crt")
_WITH_NAME: tp.Final = frozenset({"a", "mx", "ptr", "include", "exists"})
_WITH_LENGTHS: tp.Final = frozenset({"a", "mx"})
_NAME_REQUIRED: tp.Final = frozenset({"include", "exists"})
_DIGITS_MAX: tp.Final = 128


class SyntaxProblem(ValueError):  # noqa: N818 - no failure of this program
    """A term is wrong, which receivers call permerror."""


@dataclasses.dataclass(frozen=True)
class Mechanism:
    """A mechanism: *name* is of a domain, *network* of ip4 and ip6."""

    text: str
    qualifier: str
    kind: str
    name: str = ""
    network: ipaddress.IPv4Network | ipaddress.IPv6Network | None = None
    lengths: tuple[int, int] = (32, 128)


@dataclasses.dataclass(frozen=True)
class Policy:
    """A record: what it consists of, in its order."""

    mechanisms: tuple[Mechanism, ...]
    redirect: str = ""


def is_spf(text: str) -> bool:
    """Return whether a TXT record is an SPF record (RFC 7208 section 4.5)."""
    return _VERSION.match(text) is not None


def terms(text: str) -> list[str]:
    """Return the words of a record after its version."""
    return [word for word in text.split(" ")[1:] if word]


def parse(text: str) -> Policy:
    """Return the record *text*; SyntaxProblem names the term that is wrong."""
    mechanisms: list[Mechanism] = []
    modifiers: dict[str, str] = {}
    if _NOT_ASCII.search(text):
        raise SyntaxProblem("octets are in it that are not ASCII")
    for term in terms(text):
        modifier = _MODIFIER.fullmatch(term)
        if modifier is None:
            mechanisms.append(mechanism(term))
            continue
        name = modifier[1].lower()
        if name in ("redirect", "exp"):
            if name in modifiers:
                raise SyntaxProblem(f"{name}= is there twice")
            _check_name(term, modifier[2])
            modifiers[name] = modifier[2]
        else:
            _check_macros(term, modifier[2])
    return Policy(tuple(mechanisms), modifiers.get("redirect", ""))


def mechanism(term: str) -> Mechanism:
    """Return the mechanism *term*; SyntaxProblem if it is none."""
    address = _ADDRESS.fullmatch(term)
    if address is not None:
        return _address(term, address)
    match = _MECHANISM.fullmatch(term)
    if match is None:
        raise SyntaxProblem(f"{term} is no term of SPF")
    sign, kind, name, lengths = match[1] or "+", match[2].lower(), match[3], match[4]
    if kind == "all" and name is None and not lengths:
        return Mechanism(term, QUALIFIERS[sign], kind)
    if kind not in _WITH_NAME or (kind in _NAME_REQUIRED and name is None):
        raise SyntaxProblem(f"{term} is no term of SPF")
    if name is not None:
        _check_name(term, name)
    made = Mechanism(term, QUALIFIERS[sign], kind, name or "")
    if not lengths:
        return made
    found = _LENGTHS.fullmatch(lengths)
    if kind not in _WITH_LENGTHS or found is None:
        raise SyntaxProblem(f"{term} is no term of SPF")
    four, six = int(found[1] or 32), int(found[2] or 128)
    if four > 32 or six > 128:  # noqa: PLR2004 - the lengths of addresses
        raise SyntaxProblem(f"{term} has a prefix length that is too long")
    return dataclasses.replace(made, lengths=(four, six))


def _address(term: str, match: re.Match[str]) -> Mechanism:
    family = ipaddress.IPv4Network if match[2].lower() == "ip4" else ipaddress.IPv6Network
    longest = "32" if family is ipaddress.IPv4Network else "128"
    try:
        network = family(f"{match[3]}/{match[4] or longest}", strict=False)
    except ValueError:
        raise SyntaxProblem(f"{term} has no address in it") from None
    kind = match[2].lower()
    return Mechanism(term, QUALIFIERS[match[1] or "+"], kind, network=network)


def _check_macros(term: str, text: str) -> list[re.Match[str]]:
    """Return the macros of a macro string; SyntaxProblem if it is none."""
    found: list[re.Match[str]] = []
    position = 0
    while position < len(text):
        macro = _MACRO.match(text, position)
        if macro is not None:
            digits = macro[2]
            if digits and int(digits) == 0:
                raise SyntaxProblem(f"{term} has a macro that keeps 0 labels")
            found.append(macro)
            position = macro.end()
            continue
        literal = _LITERAL.match(text, position)
        if literal is None or literal.end() == position:
            raise SyntaxProblem(f"{term} has a macro in it that is none")
        position = literal.end()
    return found


def _check_name(term: str, name: str) -> None:
    for macro in _check_macros(term, name):
        if macro[1] and macro[1].lower() in _ONLY_IN_EXPLANATIONS:
            raise SyntaxProblem(f"{term} has a macro that is for explanations alone")
    if not _END.search(name):
        raise SyntaxProblem(f"{term} does not end in a domain name")


def has_macros(name: str) -> bool:
    """Return whether a domain depends on the message."""
    return "%{" in name


def expand(name: str, values: tp.Mapping[str, str]) -> str:
    """Return a domain with its macros replaced by *values*, by their letters in lower case.

    A result that is too long loses labels from its left (RFC 7208 section 7.3).
    """
    found = _MACRO.sub(lambda macro: _expanded(macro, values), name).removesuffix(".")
    while len(found) > domains.MAX_LENGTH and "." in found:
        found = found.partition(".")[2]
    return found


def _expanded(macro: re.Match[str], values: tp.Mapping[str, str]) -> str:
    if macro[5]:
        return {"%": "%", "_": " ", "-": "%20"}[macro[5]]
    letter, digits, is_reversed, delimiters = macro[1], macro[2], macro[3], macro[4] or "."
    parts = re.split(f"[{re.escape(delimiters)}]", values[letter.lower()])
    if is_reversed:
        parts.reverse()
    if digits:
        parts = parts[-min(int(digits), _DIGITS_MAX) :]
    joined = ".".join(parts)
    return urllib.parse.quote(joined, safe="-._~") if letter.isupper() else joined
