# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The HTTP interface: records to publish, mail to read, sites to open, what is to go wrong.

JSON both ways; a refusal is ``{"message": ...}``.
"""

from __future__ import annotations

import dataclasses
import json
import typing as tp

from aiohttp import web

from stand.internet import exchanger, secondaries, web_server

if tp.TYPE_CHECKING:
    import asyncio

    from clients import issuing
    from stand.internet import mailbox as mailbox_lib
    from stand.internet import records as records_lib


class Parts(tp.NamedTuple):
    """What the interface is about; *secondary* is the name server that can be made to fail."""

    records: records_lib.Records
    mailbox: mailbox_lib.Mailbox
    secondary: secondaries.Secondary
    exchanger: asyncio.Server
    web: web_server.WebServer
    authority: issuing.Authority


class _Views:
    def __init__(self, parts: Parts) -> None:
        self._records = parts.records
        self._mailbox = parts.mailbox
        self._secondary = parts.secondary
        self._exchanger = parts.exchanger
        self._web = parts.web
        self._authority = parts.authority

    async def index(self, _: web.Request) -> web.Response:
        counts = {"records": len(self._records.dump()), "messages": len(self._mailbox.find())}
        return web.json_response(counts)

    async def list_records(self, _: web.Request) -> web.Response:
        return web.json_response(self._records.dump())

    async def publish(self, request: web.Request) -> web.Response:
        values = await _strings(request)
        try:
            self._records.publish(request.match_info["name"], request.match_info["type"], values)
        except ValueError as error:
            return _refuse(400, str(error))
        return web.Response(status=204)

    async def withdraw(self, request: web.Request) -> web.Response:
        try:
            known = self._records.withdraw(request.match_info["name"])
        except ValueError as error:
            return _refuse(400, str(error))
        return web.Response(status=204) if known else _refuse(404, "no record of that name")

    async def list_messages(self, request: web.Request) -> web.Response:
        unknown = set(request.query) - {"recipient", "subject", "after", "limit"}
        if unknown:
            return _refuse(400, f"unknown filter: {', '.join(sorted(unknown))}")
        query = request.query
        limit = query.get("limit")
        if limit is not None and not limit.isdecimal():
            return _refuse(400, "limit is a number")
        found = self._mailbox.find(
            query.get("recipient"),
            query.get("subject"),
            query.get("after", ""),
            None if limit is None else int(limit),
        )
        return web.json_response(found)

    async def message(self, request: web.Request) -> web.Response:
        try:
            raw = self._mailbox.raw(request.match_info["id"])
        except KeyError:
            return _refuse(404, "no such message")
        return web.Response(body=raw, content_type="message/rfc822")

    async def clear(self, _: web.Request) -> web.Response:
        self._mailbox.clear()
        return web.Response(status=204)

    async def break_secondary(self, request: web.Request) -> web.Response:
        wanted = await _body(request)
        try:
            fault = secondaries.Fault(**wanted)
            self._secondary.set_fault(request.match_info["zone"], fault)
        except (TypeError, ValueError) as error:
            return _refuse(400, str(error))
        return web.Response(status=204)

    async def repair_secondary(self, request: web.Request) -> web.Response:
        self._secondary.set_fault(request.match_info["zone"], None)
        return web.Response(status=204)

    async def drop(self, request: web.Request) -> web.Response:
        try:
            exchanger.drop(self._exchanger, await _strings(request))
        except ValueError as error:
            return _refuse(400, str(error))
        return web.Response(status=204)

    async def open_site(self, request: web.Request) -> web.Response:
        wanted = await _body(request)
        try:
            self._web.open(request.match_info["name"], web_server.Site(**wanted))
        except (TypeError, ValueError) as error:
            return _refuse(400, str(error))
        return web.Response(status=204)

    async def list_requests(self, request: web.Request) -> web.Response:
        try:
            found = self._web.requests(request.match_info["name"])
        except (KeyError, ValueError):
            return _refuse(404, "no site of that name")
        return web.json_response([dataclasses.asdict(each) for each in found])

    async def close_site(self, request: web.Request) -> web.Response:
        try:
            self._web.close(request.match_info["name"])
        except (KeyError, ValueError):
            return _refuse(404, "no site of that name")
        return web.Response(status=204)

    async def issue(self, request: web.Request) -> web.Response:
        names = await _strings(request)
        if not names:
            return _refuse(400, "a certificate has a name")
        return web.json_response(self._authority.issue(*names)._asdict())


def application(parts: Parts) -> web.Application:
    """Return the application over *parts*."""
    views = _Views(parts)
    app = web.Application()
    app.add_routes(
        [
            web.get("/", views.index),
            web.get("/records", views.list_records),
            web.put("/records/{name}/{type}", views.publish),
            web.delete("/records/{name}", views.withdraw),
            web.put("/faults/{zone}", views.break_secondary),
            web.delete("/faults/{zone}", views.repair_secondary),
            web.get("/messages", views.list_messages),
            web.get("/messages/{id}", views.message),
            web.delete("/messages", views.clear),
            web.put("/dropped", views.drop),
            web.put("/sites/{name}", views.open_site),
            web.get("/sites/{name}/requests", views.list_requests),
            web.delete("/sites/{name}", views.close_site),
            web.post("/certificates", views.issue),
        ]
    )
    return app


async def _body(request: web.Request) -> tp.Any:
    try:
        return await request.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        return None


async def _strings(request: web.Request) -> list[str]:
    values = await _body(request)
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise web.HTTPBadRequest(
            text=json.dumps({"message": "the body is a JSON list of strings"}),
            content_type="application/json",
        )
    return values


def _refuse(status: int, message: str) -> web.Response:
    return web.json_response({"message": message}, status=status)
