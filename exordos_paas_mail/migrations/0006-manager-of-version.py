# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

# The element manager's project, which stood in the description of its entries.
_MANAGER = "12345678-c625-4fee-81d5-f691897b8142"
UPGRADE = (
    "ALTER TABLE mail_versions ADD COLUMN manager VARCHAR(36) NOT NULL DEFAULT ''",
    # The description stays: a core-agent that still runs the wheel before finds its entries by it,
    # and the next manifest brings a sentence.
    f"UPDATE mail_versions SET manager = description WHERE description = '{_MANAGER}'",  # noqa: S608
    "COMMENT ON COLUMN mail_versions.manager IS"
    " 'project of the element manager that keeps the entry; empty if people do'",
)
DOWNGRADE = (
    "UPDATE mail_versions SET description = manager WHERE manager <> ''",
    "ALTER TABLE mail_versions DROP COLUMN manager",
)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0005-declaration-errors.py"]

    @property
    def migration_id(self) -> str:
        return "076b1573-d48c-4c4b-89a2-981fea00d830"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
