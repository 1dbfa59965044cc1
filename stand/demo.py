# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The main job of the product on a stand that is up, by public interfaces alone.

An ordinary owner of a project asks for a relay of example.com and an account, logs in,
sends a message, and reads at another domain's exchanger what it was taken for. A second run
finds the relay and the account, and uses them.
"""

from __future__ import annotations

import dataclasses
import email.message
import email.utils
import json
import os
import pathlib
import secrets
import smtplib
import ssl
import sys
import typing as tp
import uuid

import jinja2
import requests

from stand import iam, settings, steps, waiting
from stand.internet import client as internet_client

DOMAIN: tp.Final = "example.com"
ACCOUNT: tp.Final = "alice"
RECIPIENT: tp.Final = "bob@example.net"
_OWNER_ROLE: tp.Final = "726f6c65-0000-0000-0000-000000000002"
_MAIL: tp.Final = "/v1/types/mail"
_SECONDS: tp.Final = 30
_ACTIVE_SECONDS: tp.Final = 300
_LOGIN_SECONDS: tp.Final = 60
_PORTS: tp.Final = (587, 465)


@dataclasses.dataclass(frozen=True)
class Person:
    """The owner of the demo's project and the password of its account, kept between runs."""

    username: str
    password: str
    project: str
    account_password: str


class Mail:
    """The mail API as one person."""

    def __init__(self, url: str, session: iam.Session) -> None:
        """*url* is the runtime's API, *session* the person's with Core."""
        self._url = url
        self._session = session

    def call(self, method: str, path: str, body: tp.Any = None, **filters: str) -> tp.Any:
        """Return the answer; raises requests.HTTPError with the API's own words."""
        answer = requests.request(
            method,
            f"{self._url}{_MAIL}{path}",
            json=body,
            params=filters,
            headers={"Authorization": f"Bearer {self._session.token()}"},
            timeout=_SECONDS,
        )
        if not answer.ok:
            raise requests.HTTPError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None

    def ensure(self, path: str, key: str, body: dict[str, tp.Any]) -> dict[str, tp.Any]:
        """Return the resource whose *key* is that of *body*, made if there is none."""
        found = self.call("GET", path, **{key: body[key]}) or [self.call("POST", path, body)]
        return tp.cast("dict[str, tp.Any]", found[0])


def ensure_person(admin: iam.Session, file: pathlib.Path) -> Person:
    """Return the demo's person, made with a project of their own if this is the first run."""
    if file.exists():
        return Person(**json.loads(file.read_text()))
    unique = uuid.uuid4().hex[:6]
    username, password = f"demo-{unique}", secrets.token_hex(8)
    named = {"name": username, "description": "Demo"}
    organization = admin.call("POST", "v1/iam/organizations/", named)
    owned = {"organization": f"/v1/iam/organizations/{organization['uuid']}"}
    project = admin.call("POST", "v1/iam/projects/", {**named, **owned})
    user = admin.call(
        "POST",
        "v1/iam/users/",
        {
            "username": username,
            "password": password,
            "first_name": "Demo",
            "last_name": "Owner",
            "email": f"{username}@example.com",
        },
    )
    admin.call(
        "POST",
        "v1/iam/role_bindings/",
        {
            "user": f"/v1/iam/users/{user['uuid']}",
            "role": f"/v1/iam/roles/{_OWNER_ROLE}",
            "project": f"/v1/iam/projects/{project['uuid']}",
        },
    )
    person = Person(username, password, project["uuid"], secrets.token_hex(8))
    settings.write_private(file, json.dumps(dataclasses.asdict(person), indent=2))
    return person


def _login(host: str, port: int, password: str) -> smtplib.SMTP:
    # The relay's certificate is its own, until its owner installs one.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    client: smtplib.SMTP
    if port == _PORTS[1]:
        client = smtplib.SMTP_SSL(host, port, "demo.example.net", timeout=10, context=context)
    else:
        client = smtplib.SMTP(host, port, "demo.example.net", timeout=10)
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
    shown = steps.Steps(count=7)
    core = environment["EXORDOS_ENDPOINT"]
    url = environment["EXORDOS_MAIL_CP_URL"]
    admin = iam.Session(core, environment["EXORDOS_USERNAME"], environment["EXORDOS_PASSWORD"])
    outside = internet_client.Client(environment["EXORDOS_MAIL_INTERNET_URL"])

    with shown.step("An ordinary user, owner of a project of their own") as step:
        person = ensure_person(admin, directory / "demo.json")
        session = iam.Session(core, person.username, person.password, person.project)
        mail = Mail(url, session)
        step.note = person.username
        version = waiting.until("a version", lambda: mail.call("GET", "/versions/"), _SECONDS)[0]
    with shown.step(f"POST /instances/: a relay of {DOMAIN}") as step:
        body = {
            "name": "demo",
            "domain": DOMAIN,
            "cpu": 1,
            "ram": 1024,
            "disk_size": 10,
            "version": f"{_MAIL}/versions/{version['uuid']}",
        }
        instance = mail.ensure("/instances/", "domain", body)
        path = f"/instances/{instance['uuid']}"
        step.note = instance["status"]
    with shown.step(f"POST /accounts/: {ACCOUNT}") as step:
        account = {"username": ACCOUNT, "password": person.account_password}
        mail.ensure(f"{path}/accounts/", "username", account)
        step.note = f"{ACCOUNT}@{DOMAIN}"
    with shown.step("A machine boots, makes its DKIM key, reports: ACTIVE") as step:
        instance = waiting.until(
            "the instance ACTIVE",
            lambda: _active(mail.call("GET", path), step),
            _ACTIVE_SECONDS,
        )
        host = instance["ipsv4"][0]
        step.note = host
    with shown.step("Login on 587 with STARTTLS and on 465 with TLS") as step:
        for port in _PORTS:
            waiting.until(
                f"the login on {port}",
                lambda port=port: _try_login(host, port, person.account_password),  # type: ignore[misc]
                _LOGIN_SECONDS,
            )
        step.note = "235, 235"
    with shown.step("The owner publishes SPF, DKIM, DMARC, A and PTR"):
        outside.publish_sender(
            DOMAIN, instance["ipsv4"], instance["dkim_selector"], instance["dkim_public_key"]
        )
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
            "url": f"{url}{_MAIL}",
            "outside": environment["EXORDOS_MAIL_INTERNET_URL"],
            "token": session.token(),
            "instance": instance,
            "person": person,
            "facts": facts,
        }
    )
    shown.console.out(report, highlight=False)
    if {verdict["spf"], verdict["dkim"], verdict["dmarc"]} != {"pass"}:
        raise RuntimeError(f"the receiver does not trust the message: {verdict}")


def _active(instance: dict[str, tp.Any], step: steps.Step) -> dict[str, tp.Any] | None:
    step.note = f"{instance['status']} {instance['error'] or ' '.join(instance['ipsv4'])}"
    ready = instance["status"] == "ACTIVE" and instance["dkim_public_key"]
    return instance if ready else None


def _report(values: tp.Mapping[str, tp.Any]) -> str:
    template = pathlib.Path(__file__).with_name("demo.txt.j2").read_text()
    # Plain text for a terminal.
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701
    host, password = values["host"], values["person"].account_password
    return environment.from_string(template).render(
        values,
        domain=DOMAIN,
        recipient=RECIPIENT,
        reverse=f"{'.'.join(reversed(host.split('.')))}.in-addr.arpa",
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
