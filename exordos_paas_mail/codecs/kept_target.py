# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The target that a node keeps on its data disk, for when there is nobody to ask."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import typing as tp

if tp.TYPE_CHECKING:
    from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Target:
    """What the control plane last told, and the node took."""

    domain: str
    texts: Mapping[str, str]
    """The text of each part that was ever told for this domain, by its field."""
    accounts: str = ""
    """What names the accounts, where they were told by reference: they are kept elsewhere.

    A release that does not know this takes it that no account was told, and leaves them alone.
    """


def render(target: Target) -> str:
    """Return *target* as JSON; ``parse`` is the inverse."""
    fields: dict[str, tp.Any] = {"domain": target.domain, "texts": dict(target.texts)}
    if target.accounts:
        fields["accounts"] = target.accounts
    return json.dumps(fields, sort_keys=True) + "\n"


def parse(text: str) -> Target:
    """Return the target that *text* holds; ValueError, without a word of it, when it holds none.

    Names of a later release are passed over, so that an older image goes on.
    """
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise ValueError("the kept target is not JSON") from error
    if not isinstance(fields, dict):
        raise ValueError("the kept target is no object")  # noqa: TRY004 - codecs raise ValueError
    domain, texts = fields.get("domain"), fields.get("texts")
    accounts = fields.get("accounts", "")
    if not isinstance(domain, str) or not isinstance(texts, dict) or not isinstance(accounts, str):
        raise ValueError("the kept target lacks a field")  # noqa: TRY004 - as above
    known = {name: text for name, text in texts.items() if isinstance(text, str)}
    return Target(domain, known, accounts)


def digest(text: str) -> str:
    """Return what tells one kept target from another."""
    return hashlib.sha256(text.encode()).hexdigest()
