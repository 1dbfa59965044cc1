# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A user's session with Core's API."""

from __future__ import annotations

import dataclasses
import time
import typing as tp

import requests

_TIMEOUT: tp.Final = 20
# Tokens live longer; a fresh one every few minutes needs no thought.
_TOKEN_SECONDS: tp.Final = 240


@dataclasses.dataclass
class Session:
    """Calls as *username*; *project* (a uuid) scopes the token, none leaves it unscoped."""

    url: str
    username: str
    password: str
    project: str | None = None
    _token: str = ""
    _until: float = 0

    def token(self) -> str:
        """Return a token that is good for at least some seconds; raises requests.HTTPError."""
        if time.monotonic() >= self._until:
            answer = requests.post(
                f"{self.url}/v1/iam/clients/default/actions/get_token/invoke",
                data={
                    "grant_type": "password",
                    "username": self.username,
                    "password": self.password,
                    "scope": f"project:{self.project}" if self.project else "",
                },
                timeout=_TIMEOUT,
            )
            answer.raise_for_status()
            self._token = answer.json()["access_token"]
            self._until = time.monotonic() + _TOKEN_SECONDS
        return self._token

    def is_let_in(self) -> bool:
        """Return whether Core gives this user a token now."""
        try:
            return bool(self.token())
        except requests.RequestException:
            return False

    def call(self, method: str, path: str, body: tp.Any = None, **filters: str) -> tp.Any:
        """Return the answer of *path* (below the API's root); raises requests.HTTPError."""
        answer = requests.request(
            method,
            f"{self.url}/{path.lstrip('/')}",
            json=body,
            params=filters,
            headers={"Authorization": f"Bearer {self.token()}"},
            timeout=_TIMEOUT,
        )
        if not answer.ok:
            raise requests.HTTPError(
                f"{method} {path}: {answer.status_code} {answer.text[:300]}", response=answer
            )
        return answer.json() if answer.content else None
