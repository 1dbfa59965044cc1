# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What a tenant asks the control plane for: instances, and accounts of the shared one."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as tp
import uuid

from clients import internet, mail, rest, waiting, zones
from exordos_paas_mail.tests.functional import submission, trusting

if tp.TYPE_CHECKING:
    from exordos_paas_mail.tests.functional import stand_control


def instance_body(project: str, version: rest.Json, label: str) -> rest.Json:
    """Return a body to create an instance of a domain nobody else has."""
    unique = uuid.uuid4().hex[:10]
    return {
        "name": f"mail-suite-{label}-{unique}",
        "project_id": project,
        "domain": f"{label}-{unique}.example.com",
        "cpu": 1,
        "ram": 1024,
        "disk_size": 10,
        "version": f"{mail.VERSIONS}{version['uuid']}",
    }


def wait_active(api: rest.Api, instance: rest.Json, poll: waiting.Poll) -> rest.Json:
    """Return the instance once it is ACTIVE and its node has told its DKIM key."""
    found: rest.Json = poll.until(
        f"instance {instance['uuid']} ACTIVE with its DKIM key",
        lambda: api.read(mail.instance_path(instance)),
        lambda it: it["status"] == "ACTIVE" and bool(it["dkim_public_key"]),
    )
    return found


def relay_of(api: rest.Api, instance: rest.Json) -> submission.Relay:
    """Return the relay of an instance that has its address, known by what *api* shows of it."""
    path = mail.instance_path(instance)
    return submission.Relay(instance["ipsv4"][0], trusting.Shown(lambda: api.read(path)))


@contextlib.contextmanager
def zone(core: rest.Api, world: internet.Client) -> tp.Iterator[zones.Zone]:
    """Give a zone of the project's in Core's DNS, delegated to Core by the world."""
    made = zones.make(core, f"{uuid.uuid4().hex[:10]}.example")
    world.delegate(made.name)
    yield made
    world.withdraw(made.name)
    made.delete()


def add_past_the_api(
    stand: stand_control.Stand, instance: rest.Json, name: str, count: int, password_hash: str
) -> list[str]:
    """Give the instance so many accounts, of *name* and a number; returns their names.

    The API would hash a password, and check it, for each.
    """
    uuid = instance["uuid"]
    insert = (
        "INSERT INTO mail_accounts"  # noqa: S608 - what a test says
        " (uuid, project_id, instance, username, password_hash, created_at, updated_at)"
        f" SELECT gen_random_uuid(), project_id, uuid, '{name}' || n, '{password_hash}', now(),"
        f" now() FROM mail_instances, generate_series(1, {count}) n WHERE uuid = '{uuid}'"
    )
    # Its builder is to see it.
    touch = "UPDATE mail_instances SET updated_at = timezone('utc', clock_timestamp())"
    statements = f"BEGIN; {insert}; {touch} WHERE uuid = '{uuid}'; COMMIT"
    stand.query("metapaas-cp", "metapaas", statements)
    return [f"{name}{number}" for number in range(1, count + 1)]


@dataclasses.dataclass
class Account:
    """An account of the shared instance with the password its owner knows."""

    uuid: str
    path: str
    username: str
    address: str
    password: str


class Accounts:
    """Makes accounts of the shared instance, and knows when the node knows."""

    def __init__(
        self, api: rest.Api, instance: rest.Json, relay: submission.Relay, poll: waiting.Poll
    ) -> None:
        self._api = api
        self._instance = instance
        self._relay = relay
        self._poll = poll
        self.path = mail.accounts_path(instance)
        self._made: list[str] = []

    def make(self, **fields: tp.Any) -> Account:
        """Ask for an account; the node does not know it yet."""
        password = uuid.uuid4().hex
        body = {
            "username": f"user-{uuid.uuid4().hex[:10]}",
            **({} if "password_hash" in fields else {"password": password}),
            **fields,
        }
        created = self._api.create(self.path, body)
        self._made.append(f"{self.path}{created['uuid']}")
        return Account(
            uuid=created["uuid"],
            path=self._made[-1],
            username=created["username"],
            address=f"{created['username']}@{self._instance['domain']}",
            password=body.get("password", password),
        )

    def wait_login(self, account: Account, code: int = submission.OK) -> None:
        """Return once a login with the account's password ends with *code*."""
        self._poll.until(
            f"login of {account.address} ends with {code}",
            lambda: self._relay.try_login(account.address, account.password),
            lambda found: found == code,
        )

    def ready(self, **fields: tp.Any) -> Account:
        """Return an account that can log in."""
        account = self.make(**fields)
        self.wait_login(account)
        return account

    def remove_all(self) -> None:
        for path in self._made:
            answer = self._api.call("DELETE", path)
            assert answer.status_code in {204, 404}, answer.text
