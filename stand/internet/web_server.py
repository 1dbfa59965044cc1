# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The web server: HTTPS for every name, by certificates of the public authority.

What a site is asked is kept, and what it answers is said beforehand.
"""

from __future__ import annotations

import collections
import dataclasses
import ssl
import typing as tp

from aiohttp import web

from stand.internet import records as records_lib
from stand.internet import showing

if tp.TYPE_CHECKING:
    import pathlib

    from clients import issuing

_REQUESTS_MAX: tp.Final = 10_000
_STATUSES: tp.Final = range(200, 600)


@dataclasses.dataclass(frozen=True)
class Request:
    """What a site was asked, with lower-case names of headers, and the *code* it has answered."""

    method: str
    path: str
    headers: tp.Mapping[str, str]
    body: str
    code: int


class Site:
    """A site that answers with *codes*, one after the other, and from then on with the last.

    *expired*: its certificate has been so for an hour.
    """

    def __init__(
        self, codes: tp.Sequence[int] = (200,), body: str = "", *, expired: bool = False
    ) -> None:
        """Raise ValueError on what are no final status codes."""
        if not codes or not all(isinstance(code, int) and code in _STATUSES for code in codes):
            raise ValueError("codes is a list of status codes from 200 to 599")
        if not isinstance(body, str):
            raise ValueError("body is a text")  # noqa: TRY004 - one kind for what is refused
        self.body = body
        self.expired = expired
        self.requests: collections.deque[Request] = collections.deque(maxlen=_REQUESTS_MAX)
        self._codes = collections.deque(codes)

    def next_code(self) -> int:
        """Return the code of the next answer."""
        return self._codes.popleft() if len(self._codes) > 1 else self._codes[0]


class WebServer:
    """The sites, by name."""

    def __init__(
        self, records: records_lib.Records, authority: issuing.Authority, directory: pathlib.Path
    ) -> None:
        """Publish sites in *records*; certificates of *authority* pass through *directory*."""
        self._records = records
        self._shown = showing.Shown(authority, directory)
        self._address = ""
        self._sites: dict[str, Site] = {}

    async def start(self, address: tuple[str, int]) -> web.AppRunner:
        """Serve at *address*, until the runner is cleaned up; raises OSError."""
        self._address = address[0]
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        shown.sni_callback = self._show
        await web.TCPSite(runner, *address, ssl_context=shown).start()
        return runner

    def open(self, name: str, site: Site) -> None:
        """Have *site* be that of *name*; raises ValueError on what is no domain name."""
        key = _key(name)
        self._records.publish(name, "A", [self._address])
        self._sites[key] = site

    def close(self, name: str) -> None:
        """Have no site of *name*; raises KeyError where there is none."""
        del self._sites[_key(name)]
        self._records.withdraw(name)

    def requests(self, name: str) -> list[Request]:
        """Return what the site was asked, the oldest first; raises KeyError."""
        return list(self._sites[_key(name)].requests)

    async def _answer(self, request: web.Request) -> web.Response:
        site = self._sites.get(_key(request.host.partition(":")[0]))
        if site is None:
            return web.Response(status=404)
        body = (await request.read()).decode("utf-8", "replace")
        code = site.next_code()
        headers = {name.lower(): value for name, value in request.headers.items()}
        site.requests.append(Request(request.method, request.path_qs, headers, body, code))
        return web.Response(status=code, text=site.body)

    def _show(
        self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext
    ) -> int | None:
        try:
            key = _key(name or "")
        except ValueError:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        site = self._sites.get(key)
        expired = site is not None and site.expired
        connection.context = self._shown.context(key, expired=expired)
        return None


def _key(name: str) -> str:
    return records_lib.domain_name(name).to_text(omit_final_dot=True)
