# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Who may send as whom, as the senders file says it."""

from __future__ import annotations

import email
import email.utils
import typing as tp

import pytest

from exordos_paas_mail.codecs import cdb, exim_conf, senders
from exordos_paas_mail.tests.relay import domains
from exordos_paas_mail.tests.relay import internet as internet_
from exordos_paas_mail.tests.relay import relay as relay_

if tp.TYPE_CHECKING:
    import smtplib

DOMAIN = relay_.DOMAIN
ALICE = relay_.ALICE
BOB = relay_.BOB
NOREPLY = f"noreply@{DOMAIN}"
HOST = f"web1.{DOMAIN}"
DOMAIN_POLICY = senders.POLICY_DOMAIN
ACCOUNT_POLICY = senders.POLICY_ACCOUNT

RIGHTS: dict[str, tuple[str, list[str] | None]] = {
    "policy domain": (DOMAIN_POLICY, None),
    "policy account": (ACCOUNT_POLICY, None),
    "own": (DOMAIN_POLICY, ["own"]),
    "one address": (DOMAIN_POLICY, [NOREPLY]),
    "own and one": (ACCOUNT_POLICY, [NOREPLY, "own"]),
    "all of the domain": (ACCOUNT_POLICY, [f"*@{DOMAIN}"]),
    "all below": (DOMAIN_POLICY, [f"*@*.{DOMAIN}"]),
    "elsewhere": (DOMAIN_POLICY, ["*@elsewhere.example"]),
    "alike": (ACCOUNT_POLICY, [f"no.reply@{DOMAIN}", f"own@{DOMAIN}"]),
}

# The address, and the rights that allow it.
ADDRESSES: list[tuple[str, set[str]]] = [
    (ALICE, {"policy domain", "policy account", "own", "own and one", "all of the domain"}),
    (
        f"alice+news@{DOMAIN}",
        {"policy domain", "policy account", "own", "own and one", "all of the domain"},
    ),
    (
        f"Alice@{DOMAIN.upper()}",
        {"policy domain", "policy account", "own", "own and one", "all of the domain"},
    ),
    (NOREPLY, {"policy domain", "one address", "own and one", "all of the domain"}),
    (f"NoReply@{DOMAIN}", {"policy domain", "one address", "own and one", "all of the domain"}),
    (f"noreply+x@{DOMAIN}", {"policy domain", "all of the domain"}),
    (f"bounces+ann=elsewhere.example@{DOMAIN}", {"policy domain", "all of the domain"}),
    (f"SRS0=hash=tt=a.example=b@{DOMAIN}", {"policy domain", "all of the domain"}),
    (BOB, {"policy domain", "all of the domain"}),
    (f"bob+x@{DOMAIN}", {"policy domain", "all of the domain"}),
    (f"root@{HOST}", {"all below"}),
    (f"root@a.b.c.{DOMAIN}", {"all below"}),
    (f"MAILER-DAEMON@{HOST.upper()}", {"all below"}),
    (f'"alice"@{DOMAIN}', set()),
    (f'"noreply"@{DOMAIN}', set()),
    (f'"a b"@{DOMAIN}', set()),
    (f'"ceo@elsewhere.example"@{DOMAIN}', set()),
    ("ceo@elsewhere.example", set()),
    ("alice@elsewhere.example", set()),
    (f"alice@{DOMAIN}.elsewhere.example", set()),
    (f"alice@not{DOMAIN}", set()),
    (f"x@{HOST}.elsewhere.example", set()),
    ("own@own.example", set()),
    (f"own@{DOMAIN}", {"policy domain", "all of the domain", "alike"}),
    (f"no.reply@{DOMAIN}", {"policy domain", "all of the domain", "alike"}),
    (f"noxreply@{DOMAIN}", {"policy domain", "all of the domain"}),
    (f"reply@{DOMAIN}", {"policy domain", "all of the domain"}),
    (f"*@{DOMAIN}", {"policy domain", "all of the domain"}),
    (f"*@{HOST}", {"all below"}),
    (f"{'a' * 64}@{'b' * 63}.{'c' * 63}.elsewhere.example", set()),
    (f"{'a' * 200}@{DOMAIN}", {"policy domain", "all of the domain"}),
]
# Each refusal is looked at by exordos-mail-repair first, which takes its time.
IN_HEADERS = [
    (address, allowed)
    for address, allowed in ADDRESSES
    if address in {ALICE, NOREPLY, f"MAILER-DAEMON@{HOST.upper()}", f'"noreply"@{DOMAIN}'}
]


def set_rights(relay: relay_.Relay, rights: str) -> None:
    policy, entries = RIGHTS[rights]
    relay.set_senders(policy, **({} if entries is None else {"alice": entries}))


@pytest.mark.parametrize("rights", RIGHTS)
def test_the_envelope_sender_is_one_that_the_login_may_send_as(
    relay: relay_.Relay, rights: str
) -> None:
    set_rights(relay, rights)
    found = {}
    with relay.login() as client:
        for address, _ in ADDRESSES:
            found[address] = client.docmd("MAIL", f"FROM:<{address}>")[0]
            client.rset()
    assert found == {address: 250 if rights in allowed else 553 for address, allowed in ADDRESSES}


@pytest.mark.parametrize(
    ("rights", "field"),
    [
        *((rights, "From") for rights in RIGHTS),
        *(("one address", field) for field in ("Sender", "Resent-From", "Resent-Sender")),
    ],
)
def test_each_field_that_says_who_sends_has_addresses_that_the_login_may_send_as(
    relay: relay_.Relay, internet: internet_.Internet, rights: str, field: str
) -> None:
    set_rights(relay, rights)
    good = next((address for address, allowed in ADDRESSES if rights in allowed), "")
    refused: set[str] = set()
    sent: set[str] = set()
    with relay.login() as client:
        for address, _ in IN_HEADERS:
            others = {} if field == "From" else {"From": good or NOREPLY}
            data = relay_.message(**others, **{field.replace("-", "_"): f"A <{address}>"})
            assert client.docmd("MAIL", f"FROM:<{good}>")[0] == 250
            assert client.rcpt("someone@elsewhere.example")[0] == 250
            code, text = client.data(data)
            assert code in {250, 553}, text
            (sent if code == 250 else refused).add(address)
    allowed_here = {address for address, allowed in IN_HEADERS if rights in allowed}
    assert allowed_here <= sent
    # In the place of a machine's user the envelope's address sends (RFC 6409 8)
    named = {
        email.utils.parseaddr(email.message_from_bytes(got.data)[field])[1]
        for got in internet.wait_for(len(sent))
    }
    assert named <= allowed_here | {good}
    assert sent - allowed_here <= {f"MAILER-DAEMON@{HOST.upper()}"}


# Each beside an address that the login may send as, or dressed up as one.
FORGED = [
    pytest.param(f"From: {NOREPLY}, {BOB}\r\n", 553, id="beside another"),
    pytest.param(f"From: {NOREPLY}, <{BOB}\r\n", 554, id="one that nobody can read"),
    pytest.param(f"From: {NOREPLY}, bob@\r\n", 554, id="one without a domain"),
    pytest.param(f"From: {NOREPLY}, @{DOMAIN}\r\n", 554, id="one without a local part"),
    pytest.param(f"From: {NOREPLY}, bob@[127.0.0.1]\r\n", 554, id="an address literal"),
    pytest.param(f"From: {NOREPLY}, bob@tenant,example\r\n", (553, 554), id="a comma in it"),
    pytest.param(f"From: {NOREPLY}, bob@ten!ant.example\r\n", 553, id="a domain of odd atoms"),
    pytest.param(f"From: {NOREPLY}, bob..x@{DOMAIN}\r\n", 553, id="two dots in a row"),
    pytest.param(f"From: {NOREPLY}, .bob@{DOMAIN}\r\n", 553, id="a dot first"),
    pytest.param(f"From: {NOREPLY}, {'b' * 300}@{DOMAIN}\r\n", 553, id="300 octets"),
    pytest.param(f"From: {NOREPLY}, x@{'b.' * 300}example\r\n", 553, id="a domain of 600 octets"),
    pytest.param(f"From: <{BOB}>, <{NOREPLY}>\r\n", 553, id="before it"),
    pytest.param(f"From: ,,{NOREPLY},,{BOB},,\r\n", 553, id="between empty ones"),
    pytest.param(f"From : {BOB}\r\n", 554, id="a space before the colon"),
    pytest.param(f"From\t : {BOB}\r\n", 554, id="a tab before the colon"),
    pytest.param(f"From: {NOREPLY}\r\nFrom : {BOB}\r\n", 554, id="two, a space in the second"),
    pytest.param(f"From : {BOB}\r\nFrom: {NOREPLY}\r\n", 554, id="two, a space in the first"),
    pytest.param(f"From: {NOREPLY}\r\nFROM: {BOB}\r\n", 554, id="two, in capitals"),
    pytest.param(f"From: team: {NOREPLY};\r\n", 553, id="a group"),
    pytest.param(f"From: team: {NOREPLY};, {BOB}\r\n", 553, id="after a group"),
    pytest.param(f"From: {NOREPLY}, team:;\r\n", 553, id="before an empty group"),
    pytest.param(f"From: {BOB} ({NOREPLY})\r\n", 553, id="own in a comment"),
    pytest.param(f"From: ({NOREPLY}) {BOB}\r\n", 553, id="own in a comment before"),
    pytest.param(f'From: "{NOREPLY}," <{BOB}>\r\n', 553, id="own in a quoted name"),
    pytest.param(f"From: (a \\) b, {NOREPLY} (c) ) {BOB}\r\n", (553, 554), id="escaped comment"),
    pytest.param(f'From: "a \\" <{NOREPLY}>, " <{BOB}>\r\n', 553, id="escaped quote"),
    pytest.param(f"From: {NOREPLY} <{BOB}>\r\n", 553, id="own as a bare name"),
    pytest.param(f"From: <{NOREPLY}> <{BOB}>\r\n", 554, id="two in angle brackets"),
    pytest.param(f"From: <@{DOMAIN}:{NOREPLY}>\r\n", 553, id="a route"),
    pytest.param(f'From: "noreply"@{DOMAIN}\r\n', 553, id="a quoted local part"),
    pytest.param(f'From: "bob\\@x"@{DOMAIN}\r\n', 553, id="an at in a quoted local part"),
    pytest.param(f'From: "noreply@{DOMAIN};{BOB}"@{DOMAIN}\r\n', 553, id="a list in quotes"),
    pytest.param(f"From: =?utf-8?q?{NOREPLY.replace('@', '=40')}?= <{BOB}>\r\n", 553, id="decoded"),
    pytest.param(
        "From: =?utf-8?q?noreply=40tenant.example?=\r\n",
        250,
        id="encoded whole: a name, in whose place noreply sends",
    ),
    pytest.param(f"From: =?utf-8?q?=22?= <{BOB}>, {NOREPLY}\r\n", 553, id="an encoded quote"),
    pytest.param(f"From:\r\n {NOREPLY},\r\n\t<{BOB}>\r\n", 553, id="folded"),
    pytest.param(f"From:\r\n \r\n {BOB}\r\n", 553, id="folded over an empty line"),
    pytest.param(f"From: noreply\r\n @{DOMAIN}, {BOB}\r\n", (553, 554), id="folded in it"),
    pytest.param(f"From: noreply+x@{DOMAIN}\r\n", 553, id="a +tag of a listed one"),
    pytest.param(f"From: {ALICE}\r\n", 553, id="own that is not listed"),
    pytest.param(f"From: alice+x@{DOMAIN}\r\n", 553, id="+tag of own that is not listed"),
    pytest.param(f"From: *@{DOMAIN}\r\n", 553, id="a star"),
    pytest.param(
        f"From: *@*.{DOMAIN}\r\n", 250, id="two stars: a host's user, in whose place noreply sends"
    ),
    pytest.param(f"From: \xc3\xb6, <{BOB}>, {NOREPLY}\r\n", (553, 554), id="octets beyond ASCII"),
    pytest.param(f"From: \xff <{BOB}>\r\n", 553, id="octets that are no text"),
    pytest.param("From: noreply@TENANT.example, bob@Tenant.Example\r\n", 553, id="capitals"),
    pytest.param(f"From: {NOREPLY}\r\nSender: {ALICE}\r\n", 553, id="Sender"),
    pytest.param(f"From: {NOREPLY}\r\nSender : {BOB}\r\n", 554, id="Sender, a space"),
    pytest.param(
        f"From: {NOREPLY}\r\nResent-From: {NOREPLY}\r\nResent-From : {BOB}\r\n",
        554,
        id="second Resent-From",
    ),
    pytest.param(
        f"From: {NOREPLY}\r\nResent-Sender: {NOREPLY}, <{BOB}\r\n", 554, id="Resent-Sender"
    ),
    pytest.param("From: root@localhost\r\n", 250, id="a host's user, in whose place noreply sends"),
    pytest.param("From: alice\r\n", 250, id="a machine's user, in whose place noreply sends"),
    pytest.param("", 250, id="none, in whose place noreply sends"),
    pytest.param("From:\r\n", 250, id="an empty one, in whose place noreply sends"),
    pytest.param("From: ;\r\n", (553, 554), id="a sign alone"),
    pytest.param("From: ()\r\n", 554, id="a comment alone"),
]


@pytest.mark.parametrize(("headers", "code"), FORGED)
def test_nothing_is_sent_in_a_name_that_is_not_allowed(
    relay: relay_.Relay, internet: internet_.Internet, headers: str, code: int | tuple[int, int]
) -> None:
    relay.set_senders(DOMAIN_POLICY, alice=[NOREPLY])
    data = f"{headers}Subject: x\r\n\r\nHello.\r\n".encode("latin-1")
    answer = relay.send(data, sender=NOREPLY)
    assert answer[0] in (code if isinstance(code, tuple) else (code,)), answer
    if answer[0] == 250:
        (got,) = internet.wait_for(1)
        fields = email.message_from_bytes(got.data)
        shown = email.utils.getaddresses(fields.get_all("From", []))
        assert [address for _, address in shown] == [NOREPLY]
        assert fields["Sender"] is None
    # What would be allowed, and never the login's address
    assert "alice@" not in answer[1].partition("the login alice@tenant.example: ")[2]


@pytest.mark.parametrize("rights", ["policy domain", "own", "one address", "all below"])
def test_without_from_and_envelope_sender_the_login_sends_if_it_may(
    relay: relay_.Relay, internet: internet_.Internet, rights: str
) -> None:
    set_rights(relay, rights)
    for headers in ("", "From:\r\n"):
        code, said = relay.send(f"{headers}Subject: x\r\n\r\nHello.\r\n", sender="")
        if rights in {"policy domain", "own"}:
            assert code == 250
            (got,) = internet.wait_for(1)
            assert email.message_from_bytes(got.data)["From"] == ALICE
            internet.forget()
        else:
            assert code in {553, 554}, said


def test_a_report_in_the_name_of_a_host_needs_the_right_to_send_as_oneself(
    relay: relay_.Relay,
) -> None:
    expected = {
        **dict.fromkeys(["policy domain", "policy account", "own", "own and one"], 250),
        **dict.fromkeys(["one address", "all of the domain", "elsewhere", "alike"], 553),
        "all below": 250,
    }
    found = {}
    for rights in RIGHTS:
        set_rights(relay, rights)
        data = relay_.message(From=f"Mail Delivery System <MAILER-DAEMON@{HOST}>")
        found[rights] = relay.send(data, sender="")[0]
    assert found == expected


@pytest.mark.parametrize(
    ("rights", "sender", "said"),
    [
        (
            "policy domain",
            "x@elsewhere.example",
            "send as an address of the instance's domains, or add it to them",
        ),
        (
            "policy account",
            NOREPLY,
            f"send as {ALICE} or a +tag of it, or add it to the account's senders",
        ),
        ("one address", ALICE, f"send as {NOREPLY}, or add it to the account's senders"),
        (
            "own and one",
            BOB,
            f"send as {NOREPLY}, {ALICE} or a +tag of it, or add it to the account's senders",
        ),
        ("all below", BOB, f"send as *@*.{DOMAIN}, or add it to the account's senders"),
    ],
)
def test_a_refusal_names_the_address_the_login_and_what_would_be_allowed(
    relay: relay_.Relay, rights: str, sender: str, said: str
) -> None:
    set_rights(relay, rights)
    code, text = relay.send(sender=sender)
    assert (code, relay_.sentence(text.encode())) == (
        553,
        f"5.7.1 <{sender}> is not an address of the login {ALICE}: {said}",
    )
    good = next(address for address, allowed in ADDRESSES if rights in allowed)
    code, text = relay.send(relay_.message(From=sender), sender=good)
    assert (code, relay_.sentence(text.encode())) == (
        553,
        f"5.7.1 From: {sender} is not an address of the login {ALICE}: "
        + said.replace("send as", "write", 1),
    )


def test_a_change_holds_at_the_next_mail_of_an_open_session(relay: relay_.Relay) -> None:
    def code(sender: str) -> int:
        client.rset()
        return client.mail(sender)[0]

    with relay.login() as client:
        assert [code(ALICE), code(NOREPLY)] == [250, 553]
        for _ in range(3):
            relay.set_senders(DOMAIN_POLICY)
            assert [code(ALICE), code(NOREPLY)] == [250, 250]
            relay.set_senders(ACCOUNT_POLICY)
            assert [code(ALICE), code(NOREPLY)] == [250, 553]
            relay.set_senders(ACCOUNT_POLICY, alice=[NOREPLY])
            assert [code(ALICE), code(NOREPLY)] == [553, 250]


def test_what_one_message_was_let_through_as_counts_for_no_other(relay: relay_.Relay) -> None:
    """The one that comes next has another envelope, and that one's From in its header."""
    data = relay_.message(From=NOREPLY)
    with relay.login() as client:
        for sender, code in ((ALICE, 553), ("", 553)):
            relay.set_senders(ACCOUNT_POLICY, alice=[NOREPLY, "own"])
            assert client.sendmail(NOREPLY, ["someone@elsewhere.example"], data) == {}
            relay.set_senders(ACCOUNT_POLICY)
            assert client.docmd("MAIL", f"FROM:<{sender}>")[0] == 250
            assert client.rcpt("someone@elsewhere.example")[0] == 250
            assert client.data(data)[0] == code


TABLE = f"shop.example:%s:m1r/rsa/sign\n{DOMAIN}:send:platform/rsa/sign\n"


@pytest.fixture
def table(relay: relay_.Relay) -> tp.Iterator[None]:
    """Have the node be told of domains: then a session remembers as whom it has sent."""
    accounts = relay_.PASSWD.read_text()
    domains.tell(TABLE % "send")
    yield
    domains.forget()
    relay_.install(relay_.PASSWD, accounts)


def send_twice(client: smtplib.SMTP, sender: str) -> None:
    data = relay_.message(From=sender)
    for _ in range(2):
        assert client.sendmail(sender, ["someone@elsewhere.example"], data) == {}


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("changed", ["senders", "domains", "accounts"])
def test_a_session_that_has_sent_as_an_address_may_not_when_a_file_says_so(
    relay: relay_.Relay, changed: str
) -> None:
    relay.set_senders(DOMAIN_POLICY, alice=["own", NOREPLY, "*@shop.example"])
    team = f"alice+team@{DOMAIN}"
    sender = {"senders": NOREPLY, "domains": "a@shop.example", "accounts": team}[changed]
    with relay.login() as client:
        send_twice(client, sender)
        if changed == "senders":
            relay.set_senders(DOMAIN_POLICY, alice=["own"])
        elif changed == "domains":
            relay_.install(domains.TABLE, TABLE % "inactive")
        else:
            line = f"{team}:{relay_.crypt('its own')}\n"
            relay_.install(relay_.PASSWD, relay_.PASSWD.read_text() + line)
        assert client.mail(sender)[0] == 553
        client.rset()
        assert client.mail(ALICE)[0] == 250


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    ("header", "code"),
    [
        (f"From: {BOB}", 553),
        (f"From: {NOREPLY}, {BOB}", 553),
        (f"From: {ALICE}", 250),
        (f"From: {ALICE}\r\nSender: {NOREPLY}", 250),
        (f"From: {NOREPLY}\r\nSender: {BOB}", 553),
        (f"From: {NOREPLY}\r\nResent-From: {BOB}", 553),
        (f"From: {NOREPLY}\r\nResent-Sender: {ALICE}", 250),
        (f"From: {ALICE}, {NOREPLY}", 250),
        (f"From: Noreply, Inc. <{NOREPLY}>", 250),
        (f"From: Bob, Inc. <{BOB}>", 553),
        ("From: root (Cron Daemon)", 250),
    ],
)
def test_a_session_that_has_sent_as_an_address_has_each_header_looked_at(
    relay: relay_.Relay, header: str, code: int
) -> None:
    relay.set_senders(ACCOUNT_POLICY, alice=["own", NOREPLY])
    with relay.login() as client:
        send_twice(client, NOREPLY)
        for _ in range(2):
            assert client.mail(NOREPLY)[0] == 250
            assert client.rcpt("someone@elsewhere.example")[0] == 250
            assert client.data(f"{header}\r\nSubject: x\r\n\r\nHello.\r\n")[0] == code


@pytest.mark.usefixtures("table")
def test_a_header_of_another_address_waits_for_a_file_that_is_lost(relay: relay_.Relay) -> None:
    relay.set_senders(ACCOUNT_POLICY, alice=["own", NOREPLY])
    with relay.login() as client:
        send_twice(client, NOREPLY)
        assert client.mail(NOREPLY)[0] == 250
        assert client.rcpt("someone@elsewhere.example")[0] == 250
        relay_.SENDERS.unlink()
        code, text = client.data(relay_.message(From=ALICE))
        assert (code, text.decode()) == (
            451,
            "4.3.0 Who may send as whom is not known now, try later",
        )


def install_index(*, lines: int) -> None:
    """Index the senders file as the node does."""
    made = relay_.SENDERS.stat()
    tie = exim_conf.index_tie(inode=made.st_ino, size=made.st_size, mtime=int(made.st_mtime))
    records = [line.partition(":")[::2] for line in relay_.SENDERS.read_text().splitlines()]
    data = cdb.render([(exim_conf.INDEX_TIE_KEY, tie), *records[:lines]])
    relay_.install(relay_.SENDERS_INDEX, data)


@pytest.mark.parametrize("indexed", [False, True], ids=["file", "index"])
def test_a_hundred_entries_of_the_longest_domain_hold(
    relay: relay_.Relay, *, indexed: bool
) -> None:
    labels = ".".join(["d" * 63] * 3 + ["e" * 48])
    entries = [f"{'n' * 60}{number:02}@{labels}.example" for number in range(99)]
    relay.set_senders(ACCOUNT_POLICY, alice=[*entries, NOREPLY], bob=["own"], zoe=[BOB])
    if indexed:
        install_index(lines=100)
        # What is in the index alone shows that it is looked at
        text = relay_.SENDERS_INDEX.read_bytes().replace(
            NOREPLY.encode(), b"n0reply@tenant.example"
        )
        relay_.SENDERS_INDEX.write_bytes(text)
    with relay.login() as client:
        assert client.mail(NOREPLY)[0] == (553 if indexed else 250)
        client.rset()
        assert client.mail(f"n0reply@{DOMAIN}")[0] == (250 if indexed else 553)
        client.rset()
        assert client.mail(ALICE)[0] == 553
    with relay.login(login=BOB) as client:
        assert client.mail(BOB)[0] == 250


def test_an_index_of_another_file_is_not_believed(relay: relay_.Relay) -> None:
    relay.set_senders(DOMAIN_POLICY)
    install_index(lines=100)
    with relay.login() as client:
        assert client.mail(NOREPLY)[0] == 250
        client.rset()
        relay.set_senders(ACCOUNT_POLICY)
        assert client.mail(NOREPLY)[0] == 553


@pytest.mark.parametrize("indexed", [False, True], ids=["file", "index"])
def test_a_file_that_was_cut_at_the_end_of_a_line_lets_nobody_send(
    relay: relay_.Relay, *, indexed: bool
) -> None:
    """Without its line alice would have the default, which is wider."""
    relay.set_senders(DOMAIN_POLICY, alice=[NOREPLY])
    with relay.login() as client:
        assert client.mail(ALICE)[0] == 553
        lines = relay_.SENDERS.read_text().splitlines(keepends=True)
        for count in range(len(lines)):
            relay_.install(relay_.SENDERS, "".join(lines[:count]))
            if indexed:
                install_index(lines=count)
            for sender in (ALICE, NOREPLY, ""):
                client.rset()
                code, text = client.mail(sender)
                assert (code, text.decode()) == (
                    451,
                    "4.3.0 Who may send as whom is not known now, try later",
                )
        assert relay.log_lines("/etc/exim4/senders has no end mark")
        relay.set_senders(DOMAIN_POLICY, alice=[NOREPLY])
        assert client.mail(ALICE)[0] == 553


def test_a_file_that_is_lost_lets_nobody_send_until_it_is_back(relay: relay_.Relay) -> None:
    """Alice may not send as herself; without the file that is not known."""
    relay.set_senders(DOMAIN_POLICY, alice=[NOREPLY])
    table = f"shop.example:send:m1r/rsa/sign\n{DOMAIN}:send:platform/rsa/sign\n"
    domains.tell(table)
    try:
        with relay.login() as client:
            assert client.mail(ALICE)[0] == 553
            for lost in ([relay_.SENDERS], [relay_.SENDERS, domains.TABLE]):
                for path in lost:
                    path.unlink(missing_ok=True)
                for sender in (ALICE, NOREPLY, ""):
                    client.rset()
                    code, text = client.mail(sender)
                    assert (code, text.decode()) == (
                        451,
                        "4.3.0 Who may send as whom is not known now, try later",
                    )
            assert relay.log_lines("/etc/exim4/senders is lost")
            domains.tell(table)
            relay.set_senders(DOMAIN_POLICY, alice=[NOREPLY])
            client.rset()
            assert (client.mail(ALICE)[0], client.mail(NOREPLY)[0]) == (553, 250)
    finally:
        domains.forget()


@pytest.mark.parametrize("harm", ["unreadable", "directory"])
def test_a_file_that_cannot_be_read_lets_nobody_send(relay: relay_.Relay, harm: str) -> None:
    relay.set_senders(DOMAIN_POLICY)
    if harm == "unreadable":
        relay_.SENDERS.chmod(0o600)
    else:
        relay_.SENDERS.unlink()
        relay_.SENDERS.mkdir()
    try:
        with relay.login() as client:
            assert client.mail(ALICE)[0] == 451
    finally:
        if harm == "directory":
            relay_.SENDERS.rmdir()


def test_what_a_client_says_is_no_entry_and_no_pattern(relay: relay_.Relay) -> None:
    relay.set_senders(ACCOUNT_POLICY, alice=[NOREPLY])
    words: tp.Final = ["own", "domain", "*", ".", "*@*", "^.*", "+", "!x", "a;own", "${run{x}}"]
    with relay.login() as client:
        for word in words:
            for sender in (f"{word}@{DOMAIN}", f"x@{word}", f"{NOREPLY};{word}"):
                code = client.docmd("MAIL", f"FROM:<{sender}>")[0]
                assert code in {501, 553}, sender
                client.rset()


def test_nothing_of_the_rights_stays_with_a_message(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    relay.set_senders(ACCOUNT_POLICY, alice=[NOREPLY, f"secret-project@{DOMAIN}"])
    data = relay_.message(From=NOREPLY)
    assert relay.send(data, sender=NOREPLY, recipients=["a@silent.example"])[0] == 250
    (name,) = relay.wait_for_queue(1)
    (header,) = (relay_.SPOOL / "input").glob(f"**/{name}-H")
    assert "secret-project" not in header.read_text()
