# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The reference library of npm, which ``make test-webhooks`` installs, verifies what is sent."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import time
import typing as tp
import uuid

from exordos_paas_mail.codecs import mail_events, webhook_config, webhook_messages
from exordos_paas_mail.node.webhooks import client
from exordos_paas_mail.tests.unit.node import webhook_stage

ROOT = pathlib.Path(__file__).parents[3]
LIBRARY = ROOT / ".cache/standardwebhooks/node_modules"
PROGRAM = pathlib.Path(__file__).parent / "verify.cjs"
NODE_JS = pathlib.Path(sys.executable).parent / "node"
OLD, NEW, OTHER = (webhook_config.new_secret() for _ in range(3))
EVENT = mail_events.Event(
    1,
    mail_events.Type.FAILED,
    "1xWfZB-00000a-2E",
    recipient="b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher@example.org",
    text='no "such" \N{SNOWMAN} </script> \\ mailbox',
)


def verify(*said: tuple[str, dict[str, str], bytes]) -> list[tp.Any]:
    """Return what the library says of each secret, headers and body."""
    cases = [
        {"secret": secret, "headers": headers, "body": body.decode()}
        for secret, headers, body in said
    ]
    done = subprocess.run(
        [NODE_JS, PROGRAM],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "NODE_PATH": str(LIBRARY)},
    )
    return tp.cast("list[tp.Any]", json.loads(done.stdout))


def test_what_is_sent_is_verified_with_each_secret_and_with_no_other() -> None:
    body = webhook_messages.body(uuid.UUID(int=1), EVENT)
    with webhook_stage.receiving() as receiver:
        sending = client.Client(receiver.url(), webhook_stage.opener())
        assert sending.deliver((NEW, OLD), uuid.UUID(int=2), body).error == ""
        sending.close()
    (request,) = receiver.requests
    payload = json.loads(body)
    assert payload["data"]["text"] == EVENT.text
    refused = "WebhookVerificationError"
    old = webhook_messages.headers((NEW,), uuid.UUID(int=2), int(time.time()) - 3600, body)
    assert verify(
        (NEW, request.headers, request.body),
        (OLD, request.headers, request.body),
        (OTHER, request.headers, request.body),
        (NEW, request.headers, request.body + b" "),
        (NEW, {**request.headers, "webhook-id": str(uuid.UUID(int=3))}, request.body),
        (NEW, old, body),
    ) == [payload, payload, refused, refused, refused, refused]
