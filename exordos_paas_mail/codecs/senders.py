# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Who may send as whom: the entries of ``senders``, and the file exim looks a login's up in.

An entry is ``own`` (the account's address and its +tags), ``a@d``, ``*@d`` (each
address of the domain) or ``*@*.d`` (each address of a name below it). It is only
ever compared for equality, so no character of it means anything to exim: no
pattern, no list and no expansion comes from a tenant.

The file has the default first, then the accounts that differ from it by login,
and an end mark: in a file that was cut at the end of a line an account that is
missing would have the default, which may be wider than its own line.

::

    *:domain
    app@example.com:*@*.example.com;noreply@example.com
    .:2
"""

from __future__ import annotations

import re
import typing as tp

from exordos_paas_mail.codecs import domains, rules, usernames

if tp.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ENTRIES_MAX: tp.Final = 100
"""Of one account."""

OWN: tp.Final = "own"
ANY_OF_DOMAINS: tp.Final = "domain"
"""The default of the file alone: each address of each domain that may send."""

POLICY_DOMAIN: tp.Final = "domain"
POLICY_ACCOUNT: tp.Final = "account"
# What the default line says under each policy of an instance.
DEFAULTS: tp.Final[Mapping[str, str]] = {POLICY_DOMAIN: ANY_OF_DOMAINS, POLICY_ACCOUNT: OWN}

RULE: tp.Final = (
    '"own", an address "a@domain", "*@domain" for each address of a domain,'
    ' or "*@*.domain" for each address of a name below it'
)

# Both are what no login is: a login has an "@".
DEFAULT_KEY: tp.Final = "*"
END_KEY: tp.Final = "."

_SEPARATOR = ";"
_BELOW = "*."
# Wider than the rule of today, which a later release may widen, and plain.
_LOCAL = re.compile(r"[a-z0-9_.+=-]{1,64}")


def normalise(entry: object) -> str:
    """Return *entry* in its one spelling: lower case, the domain in A-labels.

    Raises RuleError if it is no entry.
    """
    if entry == OWN:
        return OWN
    if not isinstance(entry, str):
        raise rules.RuleError(f"must be {RULE}")
    local, at, domain = entry.partition("@")
    if not at:
        raise rules.RuleError(f"must be {RULE}")
    below = local == "*" and domain.startswith(_BELOW)
    try:
        domain = domains.normalise(domain.removeprefix(_BELOW) if below else domain)
    except rules.RuleError as error:
        raise rules.RuleError(f"its domain {error}") from None
    if local != "*":
        try:
            local = usernames.normalise(local)
        except rules.RuleError as error:
            raise rules.RuleError(f'its local part must be "*" alone, or {error}') from None
    return f"{local}@{_BELOW if below else ''}{domain}"


def domain_of(entry: str) -> str | None:
    """Return the domain that the normalised *entry* names; None for ``own``."""
    return None if entry == OWN else entry.partition("@")[2].removeprefix(_BELOW)


def line(entries: Iterable[str]) -> str:
    """Return what the file has of an account with these normalised *entries*."""
    return _SEPARATOR.join(sorted(set(entries)))


def render(policy: str, lines: Iterable[tuple[str, str]], domain: str) -> str:
    """Return the file for (username, ``line``) pairs of accounts of *domain*.

    Sorted, so that equal input gives equal bytes. ``parse`` is the exact inverse.
    The pairs come from the control plane's own rows and are not looked into: the
    node does that, once, before it takes the file.
    """
    written = [f"{DEFAULT_KEY}:{DEFAULTS[policy]}\n"]
    written += [f"{username}@{domain}:{entries}\n" for username, entries in sorted(lines)]
    return "".join([*written, f"{END_KEY}:{len(written)}\n"])


def parse(text: str, domain: str) -> tuple[str, list[tuple[str, list[str]]]]:
    """Return the policy and the (username, entries) pairs of a file for accounts of *domain*.

    Accepts what ``render`` writes and nothing else: ValueError, naming the number
    of the line, for any other text.
    """
    if not text.endswith("\n"):
        raise ValueError("the last line has no end")
    first, *middle = text.split("\n")[:-1]
    policies = [policy for policy, word in DEFAULTS.items() if first == f"{DEFAULT_KEY}:{word}"]
    if not policies:
        raise ValueError("line 1: not the default")
    if not middle or middle[-1] != f"{END_KEY}:{len(middle)}":
        raise ValueError("the end mark is missing, or counts another number of lines")
    suffix = f"@{domain}"
    accounts: list[tuple[str, list[str]]] = []
    for number, text_line in enumerate(middle[:-1], start=2):
        where = f"line {number}"
        login, _, value = text_line.partition(":")
        username = login.removesuffix(suffix)
        if username == login or not usernames.fits_account_file(username):
            raise ValueError(f"{where}: not an account of {domain}")
        if accounts and username <= accounts[-1][0]:
            raise ValueError(f"{where}: out of order, or given twice")
        accounts.append((username, _entries(value, where)))
    return policies[0], accounts


def _entries(value: str, where: str) -> list[str]:
    entries = value.split(_SEPARATOR)
    if len(entries) > ENTRIES_MAX:
        raise ValueError(f"{where}: more than {ENTRIES_MAX} entries")
    if entries != sorted(set(entries)):
        raise ValueError(f"{where}: an entry is out of order, or given twice")
    for entry in entries:
        if not _is_entry(entry):
            raise ValueError(f"{where}: an entry is not one of a login")
    return entries


def _is_entry(entry: str) -> bool:
    """Return whether exim may be given *entry*."""
    local, at, domain = entry.partition("@")
    if not at:
        return entry == OWN
    if local == "*":
        return domains.is_host_name(domain.removeprefix(_BELOW))
    return _LOCAL.fullmatch(local) is not None and domains.is_host_name(domain)
