# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""When an instance suppresses a recipient by itself, and what a client is answered then."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail.codecs import rules, suppressions

ACTIONS: tp.Final = tuple(action.value for action in suppressions.Action)
BOUNDS: tp.Final[tp.Mapping[str, tuple[int, int]]] = {"after": (1, 5), "expires_days": (0, 3650)}
DEFAULT: tp.Final[tp.Mapping[str, tp.Any]] = {
    "on_hard_bounce": True,
    # Failures without a delivery between them.
    "after": 1,
    # 0 is never.
    "expires_days": 90,
    "action": suppressions.Action.REJECT.value,
}


def check(value: tp.Any) -> dict[str, tp.Any]:
    """Return *value* with all fields; RuleError names what is wrong."""
    if not isinstance(value, dict) or value.keys() - DEFAULT.keys():
        raise rules.RuleError(f"must be an object of {', '.join(DEFAULT)}")
    whole = {**DEFAULT, **value}
    if not isinstance(whole["on_hard_bounce"], bool):
        raise rules.RuleError("on_hard_bounce must be true or false")
    for name, (lowest, highest) in BOUNDS.items():
        if type(whole[name]) is not int or not lowest <= whole[name] <= highest:
            raise rules.RuleError(f"{name} must be an integer from {lowest} to {highest}")
    if whole["action"] not in ACTIONS:
        raise rules.RuleError(f"action must be one of {', '.join(ACTIONS)}")
    return whole
