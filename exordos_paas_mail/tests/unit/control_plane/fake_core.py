# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Core as the plugin meets it: a real HTTP server with IAM, sets, configs, keys, DNS, certificates.

It refuses what Core refuses: no token, an unknown field, a read-only field, a
uuid that is taken, a record that is not there.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import datetime
import http.server
import json
import os
import re
import secrets
import threading
import typing as tp
import uuid as sys_uuid
from urllib import parse

import jwt
from gcl_iam import algorithms

AUDIENCE = "account"
HS256_KEY = "an-hs256-key-of-the-tests-32-bytes"
JWKS_KEY = base64.urlsafe_b64encode(b"0123456789abcdef0123456789abcdef").decode()
USERNAME, PASSWORD = "metapaas", "metapaas-password"

_SET_FIELDS = frozenset(
    {
        *("uuid", "name", "description", "project_id", "tags"),
        *("cores", "ram", "replicas", "set_type", "node_type", "disk_spec"),
        *("default_network", "placement_policies"),
    }
)
_CONFIG_FIELDS = frozenset(
    {
        *("uuid", "name", "description", "project_id", "tags", "status"),
        *("path", "owner", "group", "mode", "body", "target", "on_change"),
    }
)
_COLLECTIONS = {
    "/v1/compute/sets/": (_SET_FIELDS, frozenset({"status", "nodes"})),
    "/v1/config/configs/": (_CONFIG_FIELDS, frozenset()),
}
_ZONES = "/v1/dns/domains/"
_ZONE_FIELDS = frozenset({"uuid", "name", "project_id", "tags", "sync_to_ecosystem"})
_ROW_FIELDS = frozenset({"uuid", "type", "ttl", "prio", "disabled", "tags", "project_id", "record"})
_ROW_VALUES = {"A": "address", "TXT": "content", "NS": "content"}
# exordos_core.user_api.dns.dm.models
_ROW_NAME = re.compile(r"@|\*|(\*\.)?([a-zA-Z0-9_-]{1,61}\.?){0,30}")
_ROW_TEXT = re.compile(r"[^\n]{1,8192}")
_CERTIFICATES = "/v1/secret/certificates/"
_CERTIFICATE_FIELDS = frozenset(
    {
        *("uuid", "name", "description", "project_id", "tags", "constructor"),
        *("method", "email", "domains", "key", "cert", "expiration_at"),
    }
)
# exordos_core.user_api.secret.api.controllers: not for the users of the API.
_CERTIFICATE_HIDDEN = frozenset({"status", "expiration_threshold", "overcome_threshold"})
# As its column has them.
_DOMAINS_SIZE_MAX = 1024
_HELD = ("sets", "configs", "zones", "rows", "certificates", "node_keys")
_IAM = "/v1/iam/clients/default/actions/"


class RefusedError(Exception):
    def __init__(self, code: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.code, self.kind = code, kind


class FakeCore:
    """The state of Core, and its server."""

    def __init__(self) -> None:
        self.sets: dict[str, dict[str, tp.Any]] = {}
        self.configs: dict[str, dict[str, tp.Any]] = {}
        self.zones: dict[str, dict[str, tp.Any]] = {}
        self.rows: dict[str, dict[str, dict[str, tp.Any]]] = {}
        self.certificates: dict[str, dict[str, tp.Any]] = {}
        self.node_keys: dict[str, str] = {}
        self.tokens: dict[str, dict[str, tp.Any]] = {}
        self.requests: list[tuple[str, str]] = []
        # Called before a request is answered: a test hangs Core here.
        self.before: tp.Callable[[str, str], None] = _at_once
        handler = type("Handler", (_Handler,), {"core": self})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def iam_endpoint(self) -> str:
        return f"{self.url}/v1/iam/clients/default"

    @contextlib.contextmanager
    def running(self) -> tp.Iterator[FakeCore]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def reset(self) -> None:
        for name in (*_HELD, "requests"):
            getattr(self, name).clear()
        self.before = _at_once

    # IAM

    def state(self) -> dict[str, tp.Any]:
        """Return all that it holds, but the tokens, for ``put_back``."""
        return copy.deepcopy({name: getattr(self, name) for name in _HELD})

    def put_back(self, state: dict[str, tp.Any]) -> None:
        self.reset()
        for name, held in copy.deepcopy(state).items():
            getattr(self, name).update(held)

    def repeats(self, token: str) -> bool:
        """Tell whether what introspection says of *token* is what it said before."""
        return token in self.tokens and self.before is _at_once

    def token(
        self,
        project_id: str | None,
        permissions: tp.Iterable[str],
        *,
        audience: str = AUDIENCE,
        lifetime: int = 600,
        key: str = HS256_KEY,
    ) -> str:
        """Return a token that introspection knows."""
        issued = datetime.datetime.now(datetime.timezone.utc)
        claims = {
            "exp": issued + datetime.timedelta(seconds=lifetime),
            "iat": issued,
            "auth_time": int(issued.timestamp()),
            "jti": str(sys_uuid.uuid4()),
            "iss": self.url,
            "aud": audience,
            "sub": str(sys_uuid.uuid4()),
            "typ": "Bearer",
        }
        token = jwt.encode(claims, key, algorithm="HS256")
        self.tokens[token] = {
            "user_info": {
                "uuid": claims["sub"],
                "name": "user",
                "first_name": "First",
                "last_name": "Last",
                "email": "user@example.com",
                "type": "user",
            },
            "project_id": project_id,
            "otp_verified": False,
            "permissions": list(permissions),
        }
        return token

    # Nodes

    def add_node(self, set_uuid: tp.Any, ipv4: str | None = None) -> sys_uuid.UUID:
        """Give the node set a node, with a key, as Core does some time after it was asked."""
        node = sys_uuid.uuid4()
        self.sets[str(set_uuid)]["nodes"][str(node)] = {"ipv4": ipv4} if ipv4 else {}
        self.node_keys[str(node)] = base64.b64encode(os.urandom(32)).decode()
        return node

    def remove_node(self, set_uuid: tp.Any, node: sys_uuid.UUID) -> None:
        del self.sets[str(set_uuid)]["nodes"][str(node)]
        del self.node_keys[str(node)]

    def flash(self, node: sys_uuid.UUID) -> str:
        """Give *node* another key, as the Seed OS has it done at each flashing; returns the key."""
        self.node_keys[str(node)] = base64.b64encode(os.urandom(32)).decode()
        return self.node_keys[str(node)]

    def set_status(self, set_uuid: tp.Any, status: str) -> None:
        self.sets[str(set_uuid)]["status"] = status

    def set_address(self, set_uuid: tp.Any, node: sys_uuid.UUID, ipv4: str) -> None:
        self.sets[str(set_uuid)]["nodes"][str(node)] = {"ipv4": ipv4}

    # DNS

    def add_zone(self, name: str, project_id: tp.Any, *tags: str) -> str:
        """Make a zone, as its owner does; returns its uuid."""
        uuid = str(sys_uuid.uuid4())
        self.zones[uuid] = {
            "uuid": uuid,
            "name": name,
            "project_id": str(project_id),
            "tags": list(tags),
        }
        self.rows[uuid] = {}
        return uuid

    def add_row(self, zone: str, rdtype: str, name: str, value: str, *tags: str) -> str:
        """Make a row of a zone, as its owner does; returns its uuid."""
        record = {"kind": rdtype, "name": name, _ROW_VALUES[rdtype]: value}
        row = self._add_row(zone, {"type": rdtype, "tags": list(tags), "record": record})
        return str(row["uuid"])

    def zone_file(self, zone: str) -> list[str]:
        """Return the rows of a zone as name, type and value, sorted."""
        return sorted(
            f"{row['name']} {row['type']} {row['record'][_ROW_VALUES[row['type']]]}"
            for row in self.rows[zone].values()
            if not row["disabled"]
        )

    # Certificates

    def add_certificate(self, project_id: tp.Any, *domains: str) -> str:
        """Ask for a certificate, as somebody in a project does; returns its uuid."""
        body = {
            "name": "theirs",
            "project_id": str(project_id),
            "email": "a@example.com",
            "domains": list(domains),
            "method": {"kind": "dns_core"},
        }
        return str(self._add_certificate(body)["uuid"])

    def issue(self, uuid: str, chain: str, key: str) -> None:
        """Issue a certificate, as the agent does some seconds after it was asked for."""
        self.certificates[uuid] |= {"status": "ACTIVE", "cert": chain, "key": key}

    # Requests

    def answer(
        self, method: str, path: str, query: dict[str, list[str]], body: bytes, token: str | None
    ) -> tuple[int, tp.Any]:
        if path.startswith(_IAM):
            return self._iam(method, path[len(_IAM) :], body, token)
        if token is None or token not in self.tokens:
            raise RefusedError(401, "InvalidAuthTokenError", "invalid token")
        if path.startswith(_ZONES):
            project = self.tokens[token]["project_id"]
            return self._dns(method, path[len(_ZONES) :].split("/"), query, body, project)
        if path.startswith(_CERTIFICATES):
            project = self.tokens[token]["project_id"]
            return self._secret(method, path[len(_CERTIFICATES) :], body, project)
        for prefix, (fields, read_only) in _COLLECTIONS.items():
            if path.startswith(prefix):
                rows = self.sets if "sets" in prefix else self.configs
                return self._collection(
                    rows, fields, read_only, method, path[len(prefix) :], query, body
                )
        raise RefusedError(404, "NotFoundError", path)

    def _iam(self, method: str, action: str, body: bytes, token: str | None) -> tuple[int, tp.Any]:
        if (method, action) == ("POST", "get_token/invoke"):
            form = parse.parse_qs(body.decode())
            given = (form.get("username"), form.get("password"))
            if form.get("grant_type") == ["password"] and given != ([USERNAME], [PASSWORD]):
                raise RefusedError(400, "invalid_grant", "credentials")
            scope = form.get("scope", [""])[0]
            project = scope.removeprefix("project:") or None
            access = self.token(project, ["*.*.*"])
            return 200, {"access_token": access, "refresh_token": secrets.token_hex()}
        if (method, action) == ("GET", "jwks"):
            encrypted = algorithms.encrypt_hs256_jwks_secret(HS256_KEY, JWKS_KEY)
            return 200, {
                "algorithm": "HS256",
                "keys": [{"kty": "oct", "alg": "HS256", "k": encrypted}],
            }
        if (method, action) == ("GET", "introspect"):
            if token not in self.tokens:
                raise RefusedError(400, "InvalidAuthTokenError", "unknown token")
            return 200, self.tokens[token]
        raise RefusedError(404, "NotFoundError", action)

    def _collection(
        self,
        rows: dict[str, dict[str, tp.Any]],
        fields: frozenset[str],
        read_only: frozenset[str],
        method: str,
        rest: str,
        query: dict[str, list[str]],
        body: bytes,
    ) -> tuple[int, tp.Any]:
        given: dict[str, tp.Any] = json.loads(body) if body else {}
        if refused := given.keys() & read_only:
            raise RefusedError(403, "FieldPermissionError", str(refused))
        if unknown := given.keys() - fields:
            raise RefusedError(400, "ValidationPropertyIncompatibleError", str(unknown))
        if not rest:
            if method == "GET":
                return 200, [
                    r for r in rows.values() if all(str(r.get(k)) in v for k, v in query.items())
                ]
            return 201, self._create(rows, given)
        uuid, _, action = rest.partition("/")
        if uuid not in rows:
            raise RefusedError(404, "RecordNotFound", uuid)
        if action == "actions/get_private_keys" and rows is self.sets and method == "GET":
            return 200, {n: self.node_keys[n] for n in rows[uuid]["nodes"] if n in self.node_keys}
        if action:
            raise RefusedError(404, "NotFoundError", action)
        if method == "PUT":
            if given.get("project_id", rows[uuid]["project_id"]) != rows[uuid]["project_id"]:
                raise RefusedError(400, "ReadOnlyProperty", "project_id")
            rows[uuid].update(given)
            rows[uuid]["status"] = "IN_PROGRESS"
        if method == "DELETE":
            if rows is self.sets:
                for node in rows[uuid]["nodes"]:
                    self.node_keys.pop(node, None)
            del rows[uuid]
            return 204, None
        return 200, rows[uuid]

    def _dns(
        self,
        method: str,
        path: list[str],
        query: dict[str, list[str]],
        body: bytes,
        project: str | None,
    ) -> tuple[int, tp.Any]:
        """Answer for zones and rows; a token of a project reaches its zones alone."""
        zones = {
            uuid: zone for uuid, zone in self.zones.items() if project in {None, zone["project_id"]}
        }
        if path == [""]:
            names = query.get("name")
            return 200, [z for z in zones.values() if names is None or z["name"] in names]
        if path[0] not in zones:
            raise RefusedError(404, "RecordNotFound", path[0])
        if len(path) == 1:
            return 200, zones[path[0]]
        _, collection, uuid = path
        assert collection == "records"
        rows = self.rows[path[0]]
        given: dict[str, tp.Any] = json.loads(body) if body else {}
        if unknown := given.keys() - _ROW_FIELDS:
            raise RefusedError(400, "ValidationPropertyIncompatibleError", str(unknown))
        if not uuid:
            if method == "POST":
                return 201, self._add_row(path[0], given)
            return 200, [row for row in rows.values() if _is_asked_for(row, query)]
        if uuid not in rows:
            raise RefusedError(404, "RecordNotFound", uuid)
        if method == "DELETE":
            del rows[uuid]
            return 204, None
        if method == "PUT":
            if "type" in given:
                raise RefusedError(400, "ReadOnlyProperty", "type")
            self._check_record(rows[uuid]["type"], given.get("record", rows[uuid]["record"]))
            rows[uuid] |= given
            rows[uuid]["name"] = self._row_name(path[0], rows[uuid]["record"])
        return 200, rows[uuid]

    def _secret(
        self, method: str, uuid: str, body: bytes, project: str | None
    ) -> tuple[int, tp.Any]:
        """Answer for certificates; a token of a project reaches its own alone."""
        found = {
            one: certificate
            for one, certificate in self.certificates.items()
            if project in {None, certificate["project_id"]}
        }
        if not uuid:
            if method == "POST":
                return 201, self._add_certificate(json.loads(body))
            return 200, list(found.values())
        if uuid not in found:
            raise RefusedError(404, "RecordNotFound", uuid)
        if method == "DELETE":
            del self.certificates[uuid]
            return 204, None
        assert method == "GET"
        return 200, found[uuid]

    def _add_certificate(self, given: dict[str, tp.Any]) -> dict[str, tp.Any]:
        if refused := given.keys() & _CERTIFICATE_HIDDEN:
            raise RefusedError(403, "FieldPermissionError", str(refused))
        if unknown := given.keys() - _CERTIFICATE_FIELDS:
            raise RefusedError(400, "ValidationPropertyIncompatibleError", str(unknown))
        if missing := {"name", "project_id", "email", "domains"} - given.keys():
            raise RefusedError(400, "PropertyRequired", str(missing))
        if not all(map(_ROW_NAME.fullmatch, given["domains"])) or len(given["name"]) > 255:
            raise RefusedError(400, "ValidationErrorException", str(given))
        assert len(json.dumps(given["domains"])) <= _DOMAINS_SIZE_MAX
        uuid = given.get("uuid", str(sys_uuid.uuid4()))
        if uuid in self.certificates:
            raise RefusedError(409, "ConflictRecords", uuid)
        self.certificates[uuid] = {
            "uuid": uuid,
            "status": "NEW",
            "tags": [],
            "key": None,
            "cert": None,
            **given,
        }
        return self.certificates[uuid]

    def _add_row(self, zone: str, given: dict[str, tp.Any]) -> dict[str, tp.Any]:
        self._check_record(given["type"], given["record"])
        uuid = given.get("uuid", str(sys_uuid.uuid4()))
        self.rows[zone][uuid] = {
            "uuid": uuid,
            "ttl": 3600,
            "disabled": False,
            "tags": [],
            "project_id": self.zones[zone]["project_id"],
            "name": self._row_name(zone, given["record"]),
            **given,
        }
        return self.rows[zone][uuid]

    def _row_name(self, zone: str, record: dict[str, tp.Any]) -> str:
        name = record["name"].rstrip(".").rstrip("@")
        return ".".join(filter(None, (name, self.zones[zone]["name"])))

    def _check_record(self, rdtype: str, record: dict[str, tp.Any]) -> None:
        if record["kind"] != rdtype or set(record) != {"kind", "name", _ROW_VALUES[rdtype]}:
            raise RefusedError(400, "ValidationErrorException", str(record))
        if not _ROW_NAME.fullmatch(record["name"]):
            raise RefusedError(400, "ValidationErrorException", record["name"])
        if rdtype == "TXT" and not _ROW_TEXT.fullmatch(record["content"]):
            raise RefusedError(400, "ValidationErrorException", record["content"])

    def _create(
        self, rows: dict[str, dict[str, tp.Any]], given: dict[str, tp.Any]
    ) -> dict[str, tp.Any]:
        required = {"project_id", "cores", "ram", "disk_spec"}
        if rows is self.configs:
            required = {"project_id", "path", "target", "body"}
            if not re.fullmatch("0[0-7]{3}", given.get("mode", "0644")):
                raise RefusedError(400, "ValidationErrorException", "mode")
        if missing := required - given.keys():
            raise RefusedError(400, "PropertyRequired", str(missing))
        uuid = given.setdefault("uuid", str(sys_uuid.uuid4()))
        if uuid in rows:
            raise RefusedError(409, "ConflictRecords", uuid)
        rows[uuid] = {"status": "NEW", "tags": [], "description": "", **given}
        if rows is self.sets:
            rows[uuid] |= {"nodes": {}, "default_network": {}}
        return rows[uuid]


def _at_once(_method: str, _path: str) -> None:
    pass


def _is_asked_for(row: dict[str, tp.Any], query: dict[str, list[str]]) -> bool:
    if "name" in query and row["name"] not in query["name"]:
        return False
    asked = re.fullmatch(r'tags:"([^"]+)"', query.get("q", ['tags:"*"'])[0])
    assert asked is not None
    return "q" not in query or asked[1] in row["tags"]


class _Handler(http.server.BaseHTTPRequestHandler):
    core: tp.ClassVar[FakeCore]
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer in one piece

    def _serve(self) -> None:
        url = parse.urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
        self.core.requests.append((self.command, url.path))
        try:
            self.core.before(self.command, url.path)
            code, answer = self.core.answer(
                self.command, url.path, parse.parse_qs(url.query), body, token
            )
        except RefusedError as refused:
            code = refused.code
            answer = {"type": refused.kind, "code": code, "message": str(refused)}
        payload = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815

    def log_message(self, *_args: tp.Any) -> None:
        """Say nothing: a test that fails shows the requests itself."""
