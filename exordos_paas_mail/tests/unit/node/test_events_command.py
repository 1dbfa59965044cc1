# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
import time
import typing as tp
import uuid
from unittest import mock

import pytest

from exordos_paas_mail.codecs import mail_events
from exordos_paas_mail.node import status_api
from exordos_paas_mail.node.commands import events
from exordos_paas_mail.node.events import figures, recorder, sender, store

if tp.TYPE_CHECKING:
    import pathlib

KEY = base64.b64encode(bytes(range(32))).decode()


def run(folder: pathlib.Path, **files: str) -> int:
    """Run the command with these files; it does not come back when they are right."""
    for name, text in files.items():
        (folder / name.replace("_", "-")).write_text(text)
    return events.main(
        [
            f"--log={folder / 'mainlog'}",
            f"--store={folder}",
            f"--configuration={folder / 'agent'}",
            f"--credentials={folder}",
        ]
    )


AGENT = "[universal_agent]\nstatus_endpoint = http://127.0.0.1:1\n"


@pytest.mark.parametrize(
    "files",
    [
        {"node_uuid": str(uuid.uuid4()), "node_key": KEY},
        {"agent": "[other]\n", "node_uuid": str(uuid.uuid4()), "node_key": KEY},
        {"agent": AGENT, "node_uuid": "x", "node_key": KEY},
        {"agent": AGENT, "node_uuid": str(uuid.uuid4())},
        {"agent": AGENT, "node_uuid": str(uuid.uuid4()), "node_key": f"{KEY}{KEY}?"},
    ],
)
def test_who_does_not_know_its_place_says_so_without_its_key(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], files: dict[str, str]
) -> None:
    assert run(tmp_path, **files) == 1
    said = capsys.readouterr().err
    assert said.startswith("exordos-mail-events: ")
    assert KEY not in said


def test_who_is_refused_for_long_starts_anew(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By systemd, with the key that the node has then."""
    kept = store.Store(tmp_path)
    kept.keep([mail_events.Event(1, mail_events.Type.COMPLETED)], None, [])
    kept.close()
    api = status_api.StatusApi("http://127.0.0.1:1", uuid.uuid4(), bytes(32))
    refused = status_api.RefusedError("the control plane answers 403")
    reader = recorder.Recorder(tmp_path / "mainlog", tmp_path, lambda: 2**40)
    sending = sender.Sender(api)
    clock = iter(range(0, 10**6, 7))
    with (
        mock.patch.object(api, "create", side_effect=refused) as create,
        mock.patch.object(time, "monotonic", side_effect=clock),
        mock.patch("time.sleep"),
    ):
        assert events.run(reader, sending, figures.Teller(tmp_path / "figures.json")) == 1
    assert create.call_count > 5
    assert capsys.readouterr().err.splitlines() == [
        "exordos-mail-events: the control plane answers 403"
    ]
    assert reader.store.waiting()[0] == 1
