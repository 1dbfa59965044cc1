# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

UPGRADE = (
    """\
ALTER TABLE mail_webhooks
    ADD COLUMN declared JSONB NOT NULL DEFAULT '{}',
    ADD COLUMN error TEXT NOT NULL DEFAULT ''
""",
    # All three are null for an entry that no manifest declares: a release before, which may
    # still run, adds rows with null in each column that it does not know.
    """\
ALTER TABLE mail_suppressions
    ADD COLUMN project_id UUID,
    ADD COLUMN declared JSONB,
    ADD COLUMN error TEXT
""",
    "COMMENT ON COLUMN mail_suppressions.project_id IS 'of those that manifests declare'",
    "CREATE INDEX mail_suppressions_project_id_idx ON mail_suppressions (project_id)"
    " WHERE project_id IS NOT NULL",
)
DOWNGRADE = (
    "DROP INDEX IF EXISTS mail_suppressions_project_id_idx",
    """\
ALTER TABLE mail_suppressions
    DROP COLUMN IF EXISTS project_id,
    DROP COLUMN IF EXISTS declared,
    DROP COLUMN IF EXISTS error
""",
    """\
ALTER TABLE mail_webhooks
    DROP COLUMN IF EXISTS declared,
    DROP COLUMN IF EXISTS error
""",
)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0023-tls.py"]

    @property
    def migration_id(self) -> str:
        return "6a41c04f-ac99-449f-86a0-371ebe7815fa"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
