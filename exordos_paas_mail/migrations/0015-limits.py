# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

_NONE = (
    '{"recipients_per_minute": null, "recipients_per_hour": null, "recipients_per_day": null,'
    ' "recipients_per_month": null, "recipients_per_message": null, "message_size_mb": null}'
)

# The defaults are also for what a control plane of the release before writes.
UPGRADE = (
    f"ALTER TABLE mail_instances ADD COLUMN limits JSONB NOT NULL DEFAULT '{_NONE}'",
    f"ALTER TABLE mail_accounts ADD COLUMN limits JSONB NOT NULL DEFAULT '{_NONE}'",
    "ALTER TABLE mail_accounts ADD COLUMN on_limit VARCHAR(16) NOT NULL DEFAULT 'defer'",
)
DOWNGRADE = (
    "ALTER TABLE mail_accounts DROP COLUMN on_limit",
    "ALTER TABLE mail_accounts DROP COLUMN limits",
    "ALTER TABLE mail_instances DROP COLUMN limits",
)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0014-queue.py"]

    @property
    def migration_id(self) -> str:
        return "f6522e5a-9fd8-452e-8a3d-003d20e4a61c"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
