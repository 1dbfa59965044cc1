# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

UPGRADE = (
    "ALTER TABLE mail_instances ADD COLUMN error TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE mail_instances ADD COLUMN declared JSONB NOT NULL DEFAULT '{}'",
    "ALTER TABLE mail_accounts ADD COLUMN declared JSONB NOT NULL DEFAULT '{}'",
    "ALTER TABLE mail_accounts ADD COLUMN password TEXT",
    "COMMENT ON COLUMN mail_accounts.password IS"
    " 'encrypted envelope of a declared password; its key is not in the database'",
)
DOWNGRADE = (
    "ALTER TABLE mail_accounts DROP COLUMN password",
    "ALTER TABLE mail_accounts DROP COLUMN declared",
    "ALTER TABLE mail_instances DROP COLUMN declared",
    "ALTER TABLE mail_instances DROP COLUMN error",
)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0001-drop-root-password.py"]

    @property
    def migration_id(self) -> str:
        return "ed00ab56-9673-4dd4-b607-9fce2c82733f"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
