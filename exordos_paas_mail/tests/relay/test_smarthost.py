# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Mail that goes by a server of the tenant's choice."""

from __future__ import annotations

import pathlib
import smtplib
import subprocess
import time
import typing as tp

import pytest

from exordos_paas_mail.codecs import mail_events, return_paths
from exordos_paas_mail.node.events import recorder as recorder_
from exordos_paas_mail.tests.relay import relay as relay_
from exordos_paas_mail.tests.relay import signatures, smarthost, units

if tp.TYPE_CHECKING:
    from collections.abc import Iterator

    from exordos_paas_mail.tests.relay import internet as internet_

ALICE = relay_.ALICE
SOMEONE = "someone@elsewhere.example"


@pytest.fixture(scope="module")
def server(
    internet_session: internet_.Internet,
    relay_session: relay_.Relay,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[smarthost.Server]:
    """Give a smarthost whose authority the relay trusts: exim reads those when it starts."""
    server = smarthost.Server(tmp_path_factory.mktemp("smarthost"))
    relay_session.units.restart()
    yield server
    server.close()
    relay_session.units.restart()


@pytest.fixture
def told(relay: relay_.Relay, server: smarthost.Server) -> Iterator[smarthost.Told]:
    """Give a relay whose mail goes by the smarthost of these tests, until it is told otherwise."""
    server.forget()
    told = smarthost.Told()
    told.tell()
    yield told
    told.forget()


def submit(relay: relay_.Relay, *recipients: str, **kwargs: tp.Any) -> str:
    """Submit a message and return its queue id."""
    code, text = relay.send(recipients=recipients or (SOMEONE,), **kwargs)
    assert code == 250, text
    return text.removeprefix("OK id=")


def events_of(folder: pathlib.Path, name: str) -> list[mail_events.Event]:
    """Return what a node's daemon tells of a message by the log as it is."""
    recorder = recorder_.Recorder(relay_.LOG, folder, lambda: 2**40)
    while recorder.turn():
        pass
    recorder._keep()
    found: list[mail_events.Event] = []
    while batch := recorder.store.next():
        found += mail_events.parse(batch[1])
        recorder.store.forget(batch[0])
    recorder.store.close()
    return [event for event in found if event.queue_id == name]


def wait_for_delay(relay: relay_.Relay, name: str) -> str:
    """Return the line that says why a message waits, once nothing is under way."""
    (line, *_) = relay.wait_for_log(f"{name} == ")
    relay.wait_until_idle()
    return line


@pytest.mark.parametrize("port", [587, 465, 25])
def test_mail_goes_by_the_smarthost_signed_and_over_verified_tls(
    relay: relay_.Relay,
    internet: internet_.Internet,
    server: smarthost.Server,
    told: smarthost.Told,
    port: int,
    tmp_path: pathlib.Path,
) -> None:
    told.tell(port=port)
    name = submit(relay, SOMEONE, "another@no-mail.example")
    (got,) = server.wait_for(1)
    assert got[:-1] == (
        *(smarthost.USERNAME, port, "PLAIN", True, ALICE),
        [SOMEONE, "another@no-mail.example"],
    )
    assert signatures.verify(relay, got.data)
    relay.wait_for_log(f"{name} Completed")
    relay.wait_until_idle()
    assert internet.received() == []
    delivered = [e for e in events_of(tmp_path, name) if e.type is mail_events.Type.DELIVERED]
    assert {(e.mx, e.mx_address, e.verified, e.code, e.text) for e in delivered} == {
        (smarthost.NAME, smarthost.ADDRESS, "yes", 250, "taken")
    }
    assert smarthost.PASSWORD not in relay.log()
    assert smarthost.USERNAME not in relay.log()


def test_a_private_network_of_the_tenants_may_have_the_smarthost(
    relay: relay_.Relay, server: smarthost.Server, told: smarthost.Told
) -> None:
    told.tell(host=smarthost.PRIVATE_NAME)
    submit(relay)
    server.wait_for(1)


def test_a_smarthost_may_be_an_alias_of_another_name(
    relay: relay_.Relay, server: smarthost.Server, told: smarthost.Told
) -> None:
    told.tell(host=smarthost.ALIAS, password="another")
    name = submit(relay)
    assert "defer (-42)" in wait_for_delay(relay, name)
    assert set(server.tried()) == {(smarthost.USERNAME, "another")}
    told.tell(host=smarthost.ALIAS)
    relay.try_due(name)
    server.wait_for(1)


def test_the_password_of_the_next_smarthost_is_not_told_to_the_one_before(
    relay: relay_.Relay, server: smarthost.Server, told: smarthost.Told
) -> None:
    with server.paused() as wait_for_session:
        submit(relay)
        wait_for_session()
        told.tell(host=smarthost.ALIAS, password="of the next")
    relay.wait_until_idle()
    assert set(server.tried()) <= {(smarthost.USERNAME, smarthost.PASSWORD)}


def test_only_mail_of_the_domains_that_are_named_goes_by_the_smarthost(
    relay: relay_.Relay,
    internet: internet_.Internet,
    server: smarthost.Server,
    told: smarthost.Told,
) -> None:
    told.tell(domains=("utf8.example", "xn--mller-kva.example"))
    submit(relay, SOMEONE, "someone@Utf8.example", "someone@sub.utf8.example")
    (got,) = server.wait_for(1)
    (received,) = internet.wait_for(1)
    assert got.recipients == ["someone@Utf8.example"]
    assert received.recipients == [SOMEONE, "someone@sub.utf8.example"]
    with relay.login() as client:
        client.mail(ALICE, ["SMTPUTF8"])
        client.docmd("RCPT TO:<someone@m\N{LATIN SMALL LETTER U WITH DIAERESIS}ller.example>")
        code, _ = client.data(relay_.message(From=ALICE))
    assert code == 250
    assert len(server.wait_for(2)) == 2
    relay.wait_until_idle()
    assert len(internet.received()) == 1


def test_mail_for_names_below_a_domain_goes_by_the_smarthost(
    relay: relay_.Relay,
    internet: internet_.Internet,
    server: smarthost.Server,
    told: smarthost.Told,
) -> None:
    told.tell(domains=("*.utf8.example", "no-mail.example"))
    recipients = ["a@deep.sub.Utf8.example", "a@sub.utf8.example", "a@no-mail.example"]
    submit(relay, "a@utf8.example", *recipients)
    (got,) = server.wait_for(1)
    (received,) = internet.wait_for(1)
    assert (sorted(got.recipients), received.recipients) == (
        sorted(recipients),
        ["a@utf8.example"],
    )
    # Words of the table are domains of one label, too.
    for word in ("host", "tls", "port"):
        command = ["exim4", "-bt", f"a@below.{word}"]
        shown = subprocess.run(command, check=False, capture_output=True, text=True)
        assert "smarthost" not in shown.stdout


@pytest.mark.parametrize(
    ("username", "password"),
    [
        pytest.param("a^b", "c^", id="a NUL to exim inside"),
        pytest.param("user", "^secret", id="a NUL to exim at the start"),
        pytest.param("^user", "secret", id="the same of the name"),
        pytest.param("u ser:;", " ${lookup{x}} \\ : ; < $host \" ' %", id="exim's own language"),
        pytest.param("usr", "p\N{LATIN SMALL LETTER A WITH DIAERESIS}ss", id="no ASCII"),
    ],
)
def test_a_password_reaches_the_smarthost_as_it_is(
    relay: relay_.Relay,
    server: smarthost.Server,
    told: smarthost.Told,
    username: str,
    password: str,
) -> None:
    for mechanisms in ("PLAIN LOGIN", "LOGIN"):
        server.ask(username, password, mechanisms)
        told.tell(username=username, password=password)
        submit(relay)
        server.wait_for(1)
        relay.wait_until_idle()
        assert server.tried() == [(username, password)]
        server.forget()


def test_mail_waits_for_the_right_password_and_then_leaves_at_once(
    relay: relay_.Relay,
    internet: internet_.Internet,
    server: smarthost.Server,
    told: smarthost.Told,
    tmp_path: pathlib.Path,
) -> None:
    told.tell(password="another")
    name = submit(relay)
    assert "defer (-42)" in wait_for_delay(relay, name)
    (delay,) = (e for e in events_of(tmp_path, name) if e.type is mail_events.Type.DEFERRED)
    assert (delay.code, delay.enhanced, delay.reason) == (535, "5.7.8", "auth")
    assert delay.text == "The smarthost refuses the login: Authentication credentials invalid"
    assert (delay.mx, delay.mx_address) == (smarthost.NAME, smarthost.ADDRESS)
    assert "another" not in relay.log()
    # What comes meanwhile waits for the same, and asks nobody.
    tried = server.tried()
    assert set(tried) == {(smarthost.USERNAME, "another")}
    later = submit(relay)
    relay.wait_for_log(f"{later} == .*retry time not reached")
    relay.wait_until_idle()
    assert server.tried() == tried

    told.tell()
    # As exordos-mail-queue does with what is due.
    relay.try_due(name, later)
    assert len(server.wait_for(2)) == 2
    relay.wait_for_queue(0)
    assert internet.received() == []


def test_mail_waits_for_a_smarthost_that_is_down_for_an_hour_and_then_leaves(
    relay: relay_.Relay,
    internet: internet_.Internet,
    server: smarthost.Server,
    told: smarthost.Told,
    tmp_path: pathlib.Path,
) -> None:
    names = []
    with server.down():
        for _ in range(4):
            names.append(submit(relay))
            relay.wait_for_log(f"{names[-1]} == ")
            relay.wait_until_idle()
            before = len(relay.log_lines(" == .* Connection refused"))
            relay.pass_time(*names, minutes=15)
            relay.try_due(*names)
            relay.wait_until_idle()
            assert len(relay.log_lines(" == .* Connection refused")) > before
        assert sorted(relay.queue()) == sorted(names)
    relay.pass_time(*names, minutes=15)
    relay.try_due(*names)
    # Those and nothing else: no report of a delay or a failure.
    assert len(server.wait_for(4)) == 4
    relay.wait_for_queue(0)
    relay.wait_until_idle()
    assert len(server.got()) == 4
    assert internet.received() == []
    assert relay.log_lines(r" \*\* ") == []
    kinds = [event.type for event in events_of(tmp_path, names[0])]
    assert mail_events.Type.DEFERRED in kinds
    assert mail_events.Type.FAILED not in kinds
    assert mail_events.Type.DELIVERED in kinds


def test_what_is_told_again_as_it_was_forgets_no_time(
    relay: relay_.Relay, server: smarthost.Server, told: smarthost.Told
) -> None:
    told.tell(password="another")
    wait_for_delay(relay, submit(relay))
    hints = relay.hints("retry")
    assert f"T:{smarthost.NAME}:{smarthost.ADDRESS}:587/0.0.0.0" in hints
    told.tell(password="another")
    assert relay.hints("retry") == hints
    assert server.got() == []


def test_a_recipient_that_the_smarthost_refuses_is_reported(
    relay: relay_.Relay, server: smarthost.Server, told: smarthost.Told, tmp_path: pathlib.Path
) -> None:
    name = submit(relay, "refused@elsewhere.example")
    relay.wait_for_log(f"{name} Completed")
    (failed,) = (e for e in events_of(tmp_path, name) if e.type is mail_events.Type.FAILED)
    assert (failed.code, failed.text, failed.mx) == (550, "Not to that one, by us", smarthost.NAME)
    # The report of it goes by the smarthost, as all mail does.
    (report,) = server.wait_for(1)
    assert report.recipients == [ALICE]
    assert report.sender in {None, "", "<>"}


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        pytest.param({"host": smarthost.OTHER_NAME}, "certificate", id="a certificate of another"),
        pytest.param({"host": smarthost.BARE_NAME}, "did not offer TLS", id="without TLS"),
        pytest.param({"host": "here.smart.example"}, "local host", id="the relay itself"),
        pytest.param({"host": "loop.smart.example"}, "ignore|host", id="loopback"),
        pytest.param({"host": "metadata.smart.example"}, "ignore|host", id="metadata"),
        pytest.param({"host": "nobody.smart.example"}, "lookup|host", id="no such host"),
        pytest.param({"tls": "implicit"}, "TLS|connection", id="TLS at once where it is not"),
    ],
)
def test_mail_waits_where_the_smarthost_cannot_be_trusted_and_nothing_is_said(
    relay: relay_.Relay,
    internet: internet_.Internet,
    server: smarthost.Server,
    told: smarthost.Told,
    fields: dict[str, tp.Any],
    why: str,
) -> None:
    told.tell(**fields)
    name = submit(relay)
    line = wait_for_delay(relay, name)
    assert relay.log_lines(f"{name} == .*({why})"), line
    assert server.tried() == []
    assert server.got() == []
    assert internet.received() == []
    assert relay.queue() == [name]


def test_times_of_the_smarthost_are_none_of_the_same_server_by_its_mx_record(
    relay: relay_.Relay, server: smarthost.Server, told: smarthost.Told
) -> None:
    told.tell(port=25, password="another", domains=("elsewhere.example",))
    wait_for_delay(relay, submit(relay))
    assert f"T:{smarthost.NAME}:{smarthost.ADDRESS}/0.0.0.0" in relay.hints("retry")
    direct = submit(relay, f"someone@{smarthost.NAME}")
    relay.wait_for_log(f"{direct} [=*]. .*530 5.7.0 Authentication required")


def test_policies_are_of_mail_that_goes_by_mx_records(
    relay: relay_.Relay,
    internet: internet_.Internet,
    server: smarthost.Server,
    told: smarthost.Told,
) -> None:
    told.tell(domains=("elsewhere.example",))
    relay.set_tls_policies({"*": "dane"})
    submit(relay)
    server.wait_for(1)
    whole = relay_.TLS_POLICIES.read_text()
    relay_.install(relay_.TLS_POLICIES, whole.rpartition(".:")[0])
    cut = submit(relay, SOMEONE, "someone@utf8.example")
    server.wait_for(2)
    relay.wait_for_log(rf"{cut} == someone@utf8\.example .*the TLS policies are not known now")
    relay.wait_until_idle()
    assert [each.recipients for each in server.got()] == [[SOMEONE], [SOMEONE]]
    assert internet.received() == []


@pytest.mark.parametrize("port", [587, 465])
def test_mail_carries_its_return_path_to_the_smarthost(
    relay: relay_.Relay, server: smarthost.Server, told: smarthost.Told, port: int
) -> None:
    told.tell(port=port)
    paths, keys = pathlib.Path("/etc/exim4/return_paths"), relay_.DKIM / "return_paths.keys"
    try:
        relay_.install(keys, f"{'0123456789abcdef' * 4}\n")
        relay_.install(paths, return_paths.render([(relay_.DOMAIN, return_paths.FORWARD)]))
        name = submit(relay)
        (got,) = server.wait_for(1)
    finally:
        for path in (paths, keys):
            path.unlink(missing_ok=True)
    assert return_paths.parse_path(got.sender) == (name, ALICE)
    assert f"X-Mail-Return: <{got.sender}>\r\n".encode() in got.data
    assert signatures.verify(relay, got.data)


def test_without_a_smarthost_mail_goes_by_mx_records_again(
    relay: relay_.Relay,
    internet: internet_.Internet,
    server: smarthost.Server,
    told: smarthost.Told,
) -> None:
    told.tell(password="another")
    name = submit(relay)
    wait_for_delay(relay, name)
    told.tell_none()
    relay.try_due(name)
    assert [each.recipients for each in internet.wait_for(1)] == [[SOMEONE]]
    assert server.got() == []


def test_role_mail_that_comes_back_from_the_smarthost_stays_here(
    relay: relay_.Relay, server: smarthost.Server, told: smarthost.Told
) -> None:
    def write(data: str | bytes) -> None:
        with smtplib.SMTP("127.0.0.1", 25, local_hostname="mx.other.example") as client:
            client.sendmail("someone@other.example", [f"postmaster@{relay_.DOMAIN}"], data)

    mailbox = relay_.SPOOL / "postmaster"
    mailbox.unlink(missing_ok=True)
    write(relay_.message(From="someone@other.example"))
    (got,) = server.wait_for(1)
    write(got.data)
    deadline = time.monotonic() + units.PATIENCE
    while not mailbox.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    relay.wait_until_idle()
    assert len(server.got()) == 1
    mailbox.unlink()
