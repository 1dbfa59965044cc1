# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of the control plane's Status API, as a node reads and writes them.

It is the protocol of gcl_sdk's clients, whose cipher is used here. The clients
themselves import the SDK's models with all their databases, 40 MB of memory.
"""

from __future__ import annotations

import base64
import binascii
import configparser
import http.client
import json
import typing as tp
import urllib.parse
import uuid as sys_uuid

from cryptography import exceptions
from gcl_sdk.agents.universal.api import crypto

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Mapping

TIMEOUT: tp.Final = 10.0
CONTENT_TYPE: tp.Final = "application/x-genesis-agent-chacha20-poly1305-encrypted"
# Of an answer: the row comes back, of 1.4 MB at most (``codecs``), in base64 already.
_ANSWER_SIZE_MAX = 2 * 2**20
_AGENT = "universal_agent"


class StatusError(Exception):
    """The control plane has not said that it has done what it was asked for."""


class RefusedError(StatusError):
    """The control plane answers and does not do it; perhaps it has another key."""


class ConfigurationError(Exception):
    """What a node needs to know to speak to the control plane is not there."""


class StatusApi:
    """The Status API at *endpoint*, as the node *node* with its *key* speaks to it.

    Each method raises StatusError; whether something has been done is then not known.
    """

    def __init__(self, endpoint: str, node: sys_uuid.UUID, key: bytes) -> None:
        self._url = urllib.parse.urlsplit(endpoint)
        self.node = node
        self.key = key

    def create(self, kind: str, uuid: sys_uuid.UUID, value: Mapping[str, tp.Any]) -> bool:
        """Make *value* a row; returns whether there was none of that uuid."""
        status = self._ask("POST", kind, uuid, self._row(kind, uuid, value))[0]
        return status != http.client.CONFLICT

    def replace(self, kind: str, uuid: sys_uuid.UUID, value: Mapping[str, tp.Any]) -> None:
        """Make *value* the row of that uuid, whether there is one or not."""
        row = self._row(kind, uuid, value)
        # Of a row that another node has made it is another one, and may not be changed.
        del row["res_uuid"]
        if self._ask("PUT", kind, uuid, row)[0] != http.client.NOT_FOUND:
            return
        if not self.create(kind, uuid, value):
            raise StatusError("somebody else has made the row meanwhile")

    def delete(self, kind: str, uuid: sys_uuid.UUID) -> None:
        """Have there be no row of that uuid, whether there is one or not."""
        self._ask("DELETE", kind, uuid)

    def read(self, kind: str, uuid: sys_uuid.UUID) -> Mapping[str, tp.Any] | None:
        """Return the value of the row of that uuid, None where there is none."""
        status, row = self._ask("GET", kind, uuid)
        if status == http.client.NOT_FOUND:
            return None
        value = row.get("value")
        if not isinstance(value, dict):
            raise StatusError("the answer has no value")
        return value

    def _row(
        self, kind: str, uuid: sys_uuid.UUID, value: Mapping[str, tp.Any]
    ) -> dict[str, tp.Any]:
        return {
            "uuid": str(uuid),
            # The key of the table. One that can be known beforehand is another row's by then.
            "res_uuid": str(sys_uuid.uuid4()),
            "kind": f"/v1/kind/{kind}",
            "node": str(self.node),
            "value": dict(value),
        }

    def _ask(
        self, method: str, kind: str, uuid: sys_uuid.UUID, row: Mapping[str, tp.Any] | None = None
    ) -> tuple[int, dict[str, tp.Any]]:
        """Return the status and the row of the answer, which is empty where there is none."""
        nonce, nonce_base64 = crypto.generate_nonce_base64()
        headers = {
            "Content-Type": CONTENT_TYPE,
            "X-Genesis-Node-UUID": str(self.node),
            "X-Genesis-Nonce": nonce_base64,
        }
        body = b""
        if row is not None:
            body = json.dumps(row).encode("ascii")
            body = crypto.encrypt_chacha20_poly1305(self.key, body, nonce)
        name = "" if method == "POST" else uuid
        path = f"{self._url.path.rstrip('/')}/v1/kind/{kind}/resources/{name}"
        status, nonce_base64, answer = self._request(method, path, body, headers)
        if status in _ABSENT[method]:
            return status, {}
        if status not in {http.client.OK, http.client.CREATED}:
            raise RefusedError(f"the control plane answers {status}")
        return status, self._opened(uuid, nonce_base64, answer)

    def _request(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, str, bytes]:
        secure = self._url.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(self._url.hostname or "", self._url.port, timeout=TIMEOUT)
        try:
            connection.request(method, path, body or None, dict(headers))
            answer = connection.getresponse()
            nonce = answer.headers.get("X-Genesis-Nonce", "")
            return answer.status, nonce, answer.read(_ANSWER_SIZE_MAX)
        except (OSError, http.client.HTTPException) as error:
            raise StatusError(f"the control plane does not answer: {error}") from error
        finally:
            connection.close()

    def _opened(self, uuid: sys_uuid.UUID, nonce_base64: str, answer: bytes) -> dict[str, tp.Any]:
        """Return the row of *answer*, once it is the control plane's and about that row."""
        try:
            nonce = base64.b64decode(nonce_base64, validate=True)
            row = json.loads(crypto.decrypt_chacha20_poly1305(self.key, nonce, answer))
        except (ValueError, binascii.Error, exceptions.InvalidTag) as error:
            raise StatusError("the answer is not the control plane's") from error
        if not isinstance(row, dict) or row.get("uuid") != str(uuid):
            raise StatusError("the answer is about another row")
        return row


_ABSENT: tp.Final = {
    "POST": {http.client.CONFLICT},
    "PUT": {http.client.NOT_FOUND},
    "GET": {http.client.NOT_FOUND},
    "DELETE": {http.client.NO_CONTENT, http.client.NOT_FOUND},
}
"""The answers without a row: it is there, or is not, as the request may find it."""


def of_agent(configuration: pathlib.Path, credentials: pathlib.Path) -> StatusApi:
    """Return the Status API as the node's agent knows it.

    *credentials* is a directory of the node's uuid (``node-uuid``) and its key
    (``node-key``). Raises ConfigurationError or OSError.
    """
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(configuration.read_text())
        endpoint = parser.get(_AGENT, "status_endpoint")
        node = sys_uuid.UUID((credentials / "node-uuid").read_text().strip())
        key = base64.b64decode((credentials / "node-key").read_text().strip(), validate=True)
    except (configparser.Error, binascii.Error, ValueError) as error:
        # Never the words: one of them is the key.
        raise ConfigurationError(
            f"{configuration} or {credentials} cannot be read: {type(error).__name__}"
        ) from error
    return StatusApi(endpoint, node, key)
