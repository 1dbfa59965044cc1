# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Requests to the real user-api application, with the real IAM middleware."""

from __future__ import annotations

import dataclasses
import json
import re
import time
import typing as tp
import uuid as sys_uuid

import webob
from exordos_metapaas.user_api.api import app
from gcl_iam import drivers

from exordos_paas_mail import constants, models
from exordos_paas_mail.tests.unit.control_plane import fake_core

ROOT = "/v1/types/mail"
INSTANCES = f"{ROOT}/instances/"
VERSIONS = f"{ROOT}/versions/"
ACTIONS = ("create", "read", "update", "delete")
POLICIES = [value for name, value in vars(constants).items() if name.endswith("_POLICY")]
# Of the queue's own actions.
QUEUE_ACTIONS = ("retry", "bounce", "delete", "suspend")
ACCOUNT_ACTIONS = ("hold", "release")
# And of webhooks.
WEBHOOK_ACTIONS = ("rotate", "test", "replay")
OWNER = (
    *(f"exordos_mail.{policy}.{action}" for policy in POLICIES for action in ACTIONS),
    *(f"exordos_mail.{constants.QUEUE_POLICY}.{action}" for action in QUEUE_ACTIONS),
    *(f"exordos_mail.{constants.WEBHOOK_POLICY}.{action}" for action in WEBHOOK_ACTIONS),
    *(f"exordos_mail.{constants.ACCOUNT_POLICY}.{action}" for action in ACCOUNT_ACTIONS),
)
IMAGE = "https://repository.example.com/exordos-metapaas-mail-dp.raw.zst"
HASH = "$6$saltsalt$" + "h" * 86
HASH_2 = "$6$saltsalt$" + "k" * 86
# A test may take long; the token lives ten minutes.
_TOKEN_SECONDS = 60
# A time in an answer.
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


class _Driver(drivers.HttpDriver):
    """Asks Core about each token once, where it would answer the same again.

    To ask was the third part of what a request costs.
    """

    def __init__(self, core: fake_core.FakeCore) -> None:
        super().__init__(core.iam_endpoint, fake_core.AUDIENCE, fake_core.JWKS_KEY)
        self._core = core
        self._told: dict[str, bytes] = {}

    def get_introspection_info(self, token_info: tp.Any, otp_code: tp.Any = None) -> tp.Any:
        token = token_info.token
        if token not in self._told or not self._core.repeats(token):
            found = super().get_introspection_info(token_info, otp_code)
            self._told[token] = json.dumps(found).encode()
        return json.loads(self._told[token])


def application(core: fake_core.FakeCore, *, is_measured: bool = False) -> tp.Any:
    """Return the application; one that *is_measured* has the runtime's own driver of IAM."""
    if is_measured:
        driver = drivers.HttpDriver(core.iam_endpoint, fake_core.AUDIENCE, fake_core.JWKS_KEY)
    else:
        driver = _Driver(core)
    return app.build_wsgi_application(driver)


@dataclasses.dataclass(frozen=True)
class Client:
    app: tp.Any
    core: fake_core.FakeCore
    project_id: str | None
    token: str | None

    @classmethod
    def owner(
        cls, application: tp.Any, core: fake_core.FakeCore, project_id: str | None = None
    ) -> Client:
        project_id = project_id or str(sys_uuid.uuid4())
        return cls(application, core, project_id, core.token(project_id, OWNER))

    def of_other_project(self) -> Client:
        return self.owner(self.app, self.core)

    def with_permissions(self, *permissions: str) -> Client:
        return dataclasses.replace(self, token=self.core.token(self.project_id, permissions))

    def with_token(self, token: str | None) -> Client:
        return dataclasses.replace(self, token=token)

    def admin(self) -> Client:
        return Client(self.app, self.core, None, self.core.token(None, ["*.*.*"]))

    def raw(self, method: str, path: str, body: bytes = b"", **headers: str) -> webob.Response:
        request = webob.Request.blank(path, method=method, body=body)
        request.headers.update({"Content-Type": "application/json", **headers})
        if self.token is not None:
            request.headers["Authorization"] = f"Bearer {self.token}"
        return request.get_response(self.app)

    def call(self, method: str, path: str, body: tp.Any = None) -> webob.Response:
        return self.raw(method, path, b"" if body is None else json.dumps(body).encode())

    def get(self, path: str) -> tp.Any:
        response = self.call("GET", path)
        assert response.status_code == 200, response.text
        return response.json

    def post(self, path: str, body: tp.Any) -> tp.Any:
        response = self.call("POST", path, body)
        assert response.status_code == 201, response.text
        return response.json

    def patch(self, path: str, body: tp.Any) -> tp.Any:
        response = self.call("PATCH", path, body)
        assert response.status_code == 200, response.text
        return response.json

    def delete(self, path: str) -> None:
        response = self.call("DELETE", path)
        assert response.status_code == 204, response.text

    def refused(self, method: str, path: str, body: tp.Any = None) -> tuple[int, str]:
        """Return the status and the message of an answer that is an error."""
        response = self.call(method, path, body)
        assert response.status_code >= 400, response.text
        return response.status_code, response.json.get("message", response.json.get("error"))

    def version(self, name: str = "exim4_1", image: str = IMAGE) -> str:
        """Return the URI of a new image of the catalogue."""
        version = models.MailVersion(name=name, image=image)
        version.insert()
        return f"{VERSIONS}{version.uuid}"

    def instance_body(self, version: str, **changes: tp.Any) -> dict[str, tp.Any]:
        body = {
            "name": "relay",
            "domain": "mail.example.com",
            "cpu": 1,
            "ram": 1024,
            "disk_size": 10,
            "version": version,
        }
        return {**body, **changes}

    def instance(self, **changes: tp.Any) -> str:
        """Return the path of a new instance."""
        version = changes.pop("version", None) or self.version(name=str(sys_uuid.uuid4()))
        created = self.post(INSTANCES, self.instance_body(version, **changes))
        return f"{INSTANCES}{created['uuid']}"

    def account(self, instance: str, username: str = "noreply", **fields: tp.Any) -> str:
        """Return the path of a new account."""
        if not fields.keys() & {"password", "password_hash"}:
            fields["password_hash"] = HASH
        created = self.post(f"{instance}/accounts/", {"username": username, **fields})
        return f"{instance}/accounts/{created['uuid']}"

    def domain(self, instance: str, domain: str = "example.org", **fields: tp.Any) -> str:
        """Return the path of a new domain."""
        created = self.post(f"{instance}/domains/", {"domain": domain, **fields})
        return f"{instance}/domains/{created['uuid']}"

    def primary(self, instance: str) -> str:
        """Return the path of the primary domain."""
        (found,) = self.get(f"{instance}/domains/?primary=true")
        return f"{instance}/domains/{found['uuid']}"

    def dkim_keys(self, domain: str) -> dict[str, dict[str, tp.Any]]:
        """Return the DKIM keys of a domain by their selectors."""
        return {key["selector"]: key for key in self.get(f"{domain}/dkim_keys/")}


class Owner:
    """The owner of a project, with a token of the last minute: Core is asked about each."""

    def __init__(self, application: tp.Any, core: fake_core.FakeCore) -> None:
        self._application, self._core = application, core
        self._project_id = str(sys_uuid.uuid4())
        self._client: Client | None = None
        self._since = 0.0

    def client(self) -> Client:
        now = time.monotonic()
        if self._client is None or now - self._since > _TOKEN_SECONDS:
            self._client = Client.owner(self._application, self._core, self._project_id)
            self._since = now
        return self._client
