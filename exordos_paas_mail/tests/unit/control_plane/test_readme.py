# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The documents' commands, pasted into a shell against the real application over HTTP."""

from __future__ import annotations

import json
import pathlib
import re
import shlex
import socketserver
import subprocess
import threading
import typing as tp
from wsgiref import simple_server

import pytest
from restalchemy.dm import filters

from clients import issuing
from exordos_paas_mail import models
from exordos_paas_mail.tests.unit.control_plane import api_client, fake_core

ROOT = pathlib.Path(__file__).parents[4]
README = ROOT / "README.md"
OPERATIONS = ROOT / "docs" / "operations.md"
PROJECT = "11111111-2222-4333-8444-555555555555"

CREATED = re.compile(r"Mail\w+_Create")


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


def _api_blocks() -> list[str]:
    section = README.read_text().partition("\n## API\n")[2].partition("\n## ")[0]
    return re.findall(r"```bash\n(.*?)```", section, re.DOTALL)


def _paste(
    core: fake_core.FakeCore,
    url: str,
    *blocks: str,
    fill_in: str | None = None,
    project: str | None = PROJECT,
) -> str:
    """Return what the shell prints after *fill_in*, filled in, and *blocks*.

    What is to be filled in is the README's first block, if nothing else is given.
    """
    fill_in = fill_in or _api_blocks()[0]
    mine = {
        "CORE": core.url,
        "API": url,
        "PROJECT": project,
        "USERNAME": fake_core.USERNAME,
        "PASSWORD": fake_core.PASSWORD,
    }
    for name, value in mine.items():
        fill_in = re.sub(rf"\b{name}=\S+", f"{name}={value}", fill_in, count=1)
    script = "\n".join(["set -Eeuo pipefail", fill_in, *blocks])
    # What a curl that was refused prints would pass for an answer.
    script = re.sub(r"curl -sS(?! --fail)", "curl --fail-with-body -sS", script)
    done = subprocess.run(
        ["bash", "-c", script], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_api_commands_of_the_readme_work(
    api: api_client.Client, core: fake_core.FakeCore, url: str
) -> None:
    api.version()
    assert '"cpu": 2' in _paste(core, url, *_api_blocks()[1:])
    assert models.MailInstance.objects.get_all() == []


def test_the_commands_of_each_kind_of_certificate_work(
    api: api_client.Client, core: fake_core.FakeCore, url: str, tmp_path: pathlib.Path
) -> None:
    issued = issuing.Authority().issue("mail.example.com")
    (tmp_path / "fullchain.pem").write_text(issued.chain)
    (tmp_path / "privkey.pem").write_text(issued.key)
    certificate = core.add_certificate(api.project_id, "mail.example.com")
    instance = api.instance()
    known = (
        f"INSTANCE={instance.rpartition('/')[2]}\nCERTIFICATE={certificate}\n"
        f"cd {shlex.quote(str(tmp_path))}"
    )
    section = README.read_text().partition("\n### Certificate\n")[2].partition("\n### ")[0]
    kinds = []
    for block in re.findall(r"```bash\n(.*?)```", section, re.DOTALL):
        printed = json.loads(_paste(core, url, known, block, project=api.project_id))
        assert printed["tls_status"] == "PENDING"
        kinds.append(api.get(instance)["tls"]["kind"])
    assert kinds == ["acme", "core", "manual"]


def test_the_commands_about_what_became_of_mail_work(
    api: api_client.Client, core: fake_core.FakeCore, url: str
) -> None:
    known = f"INSTANCE={api.instance().rpartition('/')[2]}"
    section = README.read_text().partition("\n## What became of my mail\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"```bash\n(.*?)```", section, re.DOTALL)
    assert len(blocks) == 9
    printed = _paste(core, url, known, *blocks, project=api.project_id)
    # No mail was sent yet.
    assert printed.splitlines() == [
        "null",
        "0",
        '{"queue_messages":null,"queue_oldest_at":null}',
        '{"status":"PENDING","result":null,"error":""}',
        "PENDING",
        "PENDING",
        '{"status":"ACTIVE","last_error":"","waiting":0}',
        "USER",
        '{"on_hard_bounce":true,"after":2,"expires_days":30,"action":"reject"}',
        '{"kind":"managed","forward":true}',
        '{"level":"failures","retention_days":30,"max_rows":1000000}',
        known.partition("=")[2],
    ]


def test_the_api_commands_of_the_operations_work(
    api: api_client.Client, core: fake_core.FakeCore, url: str
) -> None:
    path = api.instance()
    for username in ("noreply", "shop", "satellite"):
        api.account(path, username, password="correct-horse-battery")
    before = _account("noreply").password_hash
    tasks = {}
    for section in OPERATIONS.read_text().split("\n## ")[1:]:
        blocks = re.findall(r"^```bash\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
        # The others are for a machine, for Core, or ask a name server.
        if mine := [block for block in blocks if "mail " in block and "dig " not in block]:
            tasks[section.partition("\n")[0]] = [block for block in mine if "$INSTANCE" in block]
    assert {name: len(blocks) for name, blocks in tasks.items() if blocks} == {
        "Publish the DNS records of an instance": 1,
        "Give a relay a name of its own": 1,
        "Read a status": 1,
        "Re-image a node": 1,
        "Grow a data disk": 1,
        "Replace a DKIM key": 1,
        "Find out why a login fails": 1,
        "Stop a stolen credential": 2,
        "Say who may send as whom": 1,
        "Send from another domain": 2,
    }
    known = f"INSTANCE={path.rpartition('/')[2]}"
    blocks = [block for blocks in tasks.values() for block in blocks]
    printed = _paste(core, url, known, *blocks, project=api.project_id)
    account = _account("noreply")
    (instance,) = models.MailInstance.objects.get_all()
    assert (account.active, instance.disk_size) == (True, 20)
    assert instance.hostname == "smtp.example.com"
    assert account.password_hash != before
    assert instance.sender_policy == "account"
    assert _account("shop").senders == ["noreply@mail.example.com"]
    # The account was off, then on again.
    assert printed.splitlines()[-2:] == ["false", "true"]


def _account(username: str) -> models.MailAccount:
    found = models.MailAccount.objects.get_one(filters={"username": filters.EQ(username)})
    return tp.cast("models.MailAccount", found)


def test_the_operations_shell_calls_core(core: fake_core.FakeCore, url: str) -> None:
    shells = OPERATIONS.read_text().partition("\n## Two shells\n")[2].partition("\n## ")[0]
    (fill_in,) = re.findall(r"```bash\n(.*?)```", shells, re.DOTALL)
    assert _paste(core, url, "core GET 'compute/sets/' | jq -c .", fill_in=fill_in) == "[]\n"


def test_the_readme_lists_the_fields_the_api_has(api: api_client.Client) -> None:
    schemas = api.admin().get("/specifications/3.0.3")["components"]["schemas"]
    listed = set(re.findall(r"^\| (`[^|]*`) \|", README.read_text(), re.MULTILINE))
    names = {name for cell in listed for name in re.findall(r"`(\w+)`", cell)}
    common = {"uuid", "project_id", "created_at", "updated_at", "instance"}
    bodies = {name: schema for name, schema in schemas.items() if CREATED.fullmatch(name)}
    assert {
        name: missing
        for name, schema in bodies.items()
        if (missing := schema["properties"].keys() - common - names)
    } == {}
    assert bodies
