# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

UPGRADE = (
    """\
CREATE TABLE mail_versions (
    uuid UUID CONSTRAINT mail_versions_pkey PRIMARY KEY,
    name VARCHAR(255) NOT NULL CONSTRAINT mail_versions_name_key UNIQUE,
    description VARCHAR(255) NOT NULL DEFAULT '',
    image VARCHAR(2048) NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
)
""",
    """\
CREATE TABLE mail_instances (
    uuid UUID CONSTRAINT mail_instances_pkey PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    description VARCHAR(255) NOT NULL DEFAULT '',
    project_id UUID NOT NULL,
    status VARCHAR(64) NOT NULL DEFAULT 'NEW',
    domain VARCHAR(253) NOT NULL,
    cpu INTEGER NOT NULL CHECK (cpu BETWEEN 1 AND 128),
    ram INTEGER NOT NULL CHECK (ram BETWEEN 512 AND 1073741824),
    disk_size INTEGER NOT NULL CHECK (disk_size BETWEEN 8 AND 1073741824),
    version UUID NOT NULL
        CONSTRAINT mail_instances_version_fkey REFERENCES mail_versions (uuid),
    ipsv4 VARCHAR(15) ARRAY NOT NULL DEFAULT '{}',
    dkim_public_key TEXT NOT NULL DEFAULT '',
    dkim_selector VARCHAR(63) NOT NULL DEFAULT 'platform',
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
)
""",
    "CREATE INDEX mail_instances_project_id_name_idx ON mail_instances (project_id, name)",
    "CREATE INDEX mail_instances_version_idx ON mail_instances (version)",
    """\
CREATE TABLE mail_accounts (
    uuid UUID CONSTRAINT mail_accounts_pkey PRIMARY KEY,
    name VARCHAR(255) NOT NULL DEFAULT '',
    description VARCHAR(255) NOT NULL DEFAULT '',
    project_id UUID NOT NULL,
    instance UUID NOT NULL
        CONSTRAINT mail_accounts_instance_fkey REFERENCES mail_instances (uuid),
    username VARCHAR(64) NOT NULL,
    password_hash VARCHAR(255) NOT NULL,
    active BOOLEAN NOT NULL DEFAULT TRUE,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    CONSTRAINT mail_accounts_instance_username_key UNIQUE (instance, username)
)
""",
    "CREATE INDEX mail_accounts_project_id_idx ON mail_accounts (project_id)",
)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = []

    @property
    def migration_id(self) -> str:
        return "fdea2bd1-dae8-4b23-80eb-0fa39a1baf91"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)

    def downgrade(self, session: tp.Any) -> None:
        for table in ("mail_accounts", "mail_instances", "mail_versions"):
            self._delete_table_if_exists(session, table)


migration_step = MigrationStep()
