# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The webhooks of an instance, as the control plane has its node know them.

They are one document of JSON, with secrets, which travels sealed. Secrets and
signatures are those of the Standard Webhooks specification.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import enum
import os
import re
import types
import typing as tp
import urllib.parse
import uuid as sys_uuid

from exordos_paas_mail.codecs import bounded, domains, mail_events, notices, rules

if tp.TYPE_CHECKING:
    from collections.abc import Mapping

COLLECTION: tp.Final = "webhooks"
HOOKS_MAX: tp.Final = 10
"""Webhooks of an instance."""
SECRETS_MAX: tp.Final = 2
"""Secrets that sign for a webhook at one time."""
REQUESTS_MAX: tp.Final = 100
URL_SIZE_MAX: tp.Final = 1024
SECRET_PREFIX: tp.Final = "whsec_"  # noqa: S105 - the specification's, of all secrets
TEST_TYPE: tp.Final = "webhook.test"
"""The type of what a test sends; nobody asks for it by its name."""
PORT: tp.Final = 443
OTHER_PORTS: tp.Final = range(1024, 65536)
"""Ports below are those of other protocols."""

_VERSION: tp.Final = 1
_KEY_SIZES: tp.Final = range(24, 65)
_KEY_SIZE: tp.Final = 32
# Names of no public server: RFC 6761, 6762, 7686, 8375, 9476, and ICANN's for private use.
_PRIVATE: tp.Final = frozenset({"alt", "arpa", "internal", "local", "localhost", "onion"})
# RFC 3986: what a path and a query may hold as it is.
_PATH: tp.Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*")
_PORT: tp.Final = re.compile(r"[1-9][0-9]{1,4}")

_SUBJECTS: tp.Final[Mapping[str, str]] = types.MappingProxyType(
    {
        "gap": "log",
        "login_failed": "account",
        "limit_near": "account",
        "limit_reached": "account",
        "reputation_low": "account",
    }
)
TYPES: tp.Final[Mapping[str, mail_events.Type]] = types.MappingProxyType(
    {f"{_SUBJECTS.get(kind.value, 'message')}.{kind.value}": kind for kind in mail_events.Type}
)
"""What a node has of itself, by the name its receiver sees: ``message.delivered``."""
NAMES: tp.Final[Mapping[mail_events.Type, str]] = types.MappingProxyType(
    {kind: name for name, kind in TYPES.items()}
)
KNOWN: tp.Final = tuple(dict.fromkeys((*TYPES, *notices.ABOUT)))
"""What a webhook may ask for: events of the node, and notices of the control plane."""


class Action(str, enum.Enum):
    """What is asked for once; the values are the API's."""

    TEST = "test"
    """Send an event of the type ``TEST_TYPE``, once, also where the webhook is not active."""
    REPLAY = "replay"
    """Send what happened in a time again, with the identifiers it had."""


@dataclasses.dataclass(frozen=True)
class Hook:
    """A webhook. Times are milliseconds since 1970, UTC."""

    id: sys_uuid.UUID
    url: str
    """As ``check_url`` returns it."""
    types: tuple[str, ...]
    """Names of ``KNOWN``."""
    secrets: tuple[str, ...]
    """All of them sign; the newest first."""
    active: bool = True
    since: int = 0
    """No event is sent that is older, unless it is replayed."""
    revision: int = 0
    """A webhook that the node has disabled is tried again when this has grown."""


@dataclasses.dataclass(frozen=True)
class Request:
    """Something that is to be done once for a webhook."""

    id: sys_uuid.UUID
    hook: sys_uuid.UUID
    action: Action
    not_after: int
    """It is not begun later."""
    since: int = 0
    """The first moment that is replayed."""
    until: int = 0
    """The first moment that is not replayed any more."""


@dataclasses.dataclass(frozen=True)
class Config:
    """All webhooks of an instance, and what is asked for and not answered yet."""

    instance: sys_uuid.UUID
    hooks: tuple[Hook, ...] = ()
    requests: tuple[Request, ...] = ()


def check_url(url: str) -> str:
    """Return the one spelling of *url*; raises RuleError where no webhook may have it.

    Where its name leads to is looked at when it is connected to.
    """
    if not isinstance(url, str) or len(url) > URL_SIZE_MAX:
        raise rules.RuleError(f"must be a text of at most {URL_SIZE_MAX} characters")
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise rules.RuleError(
            "must be of ASCII characters without spaces, its host name of A-labels (xn--)"
        )
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.lower() != "https":
        raise rules.RuleError("must begin with https://")
    if "#" in rest:
        raise rules.RuleError("must have no fragment")
    authority, path = _split(rest)
    if "@" in authority:
        raise rules.RuleError("must hold no user name or password")
    name, colon, port = authority.partition(":")
    try:
        host = domains.normalise(name)
    except rules.RuleError:
        raise rules.RuleError("must name its host by a DNS name of two labels or more") from None
    last = host.rpartition(".")[2]
    # Some programs read a last label of this form as part of an IPv4 address.
    if last in _PRIVATE or re.fullmatch("0x[0-9a-f]*", last):
        raise rules.RuleError("must name a public host")
    if _PATH.fullmatch(path) is None:
        raise rules.RuleError("has characters in its path or query that must be encoded")
    number = _port(port) if colon else PORT
    return f"https://{host}{'' if number == PORT else f':{number}'}{path}"


def split_url(url: str) -> tuple[str, int, str]:
    """Return host name, port and what is asked for of a *url* that ``check_url`` has returned."""
    parts = urllib.parse.urlsplit(url)
    query = f"?{parts.query}" if parts.query else ""
    return parts.hostname or "", parts.port or PORT, f"{parts.path}{query}"


def _split(rest: str) -> tuple[str, str]:
    """Return authority and path with query; a path begins with a slash."""
    for index, character in enumerate(rest):
        if character in "/?":
            path = rest[index:]
            return rest[:index], path if character == "/" else f"/{path}"
    return rest, "/"


def _port(text: str) -> int:
    number = int(text) if _PORT.fullmatch(text) else 0
    if number != PORT and number not in OTHER_PORTS:
        raise rules.RuleError(f"must have the port {PORT}, or one from 1024 to 65535")
    return number


def new_secret() -> str:
    """Return a new secret, as its user is shown it."""
    return SECRET_PREFIX + base64.b64encode(os.urandom(_KEY_SIZE)).decode("ascii")


def signing_key(secret: str) -> bytes:
    """Return the key of *secret*; raises ValueError, without a word of it, if it is none."""
    prefix, key = secret[: len(SECRET_PREFIX)], secret[len(SECRET_PREFIX) :]
    try:
        raw = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("a secret of a webhook is not in base64") from error
    if prefix != SECRET_PREFIX or len(raw) not in _KEY_SIZES:
        raise ValueError("a secret of a webhook is none")
    return raw


def render(config: Config) -> bytes:
    """Return *config* as JSON; ``parse`` is the inverse, and equal ones give equal octets."""
    return bounded.dump(
        {
            "version": _VERSION,
            "instance": str(config.instance),
            "hooks": [{**bounded.told(one), "id": str(one.id)} for one in config.hooks],
            "requests": [
                {
                    **bounded.told(one),
                    "id": str(one.id),
                    "hook": str(one.hook),
                    "action": one.action.value,
                }
                for one in config.requests
            ],
        }
    )


def parse(data: bytes) -> Config:
    """Return the configuration of *data*; raises ValueError, without a word of it.

    Types and actions of a later release are passed over.
    """
    fields = bounded.Fields(bounded.load(data, "the webhooks"), "the webhooks")
    if fields.number("version") != _VERSION:
        raise fields.error("version")
    hooks = tuple(_hook(value) for value in fields.list("hooks", HOOKS_MAX))
    if len({hook.id for hook in hooks}) != len(hooks):
        raise fields.error("hooks")
    requests = (_request(value) for value in fields.list("requests", REQUESTS_MAX))
    return Config(_uuid(fields, "instance"), hooks, tuple(one for one in requests if one))


def _hook(value: object) -> Hook:
    fields = bounded.Fields({"active": True, **_object(value)}, "a webhook")
    url = fields.text("url", URL_SIZE_MAX)
    if check_url(url) != url:
        raise fields.error("url")
    secrets = fields.texts("secrets", SECRETS_MAX)
    if not secrets:
        raise fields.error("secrets")
    for secret in secrets:
        signing_key(secret)
    named = fields.texts("types", 10 * len(KNOWN))
    return Hook(
        id=_uuid(fields, "id"),
        url=url,
        types=tuple(name for name in named if name in KNOWN),
        secrets=secrets,
        active=fields.flag("active"),
        since=fields.number("since"),
        revision=fields.number("revision"),
    )


def _request(value: object) -> Request | None:
    fields = bounded.Fields(value, "a request")
    try:
        action = Action(fields.text("action"))
    except ValueError:
        return None
    return Request(
        id=_uuid(fields, "id"),
        hook=_uuid(fields, "hook"),
        action=action,
        not_after=fields.number("not_after"),
        since=fields.number("since"),
        until=fields.number("until"),
    )


def _object(value: object) -> dict[str, tp.Any]:
    if not isinstance(value, dict):
        raise ValueError("a webhook is no object")  # noqa: TRY004 - codecs raise ValueError
    return value


def _uuid(fields: bounded.Fields, name: str) -> sys_uuid.UUID:
    try:
        return sys_uuid.UUID(fields.text(name))
    except ValueError as error:
        raise fields.error(name) from error
