# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""From the store to the control plane, a row of its Status API a batch.

It is the protocol of gcl_sdk's clients, whose cipher is used here. The clients
themselves import the SDK's models with all their databases, 40 MB of memory.
"""

from __future__ import annotations

import base64
import binascii
import http.client
import json
import time
import typing as tp
import urllib.parse
import uuid

from cryptography import exceptions
from gcl_sdk.agents.universal.api import crypto

from exordos_paas_mail.codecs import event_batches

if tp.TYPE_CHECKING:
    from collections.abc import Mapping

    from exordos_paas_mail.node.events import store as store_

TIMEOUT: tp.Final = 10.0
PAUSE_MAX: tp.Final = 60.0
"""Seconds between two attempts to reach a control plane that does not answer."""
CONTENT_TYPE: tp.Final = "application/x-genesis-agent-chacha20-poly1305-encrypted"
_PAUSE_MIN = 1.0
# Of an answer: the row comes back.
_ANSWER_SIZE_MAX = 4 * event_batches.RAW_SIZE_MAX


class SendError(Exception):
    """The control plane has not said that it has the batch."""


class RefusedError(SendError):
    """The control plane answers and does not take the batch; perhaps it has another key."""


class StatusApi:
    """The Status API at *endpoint*, as the node *node* with its *key* speaks to it."""

    def __init__(self, endpoint: str, node: uuid.UUID, key: bytes) -> None:
        self._url = urllib.parse.urlsplit(endpoint)
        self._node = node
        self._key = key

    def store(self, stream: uuid.UUID, seq: int, events: bytes) -> None:
        """Have the batch of that number be a row; raises SendError, and then it may be one or not.

        To store it again changes nothing.
        """
        row = event_batches.row_uuid(self._node, stream, seq)
        batch = event_batches.seal(self._key, self._node, stream, seq, events)
        body = json.dumps(
            {
                "uuid": str(row),
                "res_uuid": str(uuid.uuid5(row, event_batches.KIND)),
                "kind": f"/v1/kind/{event_batches.KIND}",
                "node": str(self._node),
                "value": event_batches.render(batch),
            }
        ).encode("ascii")
        nonce, nonce_base64 = crypto.generate_nonce_base64()
        status, nonce_base64, answer = self._post(
            crypto.encrypt_chacha20_poly1305(self._key, body, nonce),
            {
                "Content-Type": CONTENT_TYPE,
                "X-Genesis-Node-UUID": str(self._node),
                "X-Genesis-Nonce": nonce_base64,
            },
        )
        # 409: it is there already.
        if status == http.client.CONFLICT:
            return
        if status != http.client.CREATED:
            raise RefusedError(f"the control plane answers {status}")
        self._check(row, nonce_base64, answer)

    def _post(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, str, bytes]:
        secure = self._url.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(self._url.hostname or "", self._url.port, timeout=TIMEOUT)
        path = f"{self._url.path.rstrip('/')}/v1/kind/{event_batches.KIND}/resources/"
        try:
            connection.request("POST", path, body, dict(headers))
            answer = connection.getresponse()
            nonce = answer.headers.get("X-Genesis-Nonce", "")
            return answer.status, nonce, answer.read(_ANSWER_SIZE_MAX)
        except (OSError, http.client.HTTPException) as error:
            raise SendError(f"the control plane does not answer: {error}") from error
        finally:
            connection.close()

    def _check(self, row: uuid.UUID, nonce_base64: str, answer: bytes) -> None:
        """See that it is the control plane who says that it has the row."""
        try:
            nonce = base64.b64decode(nonce_base64, validate=True)
            said = json.loads(crypto.decrypt_chacha20_poly1305(self._key, nonce, answer))
            is_ours = isinstance(said, dict) and said.get("uuid") == str(row)
        except (ValueError, binascii.Error, exceptions.InvalidTag) as error:
            raise SendError("the answer is not the control plane's") from error
        if not is_ours:
            raise SendError("the answer is about another row")


class Sender:
    """Sends what *store* has, oldest first, and makes it forget what has arrived."""

    def __init__(self, api: StatusApi) -> None:
        self._api = api
        self._pause = 0.0
        self._next = 0.0
        self.refused_since: float | None = None
        """Since when (time.monotonic) nothing but refusals came back; None if it is not so."""

    def turn(self, store: store_.Store) -> bool:
        """Send one batch, if it is time; returns whether there may be more to send at once.

        Raises SendError: the next attempts wait, for longer each time.
        """
        if time.monotonic() < self._next:
            return False
        batch = store.next()
        if batch is None:
            return False
        seq, events = batch
        try:
            self._api.store(store.stream, seq, events)
        except SendError as error:
            self._pause = min(PAUSE_MAX, max(_PAUSE_MIN, 2 * self._pause))
            self._next = time.monotonic() + self._pause
            if not isinstance(error, RefusedError):
                self.refused_since = None
            elif self.refused_since is None:
                self.refused_since = time.monotonic()
            raise
        self._pause = self._next = 0.0
        self.refused_since = None
        store.forget(seq)
        return True
