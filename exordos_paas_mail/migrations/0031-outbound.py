# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

UPGRADE = (
    """\
ALTER TABLE mail_instances
    ADD COLUMN outbound VARCHAR(16) NOT NULL DEFAULT 'UNKNOWN',
    ADD COLUMN outbound_error TEXT NOT NULL DEFAULT ''
""",
)
DOWNGRADE = (
    """\
ALTER TABLE mail_instances
    DROP COLUMN IF EXISTS outbound,
    DROP COLUMN IF EXISTS outbound_error
""",
)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0030-smarthost.py"]

    @property
    def migration_id(self) -> str:
        return "b2f7d5b0-6c1c-4a53-8a0c-64f1f7a0c7e1"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
