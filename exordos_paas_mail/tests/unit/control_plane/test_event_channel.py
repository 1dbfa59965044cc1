# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A node's daemon and the real Status API, on a real PostgreSQL."""

from __future__ import annotations

import base64
import contextlib
import datetime
import os
import random
import subprocess
import sys
import threading
import time
import typing as tp
import uuid
from wsgiref import simple_server

import pytest
from gcl_sdk.agents.universal.dm import models as sdk_models

from exordos_paas_mail.codecs import event_batches, mail_events
from exordos_paas_mail.node import status_api
from exordos_paas_mail.node.events import recorder, sender, store
from exordos_paas_mail.tests.unit.codecs import log_lines
from exordos_paas_mail.tests.unit.control_plane import sealed, status_server

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator

    from exordos_paas_mail.tests.unit.control_plane import stage as stages

KEY, NODE = status_server.KEY, status_server.NODE
EVENT = mail_events.Event(1, mail_events.Type.COMPLETED, log_lines.ID)
# A message that is sent to one recipient, and gets there.
LINES = [
    text.partition(" ")[2]
    for start in ("accepted ", "<= ", "=> ", "Completed")
    for text in [text for text, _ in log_lines.LINES if text.startswith(f"{log_lines.ID} {start}")][
        :1
    ]
]
KINDS = ("submitted", "accepted", "delivered", "completed")
DAEMON = "from exordos_paas_mail.node.commands import events; raise SystemExit(events.main())"


class _Quiet(simple_server.WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def arrived() -> list[tuple[uuid.UUID, int, list[mail_events.Event]]]:
    """Return the batches the control plane has: stream, number, events."""
    rows = sdk_models.Resource.objects.get_all(filters={})
    batches = [event_batches.parse(row.value) for row in rows if row.kind == event_batches.KIND]
    return sorted(
        (b.stream, b.seq, mail_events.parse(event_batches.unseal(KEY, NODE, b))) for b in batches
    )


def test_a_batch_arrives_and_its_repetition_changes_nothing(
    endpoint: str, tmp_path: pathlib.Path
) -> None:
    kept = store.Store(tmp_path)
    kept.keep([EVENT], None, [])
    (seq, events) = kept.next() or (0, b"")
    api = status_api.StatusApi(endpoint, NODE, KEY)
    sender.send(api, kept.stream, seq, events)
    # As after a kill between the answer and the store's hearing of it.
    assert sender.Sender(api).turn(kept) is True
    assert sender.Sender(api).turn(kept) is False
    assert arrived() == [(kept.stream, 1, [EVENT])]
    (row,) = sdk_models.Resource.objects.get_all(filters={})
    assert (row.uuid, row.node) == (event_batches.row_uuid(NODE, kept.stream, 1), NODE)


@pytest.mark.parametrize("taken", ["the place", "the key of the table", "both"])
def test_a_row_that_was_made_beforehand_keeps_no_batch_away(
    endpoint: str, tmp_path: pathlib.Path, taken: str
) -> None:
    kept = store.Store(tmp_path)
    kept.keep([EVENT], None, [])
    uuid = event_batches.row_uuid(NODE, kept.stream, 1)
    key = sdk_models.Resource.gen_res_uuid(uuid, event_batches.KIND)
    junk = {"version": 1, "stream": str(kept.stream), "seq": 1, "events": "AAAA"}
    if taken == "the key of the table":
        sdk_models.Resource(uuid=NODE, kind="junk", res_uuid=key, value={}).insert()
    else:
        sdk_models.Resource(
            uuid=uuid,
            kind=event_batches.KIND,
            res_uuid=key if taken == "both" else uuid,
            value=junk,
            node=uuid,
        ).insert()
    sending = sender.Sender(status_api.StatusApi(endpoint, NODE, KEY))
    assert [sending.turn(kept), sending.turn(kept)] == [True, False]
    rows = sdk_models.Resource.objects.get_all(filters={})
    found = [row for row in rows if row.kind == event_batches.KIND]
    assert [(row.uuid, row.node, row.res_uuid == key) for row in found] == [(uuid, NODE, False)]
    opened = event_batches.unseal(KEY, NODE, event_batches.parse(found[0].value))
    assert (mail_events.parse(opened), kept.waiting()[0]) == ([EVENT], 0)


def test_a_row_that_is_made_again_and_again_is_no_batch_that_has_arrived(
    endpoint: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = store.Store(tmp_path)
    kept.keep([EVENT], None, [])
    api = status_api.StatusApi(endpoint, NODE, KEY)
    uuid = event_batches.row_uuid(NODE, kept.stream, 1)
    api.create(event_batches.KIND, uuid, {})
    # As if somebody else had made it anew at once.
    monkeypatch.setattr(api, "delete", lambda *_: None)
    with pytest.raises(status_api.StatusError, match="somebody else"):
        sender.Sender(api).turn(kept)
    assert kept.waiting()[0] == 1


def test_the_largest_batch_arrives(endpoint: str) -> None:
    stream = uuid.uuid4()
    noise = [
        mail_events.Event(n, mail_events.Type.GAP, text=os.urandom(200).hex()) for n in range(500)
    ]
    api = status_api.StatusApi(endpoint, NODE, KEY)
    sender.send(api, stream, 1, mail_events.render(noise))
    assert arrived() == [(stream, 1, noise)]


def test_a_node_with_another_key_is_refused_and_waits(
    endpoint: str, tmp_path: pathlib.Path
) -> None:
    kept = store.Store(tmp_path)
    kept.keep([EVENT], None, [])
    other = sender.Sender(status_api.StatusApi(endpoint, NODE, KEY[::-1]))
    with pytest.raises(status_api.RefusedError):
        other.turn(kept)
    assert other.refused_since is not None
    assert other.turn(kept) is False
    assert (kept.waiting()[0], arrived()) == (1, [])


def test_an_answer_that_is_not_the_control_planes_is_none(tmp_path: pathlib.Path) -> None:
    def anybody(_: object, start: tp.Callable[..., object]) -> list[bytes]:
        start("201 Created", [("X-Genesis-Nonce", base64.b64encode(bytes(12)).decode())])
        return [b"{}"]

    kept = store.Store(tmp_path)
    kept.keep([EVENT], None, [])
    with simple_server.make_server("127.0.0.1", 0, anybody, handler_class=_Quiet) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        api = status_api.StatusApi(f"http://127.0.0.1:{server.server_port}", NODE, KEY)
        with pytest.raises(status_api.StatusError, match="not the control plane's"):
            sender.Sender(api).turn(kept)
        thread.join()
    assert kept.waiting()[0] == 1


def told(event: mail_events.Event) -> tuple[str, str]:
    return event.queue_id, event.type.value


def test_what_exim_logs_is_what_the_api_tells(
    endpoint: str, stage: stages.Stage, tmp_path: pathlib.Path
) -> None:
    node = stage.serving()
    stage.api.account(stage.path)
    key = sealed.Writer(node).key()
    api = status_api.StatusApi(endpoint, node.uuid, key)
    names = {"DELIVERED": sealed.queue_id(1), "FAILED": sealed.queue_id(2)}
    (failure,) = (
        text.partition(" ")[2]
        for text, _ in log_lines.LINES
        if text.startswith(f"{log_lines.ID} ** bob@example.net") and "550 5.1.1" in text
    )
    tagged = next(text.partition(" ")[2] for text, _ in log_lines.LINES if " tags=" in text)
    lines = {
        names["DELIVERED"]: [tagged.replace("recipients=2", "recipients=1"), *LINES[1:]],
        names["FAILED"]: [*LINES[:2], failure, LINES[3]],
    }
    stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    log = tmp_path / "mainlog"
    with log.open("w") as file:
        for name, texts in lines.items():
            for text in texts:
                own = text.replace(log_lines.ID, name).replace(log_lines.ALICE, sealed.LOGIN)
                file.write(f"{stamp} [493] {name} {own}\n")
    reading = recorder.Recorder(log, tmp_path, lambda: 2**40)
    sending = sender.Sender(api)
    deadline = time.monotonic() + 60
    while not sending.turn(reading.store):
        assert time.monotonic() < deadline
        if not reading.turn():
            time.sleep(0.1)
    sealed.take_in()

    told = stage.api.get(f"{stage.path}/messages/")
    assert {each["queue_id"]: each["status"] for each in told} == {
        name: status for status, name in names.items()
    }
    (delivered,) = (each for each in told if each["status"] == "DELIVERED")
    shown = ("sender", "header_message_id", "tags", "recipients_count")
    assert [delivered[name] for name in shown] == [
        sealed.LOGIN,
        "17.24@example.com",
        ["welcome", "campaign 7"],
        1,
    ]
    events = stage.api.get(f"{stage.path}/events/?type=failed")
    assert [(each["recipient"], each["code"], each["class"]) for each in events] == [
        ("bob@example.net", 550, "recipient_unknown")
    ]
    assert sealed.waiting() == 0


class Node:
    """A node's daemon, with a log that is written and rotated meanwhile."""

    def __init__(self, folder: pathlib.Path, endpoint: str) -> None:
        self.log = folder / "mainlog"
        (folder / "store").mkdir()
        (folder / "node-uuid").write_text(f"{NODE}\n")
        (folder / "node-key").write_text(base64.b64encode(KEY).decode())
        (folder / "agent.conf").write_text(f"[universal_agent]\nstatus_endpoint = {endpoint}\n")
        self._command = [
            sys.executable,
            "-c",
            DAEMON,
            f"--log={self.log}",
            f"--store={folder / 'store'}",
            f"--configuration={folder / 'agent.conf'}",
            f"--credentials={folder}",
        ]
        self.written: list[tuple[str, str]] = []

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Have the daemon run until it is killed, as by a power cut."""
        process = subprocess.Popen(self._command)
        try:
            yield
        finally:
            process.kill()
            process.wait()

    def write(self, messages: int) -> None:
        """Write what exim writes of some messages."""
        with self.log.open("a") as log:
            for _ in range(messages):
                name = f"1xWXbc-{len(self.written) // len(LINES):06}-20"
                for text in LINES:
                    stamp = datetime.datetime.now(datetime.timezone.utc)
                    at = stamp.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
                    log.write(f"{at} [493] {name} {text}\n")
                self.written += [(name, kind) for kind in KINDS]

    def rotate(self) -> None:
        for number in (2, 1):
            with contextlib.suppress(FileNotFoundError):
                self.log.with_name(f"mainlog.{number}").rename(f"{self.log}.{number + 1}")
        self.log.rename(f"{self.log}.1")


def wait_until(reached: tp.Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_kills_at_any_time_lose_nothing_and_repeat_nothing(
    endpoint: str, tmp_path: pathlib.Path
) -> None:
    chance = random.Random(os.environ.get("MAILAAS_SEED", "kills"))  # noqa: S311 - no secret
    node = Node(tmp_path, endpoint)
    for number in range(4):
        node.write(1 + chance.randrange(300))
        with node.running():
            # Without a place in the log it would begin with the one that is written to,
            # which a busy machine may have rotated before the daemon looks for it.
            if number == 0:
                wait_until(lambda: arrived() != [])
            until = time.monotonic() + chance.uniform(0.5, 4.0)
            while time.monotonic() < until:
                node.write(chance.randrange(3))
                time.sleep(chance.uniform(0.0, 0.05))
            if number in {1, 3}:
                node.write(1)
                node.rotate()
                node.write(chance.randrange(1, 200))
                time.sleep(chance.uniform(0.0, 3.0))
    node.write(1)
    with node.running():
        wait_until(lambda: told(arrived()[-1][2][-1]) == node.written[-1])
    came = arrived()
    assert len({stream for stream, _, _ in came}) == 1
    assert [seq for _, seq, _ in came] == list(range(1, len(came) + 1))
    assert [told(event) for _, _, part in came for event in part] == node.written
