# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import collections
import contextlib
import re
import smtplib
import subprocess
import threading
import time
import typing as tp

import pytest

from exordos_paas_mail.tests.relay import internet as internet_
from exordos_paas_mail.tests.relay import relay as relay_
from exordos_paas_mail.tests.relay import units

ALICE = relay_.ALICE
DOMAIN = relay_.DOMAIN
CHANGES = 200


@tp.final
class Clients:
    """Connects without pause on every port, and counts how it ends."""

    def __init__(self, relay: relay_.Relay, per_port: int) -> None:
        self._relay = relay
        self._over = threading.Event()
        self.ends: collections.Counter[tuple[int, str]] = collections.Counter()
        self._threads = [
            threading.Thread(target=self._connect, args=(port,))
            for port in units.PORTS
            for _ in range(per_port)
        ]

    def _connect(self, port: int) -> None:
        while not self._over.is_set():
            self.ends[port, self._end(port)] += 1

    def _end(self, port: int) -> str:
        try:
            client = self._relay.connect(port)
            return str(client.quit()[0])
        except (OSError, smtplib.SMTPException) as error:
            return type(error).__name__

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


@pytest.mark.timeout(600)
def test_no_client_is_refused_while_accounts_change_and_exim_reloads(relay: relay_.Relay) -> None:
    accounts = relay_.PASSWD.read_text()
    word = relay_.crypt("changing")
    with contextlib.ExitStack() as stack:
        open_before = [stack.enter_context(relay.login(port)) for port in units.PORTS]
        with Clients(relay, per_port=2) as clients:
            for change in range(CHANGES):
                extra = f"new{change}@{DOMAIN}:{word}\n"
                relay_.install(relay_.PASSWD, accounts + extra)
                before = {listener.pid for listener in relay.units.listeners.values()}
                relay.units.reload()
                after = {listener.pid for listener in relay.units.listeners.values()}
                assert before & after == set()
        assert [client.mail(ALICE)[0] for client in open_before] == [250] * len(units.PORTS)
    relay_.install(relay_.PASSWD, accounts)
    # Each port by itself, and nothing on any of them but greeting, TLS and QUIT.
    assert set(clients.ends) == {(port, "221") for port in units.PORTS}, clients.ends
    assert min(clients.ends.values()) > CHANGES / 4


@pytest.mark.parametrize("how", ["reload", "restart"])
def test_the_ports_take_over_a_changed_configuration(relay: relay_.Relay, how: str) -> None:
    with relay.login() as before:
        relay.configure(recipients_max=7)
        getattr(relay.units, how)()
        try:
            with relay.login() as after:
                for client, accepted in ((before, 8), (after, 7)):
                    client.mail(ALICE)
                    codes = [client.rcpt(f"r{n}@elsewhere.example")[0] for n in range(8)]
                    assert codes.count(250) == accepted
        finally:
            relay.configure()
            relay.units.reload()


def test_a_broken_configuration_is_refused_and_the_relay_runs_on(relay: relay_.Relay) -> None:
    good = relay_.CONFIG.read_text()
    for port in units.PORTS:
        # One that has just been started may not have read the good one yet.
        relay.connect(port).quit()
    runner = relay.units.queue_runner
    listeners = dict(relay.units.listeners)
    relay_.install(relay_.CONFIG, good.replace("acl_smtp_mail =", "acl_smtp_nail ="))
    try:
        with pytest.raises(subprocess.CalledProcessError):
            relay.units.reload()
        relay.login().quit()
        assert (relay.units.queue_runner, relay.units.listeners) == (runner, listeners)
    finally:
        relay_.install(relay_.CONFIG, good)


def test_mail_in_the_middle_of_its_data_survives_a_reload(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    with relay_.Raw(relay, 587, tls=True) as client:
        client.command(f"AUTH PLAIN {relay_.token(ALICE, relay_.PASSWORD)}")
        client.command(f"MAIL FROM:<{ALICE}>")
        client.command("RCPT TO:<someone@elsewhere.example>")
        assert client.command("DATA")[:3] == "354"
        client.write(f"From: {ALICE}\r\n\r\nHel".encode())
        relay.units.reload()
        client.write(b"lo.\r\n.\r\n")
        assert client.answer()[:3] == "250"
    (got,) = internet.wait_for(1)
    assert got.data.endswith(b"\r\n\r\nHello.\r\n")


def test_acknowledged_mail_survives_the_death_of_every_process(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    acknowledged: set[str] = set()

    def submit(number: int) -> None:
        for step in range(40):
            subject = f"mail-{number}-{step}"
            try:
                with relay.login() as client:
                    client.sendmail(
                        ALICE, ["s@elsewhere.example"], relay_.message(From=ALICE, Subject=subject)
                    )
                    acknowledged.add(subject)
            except (OSError, smtplib.SMTPException):
                return

    threads = [threading.Thread(target=submit, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + units.PATIENCE
    while len(acknowledged) < 30:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    relay.units.kill()
    for thread in threads:
        thread.join()
    assert len(acknowledged) >= 30
    if relay_.PANIC_LOG.exists():
        # One that was just started outlives the process that it reports to by a moment.
        relay.expect_panic(r"Failed writing transport result to pipe .*Broken pipe$|^$")
    relay.units.start()
    relay.run_queue()
    relay.wait_for_queue(0)
    arrived = set(re.findall(r"Subject: (mail-\d+-\d+)", _text(internet)))
    assert acknowledged - arrived == set()


@pytest.mark.parametrize("harm", [b"harmed" * 1000, bytes(8192), b""], ids=["text", "zeros", "cut"])
def test_hints_that_a_power_cut_harmed_are_forgotten_at_boot(
    relay: relay_.Relay, internet: internet_.Internet, harm: bytes
) -> None:
    """Harmed counts let nobody in; harmed retry times let mail neither wait nor bounce."""
    later = "later@elsewhere.example"
    assert relay.send(recipients=[later])[0] == 250
    relay.wait_for_log(rf"== {later} .* defer")
    relay.units.kill()
    relay_.LOG.unlink()
    hints = relay_.SPOOL / "db"
    for name in ("ratelimit", "retry"):
        (hints / name).write_bytes(harm)
        # What a file that was being made is called until it is whole.
        (hints / f"__db.{name}").touch()
    relay.units.boot()

    relay.login().quit()
    relay.wait_for_log("End queue run")
    assert later in relay.hints("retry")
    (waiting,) = relay.queue()
    relay.age(waiting, hours=80)
    relay.run_queue()
    (got,) = internet.wait_for(1)
    assert (got.sender, got.recipients) == ("", [ALICE])


def _text(internet: internet_.Internet) -> str:
    return "\n".join(one.data.decode() for one in internet.received())


def test_nothing_of_the_relay_runs_as_root(relay: relay_.Relay) -> None:
    with relay.login():
        for entry in units.exims():
            status = (entry / "status").read_text()
            uids = re.search(r"^Uid:\t(\d+)\t(\d+)\t(\d+)\t(\d+)$", status, re.MULTILINE)
            assert uids is not None
            assert "0" not in uids.groups()
            assert re.search(r"^NoNewPrivs:\t1$", status, re.MULTILINE)


def test_reloads_add_no_queue_runs_to_those_that_wait_for_a_server(relay: relay_.Relay) -> None:
    reloads = 10
    for _ in range(reloads + 4):
        subprocess.run(
            ["exim4", "-odq", "someone@hanging.example"], input=b"Subject: cron\n\n", check=True
        )
    try:
        relay.units.restart()
        runner = relay.units.queue_runner
        # Runner, run, delivery, and the connection that waits for a greeting.
        before = wait_for_runs(relay, processes=4)
        for _ in range(reloads):
            relay.units.reload()
        assert relay.units.queue_runner == runner
        # The next minute may have come, with the run that is due.
        assert len(relay.units.queue_runners()) <= 2 * before
    finally:
        relay.units.kill()
        relay.forget_queue()
        relay.units.start()


def wait_for_runs(relay: relay_.Relay, *, processes: int) -> int:
    deadline = time.monotonic() + units.PATIENCE
    while (found := len(relay.units.queue_runners())) < processes:
        assert time.monotonic() < deadline, f"{found} processes of the queue runner"
        time.sleep(0.02)
    return found
