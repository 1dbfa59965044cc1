# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The command as a process: killed at any time it loses nothing, and it tells what it did."""

from __future__ import annotations

import base64
import http.server
import json
import random
import signal
import subprocess
import sys
import threading
import time
import typing as tp
import uuid

import pytest
from gcl_sdk.agents.universal.api import crypto

from exordos_paas_mail.codecs import webhook_config, webhook_reports
from exordos_paas_mail.codecs.mail_events import Event, Type
from exordos_paas_mail.node import status_api
from exordos_paas_mail.node.commands import webhooks
from exordos_paas_mail.node.events import store as store_
from exordos_paas_mail.tests.unit.node import webhook_stage

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator

KEY = bytes(range(32))
NODE = uuid.UUID(int=7)
SECRET = webhook_config.new_secret()
HOOK = webhook_config.Hook(uuid.UUID(int=1), "", ("message.delivered",), (SECRET,), revision=5)
# The command, but for whom it may connect to, and whose certificate it trusts.
PROGRAM = """
import ipaddress, pathlib, ssl, sys
from exordos_paas_mail.node.commands import webhooks
from exordos_paas_mail.node.web import connections
context = ssl.create_default_context(cafile=sys.argv[1])
context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
here = ipaddress.ip_address("127.0.0.1")
opener = connections.Opener(lambda *_: [here], lambda address: address != here, context)
raise SystemExit(webhooks.run(webhooks.parser().parse_args(sys.argv[2:]), opener))
"""


class StatusApi(http.server.BaseHTTPRequestHandler):
    """Takes each row and answers with it."""

    rows: tp.ClassVar[list[dict[str, tp.Any]]] = []

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        nonce = base64.b64decode(self.headers["X-Genesis-Nonce"])
        row = crypto.decrypt_chacha20_poly1305(KEY, nonce, body)
        self.rows.append(json.loads(row))
        nonce, nonce_base64 = crypto.generate_nonce_base64()
        answer = crypto.encrypt_chacha20_poly1305(KEY, row, nonce)
        self.send_response(200)
        self.send_header("Content-Type", status_api.CONTENT_TYPE)
        self.send_header("X-Genesis-Nonce", nonce_base64)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def control_plane() -> Iterator[str]:
    StatusApi.rows = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), StatusApi) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def reports() -> list[webhook_reports.Report]:
    found = []
    for row in StatusApi.rows:
        assert row["uuid"] == str(webhook_reports.row_uuid(NODE))
        value = webhook_reports.parse(row["value"])
        found.append(webhook_reports.parse_report(webhook_reports.unseal(KEY, NODE, value)))
    return found


def start(folder: pathlib.Path, endpoint: str) -> subprocess.Popen[bytes]:
    (folder / "node-uuid").write_text(str(NODE))
    (folder / "node-key").write_text(base64.b64encode(KEY).decode())
    (folder / "agent.conf").write_text(f"[universal_agent]\nstatus_endpoint = {endpoint}\n")
    (folder / "certificate").write_bytes(webhook_stage.certificate()[1])
    options = [f"--store={folder}", f"--webhooks={folder / 'webhooks'}"]
    options += [f"--notices={folder / 'notices'}", f"--erased={folder / 'erased'}"]
    options += [f"--figures={folder / 'figures'}"]
    options += [f"--configuration={folder / 'agent.conf'}", f"--credentials={folder}"]
    command = [sys.executable, "-c", PROGRAM, str(folder / "certificate"), *options]
    return subprocess.Popen(command)


def tell(folder: pathlib.Path, *hooks: webhook_config.Hook) -> None:
    config = webhook_config.Config(uuid.UUID(int=2), hooks)
    (folder / "webhooks.new").write_bytes(webhook_config.render(config))
    (folder / "webhooks.new").rename(folder / "webhooks")


def wait_until(is_so: tp.Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def with_url(receiver: webhook_stage.Receiver) -> webhook_config.Hook:
    return webhook_config.Hook(
        HOOK.id, receiver.url(), HOOK.types, HOOK.secrets, revision=HOOK.revision
    )


def test_whenever_it_is_killed_every_event_arrives(
    tmp_path: pathlib.Path, control_plane: str
) -> None:
    chance = random.Random(5)  # noqa: S311 - no secret
    store = store_.Store(tmp_path)
    kept = 0
    with webhook_stage.receiving() as receiver:
        tell(tmp_path, with_url(receiver))
        for turn in range(8):
            daemon = start(tmp_path, control_plane)
            before = len(receiver.requests)
            store.keep(
                [Event(kept + n, Type.DELIVERED, f"id-{kept + n}") for n in range(200)], None, []
            )
            kept += 200
            if turn % 2:
                while batch := store.next():
                    store.forget(batch[0])
            if turn < 7:
                # Each at another place: before its first attempt, among them, after the last.
                enough = before + chance.randrange(250)
                deadline = time.monotonic() + 3
                while len(receiver.requests) < enough and time.monotonic() < deadline:
                    time.sleep(0.002)
            else:
                wait_until(lambda: len(set(receiver.ids)) == 8 * 200)
            daemon.send_signal(signal.SIGKILL)
            daemon.wait()
        assert len(set(receiver.ids)) == kept
        found = {json.loads(request.body)["data"]["queue_id"] for request in receiver.requests}
        assert found == {f"id-{n}" for n in range(kept)}
        # What was under way comes again, no more.
        assert len(receiver.ids) - kept <= 8 * 50
    store.close()


def test_it_tells_the_control_plane_how_webhooks_fare(
    tmp_path: pathlib.Path, control_plane: str
) -> None:
    store = store_.Store(tmp_path)
    with webhook_stage.receiving() as receiver:
        tell(tmp_path, with_url(receiver))
        daemon = start(tmp_path, control_plane)
        store.keep([Event(1, Type.DELIVERED)], None, [])
        wait_until(lambda: any(r.hooks and r.hooks[0].deliveries for r in reports()))
        tell(tmp_path)
        wait_until(lambda: reports()[-1].hooks == ())
        daemon.terminate()
        daemon.wait()
    (state,) = next(r.hooks for r in reports() if r.hooks and r.hooks[0].deliveries)
    assert (state.id, state.status, state.revision) == (
        HOOK.id,
        webhook_reports.Status.ACTIVE,
        HOOK.revision,
    )
    revisions = [row["value"]["revision"] for row in StatusApi.rows]
    assert revisions == sorted(set(revisions))
    assert reports()[-1].at > 0
    store.close()


def test_who_does_not_know_its_place_says_so(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [f"--store={tmp_path}", f"--configuration={tmp_path / 'agent'}"]
    assert webhooks.main([*arguments, f"--credentials={tmp_path}"]) == 1
    assert capsys.readouterr().err.startswith("exordos-mail-webhooks: ")


def test_without_webhooks_nothing_is_told(tmp_path: pathlib.Path, control_plane: str) -> None:
    store_.Store(tmp_path).close()
    daemon = start(tmp_path, control_plane)
    wait_until(lambda: (tmp_path / "webhooks.sqlite").exists())
    with pytest.raises(subprocess.TimeoutExpired):
        daemon.wait(4)
    daemon.terminate()
    daemon.wait()
    assert StatusApi.rows == []
