# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The main job of the product on a stand that is up, by public interfaces alone.

An ordinary owner of a project, who has the zone demo.example in Core's DNS, asks for a relay of
demo.example and an account, logs in, sends a message, and reads at another domain's exchanger
what it was taken for. A second run finds zone, relay and account, and uses them.
"""

from __future__ import annotations

import dataclasses
import email.message
import email.utils
import functools
import json
import os
import pathlib
import secrets
import smtplib
import socket
import ssl
import sys
import typing as tp
import uuid

import jinja2
import requests

from clients import files, iam, internet, mail, owners, waiting, zones
from stand import settings, steps

if tp.TYPE_CHECKING:
    from clients import rest

# A zone of its own: the end-to-end suite has names below example.com.
DOMAIN: tp.Final = "demo.example"
ACCOUNT: tp.Final = "alice"
RECIPIENT: tp.Final = "bob@example.net"
# What a relay begins with whose records Core publishes.
ACME: tp.Final = {"kind": "acme"}
_SECONDS: tp.Final = 30
_ACTIVE_SECONDS: tp.Final = 300
_LOGIN_SECONDS: tp.Final = 60
_DNS_SECONDS: tp.Final = 120
_TLS_SECONDS: tp.Final = 120
_PORTS: tp.Final = (587, 465)


@dataclasses.dataclass(frozen=True)
class Person:
    """The owner of the demo's project and the password of its account, kept between runs."""

    owner: owners.Owner
    account_password: str


def ensure_person(core: rest.Api, file: pathlib.Path) -> Person:
    """Return the demo's person, made with a project of their own if this is the first run."""
    if file.exists():
        kept = json.loads(file.read_text())
        return Person(owners.Owner(**kept["owner"]), kept["account_password"])
    person = Person(owners.make(core, "demo"), secrets.token_hex(8))
    files.write_private(file, json.dumps(dataclasses.asdict(person), indent=2))
    return person


def _ensure(api: rest.Api, path: str, key: str, body: rest.Json) -> rest.Json:
    """Return the resource whose *key* is that of *body*, made if there is none."""
    found = api.list(path, **{key: body[key]})
    return found[0] if found else api.create(path, body)


class _Client(smtplib.SMTP):
    """A client to whom the name of the relay leads where the zone says, to *address*."""

    address = ""

    def _get_socket(self, _host: str, port: int, timeout: float) -> socket.socket:
        return socket.create_connection((self.address, port), timeout)


class _TlsClient(smtplib.SMTP_SSL, _Client):
    """The same, with TLS from the start."""


def _connect(kind: type[smtplib.SMTP], address: str, port: int, **more: tp.Any) -> smtplib.SMTP:
    at = type(kind.__name__, (kind,), {"address": address})
    return tp.cast("smtplib.SMTP", at(DOMAIN, port, "demo.example.net", timeout=10, **more))


def _login(host: str, port: int, password: str) -> smtplib.SMTP:
    # What a mail client does by default: whoever is at *host* has to prove the name.
    context = ssl.create_default_context()
    if port == _PORTS[1]:
        client = _connect(_TlsClient, host, port, context=context)
    else:
        client = _connect(_Client, host, port)
        client.starttls(context=context)
    client.login(f"{ACCOUNT}@{DOMAIN}", password)
    return client


def _try_login(host: str, port: int, password: str) -> bool:
    try:
        _login(host, port, password).quit()
    except smtplib.SMTPAuthenticationError:
        # The node learns of an account some seconds after the API did.
        return False
    return True


def _message() -> email.message.EmailMessage:
    sender = f"{ACCOUNT}@{DOMAIN}"
    message = email.message.EmailMessage()
    message["From"] = f"Alice <{sender}>"
    message["To"] = RECIPIENT
    message["Subject"] = f"Hello from the stand {uuid.uuid4().hex[:8]}"
    message["Date"] = email.utils.formatdate()
    message["Message-ID"] = email.utils.make_msgid(domain=DOMAIN)
    message.set_content("This message left by a relay that is two minutes old.\n")
    return message


def run(environment: tp.Mapping[str, str], directory: pathlib.Path) -> None:
    """Do the job and show it; *environment* is the stand's .stand/env."""
    shown = steps.Steps(count=9)
    core = environment["EXORDOS_ENDPOINT"]
    url = environment["EXORDOS_MAIL_CP_URL"]
    admin = iam.Session(core, environment["EXORDOS_USERNAME"], environment["EXORDOS_PASSWORD"])
    outside = internet.Client(environment["EXORDOS_MAIL_INTERNET_URL"])

    with shown.step("An ordinary user, owner of a project of their own") as step:
        person = ensure_person(admin.api(), directory / "demo.json")
        session = person.owner.session(core)
        api = session.api(url)
        step.note = person.owner.username
        version = waiting.until("a version", lambda: api.list(mail.VERSIONS), _SECONDS)[0]
    with shown.step(f"The zone {DOMAIN} in Core DNS, delegated to it") as step:
        zone = zones.find(session.api(), DOMAIN) or zones.make(session.api(), DOMAIN)
        outside.delegate(zone.name)
        step.note = ", ".join(internet.CLOUD_SERVERS)
    with shown.step(f"POST /instances/: a relay of {DOMAIN}") as step:
        body = {
            "name": "demo",
            "domain": DOMAIN,
            "cpu": 1,
            "ram": 1024,
            "disk_size": 10,
            "dns": {"kind": "core"},
            "version": f"{mail.VERSIONS}{version['uuid']}",
        }
        instance = _ensure(api, mail.INSTANCES, "domain", body)
        path = mail.instance_path(instance)
        step.note = instance["status"]
    with shown.step(f"POST /accounts/: {ACCOUNT}") as step:
        account = {"username": ACCOUNT, "password": person.account_password}
        _ensure(api, mail.accounts_path(instance), "username", account)
        step.note = f"{ACCOUNT}@{DOMAIN}"
    with shown.step("A machine boots, makes its DKIM key, reports: ACTIVE") as step:
        instance = waiting.until(
            "the instance ACTIVE",
            lambda: _active(api.read(path), step),
            _ACTIVE_SECONDS,
        )
        host = instance["ipsv4"][0]
        step.note = host
    with shown.step("A certificate that every client trusts, issued over Core DNS") as step:
        _ensure_acme(api, instance)
        instance = waiting.until(
            "the certificate served", lambda: _trusted(api.read(path), step), _TLS_SECONDS
        )
        step.note = f"{', '.join(instance['tls_names'])} until {instance['tls_expires_at'][:10]}"
    with shown.step("Verified login on 587 with STARTTLS and on 465 with TLS") as step:
        for port in _PORTS:
            waiting.until(
                f"the login on {port}",
                functools.partial(_try_login, host, port, person.account_password),
                _LOGIN_SECONDS,
            )
        step.note = "235, 235"
    with shown.step("Core publishes its records, the provider its PTR") as step:
        outside.publish(f"{_reversed(host)}.in-addr.arpa", "PTR", f"{DOMAIN}.")
        records = waiting.until("the records OK", lambda: _published(api, path, step), _DNS_SECONDS)
    message = _message()
    with shown.step(f"A message arrives at the exchanger of {RECIPIENT.partition('@')[2]}") as step:
        with _login(host, _PORTS[0], person.account_password) as client:
            client.send_message(message)
        facts = outside.wait_for_message(RECIPIENT, message["Subject"])
        verdict = facts["verdict"]
        step.note = f"SPF {verdict['spf']}, DKIM {verdict['dkim']}, DMARC {verdict['dmarc']}"
    report = _report(
        {
            "seconds": shown.seconds,
            "host": host,
            "url": f"{url}{mail.ROOT}".rstrip("/"),
            "outside": environment["EXORDOS_MAIL_INTERNET_URL"],
            "token": session.token(),
            "instance": instance,
            "person": person,
            "facts": facts,
            "records": records,
            "roots": environment["SSL_CERT_FILE"],
        }
    )
    shown.console.out(report, highlight=False)
    if {verdict["spf"], verdict["dkim"], verdict["dmarc"]} != {"pass"}:
        raise RuntimeError(f"the receiver does not trust the message: {verdict}")


def _active(instance: dict[str, tp.Any], step: steps.Step) -> dict[str, tp.Any] | None:
    step.note = f"{instance['status']} {instance['error'] or ' '.join(instance['ipsv4'])}"
    ready = instance["status"] == "ACTIVE" and instance["dkim_public_key"]
    return instance if ready else None


def _ensure_acme(api: rest.Api, instance: rest.Json) -> None:
    # It may be of a release whose relays began with a certificate of their own.
    if instance["tls"] != ACME:
        api.expect(200, "PATCH", mail.instance_path(instance), {"tls": ACME})


def _trusted(instance: dict[str, tp.Any], step: steps.Step) -> dict[str, tp.Any] | None:
    step.note = f"{instance['tls_status']} {instance['tls_error']}"
    return instance if instance["tls_status"] == "ACTIVE" else None


def _reversed(address: str) -> str:
    return ".".join(reversed(address.split(".")))


def _published(api: rest.Api, instance: str, step: steps.Step) -> list[rest.Json] | None:
    """Return the records of the primary domain, if all are OK."""
    (domain,) = api.list(f"{instance}/domains/", primary="true")
    records = api.list(f"{instance}/domains/{domain['uuid']}/records/")
    step.note = ", ".join(f"{it['purpose']} {it['status']}" for it in records)
    return records if domain["dns_status"] == "OK" else None


def _report(values: tp.Mapping[str, tp.Any]) -> str:
    template = pathlib.Path(__file__).with_name("demo.txt.j2").read_text()
    # Plain text for a terminal.
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701
    password = values["person"].account_password
    return environment.from_string(template).render(
        values,
        domain=DOMAIN,
        recipient=RECIPIENT,
        sender=f"{ACCOUNT}@{DOMAIN}",
        auth=(
            f"--auth PLAIN --auth-user {ACCOUNT}@{DOMAIN} --auth-password {password}"
            f" --from {ACCOUNT}@{DOMAIN} --to {RECIPIENT}"
        ),
    )


def main() -> int:
    """Run the demo with the environment of the stand; return its exit status."""
    directory = settings.SITE.directory
    try:
        run(os.environ, directory)
    except KeyError as error:
        print(f"{error} is not set: make demo starts the stand and sets it", file=sys.stderr)
        return 2
    except (requests.RequestException, smtplib.SMTPException, TimeoutError, RuntimeError) as error:
        print(f"The demo stopped: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
