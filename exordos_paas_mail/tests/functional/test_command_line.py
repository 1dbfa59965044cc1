# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The platform's own command line, ``exordos metapaas mail``: every command, wrong input too."""

from __future__ import annotations

import dataclasses
import json
import typing as tp
import uuid

import pytest

from clients import exordos, mail, rest
from exordos_paas_mail.tests.functional import provisioning, submission

if tp.TYPE_CHECKING:
    import pathlib

    from clients import iam
    from exordos_paas_mail.tests.functional import settings

NOBODY = "12345678-0000-4000-8000-000000000000"


@dataclasses.dataclass(frozen=True)
class CommandLine:
    """``exordos metapaas mail`` as an owner of the project."""

    program: exordos.Exordos
    url: str

    def run(self, group: str, command: str, *arguments: str) -> str:
        """Return what the command printed; raises ExordosError with its words."""
        options = ("--metapaas-endpoint", self.url)
        return self.program.run("metapaas", *options, "mail", group, command, *arguments)

    def read(self, group: str, command: str, *arguments: str) -> list[dict[str, str]]:
        """Return the rows of what a command that shows something printed."""
        rows: list[dict[str, str]] = json.loads(
            self.run(group, command, *arguments, "--output", "json")
        )
        return rows

    def show(self, group: str, *arguments: str) -> dict[str, str]:
        """Return the fields of the record that the command shows, a row each."""
        rows = self.read(group, "show", *arguments)
        return {field: value for field, value in (row.values() for row in rows)}  # noqa: C416

    def refusal(self, group: str, command: str, *arguments: str) -> str:
        """Return the words of a command that must fail."""
        with pytest.raises(exordos.ExordosError) as caught:
            self.run(group, command, *arguments)
        return str(caught.value)


@pytest.fixture(scope="module")
def cli(
    configuration: settings.Settings,
    owner_session: iam.Session,
    url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> CommandLine:
    if configuration.cli is None:
        pytest.skip("EXORDOS_CLI does not name the exordos program")
    home = tmp_path_factory.mktemp("exordos")
    return CommandLine(exordos.logged_in(configuration.cli, home, owner_session), url)


@pytest.fixture
def made_instance(
    cli: CommandLine, owner: rest.Api, project: str, version: rest.Json
) -> tp.Iterator[rest.Json]:
    """Yield an instance that was asked for by the command line, which removes it if it is there."""
    identifier = str(uuid.uuid4())
    cli.run(
        *("instances", "add", "--uuid", identifier, "--project-id", project),
        *("--name", f"cli-{identifier[:8]}", "--domain", f"cli-{identifier[:8]}.example.com"),
        *("--version", version["name"], "--cpu", "1", "--ram", "1024", "--disk-size", "10"),
    )
    path = f"{mail.INSTANCES}{identifier}"
    yield owner.read(path)
    assert owner.call("DELETE", path).status_code in {204, 404}


@pytest.fixture
def made_account(
    cli: CommandLine, owner: rest.Api, instance: rest.Json, project: str
) -> tp.Iterator[rest.Json]:
    """Yield an account that was made by the command line, with the password "first-secret"."""
    identifier = str(uuid.uuid4())
    cli.run(
        *("accounts", "add", "--uuid", identifier, "--project-id", project),
        *("--instance-uuid", instance["uuid"], "--username", f"cli-{identifier[:8]}"),
        *("--password", "first-secret"),
    )
    path = f"{mail.accounts_path(instance)}{identifier}"
    yield owner.read(path)
    assert owner.call("DELETE", path).status_code in {204, 404}


def test_versions_are_listed_and_shown(cli: CommandLine, version: rest.Json) -> None:
    listed = cli.read("versions", "list")
    assert version["uuid"] in {each["uuid"] for each in listed}
    assert cli.show("versions", version["uuid"])["name"] == version["name"]
    assert cli.show("versions", version["name"])["uuid"] == version["uuid"]


def test_an_instance_is_added_listed_shown_updated_and_deleted(
    cli: CommandLine, owner: rest.Api, made_instance: rest.Json
) -> None:
    identifier = made_instance["uuid"]
    named = cli.read("instances", "list", "--filters", f"name={made_instance['name']}")
    assert [each["uuid"] for each in named] == [identifier]
    assert cli.show("instances", identifier)["domain"] == made_instance["domain"]
    assert cli.show("instances", made_instance["name"])["uuid"] == identifier

    cli.run("instances", "update", identifier, "--description", "by hand", "--disk-size", "11")
    changed = owner.read(mail.instance_path(made_instance))
    assert (changed["description"], changed["disk_size"]) == ("by hand", 11)

    cli.run("instances", "delete", "--yes", identifier)
    assert owner.call("GET", mail.instance_path(made_instance)).status_code == 404


def test_an_account_of_the_command_line_can_log_in(
    cli: CommandLine,
    instance: rest.Json,
    accounts: provisioning.Accounts,
    made_account: rest.Json,
) -> None:
    account = provisioning.Account(
        uuid=made_account["uuid"],
        path=f"{accounts.path}{made_account['uuid']}",
        username=made_account["username"],
        address=f"{made_account['username']}@{instance['domain']}",
        password="first-secret",
    )
    of_instance = ("--instance-uuid", instance["uuid"])
    accounts.wait_login(account)

    listed = cli.read("accounts", "list", *of_instance)
    assert made_account["uuid"] in {each["uuid"] for each in listed}
    shown = cli.show("accounts", made_account["uuid"], *of_instance)
    assert shown["username"] == made_account["username"]
    assert not {"password", "password_hash"} & shown.keys()

    cli.run("accounts", "update", made_account["uuid"], *of_instance, "--password", "other-secret")
    account.password = "other-secret"
    accounts.wait_login(account)
    cli.run("accounts", "update", made_account["uuid"], *of_instance, "--no-active")
    accounts.wait_login(account, submission.REFUSED)
    cli.run("accounts", "update", made_account["uuid"], *of_instance, "--active")
    accounts.wait_login(account)
    cli.run("accounts", "delete", "--yes", made_account["uuid"], *of_instance)
    accounts.wait_login(account, submission.REFUSED)


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        pytest.param("--domain", "no_domain", "domain: ", id="domain"),
        pytest.param("--name", "", "name: ", id="empty name"),
        pytest.param("--cpu", "0", "--cpu", id="cpu"),
        pytest.param("--ram", "1", "--ram", id="ram"),
        pytest.param("--disk-size", "1", "--disk-size", id="disk size"),
        pytest.param("--version", "no-such-version", "no-such-version", id="version"),
    ],
)
def test_a_wrong_value_of_an_instance_is_named(
    cli: CommandLine, project: str, version: rest.Json, option: str, value: str, words: str
) -> None:
    options = {
        "--project-id": project,
        "--name": "cli-refused",
        "--domain": "cli-refused.example.com",
        "--version": version["uuid"],
        "--cpu": "1",
        "--ram": "1024",
        "--disk-size": "10",
    }
    options[option] = value
    assert words in cli.refusal("instances", "add", *(w for pair in options.items() for w in pair))


def test_a_disk_that_would_shrink_is_refused_with_the_reason(
    cli: CommandLine, instance: rest.Json
) -> None:
    refusal = cli.refusal("instances", "update", instance["uuid"], "--disk-size", "8")
    assert "disk_size: cannot be reduced" in refusal


def test_a_username_that_is_taken_or_wrong_is_named(
    cli: CommandLine, instance: rest.Json, project: str, made_account: rest.Json
) -> None:
    options = (
        *("accounts", "add", "--project-id", project, "--instance-uuid", instance["uuid"]),
        *("--password", "secret-of-a-test", "--username"),
    )
    assert "Already exists" in cli.refusal(*options, made_account["username"])
    assert "username: " in cli.refusal(*options, "two words")


@pytest.mark.parametrize(
    ("group", "command"),
    [
        pytest.param("versions", "show", id="version"),
        pytest.param("instances", "show", id="instance"),
        pytest.param("instances", "update", id="instance to update"),
    ],
)
def test_a_record_that_is_not_there_is_named(cli: CommandLine, group: str, command: str) -> None:
    change = ("--description", "x") if command == "update" else ()
    assert NOBODY in cli.refusal(group, command, NOBODY, *change)


def test_a_user_of_another_project_sees_no_instance(
    cli: CommandLine,
    configuration: settings.Settings,
    stranger_session: iam.Session,
    instance: rest.Json,
    tmp_path: pathlib.Path,
) -> None:
    assert configuration.cli is not None
    program = exordos.logged_in(configuration.cli, tmp_path, stranger_session)
    foreign = CommandLine(program, cli.url)
    assert foreign.read("instances", "list") == []
    assert instance["uuid"] in foreign.refusal("instances", "show", instance["uuid"])
