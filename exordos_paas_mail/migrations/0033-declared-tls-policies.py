# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

UPGRADE = (
    """\
ALTER TABLE mail_tls_policies
    ADD COLUMN declared JSONB NOT NULL DEFAULT '{}',
    ADD COLUMN error TEXT NOT NULL DEFAULT ''
""",
)
DOWNGRADE = (
    """\
ALTER TABLE mail_tls_policies
    DROP COLUMN IF EXISTS declared,
    DROP COLUMN IF EXISTS error
""",
)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0032-reports.py"]

    @property
    def migration_id(self) -> str:
        return "abb0ecbd-3b30-4efb-a017-c7097dd5c6bd"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
