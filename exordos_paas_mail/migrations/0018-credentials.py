# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

UPGRADE = (
    """\
CREATE TABLE mail_credentials (
    uuid UUID CONSTRAINT mail_credentials_pkey PRIMARY KEY,
    name VARCHAR(255) NOT NULL DEFAULT '',
    description VARCHAR(255) NOT NULL DEFAULT '',
    project_id UUID NOT NULL,
    instance UUID NOT NULL CONSTRAINT mail_credentials_instance_fkey
        REFERENCES mail_instances (uuid) ON DELETE CASCADE,
    account UUID NOT NULL CONSTRAINT mail_credentials_account_fkey
        REFERENCES mail_accounts (uuid) ON DELETE CASCADE,
    prefix VARCHAR(12) NOT NULL,
    digest CHAR(64) NOT NULL,
    active BOOLEAN NOT NULL DEFAULT TRUE,
    expires_at TIMESTAMP,
    networks TEXT[] NOT NULL DEFAULT '{}',
    applied_at TIMESTAMP,
    last_used_at TIMESTAMP,
    last_used_ip TEXT,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    CONSTRAINT mail_credentials_account_prefix_key UNIQUE (account, prefix)
)
""",
    "COMMENT ON COLUMN mail_credentials.digest IS 'SHA-256 of the secret, which is kept nowhere'",
    "COMMENT ON COLUMN mail_credentials.applied_at IS 'when the node told that it has the row'",
    "CREATE INDEX mail_credentials_instance_idx ON mail_credentials (instance)",
    "CREATE INDEX mail_credentials_new_idx ON mail_credentials (instance)"
    " WHERE active AND applied_at IS NULL",
    "ALTER TABLE mail_messages ADD COLUMN credential TEXT NOT NULL DEFAULT ''",
    "COMMENT ON COLUMN mail_messages.credential IS 'the prefix of what it was sent with'",
)
DOWNGRADE = (
    "ALTER TABLE mail_messages DROP COLUMN credential",
    "DROP TABLE IF EXISTS mail_credentials",
)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0017-webhooks.py"]

    @property
    def migration_id(self) -> str:
        return "23591c06-55ca-44f5-8035-7413ab669974"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
