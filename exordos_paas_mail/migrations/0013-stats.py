# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

UPGRADE = (
    # No reference to the instance: it is known to be there when the row is written.
    """\
CREATE TABLE mail_stats (
    instance UUID NOT NULL,
    hour TIMESTAMP NOT NULL,
    account UUID,
    recipient_domain TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT '',
    submitted BIGINT NOT NULL DEFAULT 0,
    delivered BIGINT NOT NULL DEFAULT 0,
    deferred BIGINT NOT NULL DEFAULT 0,
    failed BIGINT NOT NULL DEFAULT 0,
    rejected BIGINT NOT NULL DEFAULT 0,
    login_failed BIGINT NOT NULL DEFAULT 0,
    gaps BIGINT NOT NULL DEFAULT 0,
    CONSTRAINT mail_stats_key
        UNIQUE NULLS NOT DISTINCT (instance, hour, account, recipient_domain, reason)
)
""",
    "COMMENT ON COLUMN mail_stats.hour IS 'the moment in which it begins'",
    # Facts: the ingester writes them.
    *(
        f"ALTER TABLE mail_instances ADD COLUMN {name} BIGINT NOT NULL DEFAULT 0"
        for name in ("sent_24h", "failed_24h", "deferred_24h")
    ),
)
DOWNGRADE = (
    *(
        f"ALTER TABLE mail_instances DROP COLUMN {name}"
        for name in ("deferred_24h", "failed_24h", "sent_24h")
    ),
    "DROP TABLE IF EXISTS mail_stats",
)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0012-events.py"]

    @property
    def migration_id(self) -> str:
        return "7d4aab22-30e3-4c33-9746-2be71050fa71"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
