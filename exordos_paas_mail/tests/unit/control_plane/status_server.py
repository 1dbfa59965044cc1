# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The real Status API, and a node that it knows."""

from __future__ import annotations

import base64
import contextlib
import datetime
import subprocess
import sys
import typing as tp
import uuid

from gcl_sdk.agents.universal.dm import models as sdk_models

if tp.TYPE_CHECKING:
    from collections.abc import Iterator

KEY: tp.Final = bytes(range(32))
NODE: tp.Final = uuid.UUID("5f3b0f4e-7c1d-4f0a-9c53-0a6c7f1f1a10")

_STATUS_API = """
import sys
from wsgiref import simple_server
from exordos_metapaas.status_api.api import app
from restalchemy.storage.sql import engines
engines.engine_factory.configure_factory(db_url=sys.argv[1])
server = simple_server.make_server("127.0.0.1", 0, app.build_wsgi_application())
print(server.server_port, flush=True)
sys.stderr = open("/dev/null", "w")
server.serve_forever()
"""


@contextlib.contextmanager
def running(database: str) -> Iterator[str]:
    """Give where the Status API on *database* is."""
    with started(database) as (address, _):
        yield address


@contextlib.contextmanager
def started(database: str) -> Iterator[tuple[str, int]]:
    """Give where the Status API on *database* is, and its process."""
    # A process of its own: the resources of two applications do not go together in one.
    command = [sys.executable, "-c", _STATUS_API, database]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}", server.pid
        finally:
            server.kill()


def know_node() -> None:
    """Have the control plane know the node."""
    sdk_models.NodeEncryptionKey(
        uuid=NODE,
        private_key=base64.b64encode(KEY).decode(),
        encryption_disabled_until=datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc),
    ).save()
