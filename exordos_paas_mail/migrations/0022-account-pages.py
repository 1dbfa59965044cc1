# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

# What a list of the accounts of an instance may be long enough to be sorted by; by username
# it is by what keeps that unique. Without the first, a page of a small instance looks through
# the accounts of all others.
_KEYS = {
    "uuid": "uuid",
    "name": "name, uuid",
    "created": "created_at, uuid",
    "updated": "updated_at, uuid",
}
UPGRADE = tuple(
    f"CREATE INDEX mail_accounts_instance_{name}_idx ON mail_accounts (instance, {columns})"
    for name, columns in _KEYS.items()
)
DOWNGRADE = tuple(f"DROP INDEX IF EXISTS mail_accounts_instance_{name}_idx" for name in _KEYS)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0021-usage.py"]

    @property
    def migration_id(self) -> str:
        return "8cecdc12-c867-4fb0-989e-ecb7434d4b00"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
