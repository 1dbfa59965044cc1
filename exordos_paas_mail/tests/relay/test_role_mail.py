# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Mail to postmaster, abuse and mailer-daemon, which anybody may send."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import typing as tp

import pytest

from exordos_paas_mail.tests.relay import internet as internet_
from exordos_paas_mail.tests.relay import relay as relay_

if tp.TYPE_CHECKING:
    import pathlib

DOMAIN = relay_.DOMAIN
ALICE = relay_.ALICE
POSTMASTER = f"postmaster@{DOMAIN}"
FORGED = "victim@elsewhere.example"
LINE = "x" * 78 + "\r\n"
# A report that the relay makes and keeps, to the domain's own postmaster.
REPORT = rf"<= <> R=\S+ U=Debian-exim P=local .* for {POSTMASTER}$"


def send(
    relay: relay_.Relay,
    *,
    sender: str = FORGED,
    recipient: str = POSTMASTER,
    wishes: str = "",
    body: str = "Help!",
) -> str:
    """Send a message without a login; return the answer to it."""
    with relay_.Raw(relay, 25, tls=True) as client:
        assert client.command(f"MAIL FROM:<{sender}>").startswith("250")
        assert client.command(f"RCPT TO:<{recipient}>{wishes}").startswith("250")
        assert client.command("DATA").startswith("354")
        return client.command(f"From: x@elsewhere.example\r\nSubject: kept\r\n\r\n{body}\r\n.")


@pytest.fixture
def mailbox(relay: relay_.Relay) -> tp.Iterator[pathlib.Path]:
    """Give the file that mail is kept in when there is no MX for it."""
    path = relay_.SPOOL / "postmaster"
    yield path
    relay.forget_queue()
    path.unlink(missing_ok=True)


@pytest.mark.parametrize(
    "recipient",
    [POSTMASTER, f"Abuse@{DOMAIN}", f"mailer-daemon@{DOMAIN}", "postmaster"],
)
def test_it_is_taken_without_a_login_and_goes_to_the_mx_unsigned(
    relay: relay_.Relay, internet: internet_.Internet, recipient: str
) -> None:
    assert send(relay, recipient=recipient).startswith("250")
    (got,) = internet.wait_for(1)
    assert (got.sender, b"DKIM-Signature" in got.data) == (POSTMASTER, False)
    assert relay.log_lines(rf"<= {POSTMASTER} H=.* from <{FORGED}> for \S+$")


def test_a_bounce_to_a_role_is_a_bounce_at_the_mx(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    send(relay, sender="")
    (got,) = internet.wait_for(1)
    assert got.sender == ""


def test_it_is_limited_by_client_address(relay: relay_.Relay) -> None:
    with relay.configured(role_messages_per_hour=2), relay_.Raw(relay, 25, tls=True) as client:
        client.command("MAIL FROM:<a@elsewhere.example>")
        answers = [client.command(f"RCPT TO:<{POSTMASTER}>")[:3] for _ in range(4)]
    assert answers[:2] == ["250", "250"]
    assert answers[-1] == "451"


@pytest.mark.parametrize("records", [[], ["10 here-host.example."]], ids=["no MX", "MX is here"])
def test_it_is_kept_here_when_the_domain_has_no_other_mx(
    relay: relay_.Relay,
    monkeypatch: pytest.MonkeyPatch,
    mailbox: pathlib.Path,
    records: list[str],
) -> None:
    monkeypatch.setitem(internet_.ZONE, (DOMAIN, "MX"), records)
    send(relay)
    relay.wait_for_queue(0)
    assert "\nSubject: kept\n" in mailbox.read_text()


@pytest.mark.parametrize("recipient", [POSTMASTER, f"abuse@{DOMAIN}", f"mailer-daemon@{DOMAIN}"])
def test_a_full_mailbox_is_given_up_within_hours_and_tells_nobody(
    relay: relay_.Relay,
    internet: internet_.Internet,
    monkeypatch: pytest.MonkeyPatch,
    mailbox: pathlib.Path,
    recipient: str,
) -> None:
    monkeypatch.setitem(internet_.ZONE, (DOMAIN, "MX"), [])
    mailbox.write_bytes(b"x" * 10 * 2**20)
    shutil.chown(mailbox, "Debian-exim", "Debian-exim")
    send(relay, recipient=recipient)
    relay.wait_for_log(rf"== {recipient} .* mailbox is full")
    (waiting,) = relay.queue()
    relay.age(waiting, hours=2)
    relay.run_queue()
    assert relay.queue() == [waiting]

    relay.age(waiting, hours=2)
    relay.run_queue()
    # The bounce stays here as well, and makes no other one.
    (bounce,) = relay.queue()
    relay.wait_for_log(rf"{bounce} == {POSTMASTER} .* mailbox is full")
    relay.age(bounce, hours=4)
    relay.run_queue()
    relay.wait_for_queue(0)
    assert len(relay.log_lines(REPORT)) == 1
    assert internet.received() == []


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        pytest.param(LINE * 13_000, "250", id="a little less"),
        pytest.param(LINE * 13_500, "552", id="a little more"),
    ],
)
def test_a_message_without_a_login_has_a_megabyte_at_most(
    relay: relay_.Relay, body: str, answer: str
) -> None:
    assert send(relay, body=body)[:3] == answer


@contextlib.contextmanager
def small_disk(megabytes: int) -> tp.Iterator[None]:
    """Have a spool of that size, for a while."""
    spool = str(relay_.SPOOL)
    options = f"size={megabytes}M,mode=0750,uid=Debian-exim,gid=Debian-exim"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "spool", spool], check=True)
    try:
        yield
    finally:
        # A delivery may be about to end: its last files go when it does.
        subprocess.run(["umount", "--lazy", spool], check=True)


@pytest.mark.parametrize(
    ("megabytes", "answer"), [(2040, "452"), (2060, "250")], ids=["a little less", "a little more"]
)
def test_the_last_gigabytes_of_the_disk_are_the_accounts(
    relay: relay_.Relay, internet: internet_.Internet, megabytes: int, answer: str
) -> None:
    with small_disk(megabytes):
        with relay_.Raw(relay, 25, tls=True) as client:
            client.command(f"MAIL FROM:<{FORGED}>")
            assert client.command(f"RCPT TO:<{POSTMASTER}>")[:3] == answer
        assert relay.send()[0] == 250
        internet.wait_for(1)
        relay.wait_for_queue(0)


@pytest.mark.parametrize("here", [True, False], ids=["no MX", "MX"])
def test_a_report_of_success_does_not_go_to_a_forged_sender(
    relay: relay_.Relay,
    internet: internet_.Internet,
    monkeypatch: pytest.MonkeyPatch,
    mailbox: pathlib.Path,
    *,
    here: bool,
) -> None:
    if here:
        monkeypatch.setitem(internet_.ZONE, (DOMAIN, "MX"), [])
    assert send(relay, wishes=" NOTIFY=SUCCESS").startswith("250")
    relay.wait_for_log(REPORT)
    relay.wait_for_queue(0)
    assert "\nX-Failed-Recipients" not in mailbox.read_text()
    expected = [] if here else [[POSTMASTER]]
    assert [got.recipients for got in internet.received()] == expected


def test_a_delay_warning_and_the_last_bounce_do_not_go_to_a_forged_sender(
    relay: relay_.Relay,
    internet: internet_.Internet,
    monkeypatch: pytest.MonkeyPatch,
    mailbox: pathlib.Path,
) -> None:
    """While the name server does not tell the domain's MX no router has taken the message."""
    monkeypatch.setattr(internet_, "FAILING", {DOMAIN})
    send(relay)
    relay.wait_for_log(rf"== {POSTMASTER} .* defer")
    (waiting,) = relay.queue()
    for hours, reports, queued in ((5, 1, 1), (80, 2, 0)):
        relay.age(waiting, hours=hours)
        relay.run_queue()
        relay.wait_for_queue(queued)
        assert len(relay.log_lines(REPORT)) == reports
    assert "\nX-Failed-Recipients" in mailbox.read_text()
    assert internet.received() == []


@pytest.mark.parametrize("records", [[], ["10 here-host.example."]], ids=["no MX", "MX is here"])
def test_an_account_reaches_a_role_without_any_other_mx(
    relay: relay_.Relay,
    monkeypatch: pytest.MonkeyPatch,
    mailbox: pathlib.Path,
    records: list[str],
) -> None:
    monkeypatch.setitem(internet_.ZONE, (DOMAIN, "MX"), records)
    assert relay.send(recipients=[POSTMASTER])[0] == 250
    relay.wait_for_queue(0)
    assert f"\nReturn-path: <{ALICE}>\n" in mailbox.read_text()
