# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

# What most rows have not is in none of them: mail without tags, sent with a password, that is
# delivered at once, costs no more than before.
UPGRADE = (
    "CREATE INDEX mail_messages_tags_idx ON mail_messages USING gin (tags) WHERE tags <> '{}'",
    "CREATE INDEX mail_messages_credential_idx ON mail_messages (instance, credential, uuid)"
    " WHERE credential <> ''",
    "CREATE INDEX mail_events_type_idx ON mail_events (instance, type, uuid)"
    " WHERE type NOT IN ('submitted', 'accepted', 'delivered', 'completed')",
    "CREATE INDEX mail_events_class_idx ON mail_events (instance, reason, uuid)"
    " WHERE reason IS NOT NULL",
)
DOWNGRADE = (
    "DROP INDEX IF EXISTS mail_events_class_idx",
    "DROP INDEX IF EXISTS mail_events_type_idx",
    "DROP INDEX IF EXISTS mail_messages_credential_idx",
    "DROP INDEX IF EXISTS mail_messages_tags_idx",
)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0038-mta-sts-policies.py"]

    @property
    def migration_id(self) -> str:
        return "55331782-42c6-4157-8965-58ea4bf8ea28"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
