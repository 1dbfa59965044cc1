# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""docs/api.md, rendered from the OpenAPI document of the running application."""

from __future__ import annotations

import re
import typing as tp

if tp.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PREFIX: tp.Final = "/v1/types/mail/"
_VERBS: tp.Final = ("get", "post", "put", "patch", "delete")
_REQUIRED: tp.Final = ", required"
_CREATED: tp.Final = re.compile(r"(Mail(\w+))_Create")

_HEAD: tp.Final = """\
# API reference

Rendered from the OpenAPI document that the user API serves at `/specifications/3.0.3`
(`make api-reference`); a test holds it against the application. How to get a token, and
examples that can be pasted, are in the README.

The body of PUT and PATCH is partial; the two are one. `project_id` is the token's and
`instance` the path's when a body leaves them out. Errors are
`{"type": ..., "code": ..., "message": ...}`; the message of a 400 or 409 names the field.
"""


def _rule(schema: Mapping[str, tp.Any]) -> str:
    """Return what a value must be, in words."""
    parts = [str(schema.get("format") or schema.get("type", "any"))]
    if "enum" in schema:
        parts.append("one of " + ", ".join(f"`{value}`" for value in schema["enum"]))
    if "minimum" in schema:
        parts.append(f"{schema['minimum']} to {schema['maximum']}")
    if schema.get("maxLength"):
        parts.append(f"{schema.get('minLength', 0)} to {schema['maxLength']} characters")
    if schema.get("nullable"):
        parts.append("or null")
    if "description" in schema:
        parts.append(" ".join(schema["description"].split()))
    return ", ".join(parts)


def _schema(schemas: Mapping[str, tp.Any], name: str) -> Mapping[str, tp.Any]:
    schema: Mapping[str, tp.Any] = schemas[name]
    # A body that is like another one is written as a reference to it.
    if "$ref" in schema:
        return _schema(schemas, schema["$ref"].rpartition("/")[2])
    return schema


def _access(name: str, schema: Mapping[str, tp.Any]) -> str:
    found = schema["properties"].get(name)
    if found is None:
        return ""
    if found.get("readOnly"):
        return "RO"
    access = "write-only" if found.get("writeOnly") else "RW"
    return access + _REQUIRED if name in schema.get("required", ()) else access


def _fields(resource: str, schemas: Mapping[str, tp.Any]) -> Iterator[str]:
    create = _schema(schemas, f"{resource}_Create")
    # A record that is never updated has no such schema.
    updated = f"{resource}_Update"
    update = _schema(schemas, updated) if updated in schemas else {"properties": {}}
    yield "| field | create | update | value |\n|---|---|---|---|\n"
    for name, schema in {**update["properties"], **create["properties"]}.items():
        columns = (
            f"`{name}`",
            _access(name, create),
            _access(name, update).removesuffix(_REQUIRED),
            _rule(schema).replace("|", "\\|"),
        )
        yield f"| {' | '.join(columns)} |\n"


def _routes(document: Mapping[str, tp.Any]) -> Iterator[str]:
    yield "| method | path | |\n|---|---|---|\n"
    for path, operations in document["paths"].items():
        if not path.startswith(PREFIX):
            continue
        for verb in _VERBS:
            if verb in operations:
                yield f"| {verb.upper()} | `{path}` | {operations[verb]['summary']} |\n"


def render(document: Mapping[str, tp.Any]) -> str:
    """Return the reference of the plugin's part of *document*, as Markdown."""
    schemas = document["components"]["schemas"]
    parts = [_HEAD, "\n## Routes\n\n", *_routes(document)]
    for name in schemas:
        if resource := _CREATED.fullmatch(name):
            parts += [f"\n## {resource[2]}\n\n", *_fields(resource[1], schemas)]
    return "".join(parts)
