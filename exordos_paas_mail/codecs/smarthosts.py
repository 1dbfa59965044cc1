# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The server that an instance has its mail go by: the rules of it, and what a node is told.

It is told in a document (``node_documents``), because of the password. The node makes
a table of it that exim looks its keys up in (``templates/exim4/smarthost.j2``).
"""

from __future__ import annotations

import base64
import typing as tp

from exordos_paas_mail.codecs import bounded, domains, rules, tls_policies

COLLECTION: tp.Final = "smarthost"
SHARD: tp.Final = "0"
"""The only one."""
PORTS: tp.Final = (587, 465, 25)
STARTTLS: tp.Final = "starttls"
IMPLICIT: tp.Final = "implicit"
TLS: tp.Final = (STARTTLS, IMPLICIT)
USERNAME_SIZE_MAX: tp.Final = 255
PASSWORD_SIZE_MAX: tp.Final = 1024
_OCTETS: tp.Final = 2
"""Of a character, on average."""
DOMAINS_MAX: tp.Final = 200
RETRY_KEY: tp.Final = tls_policies.RetryKey(has_address=True, has_interface=True)
"""Of the transports that send by one. A server that is a smarthost on port 25, and the MX of a
domain whose mail leaves by ``encrypt`` or keeps to a policy of MTA-STS, is one server to exim: no
other key is left."""

_VERSION: tp.Final = 1
_IMPLICIT_PORT: tp.Final = 465
# Of a table: all domains, and what a single one has before it.
_ALL: tp.Final = "all"
_DOMAIN: tp.Final = "@"
# What names below one have before it, as in the file of TLS policies, and what is said of them:
# the other keys of a table are found like the name of a domain of one label.
BELOW: tp.Final = tls_policies.BELOW
IS_BELOW: tp.Final = "below"
_BELOW_SHOWN: tp.Final = "*."
# In place of names that the release before does not take, where it would take none for all
# (RFC 6761 6.4).
_NOWHERE: tp.Final = "smarthost.invalid"


class Smarthost(tp.NamedTuple):
    """Where mail goes, and as whom."""

    host: str
    port: int
    tls: str
    username: str
    password: str
    domains: tuple[str, ...] = ()
    """The recipients' domains whose mail goes there, ``*.domain`` for all below one; all where
    there are none."""


class Route(tp.NamedTuple):
    """What of a table says which mail goes by the smarthost."""

    host: str
    port: int
    domains: frozenset[str]
    """Lower-cased A-labels, as a ``Smarthost`` has them; all where there are none."""

    def takes(self, domain: str) -> bool:
        """Return whether mail to *domain* goes by it."""
        if not self.domains or domain in self.domains:
            return True
        above = domain.partition(".")[2]
        while above:
            if f"{_BELOW_SHOWN}{above}" in self.domains:
                return True
            above = above.partition(".")[2]
        return False


def default_tls(port: int) -> str:
    """Return how TLS begins on *port* where nobody says so (RFC 8314, 3)."""
    return IMPLICIT if port == _IMPLICIT_PORT else STARTTLS


def check_secret(name: str, value: object, size: int) -> str:
    """Return *value*, a user name or a password; RuleError says what is wrong with *name*."""
    # RFC 4616, 2 and RFC 4954: any text, but what ends it or a line.
    if not isinstance(value, str) or not value or len(value) > size or not value.isprintable():
        raise rules.RuleError(f"{name} must be a text of 1 to {size} printable characters")
    # exim gives up, and freezes the message, where the command with both has more than 4096.
    if len(value.encode()) > _OCTETS * size:
        raise rules.RuleError(f"{name} must have {_OCTETS * size} octets at most in UTF-8")
    return value


def render(smarthost: Smarthost | None) -> bytes:
    """Return the document of *smarthost* as JSON; ``parse`` is the inverse."""
    told = None
    if smarthost is not None:
        # The release before reads the domains, and these are what it knows.
        told = {
            **smarthost._asdict(),
            "domains": _known(smarthost.domains),
            "names": smarthost.domains,
        }
    return bounded.dump({"version": _VERSION, "smarthost": told})


def parse(content: bytes) -> Smarthost | None:
    """Return the smarthost of *content*, None for none; raises ValueError, without a word of it."""
    value = bounded.load(content, "the smarthost's document")
    if bounded.Fields(value, "the smarthost's document").number("version") != _VERSION:
        raise ValueError("the smarthost's document is of no version that is known")
    if value.get("smarthost") is None:
        return None
    fields = bounded.Fields(value["smarthost"], "the smarthost")
    found = Smarthost(
        host=fields.text("host"),
        port=fields.number("port"),
        tls=fields.text("tls"),
        username=fields.text("username", USERNAME_SIZE_MAX),
        password=fields.text("password", PASSWORD_SIZE_MAX),
        domains=fields.texts("names" if "names" in value["smarthost"] else "domains", DOMAINS_MAX),
    )
    names = (name.removeprefix(_BELOW_SHOWN) for name in found.domains)
    if (
        not all(map(domains.is_host_name, (found.host, *names)))
        or found.port not in PORTS
        or found.tls not in TLS
        or not (found.username and found.password)
    ):
        raise ValueError("the smarthost is none that mail can go to")
    return found


def table(smarthost: Smarthost | None) -> bytes:
    """Return what exim looks up; without a smarthost there is nothing to be found."""
    if smarthost is None:
        return b""
    lines = {
        "host": smarthost.host,
        "port": str(smarthost.port),
        "tls": smarthost.tls,
        "username": _base64(_escaped(smarthost.username)),
        "password": _base64(_escaped(smarthost.password)),
    }
    words = (smarthost.username, smarthost.password)
    # Of three the first two are one: none can follow the NUL before it.
    if not any(word.startswith("^") for word in words):
        lines["plain"] = _base64("".join(f"^{_escaped(word)}" for word in words))
    # An image of the release before goes on with the table that is there.
    lines |= {_DOMAIN + name: "yes" for name in _known(smarthost.domains)}
    for name in smarthost.domains:
        if name.startswith(_BELOW_SHOWN):
            lines[BELOW + name.removeprefix(_BELOW_SHOWN)] = IS_BELOW
    if not smarthost.domains:
        lines[_ALL] = "yes"
    return "".join(f"{key}: {value}\n" for key, value in lines.items()).encode("ascii")


def route(table: bytes) -> Route | None:
    """Return what *table* says of which mail goes there; None where it names no server."""
    lines = table.decode("ascii", "replace").splitlines()
    found = {key: value for key, _, value in (line.partition(": ") for line in lines)}
    port = next((one for one in PORTS if str(one) == found.get("port")), None)
    if port is None:
        return None
    exact = {key.removeprefix(_DOMAIN) for key in found if key.startswith(_DOMAIN)}
    below = {_BELOW_SHOWN + key.removeprefix(BELOW) for key in found if key.startswith(BELOW)}
    return Route(found.get("host", ""), port, frozenset(exact | below))


def _known(names: tp.Sequence[str]) -> list[str]:
    """Return those of *names* that the release before knows; nobody's where it knows none."""
    exact = [name for name in names if not name.startswith(_BELOW_SHOWN)]
    return exact or ([_NOWHERE] if names else [])


def _escaped(word: str) -> str:
    """Return *word* as exim has it in what it sends: a ^ is a NUL there, and two are one (34.1)."""
    return word.replace("^", "^^")


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
