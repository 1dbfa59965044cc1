# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

# What a page of a million is asked for by: none of it may be on it.
UPGRADE = (
    "CREATE INDEX mail_suppressions_domain_idx ON mail_suppressions"
    " (instance, split_part(address, '@', 2), reason, origin, scope, uuid)",
    "CREATE INDEX mail_suppressions_kind_idx ON mail_suppressions"
    " (instance, reason, origin, scope, uuid)",
)
DOWNGRADE = (
    "DROP INDEX IF EXISTS mail_suppressions_kind_idx",
    "DROP INDEX IF EXISTS mail_suppressions_domain_idx",
)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0041-smarthost-below.py"]

    @property
    def migration_id(self) -> str:
        return "bf43accd-3593-465b-a114-07d38a64abec"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
