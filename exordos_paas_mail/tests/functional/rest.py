# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Clients of the two REST APIs: Core's, and the mail plugin's."""

from __future__ import annotations

import time
import typing as tp
import uuid

import requests

INSTANCES: tp.Final = "/v1/types/mail/instances/"
VERSIONS: tp.Final = "/v1/types/mail/versions/"
OWNER_ROLE: tp.Final = "726f6c65-0000-0000-0000-000000000002"
_SECONDS: tp.Final = 60

Json = dict[str, tp.Any]


def token(core_url: str, username: str, password: str, project: str | None = None) -> str:
    """Return an access token, of one project or of all the user may see."""
    response = requests.post(
        f"{core_url}/v1/iam/clients/default/actions/get_token/invoke",
        data={
            "grant_type": "password",
            "username": username,
            "password": password,
            "scope": f"project:{project}" if project else "",
        },
        timeout=_SECONDS,
    )
    assert response.status_code == 200, f"no token for {username}: {response.status_code}"
    access: str = response.json()["access_token"]
    return access


class Api:
    """One REST API, as one user."""

    def __init__(self, url: str, access_token: str | None) -> None:
        """Without a token the API is called as nobody."""
        self.url = url
        self.session = requests.Session()
        if access_token is not None:
            self.session.headers["Authorization"] = f"Bearer {access_token}"

    def call(
        self, method: str, path: str, body: tp.Any = None, **params: tp.Any
    ) -> requests.Response:
        """Return the answer, whatever it is."""
        return self.session.request(
            method, self.url + path, json=body, params=params, timeout=_SECONDS
        )

    def expect(
        self, status: int, method: str, path: str, body: tp.Any = None, **params: tp.Any
    ) -> tp.Any:
        """Return the body of an answer that must have *status*; None where it has none."""
        response = self.call(method, path, body, **params)
        assert response.status_code == status, (
            f"{method} {path}: {response.status_code} instead of {status}: {response.text}"
        )
        return response.json() if response.content else None

    def create(self, path: str, body: Json) -> Json:
        """POST, which must be a 201."""
        created: Json = self.expect(201, "POST", path, body)
        return created

    def read(self, path: str) -> Json:
        """GET one resource."""
        found: Json = self.expect(200, "GET", path)
        return found

    def list(self, path: str, **filters: tp.Any) -> list[Json]:
        """GET a collection."""
        found: list[Json] = self.expect(200, "GET", path, **filters)
        return found


def instance_path(instance: Json | str) -> str:
    """Return the path of an instance, by its body or its uuid."""
    identifier = instance if isinstance(instance, str) else instance["uuid"]
    return f"{INSTANCES}{identifier}"


def accounts_path(instance: Json | str) -> str:
    """Return the path of an instance's accounts."""
    return f"{instance_path(instance)}/accounts/"


def wait(
    read: tp.Callable[[], tp.Any],
    accept: tp.Callable[[tp.Any], bool],
    what: str,
    poll: tuple[float, float],
) -> tp.Any:
    """Return the first thing read that is accepted; *poll* is (timeout, interval) in seconds.

    Fails with the last thing read, and asks at least twice.
    """
    timeout, interval = poll
    deadline = time.monotonic() + timeout
    while True:
        last = time.monotonic() > deadline
        found = read()
        if accept(found):
            return found
        assert not last, f"{what}: not within {timeout:g} s; the last answer was {found!r}"
        time.sleep(interval)


class Person:
    """A user of Core with the owner role in one project, made for a run."""

    def __init__(self, admin: Api, project: str) -> None:
        """Make the user, and bind the role."""
        self._admin = admin
        self.project = project
        self.username = f"mail-suite-{uuid.uuid4().hex[:10]}"
        self.password = uuid.uuid4().hex
        body = {
            "username": self.username,
            "password": self.password,
            "first_name": "Mail",
            "last_name": "Suite",
            "email": f"{self.username}@example.com",
        }
        self.uuid: str = admin.create("/v1/iam/users/", body)["uuid"]
        admin.create(
            "/v1/iam/role_bindings/",
            {
                "user": f"/v1/iam/users/{self.uuid}",
                "role": f"/v1/iam/roles/{OWNER_ROLE}",
                "project": f"/v1/iam/projects/{project}",
            },
        )

    def remove(self) -> None:
        """Delete the user; its bindings go with it."""
        self._admin.expect(204, "DELETE", f"/v1/iam/users/{self.uuid}")
