# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The SPF record that lets the relay send beside those whom a domain's records name already."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail.control_plane.dns import spf_syntax

_VERSION: tp.Final = "v=spf1"
# Of records with different ends the merged one has the mildest: nobody's mail is lost by it.
_MILDEST: tp.Final = {"?all": 0, "~all": 1, "-all": 2}
_STRICT: tp.Final = "-all"


def merged(records: tp.Sequence[str], addresses: tp.Sequence[str]) -> str:
    """Return one record that *addresses* pass and that says what *records* say otherwise.

    The addresses come first: nothing before them can refuse them, and they cost
    no look-up. Terms that are no SPF are left out, as receivers refuse the whole
    record for one of them, and ``+all``, which lets everybody send.
    """
    kept: list[str] = []
    ends: list[str] = []
    redirects: list[str] = []
    modifiers: dict[str, str] = {}
    for record in records:
        for term in spf_syntax.terms(record):
            _sort(term, kept, ends, redirects, modifiers)
    head = [f"ip4:{address}" for address in addresses]
    body = [term for term in kept if term not in head]
    if not ends and len(redirects) == 1 and len(records) == 1:
        return " ".join([_VERSION, *head, *body, redirects[0], *modifiers.values()])
    # Two records have no one redirect; what it leads to is included instead.
    body.extend(
        include
        for redirect in redirects
        if len(records) > 1 and (include := f"include:{redirect.partition('=')[2]}") not in body
    )
    end = min(ends, key=_MILDEST.__getitem__) if ends else _default_end(records)
    return " ".join([_VERSION, *head, *body, *end.split(), *modifiers.values()])


def _default_end(records: tp.Sequence[str]) -> str:
    return "~all" if len(records) > 1 or any("+all" in r.lower() for r in records) else ""


def _sort(
    term: str,
    kept: list[str],
    ends: list[str],
    redirects: list[str],
    modifiers: dict[str, str],
) -> None:
    try:
        policy = spf_syntax.parse(f"{_VERSION} {term}")
    except spf_syntax.SyntaxProblem:
        return
    if not policy.mechanisms:
        name, _, value = term.partition("=")
        if policy.redirect:
            redirects.append(f"redirect={value}")
        else:
            modifiers.setdefault(name.lower(), term)
        return
    (mechanism,) = policy.mechanisms
    if mechanism.kind != "all":
        if term not in kept:
            kept.append(term)
    elif term.lower() in _MILDEST:
        ends.append(term.lower())
