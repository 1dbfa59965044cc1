# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""How the API document describes the models.

The platform's generator lists as required what a model must have. A body may
leave out what the request says otherwise, and that of an update everything. A
record may be made with a uuid of the client's choice, and only fields that say so take a null.
"""

from __future__ import annotations

import typing as tp

from restalchemy.api import constants, field_permissions, resources

_RO: tp.Final = {constants.ALL: field_permissions.Permissions.RO}
_HIDDEN: tp.Final = {constants.ALL: field_permissions.Permissions.HIDDEN}
_SET_ONCE: tp.Final = {**_RO, constants.CREATE: field_permissions.Permissions.RW}
_WRITE_ONLY: tp.Final = {
    constants.ALL: field_permissions.Permissions.HIDDEN,
    constants.CREATE: field_permissions.Permissions.RW,
    constants.UPDATE: field_permissions.Permissions.RW,
}
# In the answers of a POST and of an action: they are those that make it.
_SHOWN_ONCE: tp.Final = {
    **_HIDDEN,
    constants.CREATE: field_permissions.Permissions.RO,
    constants.ACTION_POST: field_permissions.Permissions.RO,
}


def _without_null(field: tp.Mapping[str, tp.Any]) -> dict[str, tp.Any]:
    """Return a copy of the field's schema for a body."""
    kept = {key: value for key, value in field.items() if key != "nullable"}
    if isinstance(kept.get("type"), list):
        (kept["type"],) = (kind for kind in kept["type"] if kind != "null")
    return kept


class _DescribesBodies(resources.AbstractResource):
    # What a body may leave out: the token says which project, the path which parent.
    said_otherwise: tp.Collection[str] = ()
    nullable: tp.Collection[str] = ()

    def generate_schema_object(self, method: str, openapi_version: str) -> dict[str, tp.Any]:
        """Return the schema of the body or the answer of *method*."""
        schema: dict[str, tp.Any] = super().generate_schema_object(method, openapi_version)
        required = schema.pop("required", [])
        if method in (constants.CREATE, constants.UPDATE):
            fields = {
                name: field if name in self.nullable else _without_null(field)
                for name, field in schema["properties"].items()
            }
            schema = {**schema, "properties": fields}
        if method == constants.UPDATE:
            return schema
        if method == constants.CREATE:
            schema["properties"]["uuid"].pop("readOnly", None)
            required = [name for name in required if name not in self.said_otherwise]
        return {**schema, "required": required} if required else schema


class _Resource(_DescribesBodies):
    """A model as the API shows it: every field can be read and written but those named.

    The timestamps are always read-only; *set_once* is written by the POST alone, and
    *write_only* goes in and never comes out, *shown_once* comes out where it is made and nowhere
    else. Nobody learns of *hidden*. *nullable* takes a null, as well as a value of its type.
    *name_map* has the API's names of fields that the model calls otherwise, *parent* is the
    field of the record that the path names.
    """

    def __init__(  # noqa: PLR0913 - all of them by name
        self,
        model_class: type,
        *,
        read_only: tp.Iterable[str] = (),
        set_once: tp.Iterable[str] = (),
        write_only: tp.Iterable[str] = (),
        shown_once: tp.Iterable[str] = (),
        hidden: tp.Iterable[str] = (),
        nullable: tp.Iterable[str] = (),
        name_map: tp.Mapping[str, str] | None = None,
        parent: str = "instance",
    ) -> None:
        self.said_otherwise = ("project_id", parent)
        self.nullable = frozenset(nullable)
        self.write_only = frozenset(write_only)
        fields = dict.fromkeys(("created_at", "updated_at", *read_only), _RO)
        fields |= dict.fromkeys(set_once, _SET_ONCE)
        fields |= dict.fromkeys(self.write_only, _WRITE_ONLY)
        fields |= dict.fromkeys(shown_once, _SHOWN_ONCE)
        fields |= dict.fromkeys(hidden, _HIDDEN)
        super().__init__(
            model_class=model_class,
            name_map=name_map,
            convert_underscore=False,
            process_filters=True,
            fields_permissions=field_permissions.FieldsPermissions(
                default=field_permissions.Permissions.RW, fields=fields
            ),
        )


class Resource(_Resource, resources.ResourceByRAModel):
    """A model."""


class ResourceWithCustomProps(_Resource, resources.ResourceByModelWithCustomProps):
    """A model with properties that are not stored."""
