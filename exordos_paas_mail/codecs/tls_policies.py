# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""How mail leaves: which TLS a recipient's domain asks for, and the file exim looks it up in.

A policy is of a domain, of all names below one (``*.domain``) or of whatever has none of its
own (``*``); the longest name counts. An account that requires TLS makes the weaker modes
``encrypt``.

No key of the file is another's: a domain begins with ``=``, what is for names below one with a
dot, and a login has an ``@``. So exim finds each by equality, names above one by shortening it.
The end mark counts the lines: in a file that was cut at the end of a line a domain that is
missing would get its mail in clear.

::

    *:encrypt
    .bank.example:verify
    =bank.example:dane
    app@example.com:required
    .:4
"""

from __future__ import annotations

import enum
import types
import typing as tp

from exordos_paas_mail.codecs import domains, rules, usernames

if tp.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

POLICIES_MAX: tp.Final = 1000
"""Of one instance."""


class Mode(str, enum.Enum):
    """What a connection has to be; the values are the API's."""

    AUTO = "auto"
    """What the recipient publishes (DANE, MTA-STS) is kept, else as opportunistic."""
    OPPORTUNISTIC = "opportunistic"
    """Encrypted where that works, and in clear where it does not."""
    ENCRYPT = "encrypt"
    """As auto, but never in clear."""
    VERIFY = "verify"
    """Encrypted to a server that has proven its name."""
    DANE = "dane"
    """Encrypted to a server whose key is published, and signed by DNSSEC."""
    MTA_STS = "mta_sts"
    """As the recipient's domain publishes (RFC 8461), and not at all where it does not."""


MODES: tp.Final = tuple(mode.value for mode in Mode)
WEAK: tp.Final = (Mode.AUTO, Mode.OPPORTUNISTIC)
"""Those that let mail leave in clear."""
KEEPING: tp.Final = (Mode.AUTO, Mode.ENCRYPT, Mode.MTA_STS)
"""Those that keep to what the recipient's domain enforces by MTA-STS."""
ALL: tp.Final = "*"
RULE: tp.Final = '"*", a domain, or "*.domain" for all names below it'

END_KEY: tp.Final = "."
EXACT: tp.Final = "="
BELOW: tp.Final = "."
REQUIRED: tp.Final = "required"
TRANSPORT: tp.Final = "remote_smtp"
"""exim's transport of the mode auto; those of the others have the mode behind it.

Where a policy of MTA-STS is kept to, mail of each mode leaves by the transport of that mode.
"""
TRANSPORTS: tp.Final[Mapping[str, Mode]] = types.MappingProxyType(
    {TRANSPORT if mode is Mode.AUTO else f"{TRANSPORT}_{mode.value}": mode for mode in Mode}
)

INTERFACES: tp.Final = ("0.0.0.0", "::0")  # noqa: S104 - nothing listens on them
"""What exim binds to where a transport has retry times of its own: any address, as without."""

_BELOW_SHOWN = "*."


class RetryKey(tp.NamedTuple):
    """What exim keeps the retry times of a server under, by the transport.

    Two transports with one key put a server off for each other. What may differ without a
    difference on the wire is whether the key has the server's address, and an interface.
    """

    has_address: bool
    has_interface: bool


# Those of a mode that is refused by a server that another mode is content with are not the
# other's. There are four keys: verify and dane share one, and encrypt and mta_sts. What encrypt is
# refused mta_sts is refused too; the other way round, a server has no certificate of the name that
# a policy of MTA-STS has. Without the address a server with many is put off by one that does not
# answer, so that auto and what it may leave by have it.
RETRY_KEYS: tp.Final[Mapping[Mode, RetryKey]] = types.MappingProxyType(
    {
        Mode.AUTO: RetryKey(has_address=True, has_interface=False),
        Mode.OPPORTUNISTIC: RetryKey(has_address=False, has_interface=False),
        Mode.ENCRYPT: RetryKey(has_address=True, has_interface=True),
        Mode.VERIFY: RetryKey(has_address=False, has_interface=True),
        Mode.DANE: RetryKey(has_address=False, has_interface=True),
        Mode.MTA_STS: RetryKey(has_address=True, has_interface=True),
    }
)


def normalise(domain: object) -> str:
    """Return what a policy is of in its one spelling: lower case, A-labels.

    Raises RuleError if it is none.
    """
    if domain == ALL:
        return ALL
    if not isinstance(domain, str):
        raise rules.RuleError(f"must be {RULE}")
    below = domain.startswith(_BELOW_SHOWN)
    name = domains.normalise(domain.removeprefix(_BELOW_SHOWN) if below else domain)
    return f"{_BELOW_SHOWN}{name}" if below else name


class File(tp.NamedTuple):
    """What a file says."""

    policies: Mapping[str, Mode]
    """By what they are of, as the API spells it."""
    requiring: frozenset[str]
    """The logins of the accounts whose mail must not leave in clear."""

    def mode(self, domain: str, login: str, *, optional: bool = False) -> Mode:
        """Return how a message of *login* goes to *domain*, which is in lower-cased A-labels.

        *optional* is that its sender asks for it to arrive, whatever is published about TLS
        (``TLS-Required: No``, RFC 8689): what a tenant has asked for it does not touch.
        """
        found = (self.policies.get(name) for name in _names(domain))
        mode = next((one for one in found if one is not None), Mode.AUTO)
        if mode not in WEAK:
            return mode
        if login in self.requiring:
            return Mode.ENCRYPT
        return Mode.OPPORTUNISTIC if optional else mode


NOTHING: tp.Final = File(types.MappingProxyType({}), frozenset())


def _names(domain: str) -> Iterator[str]:
    yield domain
    above = domain.partition(".")[2]
    while above:
        yield f"{_BELOW_SHOWN}{above}"
        above = above.partition(".")[2]
    yield ALL


def render(policies: Iterable[tuple[str, str]], requiring: Iterable[str], domain: str) -> str:
    """Return the file for (domain, mode) pairs, and the user names of accounts of *domain*.

    Sorted, so that equal input gives equal bytes. ``parse`` is the exact inverse.
    """
    lines = sorted(f"{_key(name)}:{mode}\n" for name, mode in policies)
    lines += sorted(f"{username}@{domain}:{REQUIRED}\n" for username in requiring)
    return "".join([*lines, f"{END_KEY}:{len(lines)}\n"])


def without_mta_sts(text: str) -> str:
    """Return the file *text* for an image that does not know the mode: ``verify`` in its place.

    That is as strict, and goes by the name in the MX record instead of the one that is published.
    """
    return text.replace(f":{Mode.MTA_STS.value}\n", f":{Mode.VERIFY.value}\n")


def _key(name: str) -> str:
    if name == ALL:
        return ALL
    if name.startswith(_BELOW_SHOWN):
        return BELOW + name.removeprefix(_BELOW_SHOWN)
    return EXACT + name


def parse(text: str, domain: str = "") -> File:
    """Return what the file *text* says; with a *domain*, that of the accounts must be that.

    Accepts what ``render`` writes and nothing else: ValueError, naming the number of the
    line, for any other text.
    """
    if not text.endswith("\n"):
        raise ValueError("the last line has no end")
    *lines, last = text.split("\n")[:-1]
    if last != f"{END_KEY}:{len(lines)}":
        raise ValueError("the end mark is missing, or counts another number of lines")
    policies: dict[str, Mode] = {}
    requiring: list[str] = []
    before = ""
    for number, line in enumerate(lines, start=1):
        where = f"line {number}"
        key, _, value = line.partition(":")
        is_account = "@" in key
        if line <= before and is_account == ("@" in before):
            raise ValueError(f"{where}: out of order, or given twice")
        before = line
        if is_account:
            username, _, of = key.partition("@")
            if value != REQUIRED or not usernames.fits_account_file(username):
                raise ValueError(f"{where}: says nothing of an account")
            if of != (domain or of):
                raise ValueError(f"{where}: not an account of the domain")
            requiring.append(key)
            continue
        name = _name(key)
        if requiring or name is None or name in policies or value not in MODES:
            raise ValueError(f"{where}: not a policy")
        policies[name] = Mode(value)
    if len(requiring) != len(set(requiring)):
        raise ValueError("an account is given twice")
    return File(policies, frozenset(requiring))


def _name(key: str) -> str | None:
    if key == ALL:
        return ALL
    name = key[1:]
    if not domains.is_host_name(name):
        return None
    return {EXACT: name, BELOW: f"{_BELOW_SHOWN}{name}"}.get(key[0])
