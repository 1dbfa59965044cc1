# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A REST API of the platform, as one user: Core's, or the runtime's."""

from __future__ import annotations

import typing as tp

import requests

_SECONDS: tp.Final = 60

Json = dict[str, tp.Any]


class Api:
    """One REST API; paths begin with a slash."""

    def __init__(self, url: str, token: tp.Callable[[], str] | None) -> None:
        """*token* is asked before each call; without it the API is called as nobody."""
        self.url = url.rstrip("/")
        self._token = token
        self._session = requests.Session()

    def call(
        self, method: str, path: str, body: tp.Any = None, **filters: tp.Any
    ) -> requests.Response:
        """Return the answer, whatever it is; raises requests.RequestException if there is none.

        *body* is sent as JSON, bytes as they are.
        """
        headers = {"Authorization": f"Bearer {self._token()}"} if self._token else {}
        raw = isinstance(body, bytes)
        if raw:
            headers["Content-Type"] = "application/json"
        return self._session.request(
            method,
            self.url + path,
            data=body if raw else None,
            json=None if raw else body,
            params=filters,
            headers=headers,
            timeout=_SECONDS,
        )

    def expect(
        self, status: int, method: str, path: str, body: tp.Any = None, **filters: tp.Any
    ) -> tp.Any:
        """Return the body of the answer, None where it has none.

        Raises requests.HTTPError, with the API's own words, on another status
        than *status*.
        """
        answer = self.call(method, path, body, **filters)
        if answer.status_code != status:
            raise requests.HTTPError(
                f"{method} {path}: {answer.status_code} instead of {status}: {answer.text}",
                response=answer,
            )
        return answer.json() if answer.content else None

    def create(self, path: str, body: Json) -> Json:
        """POST; return what was created."""
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

    def delete(self, path: str) -> None:
        """DELETE a resource that is there."""
        self.expect(204, "DELETE", path)
