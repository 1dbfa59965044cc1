# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp
import uuid as sys_uuid

from restalchemy.storage.sql import migrations

UPGRADE = (
    """\
CREATE TABLE mail_domains (
    uuid UUID CONSTRAINT mail_domains_pkey PRIMARY KEY,
    project_id UUID NOT NULL,
    instance UUID NOT NULL
        CONSTRAINT mail_domains_instance_fkey
        REFERENCES mail_instances (uuid) ON DELETE CASCADE,
    domain VARCHAR(253) NOT NULL,
    is_primary BOOLEAN NOT NULL,
    dkim_public_key TEXT NOT NULL DEFAULT '',
    dkim_selector VARCHAR(63) NOT NULL DEFAULT 'platform',
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    CONSTRAINT mail_domains_instance_domain_key UNIQUE (instance, domain)
)
""",
    "CREATE INDEX mail_domains_project_id_idx ON mail_domains (project_id)",
    "CREATE UNIQUE INDEX mail_domains_primary_idx ON mail_domains (instance) WHERE is_primary",
)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0003-image-of-instance.py"]

    @property
    def migration_id(self) -> str:
        return "8fed46ef-dd8e-4414-8255-4a7f0beb3795"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)
        for row in session.execute("SELECT uuid FROM mail_instances").fetchall():
            # PostgreSQL has no uuid5 without an extension.
            primary = sys_uuid.uuid5(sys_uuid.UUID(str(row["uuid"])), "domain")
            session.execute(
                "INSERT INTO mail_domains (uuid, project_id, instance, domain, is_primary,"
                " dkim_public_key, dkim_selector, created_at, updated_at)"
                " SELECT %s, project_id, uuid, domain, TRUE,"
                " dkim_public_key, dkim_selector, created_at, created_at"
                " FROM mail_instances WHERE uuid = %s",
                (str(primary), str(row["uuid"])),
            )

    def downgrade(self, session: tp.Any) -> None:
        self._delete_table_if_exists(session, "mail_domains")


migration_step = MigrationStep()
