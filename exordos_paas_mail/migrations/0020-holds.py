# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

UPGRADE = (
    # What ``records.account_holds`` says of an account that was never on hold.
    """\
ALTER TABLE mail_accounts ADD COLUMN hold JSONB NOT NULL DEFAULT
    '{"active": false, "reason": "", "since": null, "by": null,
      "release": null, "released_at": null}'
""",
    """\
CREATE INDEX mail_accounts_hold_idx ON mail_accounts (instance)
    WHERE hold->>'since' IS NOT NULL
""",
    # When it was said at last that much of what the account sends fails.
    "ALTER TABLE mail_accounts ADD COLUMN warned_at TIMESTAMP",
    """\
ALTER TABLE mail_instances ADD COLUMN reputation JSONB NOT NULL DEFAULT
    '{"enabled": true, "days": 7, "recipients_min": 200,
      "bounce_warn_percent": 4, "bounce_hold_percent": 8}'
""",
    "ALTER TABLE mail_queue_items ADD COLUMN held BOOLEAN NOT NULL DEFAULT false",
    # Events that no node tells, until the ingester gives them their place.
    """\
CREATE TABLE mail_account_events (
    uuid UUID NOT NULL CONSTRAINT mail_account_events_pkey PRIMARY KEY,
    instance UUID NOT NULL CONSTRAINT mail_account_events_instance_fkey
        REFERENCES mail_instances (uuid) ON DELETE CASCADE,
    account UUID NOT NULL CONSTRAINT mail_account_events_account_fkey
        REFERENCES mail_accounts (uuid) ON DELETE CASCADE,
    at TIMESTAMP NOT NULL,
    type TEXT NOT NULL,
    text TEXT NOT NULL DEFAULT ''
)
""",
    "CREATE INDEX mail_account_events_account_idx ON mail_account_events (account)",
)
DOWNGRADE = (
    "DROP TABLE IF EXISTS mail_account_events",
    "ALTER TABLE mail_queue_items DROP COLUMN held",
    "ALTER TABLE mail_instances DROP COLUMN reputation",
    "ALTER TABLE mail_accounts DROP COLUMN warned_at",
    "DROP INDEX IF EXISTS mail_accounts_hold_idx",
    "ALTER TABLE mail_accounts DROP COLUMN hold",
)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0019-suppressions.py"]

    @property
    def migration_id(self) -> str:
        return "be91e333-40e4-4072-ab63-a5d975e9d9b2"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
