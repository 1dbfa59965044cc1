# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

UPGRADE = (
    """\
CREATE TABLE mail_dns_records (
    uuid UUID CONSTRAINT mail_dns_records_pkey PRIMARY KEY,
    project_id UUID NOT NULL,
    domain UUID NOT NULL
        CONSTRAINT mail_dns_records_domain_fkey
        REFERENCES mail_domains (uuid) ON DELETE CASCADE,
    purpose VARCHAR(16) NOT NULL,
    type VARCHAR(16) NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    ttl INTEGER NOT NULL,
    required BOOLEAN NOT NULL,
    status VARCHAR(16) NOT NULL DEFAULT 'PENDING',
    known_status VARCHAR(16) NOT NULL DEFAULT 'PENDING',
    found JSONB NOT NULL DEFAULT '[]',
    detail TEXT NOT NULL DEFAULT '',
    suggestion TEXT NOT NULL DEFAULT '',
    servers JSONB NOT NULL DEFAULT '[]',
    checked_at TIMESTAMP,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
)
""",
    "COMMENT ON COLUMN mail_dns_records.known_status IS 'the last status that was no ERROR'",
    "CREATE INDEX mail_dns_records_domain_idx ON mail_dns_records (domain)",
    "CREATE INDEX mail_dns_records_project_id_idx ON mail_dns_records (project_id)",
    """\
CREATE TABLE mail_dns_checks (
    domain UUID
        CONSTRAINT mail_dns_checks_pkey PRIMARY KEY
        CONSTRAINT mail_dns_checks_domain_fkey
        REFERENCES mail_domains (uuid) ON DELETE CASCADE,
    facts TEXT NOT NULL DEFAULT '',
    changed_at TIMESTAMP NOT NULL,
    next_at TIMESTAMP NOT NULL,
    asked_at TIMESTAMP
)
""",
    "COMMENT ON COLUMN mail_dns_checks.facts IS 'a digest of what the records follow from'",
    "CREATE INDEX mail_dns_checks_next_at_idx ON mail_dns_checks (next_at)",
    "ALTER TABLE mail_instances ADD COLUMN dns_status VARCHAR(16) NOT NULL DEFAULT 'INCOMPLETE'",
)
DOWNGRADE = (
    "ALTER TABLE mail_instances DROP COLUMN dns_status",
    "DROP TABLE IF EXISTS mail_dns_checks",
    "DROP TABLE IF EXISTS mail_dns_records",
)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0009-senders.py"]

    @property
    def migration_id(self) -> str:
        return "6f7300d9-48bb-4351-8f2e-4c2295785420"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
