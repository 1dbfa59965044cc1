# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A clock that is set under a relay at work, by two days either way, and set right again."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import sqlite3
import subprocess
import sys
import time
import typing as tp
import uuid
import zlib

import pytest

from exordos_paas_mail.codecs import log_ids, mail_events
from exordos_paas_mail.node.events import store
from exordos_paas_mail.tests.clock import clock as clock_
from exordos_paas_mail.tests.relay import internet as internet_
from exordos_paas_mail.tests.relay import leaving, units
from exordos_paas_mail.tests.relay import relay as relay_

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator

DAY = clock_.DAY
RECIPIENT = "someone@tls.example"
# The daemon at another pace: it waits for ten seconds here, and for a minute there.
QUEUE = """
from exordos_paas_mail.node.commands import queue
from exordos_paas_mail.node.queue import keeper, scheduler, spool

keeper.LOOK_PERIOD = keeper.HINTS_PERIOD = scheduler.AGAIN = spool.YOUNG = 1.0
keeper.SHARE_MAX = 1.0
raise SystemExit(queue.main())
"""
EVENTS = """
from exordos_paas_mail.node.commands import events

raise SystemExit(events.main())
"""


@pytest.fixture
def clock(relay: relay_.Relay) -> Iterator[clock_.Clock]:
    """Give the clock of a relay."""
    with contextlib.closing(clock_.Clock()) as clock:
        relay.units.restart()
        yield clock
    relay.wait_until_idle()
    relay.units.restart()


@pytest.fixture
def daemons(clock: clock_.Clock, tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Run exordos-mail-events and exordos-mail-queue by the clock; give their folder."""
    assert clock.ahead == 0
    (tmp_path / "node-uuid").write_text(str(uuid.uuid4()))
    (tmp_path / "node-key").write_text(base64.b64encode(os.urandom(32)).decode())
    (tmp_path / "agent.conf").write_text(
        "[universal_agent]\nstatus_endpoint = http://127.0.0.1:9\n"
    )
    own = [f"--store={tmp_path}", f"--credentials={tmp_path}"]
    own.append(f"--configuration={tmp_path}/agent.conf")
    with contextlib.ExitStack() as stack:
        for program, *options in ((QUEUE,), (EVENTS, f"--figures={tmp_path}/figures.json")):
            command = [sys.executable, "-c", program, *own, *options]
            process = stack.enter_context(subprocess.Popen(command, stderr=subprocess.DEVNULL))
            stack.callback(process.kill)
        yield tmp_path


@contextlib.contextmanager
def unreachable(address: str) -> Iterator[None]:
    """Have nobody be at *address* for a while."""
    route = ("unreachable", f"{address}/32")
    subprocess.run(["ip", "route", "add", *route], check=True)
    try:
        yield
    finally:
        subprocess.run(["ip", "route", "del", *route], check=True)


def submit(relay: relay_.Relay, recipient: str = RECIPIENT) -> str:
    """Submit a message and return its queue id."""
    code, text = relay.send(recipients=[recipient])
    assert code == 250, text
    return text.removeprefix("OK id=")


def wait_for(what: str, is_so: tp.Callable[[], bool]) -> None:
    deadline = time.monotonic() + units.PATIENCE
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def wait_for_looks(folder: pathlib.Path) -> None:
    """Wait until the daemon has looked at what there is now."""
    scheduled = folder / "scheduled"
    wait_for("no look", scheduled.exists)
    seen: set[int] = set()

    def is_enough() -> bool:
        # One may be under way, and the times of retry are read a look later.
        seen.add(scheduled.stat().st_mtime_ns)
        return len(seen) > 3

    wait_for("no look", is_enough)


def told(folder: pathlib.Path) -> list[mail_events.Event]:
    """Return the events that wait for the control plane."""
    with contextlib.closing(sqlite3.connect(folder / store.FILE_NAME)) as db:
        rows = db.execute("SELECT events FROM batches ORDER BY seq").fetchall()
    return [event for (data,) in rows for event in mail_events.parse(zlib.decompress(data))]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("days", [2, -2], ids=["ahead", "back"])
def test_what_waits_while_a_clock_is_wrong_is_neither_lost_nor_ended(
    relay: relay_.Relay,
    internet: internet_.Internet,
    clock: clock_.Clock,
    daemons: pathlib.Path,
    days: int,
) -> None:
    def attempts(name: str) -> int:
        return len(relay.log_lines(f"{name} == .* No route to host"))

    def is_delivered() -> bool:
        """Return whether nothing but the session is under way."""
        return relay.units.running() <= opened

    with unreachable(internet_.TLS_ADDRESS), relay.login() as session:
        opened = relay.units.sessions()
        before = submit(relay)
        wait_for("no attempt", lambda: attempts(before) == 1)
        wait_for("a delivery does not end", is_delivered)
        wait_for_looks(daemons)

        clock.set(days * DAY)
        # As exordos-mail-keep does
        relay.units.reload()
        # By its retry time, or because that is of no time of now.
        wait_for("no attempt at another time", lambda: attempts(before) > 1)
        # A session that was open goes on.
        assert session.sendmail(relay_.ALICE, [RECIPIENT], relay_.message(From=relay_.ALICE)) == {}
        meanwhile = submit(relay)
        assert abs(log_ids.arrived(meanwhile) - clock.now()) < DAY / 4
        relay.wait_for_log(f"{meanwhile} == ")
        wait_for("a delivery does not end", is_delivered)
        wait_for_looks(daemons)
        assert len(relay.queue()) == 3

    clock.set(0)
    relay.units.reload()

    def arrived() -> int:
        return sum(one.recipients == [RECIPIENT] for one in internet.received())

    wait_for("not all arrive", lambda: arrived() == 3)
    relay.wait_for_queue(0)
    assert relay.log_lines(r" \*\* ") == []
    after = submit(relay)
    wait_for("nothing of now arrives", lambda: arrived() == 4)

    by_name: dict[str, list[mail_events.Event]] = {}

    def are_told() -> bool:
        by_name.update({name: [] for name in (before, meanwhile, after)})
        for event in told(daemons):
            by_name.get(event.queue_id, []).append(event)
        return all(each and each[-1].type.value == "completed" for each in by_name.values())

    wait_for("not all is told", are_told)
    for name in (before, meanwhile, after):
        kinds = [event.type.value for event in by_name[name]]
        assert kinds[:2] + kinds[-2:] == ["submitted", "accepted", "delivered", "completed"]
        assert set(kinds[2:-2]) == (set() if name == after else {"deferred"})
        # Of the clock as it was then
        ahead = [(event.at / 1000 - time.time()) / DAY for event in by_name[name]]
        expected = days if name == meanwhile else 0
        assert [round(ahead[0]), round(ahead[-1])] == [expected, 0]


def test_a_certificate_is_judged_by_the_clock(
    relay: relay_.Relay, internet: internet_.Internet, clock: clock_.Clock
) -> None:
    cases = [
        (0, "valid.example", "=>"),
        (-2 * DAY, "valid.example", "=="),
        (91 * DAY, "valid.example", "=="),
        (0, "expired.example", "=="),
        # It had begun, and not ended.
        (-DAY * 3 // 4, "expired.example", "=>"),
    ]
    found = []
    with leaving.trusted(relay, internet):
        relay.set_tls_policies({"*": "verify"})
        for ahead, domain, _ in cases:
            clock.set(ahead)
            relay.units.reload()
            relay.forget_counts()
            name = submit(relay, f"a@{domain}")
            (line,) = relay.wait_for_log(f" {name} (=>|==) ")
            found.append((ahead, domain, re.findall(" (=>|==) ", line)[0]))
            relay.wait_until_idle()
        clock.set(0)
    assert found == cases
