# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Types of fields that are objects: how an instance, a domain or an account is set.

What is said of rules in ``fields`` holds here, too.
"""

from __future__ import annotations

import typing as tp

from restalchemy.dm import types
from restalchemy.openapi import constants as openapi_constants

from exordos_paas_mail.codecs import domains, holds, limits, rules, smarthosts, tls_pairs
from exordos_paas_mail.control_plane.records import (
    bounce_handling,
    fields,
    instance_logs,
    reputations,
    smarthost_choices,
    suppression_policies,
    tls_kinds,
)

PUBLISH_NOWHERE: tp.Final = "none"
PUBLISH_IN_CORE: tp.Final = "core"
HOLDERS: tp.Final = ("USER", "LIMIT", "REPUTATION")
HOLD_RELEASES: tp.Final = (holds.State.DELIVER.value, holds.State.DELETE.value)
PUBLISHING_KINDS: tp.Final = (PUBLISH_NOWHERE, PUBLISH_IN_CORE)


class Publishing(types.Dict):
    """Where the records of a domain are published: ``{"kind": "none"}`` or ``"core"``."""

    def check(self, value: tp.Any) -> dict[str, str]:
        """Return *value*; RuleError names the kinds."""
        if value not in [{"kind": kind} for kind in PUBLISHING_KINDS]:
            raise rules.RuleError('must be {"kind": "none"} or {"kind": "core"}')
        return {"kind": value["kind"]}

    def to_openapi_spec(self, prop_kwargs: tp.Any) -> dict[str, tp.Any]:
        return {
            **super().to_openapi_spec(prop_kwargs),
            "properties": {"kind": {"type": "string", "enum": list(PUBLISHING_KINDS)}},
            "required": ["kind"],
            "additionalProperties": False,
        }


class BounceHandling(types.Dict):
    """``{"kind": "none"}``, or ``"managed"`` with ``forward``: see ``bounce_handling``."""

    def check(self, value: tp.Any) -> dict[str, tp.Any]:
        """Return *value* with all its fields; RuleError names the kinds."""
        if value == {"kind": bounce_handling.NONE}:
            return {"kind": bounce_handling.NONE}
        if isinstance(value, dict) and value.get("kind") == bounce_handling.MANAGED:
            forward = value.get("forward", True)
            if set(value) <= {"kind", "forward"} and isinstance(forward, bool):
                return {"kind": bounce_handling.MANAGED, "forward": forward}
        raise rules.RuleError(
            'must be {"kind": "none"}, or {"kind": "managed"} with "forward" true or false'
        )

    def to_openapi_spec(self, prop_kwargs: tp.Any) -> dict[str, tp.Any]:
        return {
            **super().to_openapi_spec(prop_kwargs),
            "properties": {
                "kind": {"type": "string", "enum": list(bounce_handling.KINDS)},
                "forward": {"type": "boolean"},
            },
            "required": ["kind"],
            "additionalProperties": False,
        }


class HoldRelease(types.Enum):
    """What becomes of what an account has apart when it is released."""

    def __init__(self) -> None:
        super().__init__(list(HOLD_RELEASES))

    def check(self, value: tp.Any) -> str:
        """Return *value*; RuleError names the words."""
        if value not in HOLD_RELEASES:
            raise rules.RuleError(f"must be one of {', '.join(HOLD_RELEASES)}")
        return str(value)


class AccountHold(types.Dict):
    """Whether an account is on hold, why, since when and by whom; a fact."""

    def to_openapi_spec(self, prop_kwargs: tp.Any) -> dict[str, tp.Any]:
        kinds = {
            "active": types.Boolean(),
            "reason": types.String(),
            "since": fields.Moment(),
            "by": types.AllowNone(types.String()),
            "release": types.AllowNone(types.String()),
            "released_at": fields.Moment(),
        }
        openapi = {"openapi": prop_kwargs.get("openapi")}
        return {
            **super().to_openapi_spec(prop_kwargs),
            "properties": {
                name: kind.to_openapi_spec(dict(openapi)) for name, kind in kinds.items()
            },
        }


class InstanceLog(types.Dict):
    """How much of its log an instance keeps; what is left out is the default."""

    def check(self, value: tp.Any) -> dict[str, tp.Any]:
        """Return *value* with its defaults; RuleError names what is wrong."""
        if not isinstance(value, dict) or value.keys() - instance_logs.DEFAULT.keys():
            raise rules.RuleError(f"must be an object of {', '.join(instance_logs.DEFAULT)}")
        whole = {**instance_logs.DEFAULT, **value}
        if whole["level"] not in instance_logs.LEVELS:
            raise rules.RuleError(f"level must be one of {', '.join(instance_logs.LEVELS)}")
        for name, (lowest, highest) in instance_logs.BOUNDS.items():
            number = whole[name]
            if type(number) is not int or not lowest <= number <= highest:
                raise rules.RuleError(f"{name} must be an integer from {lowest} to {highest}")
        return whole

    def to_openapi_spec(self, prop_kwargs: tp.Any) -> dict[str, tp.Any]:
        numbers = {
            name: {"type": "integer", "minimum": lowest, "maximum": highest}
            for name, (lowest, highest) in instance_logs.BOUNDS.items()
        }
        return {
            **super().to_openapi_spec(prop_kwargs),
            "properties": {
                "level": {"type": "string", "enum": list(instance_logs.LEVELS)},
                **numbers,
            },
            "additionalProperties": False,
        }


class Limits(types.Dict):
    """How much may be sent; a limit that is left out or null is none."""

    def check(self, value: tp.Any) -> dict[str, int | None]:
        """Return *value* with all limits; RuleError names what is wrong."""
        if not isinstance(value, dict):
            raise rules.RuleError("must be an object")
        for name, number in value.items():
            if name not in limits.FIELDS:
                raise rules.RuleError(f"takes no fields but {', '.join(limits.FIELDS)}")
            highest = limits.HIGHEST[name]
            if number is not None and (type(number) is not int or not 1 <= number <= highest):
                raise rules.RuleError(f"{name} must be null, or an integer from 1 to {highest}")
        return {**limits.NONE, **value}

    def to_openapi_spec(self, prop_kwargs: tp.Any) -> dict[str, tp.Any]:
        openapi = {"openapi": prop_kwargs.get("openapi")}
        numbers = {
            name: types.AllowNone(types.Integer(1, highest)).to_openapi_spec(dict(openapi))
            for name, highest in limits.HIGHEST.items()
        }
        return {
            **super().to_openapi_spec(prop_kwargs),
            "properties": numbers,
            "additionalProperties": False,
            "example": {"recipients_per_hour": 500, "message_size_mb": 10},
        }


class Reputation(types.Dict):
    """When an account is warned of and put on hold; what is left out is the default."""

    def check(self, value: tp.Any) -> dict[str, tp.Any]:
        """Return *value* with its defaults; RuleError names what is wrong."""
        if not isinstance(value, dict) or value.keys() - reputations.DEFAULT.keys():
            raise rules.RuleError(f"must be an object of {', '.join(reputations.DEFAULT)}")
        whole = {**reputations.DEFAULT, **value}
        if not isinstance(whole["enabled"], bool):
            raise rules.RuleError("enabled must be true or false")
        for name, (lowest, highest) in reputations.BOUNDS.items():
            number = whole[name]
            if type(number) is not int or not lowest <= number <= highest:
                raise rules.RuleError(f"{name} must be an integer from {lowest} to {highest}")
        for name in reputations.PERCENTS:
            number = whole[name]
            if number is None:
                continue
            is_number = isinstance(number, int | float) and not isinstance(number, bool)
            if not is_number or not 0 < number <= reputations.PERCENT_MAX:
                raise rules.RuleError(f"{name} must be null or a number above 0, up to 100")
        return whole

    def from_simple_type(self, value: tp.Any) -> tp.Any:
        """Return the rule; a row of an earlier release has fewer numbers."""
        return {**reputations.DEFAULT, **super().from_simple_type(value)}

    def to_openapi_spec(self, prop_kwargs: tp.Any) -> dict[str, tp.Any]:
        numbers = {
            name: {"type": "integer", "minimum": lowest, "maximum": highest}
            for name, (lowest, highest) in reputations.BOUNDS.items()
        }
        openapi = prop_kwargs.get("openapi")
        percent = types.AllowNone(types.Float(0, reputations.PERCENT_MAX)).to_openapi_spec(
            {"openapi": openapi}
        )
        if openapi and openapi >= openapi_constants.OPENAPI_SPECIFICATION_3_1_0:
            percent["exclusiveMinimum"] = percent.pop("minimum")
        else:
            # A bound is a number of its own from OpenAPI 3.1 on.
            percent["exclusiveMinimum"] = True
        return {
            **super().to_openapi_spec(prop_kwargs),
            "properties": {
                "enabled": {"type": "boolean"},
                **numbers,
                **dict.fromkeys(reputations.PERCENTS, percent),
            },
            "additionalProperties": False,
        }


class Tls(types.Dict):
    """Where the certificate of a relay comes from; the private key goes in and never out."""

    def check(self, value: tp.Any) -> tls_kinds.Choice:
        """Return *value* without its private key; RuleError names what is wrong."""
        return tls_kinds.check(value)

    def to_openapi_spec(self, prop_kwargs: tp.Any) -> dict[str, tp.Any]:
        kinds = [
            {
                "type": "object",
                "properties": {"kind": {"type": "string", "enum": [kind]}},
                "required": ["kind"],
                "additionalProperties": False,
            }
            for kind in (tls_kinds.SELF_SIGNED, tls_kinds.ACME)
        ]
        core = {
            "type": "object",
            "properties": {
                "kind": {"type": "string", "enum": [tls_kinds.CORE]},
                "certificate": {"type": "string", "format": "uuid"},
            },
            "required": ["kind", "certificate"],
            "additionalProperties": False,
        }
        manual = {
            "type": "object",
            "properties": {
                "kind": {"type": "string", "enum": [tls_kinds.MANUAL]},
                "certificate": {"type": "string", "maxLength": tls_pairs.CHAIN_SIZE_MAX},
                "private_key": {
                    "type": "string",
                    "maxLength": tls_pairs.KEY_SIZE_MAX,
                    "writeOnly": True,
                },
            },
            "required": ["kind", "certificate"],
            "additionalProperties": False,
        }
        spec = super().to_openapi_spec(prop_kwargs)
        del spec["additionalProperties"]
        return {**spec, "oneOf": [*kinds, core, manual], "example": dict(tls_kinds.DEFAULT)}


class Smarthost(types.Dict):
    """The server that mail goes by; its password goes in and never out."""

    def check(self, value: tp.Any) -> smarthost_choices.Choice:
        """Return *value* without its password; RuleError names what is wrong."""
        return smarthost_choices.check(value)

    def to_openapi_spec(self, prop_kwargs: tp.Any) -> dict[str, tp.Any]:
        none = {
            "type": "object",
            "properties": {"kind": {"type": "string", "enum": [smarthost_choices.NONE]}},
            "required": ["kind"],
            "additionalProperties": False,
        }
        host = {
            "type": "object",
            "properties": {
                "kind": {"type": "string", "enum": [smarthost_choices.HOST]},
                "host": {"type": "string", "maxLength": domains.MAX_LENGTH},
                "port": {"type": "integer", "enum": list(smarthosts.PORTS)},
                "tls": {"type": "string", "enum": list(smarthosts.TLS)},
                "username": {"type": "string", "maxLength": smarthosts.USERNAME_SIZE_MAX},
                "password": {
                    "type": "string",
                    "maxLength": smarthosts.PASSWORD_SIZE_MAX,
                    "writeOnly": True,
                },
                "domains": {
                    "type": "array",
                    "items": {
                        "type": "string",
                        "description": "a domain, *.domain for all names below it, or * alone",
                    },
                    "maxItems": smarthosts.DOMAINS_MAX,
                },
            },
            "required": ["kind", "host", "username"],
            "additionalProperties": False,
        }
        spec = super().to_openapi_spec(prop_kwargs)
        del spec["additionalProperties"]
        return {**spec, "oneOf": [none, host], "example": dict(smarthost_choices.DEFAULT)}


class SuppressionPolicy(types.Dict):
    """When an instance suppresses a recipient by itself; what a body leaves out has its default."""

    def check(self, value: tp.Any) -> dict[str, tp.Any]:
        """Return *value* with all fields; RuleError names what is wrong."""
        return suppression_policies.check(value)

    def to_openapi_spec(self, prop_kwargs: tp.Any) -> dict[str, tp.Any]:
        numbers = {
            name: {"type": "integer", "minimum": lowest, "maximum": highest}
            for name, (lowest, highest) in suppression_policies.BOUNDS.items()
        }
        return {
            **super().to_openapi_spec(prop_kwargs),
            "properties": {
                "on_hard_bounce": {"type": "boolean"},
                **numbers,
                "action": {"type": "string", "enum": list(suppression_policies.ACTIONS)},
            },
            "additionalProperties": False,
        }
