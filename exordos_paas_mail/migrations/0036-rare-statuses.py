# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

UPGRADE = (
    # Nearly all messages are delivered: an index of the others is small, and a page of them
    # is found without looking at those.
    "CREATE INDEX mail_messages_status_idx ON mail_messages (instance, status, uuid)"
    " WHERE status <> 'DELIVERED'",
    # A late batch makes no hour anew that was taken out.
    """\
CREATE TABLE mail_stats_since (
    instance UUID NOT NULL CONSTRAINT mail_stats_since_pkey PRIMARY KEY
        CONSTRAINT mail_stats_since_instance_fkey
        REFERENCES mail_instances (uuid) ON DELETE CASCADE,
    hour TIMESTAMP NOT NULL
)
""",
    "COMMENT ON COLUMN mail_stats_since.hour IS 'figures of hours before were taken out'",
)
DOWNGRADE = (
    "DROP TABLE IF EXISTS mail_stats_since",
    "DROP INDEX IF EXISTS mail_messages_status_idx",
)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0035-tls-policy-of-events.py"]

    @property
    def migration_id(self) -> str:
        return "8ccba526-951b-4c04-8eff-507750e4b1ca"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
