# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A small Core over HTTP: users log in, resources of any collection are kept as they are."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
import typing as tp
import urllib.parse
import uuid

PASSWORDS: tp.Final = {"admin": "the administrator's"}
TOKEN_PATH: tp.Final = "/v1/iam/clients/default/actions/get_token/invoke"

Json = dict[str, tp.Any]


class Core:
    """What the server knows; *on_write* may change it after a PUT or POST to a path."""

    def __init__(self) -> None:
        self.resources: dict[str, Json] = {}
        self.tokens: set[str] = set()
        self.logins: list[dict[str, str]] = []
        self.on_write: tp.Callable[[str, Json], None] = lambda _path, _body: None
        self.url = ""

    def put(self, path: str, **fields: tp.Any) -> Json:
        """Have a resource at *path*."""
        self.resources[path] = {"uuid": path.rpartition("/")[2], **fields}
        return self.resources[path]

    def names(self, collection: str) -> list[str]:
        """Return the names of what a collection holds."""
        return sorted(
            str(it.get("name") or it.get("username"))
            for path, it in self.resources.items()
            if path.startswith(collection)
        )

    def log_in(self, form: dict[str, str]) -> tuple[int, tp.Any]:
        self.logins.append(form)
        known = {
            **PASSWORDS,
            **{
                it["username"]: it["password"]
                for path, it in self.resources.items()
                if path.startswith("/v1/iam/users/")
            },
        }
        if known.get(form["username"]) != form["password"]:
            return 400, {"error": "invalid_grant"}
        token = uuid.uuid4().hex
        self.tokens.add(token)
        return 200, {"access_token": token}

    def answer(self, method: str, target: str, body: tp.Any) -> tuple[int, tp.Any]:
        url = urllib.parse.urlsplit(target)
        path, filters = url.path, dict(urllib.parse.parse_qsl(url.query))
        if method == "GET" and path.endswith("/"):
            return 200, [
                it
                for key, it in self.resources.items()
                if key.startswith(path)
                and all(str(it.get(name)).endswith(value) for name, value in filters.items())
            ]
        if method == "POST":
            created = self.put(f"{path}{uuid.uuid4()}", **body)
            self.on_write(path, body)
            return 201, created
        if path not in self.resources:
            return 404, {"message": "not here"}
        if method == "DELETE":
            del self.resources[path]
            return 204, None
        if method == "PUT":
            self.resources[path].update(body)
            self.on_write(path, body)
        return 200, self.resources[path]


class _Handler(http.server.BaseHTTPRequestHandler):
    core: Core

    def _do(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.path == TOKEN_PATH:
            status, found = self.core.log_in(dict(urllib.parse.parse_qsl(raw.decode())))
        elif token not in self.core.tokens:
            status, found = 401, {"message": "no good token"}
        else:
            body = json.loads(raw) if raw else None
            status, found = self.core.answer(self.command, self.path, body)
        self.send_response(status)
        content = b"" if found is None else json.dumps(found).encode()
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = _do  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def running() -> tp.Iterator[Core]:
    """Serve a Core on loopback while the block runs."""
    core = Core()
    handler = type("Handler", (_Handler,), {"core": core})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    core.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield core
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
