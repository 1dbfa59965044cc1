# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A user's session with Core."""

from __future__ import annotations

import dataclasses
import time
import typing as tp

import requests

from clients import rest

_SECONDS: tp.Final = 60
# Tokens live longer; a fresh one every few minutes needs no thought.
_TOKEN_SECONDS: tp.Final = 240


@dataclasses.dataclass
class Session:
    """*username* at the Core whose API is at *url*.

    *project* (a uuid) scopes the token to one project; none leaves it unscoped.
    """

    url: str
    username: str
    password: str = dataclasses.field(repr=False)
    project: str | None = None
    _token: str = dataclasses.field(default="", init=False, repr=False)
    _until: float = dataclasses.field(default=0, init=False, repr=False)

    def token(self) -> str:
        """Return a token that is good for at least some minutes; raises requests.HTTPError."""
        if time.monotonic() >= self._until:
            answer = requests.post(
                f"{self.url}/v1/iam/clients/default/actions/get_token/invoke",
                data={
                    "grant_type": "password",
                    "username": self.username,
                    "password": self.password,
                    "scope": f"project:{self.project}" if self.project else "",
                },
                timeout=_SECONDS,
            )
            answer.raise_for_status()
            self._token = answer.json()["access_token"]
            self._until = time.monotonic() + _TOKEN_SECONDS
        return self._token

    def forget(self) -> None:
        """Log in anew with the next call."""
        self._until = 0

    def is_let_in(self) -> bool:
        """Return whether Core gives this user a token now."""
        try:
            return bool(self.token())
        except requests.RequestException:
            return False

    def api(self, url: str | None = None) -> rest.Api:
        """Return the API at *url* as this user; Core's, if none is given."""
        return rest.Api(url or self.url, self.token)
