# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

UPGRADE = (
    """\
CREATE TABLE mail_suppression_imports (
    operation UUID NOT NULL CONSTRAINT mail_suppression_imports_pkey PRIMARY KEY
        CONSTRAINT mail_suppression_imports_operation_fkey
        REFERENCES mail_operations (uuid) ON DELETE CASCADE,
    instance UUID NOT NULL CONSTRAINT mail_suppression_imports_instance_fkey
        REFERENCES mail_instances (uuid) ON DELETE CASCADE,
    account UUID,
    reason TEXT NOT NULL,
    lines BYTEA NOT NULL,
    size BIGINT NOT NULL,
    position BIGINT NOT NULL DEFAULT 0,
    added BIGINT NOT NULL DEFAULT 0,
    existing BIGINT NOT NULL DEFAULT 0,
    refused JSONB NOT NULL DEFAULT '{}',
    refused_count BIGINT NOT NULL DEFAULT 0
)
""",
    "CREATE INDEX mail_suppression_imports_instance_idx ON mail_suppression_imports (instance)",
    # Whoever asks waits for it to be written: it is not packed.
    "ALTER TABLE mail_suppression_imports ALTER COLUMN lines SET STORAGE EXTERNAL",
    "COMMENT ON COLUMN mail_suppression_imports.lines IS 'the text, in UTF-8'",
    "COMMENT ON COLUMN mail_suppression_imports.position IS 'how many entries of it were put'",
)
DOWNGRADE = (
    "DROP TABLE IF EXISTS mail_suppression_imports",
    # A release before takes each that is open for a command of a node.
    "UPDATE mail_operations SET status = 'ERROR', error = 'was not carried out',"
    " finished_at = now() WHERE action = 'suppressions_import' AND status = 'PENDING'",
)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0027-bounce-handling.py"]

    @property
    def migration_id(self) -> str:
        return "c51813f9-70b1-45dd-86b3-e63607af8cdf"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
