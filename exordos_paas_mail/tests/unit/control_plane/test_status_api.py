# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A node's client of the Status API and the real one, on a real PostgreSQL."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import threading
import typing as tp
import uuid
from wsgiref import simple_server

import pytest
from gcl_sdk.agents.universal.api import crypto, packers
from gcl_sdk.agents.universal.dm import models as sdk_models

from exordos_paas_mail.node import status_api
from exordos_paas_mail.tests.unit.control_plane import status_server

if tp.TYPE_CHECKING:
    from collections.abc import Iterator

KEY, NODE = status_server.KEY, status_server.NODE
KIND = "mail_test"
ROW = uuid.UUID("5f3b0f4e-7c1d-4f0a-9c53-0a6c7f1f1a11")


class _Quiet(simple_server.WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@contextlib.contextmanager
def answering(status: str, row: object) -> Iterator[status_api.StatusApi]:
    """Give a client whose one request gets this answer, sealed with the node's key."""
    nonce = bytes(12)
    body = crypto.encrypt_chacha20_poly1305(KEY, json.dumps(row).encode(), nonce)

    def answer(_: object, start: tp.Callable[..., object]) -> list[bytes]:
        start(status, [("X-Genesis-Nonce", base64.b64encode(nonce).decode())])
        return [body]

    with simple_server.make_server("127.0.0.1", 0, answer, handler_class=_Quiet) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        yield status_api.StatusApi(f"http://127.0.0.1:{server.server_port}", NODE, KEY)
        thread.join()


def test_a_row_is_made_once_and_then_replaced(endpoint: str) -> None:
    api = status_api.StatusApi(endpoint, NODE, KEY)
    assert api.read(KIND, ROW) is None
    assert api.create(KIND, ROW, {"n": 1}) is True
    assert api.create(KIND, ROW, {"n": 2}) is False
    assert api.read(KIND, ROW) == {"n": 1}
    api.replace(KIND, ROW, {"n": 3})
    assert api.read(KIND, ROW) == {"n": 3}
    (row,) = sdk_models.Resource.objects.get_all(filters={})
    assert (row.uuid, row.node, row.kind, row.value) == (ROW, NODE, KIND, {"n": 3})
    # Whoever knew it beforehand could take it.
    assert row.res_uuid != sdk_models.Resource.gen_res_uuid(ROW, KIND)
    api.delete(KIND, ROW)
    api.delete(KIND, ROW)
    assert api.read(KIND, ROW) is None


@pytest.mark.parametrize("uuid", [ROW, NODE], ids=["the row", "the key of the table"])
def test_what_another_node_has_put_there_is_replaced(endpoint: str, uuid: uuid.UUID) -> None:
    key = sdk_models.Resource.gen_res_uuid(ROW, KIND)
    kind = KIND if uuid == ROW else "junk"
    sdk_models.Resource(
        uuid=uuid, kind=kind, res_uuid=key if uuid == NODE else uuid, value={"n": 0}, node=ROW
    ).insert()
    api = status_api.StatusApi(endpoint, NODE, KEY)
    api.replace(KIND, ROW, {"n": 1})
    (row,) = (each for each in sdk_models.Resource.objects.get_all(filters={}) if each.kind == KIND)
    assert (row.uuid, row.node, row.value) == (ROW, NODE, {"n": 1})


def test_a_replacement_that_comes_too_late_is_an_error(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = status_api.StatusApi(endpoint, NODE, KEY)
    # As if somebody else had made the row between the two requests.
    monkeypatch.setattr(api, "create", lambda *_: False)
    with pytest.raises(status_api.StatusError, match="somebody else"):
        api.replace(KIND, ROW, {"n": 1})


def test_a_row_that_is_not_there_is_made_by_its_replacement(endpoint: str) -> None:
    api = status_api.StatusApi(endpoint, NODE, KEY)
    api.replace(KIND, ROW, {"n": 1})
    assert api.read(KIND, ROW) == {"n": 1}


def test_the_largest_row_travels_both_ways(endpoint: str) -> None:
    api = status_api.StatusApi(endpoint, NODE, KEY)
    value = {"content": base64.b64encode(os.urandom(1025 * 1024)).decode()}
    api.replace(KIND, ROW, value)
    assert api.read(KIND, ROW) == value


def test_who_has_another_key_is_refused(endpoint: str) -> None:
    status_api.StatusApi(endpoint, NODE, KEY).create(KIND, ROW, {"n": 1})
    api = status_api.StatusApi(endpoint, NODE, KEY[::-1])
    with pytest.raises(status_api.RefusedError):
        api.replace(KIND, ROW, {"n": 2})
    with pytest.raises(status_api.StatusError, match="not the control plane's"):
        api.read(KIND, ROW)


def test_nobody_answers() -> None:
    api = status_api.StatusApi("http://127.0.0.1:1", NODE, KEY)
    with pytest.raises(status_api.StatusError, match="does not answer"):
        api.create(KIND, ROW, {})


@pytest.mark.parametrize("row", [[], {}, {"uuid": str(NODE), "value": {}}])
def test_an_answer_about_another_row_is_none(row: object) -> None:
    with answering("200 OK", row) as api, pytest.raises(status_api.StatusError, match="another"):
        api.read(KIND, ROW)


def test_an_answer_without_a_value_is_none() -> None:
    answer = answering("200 OK", {"uuid": str(ROW), "value": "x"})
    with answer as api, pytest.raises(status_api.StatusError, match="no value"):
        api.read(KIND, ROW)


def test_the_names_of_the_protocol_are_the_sdks() -> None:
    assert status_api.CONTENT_TYPE == packers.ENCRYPTED_JSON_CONTENT_TYPE
