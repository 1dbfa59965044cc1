# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Where the certificate of a relay comes from: ``tls`` of an instance."""

from __future__ import annotations

import types
import typing as tp
import uuid as sys_uuid

from exordos_paas_mail.codecs import rules, tls_pairs

SELF_SIGNED: tp.Final = "self_signed"
CORE: tp.Final = "core"
ACME: tp.Final = "acme"
MANUAL: tp.Final = "manual"
DEFAULT: tp.Final[tp.Mapping[str, tp.Any]] = types.MappingProxyType({"kind": SELF_SIGNED})
PUBLISHED_DEFAULT: tp.Final[tp.Mapping[str, tp.Any]] = types.MappingProxyType({"kind": ACME})
"""Of an instance whose records Core publishes from the beginning."""
FIELDS: tp.Final[tp.Mapping[str, tuple[str, ...]]] = types.MappingProxyType(
    {SELF_SIGNED: (), CORE: ("certificate",), ACME: (), MANUAL: ("certificate", "private_key")}
)
"""By kind, what there is beside it."""


class Choice(dict[str, tp.Any]):
    """What an instance's ``tls`` says: everything of it may be shown.

    ``private_key`` is beside it, as long as nobody has taken it: it is stored elsewhere,
    sealed.
    """

    private_key: str | None = None


def check(value: tp.Any) -> Choice:
    """Return *value* as it is stored; RuleError names what is wrong, without a word of it.

    Whether the certificate is one that may be served is not looked at here: that takes
    the name of the relay, and perhaps the key that was given before.
    """
    if isinstance(value, Choice):
        return value
    kind = value.get("kind") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind not in FIELDS:
        raise rules.RuleError(f"must be an object whose kind is one of {', '.join(FIELDS)}")
    allowed = FIELDS[kind]
    if value.keys() - {"kind", *allowed}:
        told = ", ".join(("kind", *allowed))
        raise rules.RuleError(f"kind {kind} takes no fields but {told}")
    choice = Choice(kind=kind)
    if kind == CORE:
        choice["certificate"] = _uuid(value.get("certificate"))
    if kind == MANUAL:
        choice["certificate"] = tls_pairs.check_chain(_text("certificate", value))
        if "private_key" in value:
            choice.private_key = tls_pairs.check_key(_text("private_key", value))
    return choice


def taken(value: dict[str, tp.Any]) -> Choice:
    """Return what *value*, of a record, says, with the private key that is beside it, if any.

    It is taken: nobody takes it again.
    """
    choice = Choice(value)
    if isinstance(value, Choice):
        choice.private_key, value.private_key = value.private_key, None
    return choice


def source(choice: tp.Mapping[str, tp.Any]) -> str:
    """Return what a pair is of that *choice* asks for; empty where the relay makes its own."""
    if choice["kind"] == CORE:
        return f"{CORE}:{choice['certificate']}"
    return "" if choice["kind"] == SELF_SIGNED else str(choice["kind"])


def _text(name: str, value: tp.Mapping[str, tp.Any]) -> str:
    text = value.get(name)
    if not isinstance(text, str):
        raise rules.RuleError(f"kind {MANUAL} needs {name}, a text in PEM")
    return text


def _uuid(value: tp.Any) -> str:
    rule = "certificate must be the UUID of a certificate of Core's, or a URI that ends in one"
    if not isinstance(value, str):
        raise rules.RuleError(rule)
    try:
        return str(sys_uuid.UUID(value.rstrip("/").rpartition("/")[2]))
    except ValueError:
        raise rules.RuleError(rule) from None
