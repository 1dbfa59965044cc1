# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations


class MigrationStep(migrations.AbstractMigrationStep):
    """Drop a secret that nothing reads; as first shipped, 0000 made the column."""

    def __init__(self) -> None:
        self._depends = ["0000-init-mail.py"]

    @property
    def migration_id(self) -> str:
        return "574326a1-5ea8-4b85-8ffb-e08d829a0430"

    def upgrade(self, session: tp.Any) -> None:
        session.execute("ALTER TABLE mail_instances DROP COLUMN IF EXISTS root_password")

    def downgrade(self, session: tp.Any) -> None:
        """Nothing to undo: 0000 does not make the column, and its values are gone."""


migration_step = MigrationStep()
