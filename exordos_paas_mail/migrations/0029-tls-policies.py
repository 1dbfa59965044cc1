# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

UPGRADE = (
    """\
CREATE TABLE mail_tls_policies (
    uuid UUID NOT NULL CONSTRAINT mail_tls_policies_pkey PRIMARY KEY,
    name VARCHAR(255) NOT NULL DEFAULT '',
    description VARCHAR(255) NOT NULL DEFAULT '',
    project_id UUID NOT NULL,
    instance UUID NOT NULL CONSTRAINT mail_tls_policies_instance_fkey
        REFERENCES mail_instances (uuid) ON DELETE CASCADE,
    domain VARCHAR(255) NOT NULL,
    mode VARCHAR(16) NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    CONSTRAINT mail_tls_policies_instance_domain_key UNIQUE (instance, domain)
)
""",
    "CREATE INDEX mail_tls_policies_project_id_idx ON mail_tls_policies (project_id)",
    "ALTER TABLE mail_accounts ADD COLUMN require_tls BOOLEAN NOT NULL DEFAULT false",
)
DOWNGRADE = (
    "ALTER TABLE mail_accounts DROP COLUMN require_tls",
    "DROP TABLE IF EXISTS mail_tls_policies",
)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0028-suppression-imports.py"]

    @property
    def migration_id(self) -> str:
        return "0492a079-f989-42ed-b5fb-476a1abfdb30"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
