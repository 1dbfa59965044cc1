# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Which server the mail of an instance goes by: ``smarthost`` of an instance."""

from __future__ import annotations

import types
import typing as tp

from exordos_paas_mail.codecs import domains, rules, smarthosts, tls_policies

if tp.TYPE_CHECKING:
    from collections.abc import Callable

NONE: tp.Final = "none"
HOST: tp.Final = "host"
DEFAULT: tp.Final[tp.Mapping[str, tp.Any]] = types.MappingProxyType({"kind": NONE})
FIELDS: tp.Final[tp.Mapping[str, tuple[str, ...]]] = types.MappingProxyType(
    {NONE: (), HOST: ("host", "port", "tls", "username", "password", "domains")}
)
"""By kind, what there is beside it."""
PORT: tp.Final = smarthosts.PORTS[0]
"""Where nobody says so."""


class Choice(dict[str, tp.Any]):
    """What an instance's ``smarthost`` says: everything of it may be shown.

    ``password`` is beside it, as long as nobody has taken it: it is stored elsewhere, sealed.
    """

    password: str | None = None


def check(value: tp.Any) -> Choice:
    """Return *value* as it is stored; RuleError names what is wrong, without a word of it."""
    if isinstance(value, Choice):
        return value
    kind = value.get("kind") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind not in FIELDS:
        raise rules.RuleError(f"must be an object whose kind is one of {', '.join(FIELDS)}")
    if value.keys() - {"kind", *FIELDS[kind]}:
        told = ", ".join(("kind", *FIELDS[kind]))
        raise rules.RuleError(f"kind {kind} takes no fields but {told}")
    if kind == NONE:
        return Choice(kind=kind)
    port = value.get("port", PORT)
    if type(port) is not int or port not in smarthosts.PORTS:
        raise rules.RuleError(f"port must be one of {', '.join(map(str, smarthosts.PORTS))}")
    tls = value.get("tls", smarthosts.default_tls(port))
    if tls not in smarthosts.TLS:
        raise rules.RuleError(f"tls must be one of {', '.join(smarthosts.TLS)}")
    choice = Choice(
        kind=kind,
        host=_named("host", value.get("host"), domains.normalise),
        port=port,
        tls=tls,
        username=smarthosts.check_secret(
            "username", value.get("username"), smarthosts.USERNAME_SIZE_MAX
        ),
        domains=_domains(value.get("domains")),
    )
    if "password" in value:
        choice.password = smarthosts.check_secret(
            "password", value["password"], smarthosts.PASSWORD_SIZE_MAX
        )
    return choice


def taken(value: dict[str, tp.Any]) -> Choice:
    """Return what *value*, of a record, says, with the password that is beside it, if any.

    It is taken: nobody takes it again.
    """
    choice = Choice(value)
    if isinstance(value, Choice):
        choice.password, value.password = value.password, None
    return choice


def _named(field: str, value: tp.Any, normalise: Callable[[tp.Any], str]) -> str:
    try:
        return normalise(value)
    except rules.RuleError as error:
        raise rules.RuleError(f"{field} {error}") from None


def _domains(value: tp.Any) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > smarthosts.DOMAINS_MAX:
        raise rules.RuleError(
            f"domains must be null, or a list of at most {smarthosts.DOMAINS_MAX} domains"
        )
    if value == [tls_policies.ALL]:
        return []
    if tls_policies.ALL in value:
        raise rules.RuleError(f'"{tls_policies.ALL}" in domains must be alone')
    return list(
        dict.fromkeys(
            _named(f"entry {n} of domains", each, tls_policies.normalise)
            for n, each in enumerate(value, 1)
        )
    )
