# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""How a client is told to trust the relay's own certificate: the README's table, row by row.

Each is tried with that certificate, and with one of another relay of the same name.
"""

from __future__ import annotations

import datetime
import os
import pathlib
import subprocess
import sys
import typing as tp

import markdown_it
import pytest

from exordos_paas_mail.codecs import certificates, tls_pairs
from exordos_paas_mail.tests.relay import relay as relay_

if tp.TYPE_CHECKING:
    from exordos_paas_mail.tests.relay import internet as internet_

README: tp.Final = pathlib.Path(__file__).parents[3] / "README.md"
RECIPIENT: tp.Final = "someone@elsewhere.example"
# Compilers and their run time are many times as large as all the others; an exim and a Postfix
# beside the relay would be a machine of their own.
UNTRIED: tp.Final = {"Go", "Java", "Postfix", "exim"}
SUBMIT: tp.Final = f"--server {relay_.DOMAIN} --port 587 --from {relay_.ALICE} --to {RECIPIENT}"

# The row's way is put in place of @; the files lie in the working directory.
COMMANDS: tp.Final = {
    "curl": (
        f"curl --silent --show-error --ssl-reqd --crlf @ --url smtp://{relay_.DOMAIN}:587"
        f" --user '{relay_.ALICE}:{relay_.PASSWORD}' --mail-from {relay_.ALICE}"
        f" --mail-rcpt {RECIPIENT} --upload-file message"
    ),
    "swaks": (
        f"swaks --silent 2 --tls @ {SUBMIT} --auth-user {relay_.ALICE}"
        f" --auth-password '{relay_.PASSWORD}' --data message"
    ),
    "openssl": (
        f"openssl s_client -connect {relay_.DOMAIN}:587 -starttls smtp -quiet"
        f" -verify_hostname {relay_.DOMAIN} @ <quit"
    ),
    "msmtp": "msmtp --file=msmtprc --read-recipients <message",
    "mutt": f"mutt -F muttrc -s Greetings -- {RECIPIENT} <text",
    "git send-email": f"@ && git send-email --quiet --confirm=never --to={RECIPIENT} message",
    "Python": "python3 send.py",
    "Node.js, nodemailer": "node send.cjs",
    "PHP, PHPMailer": "php send.php",
    "Ruby": "ruby send.rb",
}
FILES: tp.Final = {
    "message": relay_.message(From=relay_.ALICE).replace("\r", ""),
    "text": "Hello.\n",
    "quit": "QUIT\r\n",
    "msmtprc": f"""
account default
host {relay_.DOMAIN}
port 587
tls on
@
auth on
user {relay_.ALICE}
password {relay_.PASSWORD}
from {relay_.ALICE}
""",
    "muttrc": f"""
set smtp_url = "smtp://{relay_.ALICE}@{relay_.DOMAIN}:587/"
set smtp_pass = "{relay_.PASSWORD}"
set from = "{relay_.ALICE}"
set ssl_starttls = yes
set ssl_force_tls = yes
set copy = no
@
""",
    ".gitconfig": f"""
[user]
  name = Alice
  email = {relay_.ALICE}
[sendemail]
  from = {relay_.ALICE}
  smtpServer = {relay_.DOMAIN}
  smtpServerPort = 587
  smtpEncryption = tls
  smtpUser = {relay_.ALICE}
  smtpPass = {relay_.PASSWORD}
""",
    "send.py": f"""
import smtplib, ssl
context = @
with smtplib.SMTP("{relay_.DOMAIN}", 587) as client:
    client.starttls(context=context)
    client.login("{relay_.ALICE}", "{relay_.PASSWORD}")
    client.sendmail("{relay_.ALICE}", "{RECIPIENT}", open("message").read())
""",
    # nodemailer hands its option "tls" to this.
    "send.cjs": f"""
const fs = require("node:fs");
const options = {{ @ }};
const tls = {{ host: "{relay_.DOMAIN}", port: 465, servername: "{relay_.DOMAIN}", ...options.tls }};
const session = require("node:tls").connect(tls, () => session.end("QUIT\\r\\n"));
session.resume();
""",
    "send.php": f"""<?php
require "/usr/share/php/libphp-phpmailer/autoload.php";
$mail = new PHPMailer\\PHPMailer\\PHPMailer(true);
$mail->isSMTP();
$mail->Host = "{relay_.DOMAIN}";
$mail->Port = 587;
$mail->SMTPSecure = PHPMailer\\PHPMailer\\PHPMailer::ENCRYPTION_STARTTLS;
$mail->SMTPAuth = true;
$mail->Username = "{relay_.ALICE}";
$mail->Password = "{relay_.PASSWORD}";
@
$mail->setFrom("{relay_.ALICE}");
$mail->addAddress("{RECIPIENT}");
$mail->Body = "Hello.";
$mail->send();
""",
    "send.rb": f"""
require "net/smtp"
@
client = Net::SMTP.new("{relay_.DOMAIN}", 587)
client.enable_starttls(context)
client.start("client.example", "{relay_.ALICE}", "{relay_.PASSWORD}", :plain) do |session|
  session.send_message(File.read("message"), "{relay_.ALICE}", "{RECIPIENT}")
end
""",
}


def ways() -> dict[str, str]:
    """Return the table of the README: the way of each client, as code."""
    _, head, rest = README.read_text().partition("\n| client | how |\n")
    table, _, _ = rest.partition("\n\n")
    tokens = iter(markdown_it.MarkdownIt().enable("table").parse(head + table))
    cells = [next(tokens).children or [] for token in tokens if token.type == "td_open"]
    texts = [next(child.content for child in cell if child.content) for cell in cells]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def test_every_row_of_the_table_is_tried() -> None:
    assert {*ways()} == {*COMMANDS, *UNTRIED}


def make() -> tuple[bytes, bytes]:
    """Return the bundles of what a relay makes itself."""
    now = datetime.datetime.now(datetime.timezone.utc)
    first = certificates.plan(None, None, [relay_.DOMAIN], now)
    other = certificates.plan_other(first, None, [relay_.DOMAIN], now)
    return certificates.bundle(*first), other


@pytest.fixture(scope="module")
def served(relay_session: relay_.Relay) -> str:
    """Have the relay serve what it makes itself; return what the API tells of it."""
    bundles = make()
    for name, bundle in zip(("relay.pem", "relay-other.pem"), bundles, strict=True):
        relay_.install(relay_.TLS / name, bundle)
    relay_session.units.reload()
    with pathlib.Path("/etc/hosts").open("a") as hosts:
        hosts.write(f"127.0.0.1 {relay_.DOMAIN}\n")
    return "".join(map(tls_pairs.chain_of, bundles))


@pytest.fixture(scope="module")
def of_another() -> str:
    return "".join(map(tls_pairs.chain_of, make()))


@pytest.mark.parametrize("client", COMMANDS)
def test_a_client_trusts_the_relay_as_the_readme_says_and_no_other(
    relay: relay_.Relay,
    internet: internet_.Internet,
    tmp_path: pathlib.Path,
    served: str,
    of_another: str,
    client: str,
) -> None:
    way = ways()[client].replace("/path/", f"{tmp_path}/")
    for name, text in FILES.items():
        filled = text.replace("@\n", f"{way}\n").replace("{ @ }", f"{{ {way} }}")
        (tmp_path / name).write_text(filled)
    (tmp_path / "msmtprc").chmod(0o600)
    command = COMMANDS[client].replace(" @ ", f" {way} ").replace("@ &&", f"{way} &&")

    path = f"{sys.prefix}/bin:{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(tmp_path), "TERM": "dumb"}

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-euc", command],
            cwd=tmp_path,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )

    (tmp_path / "relay.pem").write_text(of_another)
    assert run().returncode != 0
    assert relay.log_lines(" <= ") == []

    (tmp_path / "relay.pem").write_text(served)
    done = run()
    assert done.returncode == 0, done
    if client not in {"openssl", "Node.js, nodemailer"}:
        internet.wait_for(1)
