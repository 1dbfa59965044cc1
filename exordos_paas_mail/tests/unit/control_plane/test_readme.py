# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The README's commands, pasted into a shell against the real application over HTTP."""

from __future__ import annotations

import pathlib
import re
import socketserver
import subprocess
import threading
import typing as tp
from wsgiref import simple_server

import pytest

from exordos_paas_mail import models
from exordos_paas_mail.tests.unit.control_plane import api_client, fake_core

README = pathlib.Path(__file__).parents[4] / "README.md"
PROJECT = "11111111-2222-4333-8444-555555555555"


class _Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    daemon_threads = True


class _Quiet(simple_server.WSGIRequestHandler):
    def log_message(self, *_args: tp.Any) -> None:
        """Say nothing."""


@pytest.fixture
def url(api: api_client.Client) -> tp.Iterator[str]:
    server = simple_server.make_server(
        "127.0.0.1", 0, api.app, server_class=_Server, handler_class=_Quiet
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}{api_client.ROOT}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_the_api_commands_of_the_readme_work(
    api: api_client.Client, core: fake_core.FakeCore, url: str
) -> None:
    section = README.read_text().partition("\n## API\n")[2].partition("\n## ")[0]
    mine = {
        "CORE": core.url,
        "API": url,
        "PROJECT": PROJECT,
        "USERNAME": fake_core.USERNAME,
        "PASSWORD": fake_core.PASSWORD,
    }
    blocks = re.findall(r"```bash\n(.*?)```", section, re.DOTALL)
    fill_in, *_rest = blocks
    for name, value in mine.items():
        fill_in, replaced = re.subn(rf"\b{name}=\S+", f"{name}={value}", fill_in, count=1)
        assert replaced == 1
    api.version()
    script = "\n".join(["set -Eeuo pipefail", fill_in, *blocks[1:]])
    # What a curl that was refused prints would pass for an answer.
    script = script.replace("curl -sS", "curl --fail-with-body -sS")
    done = subprocess.run(
        ["bash", "-c", script], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"cpu": 2' in done.stdout
    assert models.MailInstance.objects.get_all() == []


def test_the_readme_lists_the_fields_the_api_has(api: api_client.Client) -> None:
    schemas = api.admin().get("/specifications/3.0.3")["components"]["schemas"]
    listed = set(re.findall(r"^\| (`[^|]*`) \|", README.read_text(), re.MULTILINE))
    names = {name for cell in listed for name in re.findall(r"`(\w+)`", cell)}
    common = {"uuid", "project_id", "created_at", "updated_at", "instance"}
    for schema in ("MailInstance_Create", "MailAccount_Create"):
        assert schemas[schema]["properties"].keys() - common <= names
