# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

UPGRADE = (
    "ALTER TABLE mail_instances ADD COLUMN hostname VARCHAR(253)",
    "COMMENT ON COLUMN mail_instances.hostname IS"
    " 'what the relay calls itself; NULL for its domain'",
)
DOWNGRADE = ("ALTER TABLE mail_instances DROP COLUMN hostname",)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0007-domains-and-keys.py"]

    @property
    def migration_id(self) -> str:
        return "f4aef92a-67b3-4b84-9a33-5505c8fad10a"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
