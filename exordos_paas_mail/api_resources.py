# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""How the API document describes the models.

The platform's generator lists as required what a model must have. A body may
leave out what the request says otherwise, and that of an update everything. A
record may be made with a uuid of the client's choice, and no field takes a null.
"""

from __future__ import annotations

import typing as tp

from restalchemy.api import constants, resources

# The token says which project, the path which instance.
_SAID_OTHERWISE: tp.Final = frozenset({"project_id", "instance"})


def _without_null(field: tp.Mapping[str, tp.Any]) -> dict[str, tp.Any]:
    """Return a copy of the field's schema for a body."""
    kept = {key: value for key, value in field.items() if key != "nullable"}
    if isinstance(kept.get("type"), list):
        (kept["type"],) = (kind for kind in kept["type"] if kind != "null")
    return kept


class _DescribesBodies(resources.AbstractResource):
    def generate_schema_object(self, method: str, openapi_version: str) -> dict[str, tp.Any]:
        """Return the schema of the body or the answer of *method*."""
        schema: dict[str, tp.Any] = super().generate_schema_object(method, openapi_version)
        required = schema.pop("required", [])
        if method in (constants.CREATE, constants.UPDATE):
            fields = {name: _without_null(field) for name, field in schema["properties"].items()}
            schema = {**schema, "properties": fields}
        if method == constants.UPDATE:
            return schema
        if method == constants.CREATE:
            schema["properties"]["uuid"].pop("readOnly", None)
            required = [name for name in required if name not in _SAID_OTHERWISE]
        return {**schema, "required": required} if required else schema


class Resource(_DescribesBodies, resources.ResourceByRAModel):
    """A model."""


class ResourceWithCustomProps(_DescribesBodies, resources.ResourceByModelWithCustomProps):
    """A model with properties that are not stored."""
