# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The first answer of a server that was just started."""

from __future__ import annotations

import typing as tp

import requests

from clients import waiting

# On a machine that reads all of it from its disk, beside others that start as well.
_START_SECONDS: tp.Final = 180
# Between the start of a server and its first answer nothing says that it will come.
_LOOK_SECONDS: tp.Final = 10


def wait(what: str, url: str, **options: tp.Any) -> requests.Response:
    """Wait until *url* answers with a 2xx; *options* are those of requests.

    An answer that is late is waited for anew, as one that is not there yet. Raises TimeoutError.
    """
    return waiting.until(
        what, lambda: _answer(url, options), _START_SECONDS, lambda found: found is not None
    )


def _answer(url: str, options: tp.Mapping[str, tp.Any]) -> requests.Response | None:
    try:
        answer = requests.get(url, timeout=_LOOK_SECONDS, **options)
    except (requests.ConnectionError, requests.Timeout):
        return None
    return answer if answer.ok else None
