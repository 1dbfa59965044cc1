# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

# What a reputation of the release before is to have: it knows no null.
_NEVER = '{"bounce_warn_percent": 100, "bounce_hold_percent": 100}'
_NEW = "{complaints_min,complaint_warn_percent,complaint_hold_percent}"

# All migrations are one transaction, beside writers of the release before: what is locked
# is locked in their order, the instance, then its accounts, then figures.
UPGRADE = (
    # When it was said at last that many complain of what the account sends.
    "ALTER TABLE mail_accounts ADD COLUMN complaints_warned_at TIMESTAMP",
    # Null in a row that a process of the release before writes meanwhile.
    *(
        f"ALTER TABLE mail_stats ADD COLUMN {name} BIGINT DEFAULT 0"
        for name in ("bounced", "complained")
    ),
    # No reference to the instance: there are as many as an instance has mail.
    """\
CREATE TABLE mail_reports (
    instance UUID NOT NULL,
    key UUID NOT NULL,
    type TEXT NOT NULL,
    account UUID,
    reason TEXT NOT NULL DEFAULT '',
    sent_at TIMESTAMP NOT NULL,
    at TIMESTAMP NOT NULL,
    CONSTRAINT mail_reports_pkey PRIMARY KEY (instance, key)
)
""",
    "COMMENT ON TABLE mail_reports IS 'what was reported of a recipient of a message, once each'",
    "COMMENT ON COLUMN mail_reports.key IS 'of message, type and recipient: it tells no address'",
    "COMMENT ON COLUMN mail_reports.sent_at IS 'the hour in which the message came'",
    "CREATE INDEX mail_reports_sent_idx ON mail_reports (instance, sent_at)",
    "CREATE INDEX mail_reports_at_idx ON mail_reports (at)",
)
DOWNGRADE = (
    f"UPDATE mail_instances SET reputation = '{_NEVER}'::jsonb"  # noqa: S608
    f" || jsonb_strip_nulls(reputation) - '{_NEW}'::text[]"
    f" WHERE reputation ?| '{_NEW}'",
    "ALTER TABLE mail_accounts DROP COLUMN IF EXISTS complaints_warned_at",
    "ALTER TABLE mail_stats DROP COLUMN IF EXISTS complained, DROP COLUMN IF EXISTS bounced",
    "DROP TABLE IF EXISTS mail_reports",
)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0031-outbound.py"]

    @property
    def migration_id(self) -> str:
        return "29d85116-9613-4fc3-8ca7-3b0dde18f47e"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
