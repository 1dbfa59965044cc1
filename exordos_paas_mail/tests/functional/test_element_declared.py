# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The example element: declared, settled, put right, rotated, removed."""

from __future__ import annotations

import dataclasses
import shlex
import socket
import time
import typing as tp
import uuid

import pytest
import yaml

from clients import elements as elements_client
from clients import iam, mail, rest, waiting
from exordos_paas_mail.tests.functional import (
    example_element,
    provisioning,
    stand_control,
    submission,
)

if tp.TYPE_CHECKING:
    import pathlib

CONTROL_PLANE = "metapaas-cp"
# What the example suppresses.
BOB = "bob@example.org"
# The platform's agents and builders look every 3 s.
LOOP_SECONDS = 4
SETTLED_SECONDS = 27
# The state of the platform's own core-agent (mode 0600): what was declared, as Core has it.
AGENT_STATE = "/var/lib/exordos/exordos_metapaas/core_agent/payload.json"


@dataclasses.dataclass
class Declared:
    """The installed example."""

    stand: stand_control.Stand
    core: rest.Api
    api: rest.Api
    instance: str
    account: str
    domain: str
    relay: submission.Relay

    @property
    def host(self) -> str:
        return self.relay.host

    @property
    def address(self) -> str:
        return f"alice@{self.domain}"

    def secret(self) -> rest.Json:
        (found,) = self.core.list(example_element.PASSWORDS, name="example-mail-alice")
        return found

    def login(self, password: str) -> int | str:
        return self.relay.try_login(self.address, password)

    def writes(self) -> list[str]:
        """Return the last writing transaction of each row that is about the instance."""
        both = f"('{self.instance}', '{self.account}')"
        ours = f"(SELECT uuid FROM ua_target_resources WHERE uuid IN {both} OR master IN {both})"  # noqa: S608
        # A sign of life is no write about the instance.
        reported = f"{ours} AND kind <> 'mail_node_heartbeat'"
        return [
            *self.rows("metapaas-cp", "metapaas", "mail_instances", both, "updated_at"),
            *self.rows("metapaas-cp", "metapaas", "mail_accounts", both, "updated_at"),
            *self.rows("metapaas-cp", "metapaas", "ua_target_resources", ours),
            *self.rows("metapaas-cp", "metapaas", "ua_actual_resources", reported),
            *self.rows("core", "exordos_core", "ua_target_resources", both),
            *self.rows("core", "exordos_core", "ua_actual_resources", both),
        ]

    def rows(
        self, node: str, database: str, table: str, uuids: str, column: str = "kind"
    ) -> list[str]:
        statement = f"SELECT '{table}', {column}, xmin FROM {table} WHERE uuid IN {uuids}"  # noqa: S608
        return sorted(self.stand.query(node, database, statement))

    def relay_state(self) -> str:
        """Return what a reload, or a write of the accounts file, would change."""
        return self.stand.shell(
            self.host,
            "systemctl show --property Id,MainPID,NRestarts,ExecMainStartTimestampMonotonic,"
            "StateChangeTimestampMonotonic,ExecReload "
            "exim4.service exim4-queue.service 'exim4@*.service';"
            "stat --format '%n %i %Z' /etc/exim4/passwd",
        )


@pytest.fixture(scope="module")
def declared(
    elements: elements_client.Elements,
    administrator: iam.Session,
    stand: stand_control.Stand,
    url: str,
    tmp_path_factory: pytest.TempPathFactory,
    poll: waiting.Poll,
) -> tp.Iterator[Declared]:
    # A run that was killed leaves it behind.
    elements.uninstall(example_element.NAME)
    domain = f"declared-{uuid.uuid4().hex[:10]}.example.com"
    manifest: pathlib.Path = tmp_path_factory.mktemp("example") / f"{example_element.NAME}.yaml"
    manifest.write_text(yaml.safe_dump(example_element.manifest(domain), sort_keys=False))
    elements.ensure(manifest)
    # What is declared is in the element manager's project: a token of no project sees it.
    api = administrator.api(url)
    found: list[rest.Json] = poll.until(
        "the declared instance ACTIVE",
        lambda: api.list(mail.INSTANCES, domain=domain),
        lambda found: [it["status"] for it in found] == ["ACTIVE"],
    )
    (account,) = poll.until("the declared account", lambda: api.list(mail.accounts_path(found[0])))
    yield Declared(
        stand,
        elements.core,
        api,
        found[0]["uuid"],
        account["uuid"],
        domain,
        provisioning.relay_of(api, found[0]),
    )
    elements.uninstall(example_element.NAME)


@pytest.fixture(scope="module")
def password(declared: Declared, poll: waiting.Poll) -> str:
    """Return the secret's value, once the node knows it."""
    value: str = declared.secret()["value"]
    poll.until(
        "the declared account logs in",
        lambda: declared.login(value),
        lambda code: code == submission.OK,
    )
    return value


def test_the_secret_of_the_element_logs_in(declared: Declared, password: str) -> None:
    assert declared.login(password) == submission.OK
    assert declared.login(password[::-1]) == submission.REFUSED


def test_what_is_declared_settles_and_costs_no_write_and_no_reload(
    declared: Declared, password: str, poll: waiting.Poll
) -> None:
    # The last report of the node may still be on its way to Core.
    def two_looks() -> tuple[list[str], list[str]]:
        before = declared.writes()
        time.sleep(LOOP_SECONDS)
        return before, declared.writes()

    poll.until(
        "the writes of the installation are over", two_looks, lambda found: found[0] == found[1]
    )
    before, relay = declared.writes(), declared.relay_state()
    assert {row.split("|")[0] for row in before} == {
        *("mail_instances", "mail_accounts", "ua_target_resources", "ua_actual_resources")
    }
    assert declared.login(password) == submission.OK
    time.sleep(SETTLED_SECONDS)
    assert declared.writes() == before
    assert declared.relay_state() == relay
    assert declared.api.read(mail.instance_path(declared.instance))["status"] == "ACTIVE"


def test_a_changed_secret_reaches_the_node_and_no_table_holds_it(
    declared: Declared, password: str, poll: waiting.Poll
) -> None:
    secret = declared.secret()
    # A secret that Core makes is made anew when what it is made by changes.
    path = f"{example_element.PASSWORDS}{secret['uuid']}"
    declared.core.expect(200, "PUT", path, {"default_length": secret["default_length"] + 1})
    renewed: str = poll.until(
        "Core has another value of the secret",
        lambda: declared.secret()["value"],
        lambda value: value not in {None, password},
    )
    poll.until(
        "the new value logs in and the old one does not",
        lambda: (declared.login(renewed), declared.login(password)),
        lambda codes: codes == (submission.OK, submission.REFUSED),
    )
    stand = declared.stand
    dump = stand.shell(CONTROL_PLANE, "cd / && runuser -u postgres -- pg_dump metapaas")
    assert declared.domain in dump
    for value in (password, renewed):
        assert value not in dump
        look = f"grep -rlF {shlex.quote(value)} /etc /var/lib/exordos /var/log /tmp; true"
        found = stand.shell(CONTROL_PLANE, look).split()
        assert set(found) <= {AGENT_STATE}
        assert stand.shell(declared.host, look) == ""
    assert stand.shell(CONTROL_PLANE, f"stat --format %a {AGENT_STATE}").strip() == "600"


def test_limits_senders_a_suppression_and_a_webhook_are_declared(
    declared: Declared, poll: waiting.Poll
) -> None:
    api, path = declared.api, mail.instance_path(declared.instance)
    account = api.read(f"{mail.accounts_path(declared.instance)}{declared.account}")
    limits = {name: limit for name, limit in account["limits"].items() if limit is not None}
    assert limits == {"recipients_per_hour": 1000, "recipients_per_message": 100}
    assert account["senders"] == ["own", f"news@{declared.domain}"]
    assert api.read(path)["limits"]["recipients_per_day"] == 100_000

    (webhook,) = poll.until("the webhook", lambda: api.list(f"{path}/webhooks/"))
    assert webhook["url"] == f"https://hooks.{declared.domain}/mail"
    assert (webhook["error"], "secret_key" in webhook) == ("", False)

    (suppression,) = poll.until("the suppression", lambda: api.list(f"{path}/suppressions/"))
    assert (suppression["address"], suppression["origin"]) == (BOB, "USER")
    assert (suppression["error"], suppression["expires_at"]) == ("", None)

    def answers() -> tuple[int, int]:
        password = declared.secret()["value"]
        with declared.relay.logged_in(declared.address, password) as client:
            client.mail(declared.address)
            return client.rcpt(BOB)[0], client.rcpt("eve@example.org")[0]

    poll.until("the recipient is refused, another not", answers, lambda found: found == (550, 250))
    # What somebody takes out comes back for as long as it is declared.
    suppressions = f"{path}/suppressions/"
    api.delete(f"{suppressions}{suppression['uuid']}")
    poll.until(
        "the suppression is back",
        lambda: [(each["uuid"], each["detail"]) for each in api.list(suppressions)],
        lambda found: found == [(suppression["uuid"], suppression["detail"])],
    )


def test_removing_the_element_removes_everything(
    declared: Declared, elements: elements_client.Elements, poll: waiting.Poll
) -> None:
    name = f"mailaas-dp-{declared.instance}"
    (node_set,) = declared.core.list("/v1/compute/sets/", name=name)
    nodes = set(node_set["nodes"])
    elements.uninstall(example_element.NAME)

    def left() -> dict[str, tp.Any]:
        core = declared.core
        return {
            "instance": declared.api.call("GET", mail.instance_path(declared.instance)).status_code,
            "rows": declared.writes(),
            "sets": core.list("/v1/compute/sets/", name=name),
            "nodes": nodes & {node["uuid"] for node in core.list("/v1/compute/nodes/")},
            "configs": [
                config["uuid"]
                for config in core.list("/v1/config/configs/")
                if config["target"].get("node") in nodes
            ],
            "secrets": core.list(example_element.PASSWORDS, name="example-mail-alice"),
            "answers": _answers(declared.host),
        }

    nothing: dict[str, tp.Any] = {
        "instance": 404,
        "rows": [],
        "sets": [],
        "nodes": set(),
        "configs": [],
        "secrets": [],
        "answers": False,
    }
    poll.until("nothing of the element is left", left, lambda found: found == nothing)


def _answers(host: str) -> bool:
    try:
        with socket.create_connection((host, submission.SUBMISSION), timeout=2):
            return True
    except OSError:
        return False
