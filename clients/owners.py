# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Ordinary users who own a project."""

from __future__ import annotations

import dataclasses
import secrets
import typing as tp

from clients import iam

if tp.TYPE_CHECKING:
    from clients import rest

# Where the platform keeps what the runtime's plugins offer (Core's and the runtime's manifests).
METAPAAS_PROJECT: tp.Final = "4d657461-0000-0000-0000-000000000002"
_ROLE: tp.Final = "726f6c65-0000-0000-0000-000000000002"
_USERS: tp.Final = "/v1/iam/users/"
_ROLE_BINDINGS: tp.Final = "/v1/iam/role_bindings/"
_PROJECTS: tp.Final = "/v1/iam/projects/"
_ORGANIZATIONS: tp.Final = "/v1/iam/organizations/"


@dataclasses.dataclass(frozen=True)
class Owner:
    """A user with the owner role in *project* (a uuid)."""

    username: str
    password: str = dataclasses.field(repr=False)
    project: str

    def session(self, core_url: str) -> iam.Session:
        """Return a session in the project."""
        return iam.Session(core_url, self.username, self.password, self.project)


def ensure(core: rest.Api, owner: Owner) -> None:
    """Make what is missing of *owner*: the user, the role in the project.

    A user that is there keeps the password it has.
    """
    users = core.list(_USERS, username=owner.username)
    if not users:
        body = {
            "username": owner.username,
            "password": owner.password,
            "first_name": "Mail",
            "last_name": "Owner",
            "email": f"{owner.username}@example.com",
        }
        users = [core.create(_USERS, body)]
    binding = {
        "user": f"{_USERS}{users[0]['uuid']}",
        "role": f"/v1/iam/roles/{_ROLE}",
        "project": f"{_PROJECTS}{owner.project}",
    }
    present = core.list(_ROLE_BINDINGS, user=users[0]["uuid"])
    if binding["project"] not in {each["project"] for each in present}:
        core.create(_ROLE_BINDINGS, binding)


def make(core: rest.Api, prefix: str, project: str | None = None) -> Owner:
    """Return a new owner of *project*, or of a project of their own, in an organization of its own.

    All that is made has the owner's name, which begins with *prefix*.
    """
    name = f"{prefix}-{secrets.token_hex(5)}"
    if project is None:
        named = {"name": name, "description": name}
        organization = core.create(_ORGANIZATIONS, named)["uuid"]
        body = {**named, "organization": f"{_ORGANIZATIONS}{organization}"}
        project = core.create(_PROJECTS, body)["uuid"]
    owner = Owner(name, secrets.token_hex(16), project)
    ensure(core, owner)
    return owner


def remove(core: rest.Api, owner: Owner) -> None:
    """Delete an owner that was made, with the project of their own; role bindings go along."""
    for user in core.list(_USERS, username=owner.username):
        core.delete(f"{_USERS}{user['uuid']}")
    for collection in (_PROJECTS, _ORGANIZATIONS):
        for each in core.list(collection, name=owner.username):
            core.delete(f"{collection}{each['uuid']}")
