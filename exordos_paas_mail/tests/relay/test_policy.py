# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import contextlib
import email
import pathlib
import re
import socket
import subprocess
import typing as tp

import pytest

from exordos_paas_mail.tests.relay import internet as internet_
from exordos_paas_mail.tests.relay import relay as relay_
from exordos_paas_mail.tests.relay import units

DOMAIN = relay_.DOMAIN
ALICE = relay_.ALICE
BOB = relay_.BOB


@pytest.mark.parametrize(
    ("sender", "code"),
    [
        pytest.param(ALICE, 250, id="its address"),
        pytest.param(f"Alice@{DOMAIN.upper()}", 250, id="its address in capitals"),
        pytest.param(f"alice+news@{DOMAIN}", 250, id="its tag"),
        pytest.param(f"alice+a+b@{DOMAIN}", 250, id="its double tag"),
        pytest.param("", 250, id="null sender"),
        pytest.param(BOB, 553, id="a colleague"),
        pytest.param(f"bob+alice@{DOMAIN}", 553, id="a colleague's tag"),
        pytest.param(f"nobody@{DOMAIN}", 553, id="no account"),
        pytest.param("alice@elsewhere.example", 553, id="same name elsewhere"),
        pytest.param(f"alice@sub.{DOMAIN}", 553, id="subdomain"),
        pytest.param(f"alice@{DOMAIN}.elsewhere.example", 553, id="domain as prefix"),
        pytest.param(f"xalice@{DOMAIN}", 553, id="name as suffix"),
        pytest.param("alice", 501, id="no domain"),
        pytest.param("alice@[127.0.0.1]", 501, id="address literal"),
        pytest.param(f"@elsewhere.example:{ALICE}", 250, id="source route is dropped"),
    ],
)
@pytest.mark.parametrize("port", [25, 465, 587])
def test_the_envelope_sender_belongs_to_the_account(
    relay: relay_.Relay, port: int, sender: str, code: int
) -> None:
    with relay.login(port) as client:
        assert client.docmd("MAIL", f"FROM:<{sender}>")[0] == code


@contextlib.contextmanager
def another_account(name: str) -> tp.Iterator[str]:
    """Have an account *name* of the domain, with alice's password, for a while."""
    accounts = relay_.PASSWD.read_text()
    login = f"{name}@{DOMAIN}"
    line = f"{login}:{relay_.crypt(relay_.PASSWORD)}\n"
    relay_.install(relay_.PASSWD, accounts + line)
    try:
        yield login
    finally:
        relay_.install(relay_.PASSWD, accounts)


@pytest.mark.parametrize("tag", ["team", "team+x", "Team+X+y"])
def test_a_tag_that_is_another_account_belongs_to_that_account(
    relay: relay_.Relay, tag: str
) -> None:
    """Also its own tags, and also in a session that was open before."""
    with relay.login() as client:
        assert client.mail(f"alice+{tag}@{DOMAIN}")[0] == 250
        client.rset()
        with another_account("alice+team") as team:
            assert client.mail(f"alice+{tag}@{DOMAIN}")[0] == 553
            assert client.mail(f"alice+te@{DOMAIN}")[0] == 250
            with relay.connect(587) as other:
                assert other.login(team, relay_.PASSWORD)[0] == 235
                assert other.mail(f"alice+{tag}@{DOMAIN}")[0] == 250
                other.rset()
                assert other.mail(f"alice+te@{DOMAIN}")[0] == 553
        client.rset()
        assert client.mail(f"alice+{tag}@{DOMAIN}")[0] == 250


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("From", BOB, BOB),
        ("From", f"Bob <{BOB}>, {ALICE}", BOB),
        ("Sender", BOB, BOB),
        ("Resent-From", BOB, BOB),
        ("Resent-Sender", BOB, BOB),
    ],
)
def test_a_refused_address_is_named_with_the_field_the_login_and_the_way_out(
    relay: relay_.Relay, field: str, value: str, said: str
) -> None:
    data = relay_.message(**{"From": ALICE, field.replace("-", "_"): value})
    code, text = relay.send(data)
    assert (code, relay_.sentence(text.encode())) == (
        553,
        f"5.7.1 {field}: {said} is not an address of the login {ALICE}: "
        f"write {ALICE} or a +tag of it, or add it to the account's senders",
    )
    code, text = relay.send(sender=BOB)
    assert (code, relay_.sentence(text.encode())) == (
        553,
        f"5.7.1 <{BOB}> is not an address of the login {ALICE}: "
        f"send as {ALICE} or a +tag of it, or add it to the account's senders",
    )


@pytest.mark.parametrize("field", ["Sender:\r\n", "Sender: \r\n", "Sender:\r\n \r\n"])
def test_an_empty_sender_field_is_removed(
    relay: relay_.Relay, internet: internet_.Internet, field: str
) -> None:
    assert relay.send(f"From: {ALICE}\r\n{field}Subject: x\r\n\r\nHello.\r\n")[0] == 250
    (got,) = internet.wait_for(1)
    assert email.message_from_bytes(got.data)["Sender"] is None


def test_an_empty_from_is_filled_in(relay: relay_.Relay, internet: internet_.Internet) -> None:
    for other in ("Subject: x", "To: Doe, J. <x@elsewhere.example>"):
        internet.forget()
        assert relay.send(f"From: \r\n{other}\r\n\r\nHello.\r\n")[0] == 250
        (got,) = internet.wait_for(1)
        assert email.message_from_bytes(got.data).get_all("From") == [ALICE]


@pytest.mark.parametrize(
    ("sender", "author", "code"),
    [
        ("", f"Mail Delivery System <MAILER-DAEMON@web.{DOMAIN}>", 250),
        ("", f"MAILER-DAEMON@{DOMAIN}", 250),
        ("", f"postmaster@a.b.{DOMAIN}", 250),
        ("", f"MAILER-DAEMON@web.elsewhere.{DOMAIN}.example", 553),
        ("", f"MAILER-DAEMON@x{DOMAIN}", 553),
        ("", f"bob@web.{DOMAIN}", 553),
        ("", BOB, 553),
        ("", "MAILER-DAEMON (Mail Delivery System)", 250),
        ("", "MAILER-DAEMON <>", 250),
        ("", "MAILER-DAEMON <> (x)", 250),
        ("", "root <>", 554),
        ("", f"Mail, Delivery: System <MAILER-DAEMON@web.{DOMAIN}>", 250),
        ("", "root", 553),
        ("", f"root@web.{DOMAIN}", 553),
        ("", f"Bob, B. <{BOB}>", 553),
    ],
)
def test_a_satellites_report_is_in_the_name_of_its_host(
    relay: relay_.Relay, sender: str, author: str, code: int
) -> None:
    assert relay.send(relay_.message(From=author), sender=sender)[0] == code


def test_a_bounce_of_dma_gets_the_address_it_lacks(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    assert relay.send(relay_.message(From="MAILER-DAEMON <>"), sender="")[0] == 250
    (got,) = internet.wait_for(1)
    assert email.message_from_bytes(got.data).get_all("From") == [
        f"MAILER-DAEMON <MAILER-DAEMON@{DOMAIN}>"
    ]


def test_an_account_sends_a_report_in_its_own_name(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    author = f"MAILER-DAEMON@web.{DOMAIN}"
    assert relay.send(relay_.message(From=author))[0] == 250
    (got,) = internet.wait_for(1)
    assert email.message_from_bytes(got.data).get_all("From") == [f'"{author}" <{ALICE}>']


def test_a_long_folded_references_field_is_taken(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    """Of 17 KB, as in a ticket's long thread; without loss."""
    names = [f"<{number:050}@client.example>" for number in range(260)]
    assert relay.send(relay_.message(From=ALICE, References="\r\n ".join(names)))[0] == 250
    (got,) = internet.wait_for(1)
    assert str(email.message_from_bytes(got.data)["References"]).split() == names


OWN = f"From: {ALICE}\r\n"
PADDING = f"X-Padding: {'y' * 1000}\r\n" * 50
# Decoded, the first address is alice's and the rest is a comment.
DECODED = f"=?utf-8?q?alice=40{DOMAIN}_=28?= <{BOB}> (=?utf-8?q?=29?=)"
FORGED = [
    pytest.param(f"From: {BOB}\r\n", 553, id="From a colleague"),
    pytest.param(f"From: Alice <{ALICE}>, {BOB}\r\n", 553, id="From two, one a colleague"),
    pytest.param(f"From: {ALICE}\r\nFrom: {BOB}\r\n", 554, id="two From"),
    pytest.param(f"FROM: {ALICE}\r\nfrom: {ALICE}\r\n", 554, id="two From alike"),
    pytest.param(f"From: {BOB}\r\nX-A: b\r\nFrom: {ALICE}\r\n", 554, id="two From apart"),
    pytest.param(f"{OWN}Sender: {BOB}\r\n", 553, id="Sender a colleague"),
    pytest.param(f"{OWN}Sender: ceo@elsewhere.example\r\n", 553, id="Sender elsewhere"),
    pytest.param(f"{OWN}Sender: {ALICE}\r\nSender: {BOB}\r\n", 554, id="two Sender"),
    pytest.param("From: undisclosed:;\r\n", 554, id="From an empty group"),
    pytest.param(f"From: team: {BOB};\r\n", 553, id="From a group"),
    pytest.param(f"From: team: {ALICE}; {BOB}\r\n", 553, id="From after a group"),
    pytest.param(f'From: (") team: {ALICE}; {BOB} (")\r\n', 553, id="From after a hidden group"),
    pytest.param(f"From: team:; <{BOB}>, {ALICE}\r\n", (553, 554), id="From after no group"),
    pytest.param(f"From: <@elsewhere.example:{ALICE}>\r\n", 553, id="From by a route"),
    pytest.param(
        f"{OWN}{PADDING}From: {BOB}\r\n",
        554,
        id="two From far apart",
    ),
    pytest.param(f"{OWN}{PADDING}{PADDING}From: {BOB}\r\n", 552, id="two From too far apart"),
    pytest.param("From: <>\r\n", 554, id="From nobody"),
    pytest.param(f"From: {BOB} ({ALICE})\r\n", 553, id="own address in a comment"),
    pytest.param(f'From: "{ALICE}" <{BOB}>\r\n', 553, id="own address as name"),
    pytest.param(f"From: {ALICE} <{BOB}>\r\n", (553, 554), id="own address bare before another"),
    pytest.param(f"From : {BOB}\r\n{OWN}", 554, id="From with a space before the colon"),
    pytest.param(f"From\t: {BOB}\r\n{OWN}", 554, id="From with a tab before the colon"),
    pytest.param(f"From:\r\n {BOB}\r\n", 553, id="From folded"),
    pytest.param(f"{OWN}Resent-From: {BOB}\r\n", 553, id="Resent-From a colleague"),
    pytest.param(f"From: {DECODED}\r\n", 553, id="From a colleague, other when decoded"),
    pytest.param(f"{OWN}Sender: {DECODED}\r\n", 553, id="Sender other when decoded"),
    pytest.param(f"{OWN}Resent-From: {DECODED}\r\n", 553, id="Resent-From other when decoded"),
    pytest.param(
        f"{OWN}Resent-From: {ALICE}\r\nResent-From: {BOB}\r\n", 553, id="second Resent-From"
    ),
    pytest.param(f"{OWN}Resent-From: nobody:;\r\n", 553, id="Resent-From an empty group"),
    pytest.param(
        f"Resent-From: {ALICE}\r\nFrom: {ALICE}, <{BOB}\r\n", 554, id="From malformed when resent"
    ),
    pytest.param(f"{OWN}Subject: a\r\nSubject: b\r\n", 554, id="two Subject"),
    pytest.param(f"{OWN}To: <a@elsewhere.example\r\n", 554, id="malformed To"),
    pytest.param(f"{OWN}no colon here\r\n", (250, 554), id="a line that is no header ends them"),
    pytest.param(f"{OWN}From\r\n : {BOB}\r\n", 554, id="second From folded in its name"),
    pytest.param(f"From\r\n\t: {BOB}\r\n{OWN}", 554, id="first From folded in its name"),
    pytest.param(f"From\r\n : {ALICE}\r\n", 554, id="only From folded in its name"),
    pytest.param(f"{OWN}Sender \r\n : {BOB}\r\n", 554, id="Sender folded in its name"),
    pytest.param(f"{OWN}Resent-From\r\n \r\n : {BOB}\r\n", 554, id="Resent-From folded twice"),
    pytest.param(f"{OWN}From\v: {BOB}\r\n", 554, id="From with a control character"),
    pytest.param(f"{OWN}{PADDING}From\r\n : {BOB}\r\n", 554, id="two From folded far apart"),
]


@pytest.mark.parametrize(("headers", "code"), FORGED)
def test_header_addresses_belong_to_the_account(
    relay: relay_.Relay, headers: str, code: int | tuple[int, int]
) -> None:
    data = f"{headers}X-End: yes\r\n\r\nHello.\r\n"
    answer = relay.send(data, recipients=["someone@silent.example"])
    assert answer[0] in (code if isinstance(code, tuple) else (code,)), answer


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(f"From: Alice <{ALICE}>\r\n", id="name and address"),
        pytest.param(
            f"From: alice+x@{DOMAIN}, {ALICE}\r\nSender: {ALICE}\r\n", id="two of its own"
        ),
        pytest.param(f"From: =?utf-8?q?Al=C3=AFce?= <{ALICE}>\r\n", id="encoded name"),
        pytest.param(f"From: =?utf-8?q?M=C3=BCller=2C_Al?= <{ALICE}>\r\n", id="encoded comma"),
        pytest.param(f"From: =?utf-8?b?YUBiIDxjPiAiKDs6?= <{ALICE}>\r\n", id="encoded specials"),
        pytest.param(f'From: "Public, Al (Ops)" <{ALICE}>\r\n', id="quoted specials"),
        pytest.param(f"From: Al Q. Public <{ALICE}>\r\n", id="dot in a name"),
        pytest.param(f'From: "Ops (Night): a \\"b\\";" <{ALICE}>\r\n', id="quoted in quotes"),
        pytest.param(f"From: {ALICE} (Ops: (night); shift)\r\n", id="name in a comment"),
        pytest.param(
            f"From: {ALICE}\r\nResent-From: {ALICE}\r\nResent-From: alice+x@{DOMAIN}\r\n"
            f"Resent-To: Ops: a@elsewhere.example;\r\n",
            id="sent again twice",
        ),
        pytest.param(f"From: {ALICE}\r\nReply-To: help@elsewhere.example\r\n", id="Reply-To"),
        pytest.param(f"from:{ALICE}\r\n", id="lower case, no space"),
        pytest.param(f"From:\r\n {ALICE}\r\n", id="folded after the colon"),
        pytest.param(
            f"From: Alice\r\n\t<{ALICE}>\r\n"
            "References: <a@b.example>\r\n <c@d.example>\r\n\t<e@f.example>\r\n"
            "X-Empty:\r\nX-Odd_1.a!#$%&'*+/=?^`{|}~: yes\r\nX-Space : yes\r\n",
            id="folded fields and odd names",
        ),
    ],
)
def test_own_addresses_pass_in_any_form(
    relay: relay_.Relay, internet: internet_.Internet, headers: str
) -> None:
    assert relay.send(f"{headers}Subject: hello\r\n\r\nHello.\r\n")[0] == 250
    (got,) = internet.wait_for(1)
    assert headers.partition("\r\n")[0].encode() in got.data


def test_a_message_without_from_gets_the_accounts_address(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    """RFC 6409 8: a submission server may complete a message."""
    assert relay.send("Subject: hello\r\n\r\nHello.\r\n")[0] == 250
    (got,) = internet.wait_for(1)
    fields = email.message_from_bytes(got.data)
    assert fields["From"] == ALICE
    assert all(fields[name] for name in ("Date", "Message-ID", "DKIM-Signature"))


@pytest.mark.parametrize("port", [465, 587])
@pytest.mark.parametrize("sender", [ALICE, "a@elsewhere.example", ""])
def test_mail_without_a_login_is_refused_on_submission_ports(
    relay: relay_.Relay, port: int, sender: str
) -> None:
    with relay.connect(port) as client:
        assert client.mail(sender)[0] == 530


@pytest.mark.parametrize(
    "recipient",
    [
        "someone@elsewhere.example",
        ALICE,
        f"someone%elsewhere.example@{DOMAIN}",
        f"elsewhere.example!someone@{DOMAIN}",
        f'"someone@elsewhere.example"@{DOMAIN}',
        f"@{DOMAIN}:someone@elsewhere.example",
        "someone@elsewhere.example@tenant.example",
        "postmaster@elsewhere.example",
        "root@localhost",
        f"|/bin/sh@{DOMAIN}",
        f"/etc/passwd@{DOMAIN}",
        "postmaster@[127.0.0.1]",
    ],
)
@pytest.mark.parametrize("tls", [True, False])
def test_nothing_is_relayed_without_a_login(
    relay: relay_.Relay, recipient: str, *, tls: bool
) -> None:
    with relay_.Raw(relay, 25, tls=tls) as client:
        if not tls:
            client.answer()
            client.command("EHLO client.example")
        assert client.command("MAIL FROM:<a@elsewhere.example>").startswith("250")
        assert re.match("5(01|50) ", client.command(f"RCPT TO:<{recipient}>"))


@pytest.mark.parametrize("recipient", [BOB, f"colleague@{DOMAIN}", f"postmaster@{DOMAIN}"])
def test_mail_to_the_own_domain_goes_to_its_mx(
    relay: relay_.Relay, internet: internet_.Internet, recipient: str
) -> None:
    assert relay.send(recipients=[recipient])[0] == 250
    (got,) = internet.wait_for(1)
    assert (got.sender, got.recipients) == (ALICE, [recipient])
    assert b"DKIM-Signature" in got.data


def test_an_unknown_mailbox_of_a_domain_whose_mx_is_here_is_refused_at_once(
    relay: relay_.Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(internet_.ZONE, (DOMAIN, "MX"), ["10 here-host.example."])
    assert relay.send(recipients=[BOB])[0] == 550


@pytest.mark.parametrize(
    ("recipient", "code"),
    [
        pytest.param("a@private.example", 550, id="private"),
        pytest.param("a@loopback.example", 550, id="loopback"),
        pytest.param("a@metadata.example", 550, id="link-local"),
        pytest.param("a@mapped.example", 550, id="IPv4 inside IPv6"),
        pytest.param("a@here.example", 550, id="this relay"),
        pytest.param("a@null.example", 550, id="null MX"),
        pytest.param("a@nxdomain.example", 550, id="no such domain"),
        pytest.param("a@[10.80.0.25]", 501, id="address literal"),
        pytest.param("a@10.80.0.25", 550, id="address as a name"),
        pytest.param("a", 501, id="no domain"),
        pytest.param("|cat@elsewhere.example", 501, id="pipe"),
        pytest.param("../x@elsewhere.example", 501, id="path"),
        pytest.param("a%b.example@elsewhere.example", 501, id="percent hack"),
        pytest.param("b.example!a@elsewhere.example", 501, id="bang path"),
        pytest.param("a/../b@elsewhere.example", 501, id="path inside"),
        pytest.param("a@elsewhere.example", 250, id="public"),
        *(
            pytest.param(f"{name}@elsewhere.example", 250)
            for name in ("R&D", "o'neil", "a/b", "c#", "what?", "SRS0=x=y=z.example=a", "{a}|b")
        ),
        pytest.param("a@silent.example", 250, id="name server does not answer"),
    ],
)
def test_recipients_are_refused_when_they_cannot_be_reached(
    relay: relay_.Relay, recipient: str, code: int
) -> None:
    with relay.login() as client:
        client.mail(ALICE)
        assert client.docmd("RCPT", f"TO:<{recipient}>")[0] == code


NOT_REACHED = "has no mail server that mail can go to: a public IPv4 address is needed"


@pytest.mark.parametrize(
    ("domain", "said"),
    [
        ("nxdomain.example", "The domain nxdomain.example does not exist"),
        ("null.example", "The domain null.example takes no mail (RFC 7505)"),
        ("no-mail.example", f"The domain no-mail.example {NOT_REACHED}"),
        ("private.example", f"The domain private.example {NOT_REACHED}"),
        ("ipv6.example", f"The domain ipv6.example {NOT_REACHED}"),
        (
            "here.example",
            "The mail server of here.example is this relay, which has no such mailbox",
        ),
    ],
)
def test_the_reason_why_a_recipient_cannot_be_reached_is_told(
    relay: relay_.Relay, domain: str, said: str
) -> None:
    with relay.login() as client:
        client.mail(ALICE)
        code, text = client.rcpt(f"a@{domain}")
        assert (code, relay_.sentence(text)) == (550, f"5.1.2 {said}")


def test_mail_leaves_where_no_file_names_the_port(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    services = pathlib.Path("/etc/services")
    text = services.read_text()
    services.write_text("")
    try:
        assert relay.send()[0] == 250
        internet.wait_for(1)
    finally:
        services.write_text(text)


def test_mail_leaves_by_ipv4_which_the_api_names(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    """The MX has an IPv6 address, and there is a route to it."""
    with socket.create_connection((internet_.PUBLIC_IPV6_ADDRESS, 25), timeout=units.PATIENCE):
        pass
    assert relay.send()[0] == 250
    (got,) = internet.wait_for(1)
    assert got.client == "203.0.113.1"


MUELLER = "m\N{LATIN SMALL LETTER U WITH DIAERESIS}ller"


@pytest.mark.parametrize("option", ["", " SMTPUTF8"], ids=["", "SMTPUTF8"])
def test_a_name_beyond_ascii_is_refused_at_once(relay: relay_.Relay, option: str) -> None:
    with relay_.Raw(relay, 587, tls=True) as client:
        client.command(f"AUTH PLAIN {relay_.token(ALICE, relay_.PASSWORD)}")
        client.command(f"MAIL FROM:<{ALICE}>{option}")
        refused = client.command(f"RCPT TO:<{MUELLER}@elsewhere.example>")
        assert refused == f"553 5.6.7 Mail goes to names in ASCII only: {MUELLER} is not one\r\n"
        if not option:
            assert client.command(f"RCPT TO:<a@{MUELLER}.example>")[:3] == "501"
        client.command("RSET")
        refused = client.command(f"MAIL FROM:<{MUELLER}@{DOMAIN}>{option}")
        assert refused == f"553 5.6.7 Sender beyond ASCII: send as {ALICE} or a +tag of it\r\n"


def send_utf8(relay: relay_.Relay, *recipients: str) -> None:
    with relay.login() as client:
        assert client.mail(ALICE, ["SMTPUTF8", "BODY=8BITMIME"])[0] == 250
        for recipient in recipients:
            assert client.sock is not None
            client.sock.sendall(f"RCPT TO:<{recipient}>\r\n".encode())
            assert client.getreply()[0] == 250
        assert client.data(relay_.message(From=ALICE, Subject="Gr\xfc\xdfe").encode())[0] == 250


def test_headers_in_utf8_reach_a_server_without_smtputf8(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    """As Postfix sends what it has from sendmail; to a server that never heard of it."""
    send_utf8(relay, "someone@elsewhere.example")
    (got,) = internet.wait_for(1)
    assert (got.recipients, got.utf8) == (["someone@elsewhere.example"], False)
    assert "\r\nSubject: Gr\xfc\xdfe\r\n".encode() in got.data
    assert b"DKIM-Signature" in got.data


def test_a_domain_beyond_ascii_goes_to_its_mx(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    send_utf8(relay, f"a@{MUELLER}.example", "someone@utf8.example")
    got = internet.wait_for(2)
    assert sorted((one.recipients, one.utf8) for one in got) == [
        (["a@xn--mller-kva.example"], False),
        (["someone@utf8.example"], True),
    ]


def test_a_private_mx_is_skipped_for_a_public_one(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    assert relay.send(recipients=["a@both.example"])[0] == 250
    internet.wait_for(1)
    assert [*relay.log_lines(rf"H=\S+ \[{internet_.PRIVATE_ADDRESS}\]")] == []


def test_private_mx_are_followed_when_allowed_but_never_the_relay_itself(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    with relay.configured(allow_private_mx=True):
        assert relay.send(recipients=["a@private.example"])[0] == 250
        internet.wait_for(1)
        for domain in ("loopback", "metadata", "here"):
            assert relay.send(recipients=[f"a@{domain}.example"])[0] == 550


def test_only_root_submits_locally(relay: relay_.Relay, internet: internet_.Internet) -> None:
    command = ["exim4", "-odf", "-i", "someone@elsewhere.example"]
    mail = b"Subject: cron\n\nIt failed.\n"
    subprocess.run(command, input=mail, check=True)
    (got,) = internet.wait_for(1)
    assert got.sender == f"root@{DOMAIN}"
    nobody = subprocess.run(
        ["setpriv", "--reuid=nobody", "--clear-groups", *command],
        input=mail,
        check=False,
    )
    assert nobody.returncode == 1
    assert relay.log_lines("rejected by non-SMTP ACL: local submission is for root")
    assert relay.queue() == []
