# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Whole lists of an API that has been through something."""

from __future__ import annotations

import typing as tp
from http import HTTPStatus

import requests

if tp.TYPE_CHECKING:
    from clients import rest, waiting

_PAGE: tp.Final = 500


def everything(owner: rest.Api, path: str, poll: waiting.Poll) -> tp.Iterator[rest.Json]:
    """Give all of a list, by pages.

    A request is repeated, as a user does it, where the API is not up yet or has lost its
    database, as it learns of each of its connections when it uses it (503, 500), or where
    Core is not up, which it asks who the user is (401).
    """
    marker: dict[str, tp.Any] = {}

    def look() -> requests.Response | None:
        try:
            return owner.call("GET", path, page_limit=_PAGE, **marker)
        except requests.RequestException:
            return None

    def is_answer(found: requests.Response | None) -> bool:
        return (
            found is not None
            and found.status_code < HTTPStatus.INTERNAL_SERVER_ERROR
            and found.status_code != HTTPStatus.UNAUTHORIZED
        )

    while True:
        answer = poll.until(f"{path} answers", look, is_answer)
        answer.raise_for_status()
        page: list[rest.Json] = answer.json()
        if not page:
            return
        yield from page
        marker["page_marker"] = page[-1]["uuid"]
