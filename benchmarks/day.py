# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A day of a busy node in minutes: what grows with its hours, and should not.

Each of 24 hours has MESSAGES (100 where it is not given) messages of four clients to 20 new
domains, of which each tenth waits for its server and each twentieth is refused, two logins
that fail, two changes of the account file, a reload and a run of exim's queue; what waits is
ended by hand an hour later. At noon is what a node does once a day: the log is rotated, and
exim's hints are swept. The daemons run beside exim as on a node, against a server that
answers as the Status API does.

After each hour, at rest, is looked at: memory and open files of each process, exim's hint
databases, the files in its spool, the daemons' stores. Time is not faked: what a day brings
comes sooner. Exit status 1 when a bound is broken; each is of the last hour to the sixth:

- memory of each process: at most 1.1 times, and one megabyte;
- open files of each process: two more at most, of a request that is under way, and of a
  database, which SQLite keeps to open it again;
- exim's hint databases: at most 1.5 times;
- the spool has no file but those of what waits, and none when nothing waits;
- exim's panic log is empty.

Runs inside the relay's bench: make benchmark-day
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import functools
import operator
import pathlib
import re
import smtplib
import subprocess
import sys
import tempfile
import time
import typing as tp

from benchmarks import node_daemons
from exordos_paas_mail import constants
from exordos_paas_mail.node import machine as machine_
from exordos_paas_mail.node.parts import accounts
from exordos_paas_mail.tests.relay import internet as internet_
from exordos_paas_mail.tests.relay import policy, sts
from exordos_paas_mail.tests.relay import relay as relay_

if tp.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOURS: tp.Final = 24
FIRST: tp.Final = 6
"""The hour that the last is compared with: caches are full by then."""
NOON: tp.Final = 12
CLIENTS: tp.Final = 4
DOMAINS: tp.Final = 20
MEMORY_MAX: tp.Final = 1.1
HINTS_MAX: tp.Final = 1.5
CONNECTIONS_MAX: tp.Final = 2
_SHOWN: tp.Final = (1, FIRST, NOON, 18, HOURS)
_STORE: tp.Final = pathlib.Path(constants.EVENTS_DIR)
_HINTS: tp.Final = relay_.SPOOL / "db"
_MEGABYTE: tp.Final = 2**20


@dataclasses.dataclass(frozen=True)
class Machine(machine_.Machine):
    """This machine, whose exim is reloaded by the bench's units."""

    units: tp.Any = None

    def reload_relay(self) -> None:
        """Do what systemd would."""
        self.units.reload()


class Day:
    """What happens on a node in an hour, and what it comes to."""

    def __init__(self, relay: relay_.Relay, pids: dict[str, Callable[[], int]]) -> None:
        self._relay, self._pids = relay, pids
        self._accounts = accounts.Accounts(Machine(units=relay.units))
        self._waiting: list[str] = []
        self.sent = 0

    def hour(self, number: int, messages: int) -> None:
        """Have all of an hour happen."""
        self.end_what_waits()
        names = [f"d{number}-{one}.example" for one in range(DOMAINS)]
        for name in names:
            internet_.ZONE[name, "MX"] = ["10 mx.public.example."]
        share = -(-messages // CLIENTS)
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            done = [pool.submit(self._send, names, client, share) for client in range(CLIENTS)]
        for one in done:
            one.result()
        self.sent += share * CLIENTS
        for _ in range(2):
            self._fail_to_log_in()
        text = self._accounts.read()
        line = text.splitlines(keepends=True)[-1].replace("bob@", "carol@")
        self._accounts.ensure(text + line)
        self._accounts.ensure(text)
        self._relay.units.reload()
        self._relay.run_due()
        self._relay.wait_until_idle(seconds=600)
        self._waiting = self._relay.queue()
        if number == NOON:
            self._sweep()

    def end_what_waits(self) -> None:
        """End by hand what an hour has left in the queue."""
        if self._waiting:
            subprocess.run(["exim4", "-Mrm", *self._waiting], check=True, capture_output=True)
        self._waiting = []

    def look(self) -> dict[str, float]:
        """Return what there is now, at rest."""
        found: dict[str, float] = {}
        for name, pid in self._pids.items():
            found[f"{name}, MB"] = _memory(pid()) / _MEGABYTE
            found[f"{name}, open files"] = _open_files(pid())
        found["hint databases, kB"] = sum(path.stat().st_size for path in _HINTS.iterdir()) / 1000
        kept = [path for name in ("input", "msglog") for path in _files(relay_.SPOOL / name)]
        left = [path for path in kept if not path.name.startswith(tuple(self._waiting) or ("?",))]
        found["messages that wait"] = len(self._waiting)
        found["other files in the spool"] = len(left)
        found["exim's logs, MB"] = _size(relay_.LOG.parent) / _MEGABYTE
        for path in sorted(_STORE.glob("*.sqlite")):
            size = sum(each.stat().st_size for each in _STORE.glob(f"{path.name}*"))
            found[f"{path.name}, MB"] = size / _MEGABYTE
        return found

    def _send(self, names: list[str], client: int, count: int) -> None:
        with self._relay.login() as session:
            for number in range(count):
                self._send_one(session, names[number % len(names)], client + CLIENTS * number)

    @staticmethod
    def _send_one(session: smtplib.SMTP, domain: str, number: int) -> None:
        local = "later" if number % 10 == 0 else "refused" if number % 20 == 5 else "someone"  # noqa: PLR2004
        text = relay_.message(From=relay_.ALICE, X_Mail_Tag=f"tag-{number % 7}")
        session.sendmail(relay_.ALICE, [f"{local}@{domain}"], text)

    def _fail_to_log_in(self) -> None:
        with (
            self._relay.connect(465) as client,
            contextlib.suppress(smtplib.SMTPAuthenticationError),
        ):
            client.login(relay_.BOB, "wrong")

    def _sweep(self) -> None:
        """Do what is done once a day."""
        relay_.LOG.rename(relay_.LOG.with_name("mainlog.1"))
        for path in _HINTS.iterdir():
            if path.suffix != ".lockfile":
                command = ["exim_tidydb", "-t", "0s", str(relay_.SPOOL), path.name]
                subprocess.run(command, check=True, capture_output=True)


def _memory(pid: int) -> int:
    shown = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(map(int, re.findall(r"^Pss: +(\d+) kB$", shown, re.MULTILINE))) * 1024


def _open_files(pid: int) -> int:
    return len([*pathlib.Path(f"/proc/{pid}/fd").iterdir()])


def _files(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _size(folder: pathlib.Path) -> int:
    return sum(path.stat().st_size for path in _files(folder))


@contextlib.contextmanager
def daemons(folder: pathlib.Path, relay: relay_.Relay) -> Iterator[dict[str, Callable[[], int]]]:
    """Give what returns the process of each daemon, by name."""
    with contextlib.ExitStack() as stack:
        found: dict[str, Callable[[], int]] = {}
        own: dict[str, tp.Any] = {
            "exordos-mail-policy": policy.Policy(),
            "exordos-mail-sts": sts.Sts(),
        }
        for name, daemon in own.items():
            stack.callback(daemon.close)
            found[name] = functools.partial(operator.attrgetter("process.pid"), daemon)
        for name in ("events", "queue"):
            place = folder / name
            place.mkdir()
            options = [f"--store={_STORE}"]
            if name == "events":
                options.append(f"--figures={place}/figures.json")
            running = node_daemons.running(name, place, lambda _: None, *options)
            pid = stack.enter_context(running)
            found[f"exordos-mail-{name}"] = functools.partial(int, pid)
        for port in relay.units.listeners:
            found[f"exim4@{port}"] = functools.partial(_listener, relay, port)
        yield found


def _listener(relay: relay_.Relay, port: int) -> int:
    return relay.units.listeners[port].pid


def broken(looks: dict[int, dict[str, float]]) -> list[str]:
    """Return the bounds that are broken."""
    first, last = looks[FIRST], looks[HOURS]
    wrong = []
    for what, value in last.items():
        if what.endswith(", MB") and what.startswith("exordos"):
            is_wrong = value > MEMORY_MAX * first[what] + 1
        elif what.endswith(", open files"):
            is_wrong = value > first[what] + CONNECTIONS_MAX
        elif what.startswith("hint"):
            is_wrong = value > HINTS_MAX * first[what]
        else:
            is_wrong = what.startswith("other files") and value > 0
        if is_wrong:
            wrong.append(f"{what}: {first[what]:.1f} and {value:.1f}")
    return wrong


def main(messages: int = 100) -> int:
    """Print the figures; returns 1 when a bound is broken."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = pathlib.Path(name)
        world = internet_.Internet(folder / "mx")
        stack.callback(world.close)
        relay = relay_.Relay()
        relay.configure(recipients_per_hour=1_000_000)
        relay.units.start()
        stack.callback(relay.units.stop)
        pids = stack.enter_context(daemons(folder, relay))
        day = Day(relay, pids)
        looks: dict[int, dict[str, float]] = {}
        for number in range(1, HOURS + 1):
            day.hour(number, messages)
            looks[number] = day.look()
            world.forget()
        day.end_what_waits()
        left = [*_files(relay_.SPOOL / "input"), *_files(relay_.SPOOL / "msglog")]
        panic = relay_.PANIC_LOG
        said = panic.read_text() if panic.exists() else ""
    for what in looks[HOURS]:
        print(f"{what:34}", *(f"{looks[number].get(what, 0):9.1f}" for number in _SHOWN))
    print(f"{day.sent} messages in {time.monotonic() - begun:.0f} s; by the hours {_SHOWN}")
    wrong = broken(looks)
    if left:
        wrong.append(f"{len(left)} files in the spool of no message")
    if said:
        wrong.append(f"the panic log: {said[:500]}")
    print("; ".join(wrong) or "all in bounds")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main(*map(int, sys.argv[1:])))
