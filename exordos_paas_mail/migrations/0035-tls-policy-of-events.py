# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

# Null in what a process of the release before writes meanwhile, and in what was written before:
# no partition is written anew.
UPGRADE = ("ALTER TABLE mail_events ADD COLUMN tls_policy TEXT",)
DOWNGRADE = ("ALTER TABLE mail_events DROP COLUMN IF EXISTS tls_policy",)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0034-account-shards.py"]

    @property
    def migration_id(self) -> str:
        return "1d8d162d-715f-4001-8f47-5f4e03c9aa06"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
