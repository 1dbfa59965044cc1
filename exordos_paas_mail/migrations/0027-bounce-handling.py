# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

UPGRADE = (
    """\
ALTER TABLE mail_domains
    ADD COLUMN bounce_handling JSONB NOT NULL DEFAULT '{"kind": "none"}',
    ADD COLUMN return_path VARCHAR(253) NOT NULL DEFAULT ''
""",
    "COMMENT ON COLUMN mail_domains.return_path IS"
    " 'the domain of the return paths, as long as DNS leads bounces to the relay'",
)
DOWNGRADE = (
    # The release before cannot read them.
    "DELETE FROM mail_events WHERE type IN ('complained', 'complaint_ignored')",
    "UPDATE mail_webhooks SET events = array_remove("
    "array_remove(events, 'message.complained'), 'message.complaint_ignored')"
    " WHERE events && '{message.complained,message.complaint_ignored}'",
    # What a checker of the release before does not know it would not take away.
    "DELETE FROM mail_dns_records WHERE purpose IN ('bounces_mx', 'bounces_a', 'bounces_spf')",
    """\
ALTER TABLE mail_domains
    DROP COLUMN IF EXISTS bounce_handling,
    DROP COLUMN IF EXISTS return_path
""",
)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0026-tls-orders.py"]

    @property
    def migration_id(self) -> str:
        return "8d5969c1-4c89-4ded-bdfd-7b0dd30514a4"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
