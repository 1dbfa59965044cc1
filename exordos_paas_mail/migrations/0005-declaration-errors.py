# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

UPGRADE = (
    "ALTER TABLE mail_instances ADD COLUMN declaration_error TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE mail_accounts ADD COLUMN error TEXT NOT NULL DEFAULT ''",
    "COMMENT ON COLUMN mail_instances.declaration_error IS"
    " 'why a manifest is not applied; error is the builders'' alone'",
)
DOWNGRADE = (
    "ALTER TABLE mail_accounts DROP COLUMN error",
    "ALTER TABLE mail_instances DROP COLUMN declaration_error",
)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0004-domains.py"]

    @property
    def migration_id(self) -> str:
        return "29c3377b-6e0f-4956-8fb1-9d9d9dd28fe0"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
