# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

UPGRADE = (
    """\
CREATE TABLE mail_webhooks (
    uuid UUID NOT NULL CONSTRAINT mail_webhooks_pkey PRIMARY KEY,
    name VARCHAR(255) NOT NULL DEFAULT '',
    description VARCHAR(255) NOT NULL DEFAULT '',
    project_id UUID NOT NULL,
    instance UUID NOT NULL CONSTRAINT mail_webhooks_instance_fkey
        REFERENCES mail_instances (uuid) ON DELETE CASCADE,
    url TEXT NOT NULL,
    events TEXT[] NOT NULL,
    active BOOLEAN NOT NULL DEFAULT true,
    secrets JSONB NOT NULL,
    revision BIGINT NOT NULL,
    status TEXT NOT NULL DEFAULT 'ACTIVE',
    last_success_at TIMESTAMP,
    last_error_at TIMESTAMP,
    last_error TEXT NOT NULL DEFAULT '',
    failing_since TIMESTAMP,
    waiting BIGINT NOT NULL DEFAULT 0,
    given_up BIGINT NOT NULL DEFAULT 0,
    lost BIGINT NOT NULL DEFAULT 0,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
)
""",
    "CREATE INDEX mail_webhooks_instance_idx ON mail_webhooks (instance)",
    "CREATE INDEX mail_webhooks_project_id_idx ON mail_webhooks (project_id)",
    "COMMENT ON COLUMN mail_webhooks.secrets IS 'those that sign, by their uuids'",
    "COMMENT ON COLUMN mail_webhooks.revision IS 'grows with what has a node try again'",
    # The uuid begins with the time of the attempt.
    """\
CREATE TABLE mail_webhook_deliveries (
    uuid UUID NOT NULL CONSTRAINT mail_webhook_deliveries_pkey PRIMARY KEY,
    instance UUID NOT NULL CONSTRAINT mail_webhook_deliveries_instance_fkey
        REFERENCES mail_instances (uuid) ON DELETE CASCADE,
    webhook UUID NOT NULL CONSTRAINT mail_webhook_deliveries_webhook_fkey
        REFERENCES mail_webhooks (uuid) ON DELETE CASCADE,
    event UUID NOT NULL,
    type TEXT NOT NULL,
    at TIMESTAMP NOT NULL,
    attempt BIGINT NOT NULL,
    code BIGINT,
    ms BIGINT NOT NULL,
    error TEXT NOT NULL DEFAULT '',
    answer TEXT NOT NULL DEFAULT '',
    retry_at TIMESTAMP
)
""",
    "CREATE INDEX mail_webhook_deliveries_webhook_idx ON mail_webhook_deliveries (webhook, uuid)",
    "CREATE INDEX mail_webhook_deliveries_instance_idx ON mail_webhook_deliveries (instance)",
    """\
CREATE TABLE mail_webhook_reports (
    instance UUID NOT NULL CONSTRAINT mail_webhook_reports_pkey PRIMARY KEY
        CONSTRAINT mail_webhook_reports_instance_fkey
        REFERENCES mail_instances (uuid) ON DELETE CASCADE,
    node UUID NOT NULL,
    revision BIGINT NOT NULL
)
""",
    "COMMENT ON COLUMN mail_webhook_reports.revision IS 'of the row of the node'",
    # What is asked for a webhook.
    "ALTER TABLE mail_operations ADD COLUMN webhook UUID",
    "ALTER TABLE mail_operations ADD COLUMN from_at TIMESTAMP",
    "ALTER TABLE mail_operations ADD COLUMN to_at TIMESTAMP",
)
DOWNGRADE = (
    "DELETE FROM mail_operations WHERE webhook IS NOT NULL",
    "ALTER TABLE mail_operations DROP COLUMN to_at",
    "ALTER TABLE mail_operations DROP COLUMN from_at",
    "ALTER TABLE mail_operations DROP COLUMN webhook",
    "DROP TABLE IF EXISTS mail_webhook_reports",
    "DROP TABLE IF EXISTS mail_webhook_deliveries",
    "DROP TABLE IF EXISTS mail_webhooks",
)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0016-documents.py"]

    @property
    def migration_id(self) -> str:
        return "75678f45-c515-467a-9583-1a06dcf05b48"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
