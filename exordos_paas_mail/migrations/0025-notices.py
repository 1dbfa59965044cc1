# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

# What a webhook of the release before cannot ask for.
_NEW = (
    *("suppression.added", "suppression.removed", "suppression.imported"),
    *("domain.verified", "domain.degraded", "domain.unverified"),
    *("dkim.visible", "dkim.activated", "dkim.degraded", "dkim.retiring", "dkim.revoked"),
    *("certificate.active", "certificate.expiring", "certificate.error"),
    *("account.created", "account.enabled", "account.disabled", "account.deleted"),
    *("account.held", "account.released", "credential.expiring"),
)
UPGRADE = (
    """\
CREATE TABLE mail_notice_rings (
    instance UUID NOT NULL CONSTRAINT mail_notice_rings_pkey PRIMARY KEY
        CONSTRAINT mail_notice_rings_instance_fkey
        REFERENCES mail_instances (uuid) ON DELETE CASCADE,
    last BIGINT NOT NULL
)
""",
    "COMMENT ON COLUMN mail_notice_rings.last IS 'the last number that a notice has'",
    """\
CREATE TABLE mail_notices (
    instance UUID NOT NULL CONSTRAINT mail_notices_instance_fkey
        REFERENCES mail_instances (uuid) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    uuid UUID NOT NULL,
    at TIMESTAMP NOT NULL,
    type TEXT NOT NULL,
    data JSONB NOT NULL,
    CONSTRAINT mail_notices_pkey PRIMARY KEY (instance, number)
)
""",
    "CREATE INDEX mail_notices_at_idx ON mail_notices (at)",
    # A node has none of that type: it is of the control plane, and about an account.
    "UPDATE mail_webhooks SET events ="
    " array_replace(events, 'message.reputation_low', 'account.reputation_low')",
    "ALTER TABLE mail_credentials ADD COLUMN told_end TIMESTAMP",
    "COMMENT ON COLUMN mail_credentials.told_end IS 'the end that webhooks were told of'",
)
DOWNGRADE = (
    "ALTER TABLE mail_credentials DROP COLUMN told_end",
    "UPDATE mail_webhooks SET events ="
    " array_replace(events, 'account.reputation_low', 'message.reputation_low')",
    f"""\
UPDATE mail_webhooks SET events = ARRAY(
    SELECT name FROM unnest(events) WITH ORDINALITY AS asked (name, place)
    WHERE name <> ALL ('{{{",".join(_NEW)}}}') ORDER BY place)
WHERE events && '{{{",".join(_NEW)}}}'
""",  # noqa: S608 - no value is in it
    "DELETE FROM mail_documents WHERE collection = 'notices'",
    "DROP TABLE IF EXISTS mail_notices",
    "DROP TABLE IF EXISTS mail_notice_rings",
)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0024-declared-suppressions.py"]

    @property
    def migration_id(self) -> str:
        return "0f425d1a-854b-498b-9b13-75d0961dc8ea"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
