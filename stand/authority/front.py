# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The web server in front of pebble, which keeps its directory under another path."""

from __future__ import annotations

import typing as tp

import aiohttp
from aiohttp import web

if tp.TYPE_CHECKING:
    import ssl

# Of the authority that Core's agent asks, and of pebble.
_PATHS: tp.Final = {"/directory": "/dir"}
# Of one connection, or told anew by whoever passes the answer on.
_HOP: tp.Final = frozenset({"connection", "transfer-encoding", "content-length", "date"})


class Front:
    """Passes requests for *name* on to pebble at *upstream*, an https:// URL."""

    def __init__(self, name: str, upstream: str, trusted: ssl.SSLContext) -> None:
        self._name, self._upstream, self._trusted = name, upstream, trusted

    async def answer(self, request: web.Request) -> web.Response:
        """Return pebble's answer, whose links lead to the name again: it makes them of Host."""
        headers = _kept(request.headers) | {"Host": self._name}
        url = self._upstream + _PATHS.get(request.path, request.path_qs)
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.request(
                request.method,
                url,
                headers=headers,
                data=await request.read(),
                ssl=self._trusted,
                server_hostname=self._name,
                allow_redirects=False,
            ) as answer,
        ):
            return web.Response(
                status=answer.status, headers=_kept(answer.headers), body=await answer.read()
            )

    def application(self) -> web.Application:
        """Return the application."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.answer)
        return app


def _kept(headers: tp.Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _HOP}
