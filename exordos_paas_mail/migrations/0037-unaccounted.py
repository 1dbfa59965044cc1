# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

# A status and a type of events have no table of their own.
DOWNGRADE = (
    # The release before cannot read them.
    "DELETE FROM mail_events WHERE type = 'unaccounted'",
    # As its other events tell it.
    """\
UPDATE mail_messages SET completed_at = NULL, status = CASE
    WHEN (
        SELECT max(at) FILTER (WHERE type = 'held')
            > coalesce(max(at) FILTER (WHERE type = 'released'), '-infinity')
        FROM mail_events WHERE message = mail_messages.uuid
    ) THEN 'HELD'
    WHEN EXISTS (
        SELECT FROM mail_events WHERE message = mail_messages.uuid AND type = 'deferred'
    ) THEN 'DEFERRED'
    ELSE 'ACCEPTED' END
WHERE status = 'UNKNOWN'
""",
    "UPDATE mail_webhooks SET events = array_remove(events, 'message.unaccounted')"
    " WHERE events && '{message.unaccounted}'",
)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0036-rare-statuses.py"]

    @property
    def migration_id(self) -> str:
        return "2c4c799b-bbdb-4a18-a043-659cb60fd9fe"

    def upgrade(self, session: tp.Any) -> None:
        pass

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
