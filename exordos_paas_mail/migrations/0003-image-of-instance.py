# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

UPGRADE = (
    "ALTER TABLE mail_instances ADD COLUMN image VARCHAR(2048) NOT NULL DEFAULT ''",
    "UPDATE mail_instances SET image = mail_versions.image"
    " FROM mail_versions WHERE mail_versions.uuid = mail_instances.version",
    "COMMENT ON COLUMN mail_instances.image IS"
    " 'image of the version at the time somebody last asked for it'",
)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0002-declared-resources.py"]

    @property
    def migration_id(self) -> str:
        return "a85c6c9f-41e1-4ec6-81a9-23e391ad7dd6"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)

    def downgrade(self, session: tp.Any) -> None:
        session.execute("ALTER TABLE mail_instances DROP COLUMN image")


migration_step = MigrationStep()
