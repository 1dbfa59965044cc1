# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

_POLICY = '{"on_hard_bounce": true, "after": 1, "expires_days": 90, "action": "reject"}'

UPGRADE = (
    # Nothing refers to the instance or the account: a million rows are taken out some at a time.
    """\
CREATE TABLE mail_suppressions (
    uuid UUID NOT NULL CONSTRAINT mail_suppressions_pkey PRIMARY KEY,
    instance UUID NOT NULL,
    address TEXT NOT NULL,
    scope TEXT NOT NULL,
    account UUID,
    shard TEXT NOT NULL,
    size INTEGER NOT NULL,
    reason TEXT NOT NULL,
    origin TEXT NOT NULL,
    detail TEXT NOT NULL DEFAULT '',
    message UUID,
    hits BIGINT NOT NULL DEFAULT 0,
    last_hit_at TIMESTAMP,
    created_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP,
    CONSTRAINT mail_suppressions_address_key
        UNIQUE NULLS NOT DISTINCT (instance, address, account)
)
""",
    "COMMENT ON COLUMN mail_suppressions.size IS 'octets in the document of its shard, at most'",
    "CREATE INDEX mail_suppressions_instance_idx ON mail_suppressions (instance, uuid)",
    "CREATE INDEX mail_suppressions_shard_idx ON mail_suppressions (instance, shard)",
    "CREATE INDEX mail_suppressions_account_idx ON mail_suppressions (account)"
    " WHERE account IS NOT NULL",
    "CREATE INDEX mail_suppressions_expires_idx ON mail_suppressions (expires_at)"
    " WHERE expires_at IS NOT NULL",
    """\
CREATE TABLE mail_suppression_shards (
    instance UUID NOT NULL,
    shard TEXT NOT NULL,
    entries INTEGER NOT NULL,
    size INTEGER NOT NULL,
    CONSTRAINT mail_suppression_shards_pkey PRIMARY KEY (instance, shard)
)
""",
    "COMMENT ON TABLE mail_suppression_shards IS 'how full the documents of an instance are'",
    # What an automatic entry is judged by.
    """\
CREATE TABLE mail_suppression_history (
    instance UUID NOT NULL,
    address TEXT NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0,
    removed_at TIMESTAMP,
    updated_at TIMESTAMP NOT NULL,
    CONSTRAINT mail_suppression_history_pkey PRIMARY KEY (instance, address)
)
""",
    "COMMENT ON COLUMN mail_suppression_history.failures IS 'since the last delivery or removal'",
    "COMMENT ON COLUMN mail_suppression_history.removed_at IS 'when a user took an entry out'",
    "CREATE INDEX mail_suppression_history_updated_idx ON mail_suppression_history (updated_at)",
    f"ALTER TABLE mail_instances ADD COLUMN suppression JSONB NOT NULL DEFAULT '{_POLICY}'",
)
DOWNGRADE = (
    "ALTER TABLE mail_instances DROP COLUMN suppression",
    "DROP TABLE IF EXISTS mail_suppression_history",
    "DROP TABLE IF EXISTS mail_suppression_shards",
    "DROP TABLE IF EXISTS mail_suppressions",
)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0018-credentials.py"]

    @property
    def migration_id(self) -> str:
        return "31bf7a5b-0bda-4d49-9b01-7b0c938f69a1"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
