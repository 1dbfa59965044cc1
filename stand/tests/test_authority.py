# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What leads Core's certificate agent to the stand's authority: a name, a root, a path."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import stat
import typing as tp

import aiohttp
import pytest
from aiohttp import web

from stand.authority import front, identity

if tp.TYPE_CHECKING:
    import pathlib

NAME: tp.Final = "acme.example.com"


@contextlib.asynccontextmanager
async def serving(app: web.Application, shown: ssl.SSLContext) -> tp.AsyncIterator[int]:
    """Yield the port of 127.0.0.1 at which *app* answers."""
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=shown)
    await site.start()
    assert site._server is not None
    try:
        yield site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    finally:
        await runner.cleanup()


async def echo(request: web.Request) -> web.Response:
    body = {
        "method": request.method,
        "host": request.host,
        "path": request.path_qs,
        "body": (await request.read()).decode(),
    }
    return web.json_response(body, status=201, headers={"Replay-Nonce": "one", "Link": "<x>"})


@pytest.mark.parametrize(
    ("path", "found"),
    [
        pytest.param("/directory", "/dir", id="the directory has another path"),
        pytest.param("/order/1?a=b%20c", "/order/1?a=b%20c", id="everything else has its own"),
    ],
)
def test_a_request_of_the_public_name_is_answered_by_pebble(
    tmp_path: pathlib.Path, path: str, found: str
) -> None:
    asyncio.run(_is_answered(identity.ensure(tmp_path, NAME), path, found))


async def _is_answered(files: identity.Files, path: str, found: str) -> None:
    shown = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    shown.load_cert_chain(files.certificate, files.key)
    trusted = ssl.create_default_context(cafile=str(files.root))
    pebble = web.Application()
    pebble.router.add_route("*", "/{path:.*}", echo)
    async with serving(pebble, shown) as port:
        passing = front.Front(NAME, f"https://127.0.0.1:{port}", trusted)
        async with (
            serving(passing.application(), shown) as front_port,
            aiohttp.ClientSession() as session,
            session.post(
                f"https://127.0.0.1:{front_port}{path}",
                data=b"signed",
                ssl=trusted,
                server_hostname=NAME,
            ) as answer,
        ):
            assert answer.status == 201
            assert (answer.headers["Replay-Nonce"], answer.headers["Link"]) == ("one", "<x>")
            assert await answer.json() == {
                "method": "POST",
                "host": NAME,
                "path": found,
                "body": "signed",
            }


def test_the_web_identity_is_made_once_and_its_key_is_private(tmp_path: pathlib.Path) -> None:
    made = identity.ensure(tmp_path / "new", NAME)
    texts = [path.read_bytes() for path in (made.root, made.certificate, made.key)]
    assert stat.S_IMODE(made.key.stat().st_mode) == 0o600
    again = identity.ensure(tmp_path / "new", NAME)
    assert [path.read_bytes() for path in (again.root, again.certificate, again.key)] == texts
