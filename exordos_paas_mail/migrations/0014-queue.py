# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

UPGRADE = (
    """\
CREATE TABLE mail_queues (
    instance UUID NOT NULL CONSTRAINT mail_queues_pkey PRIMARY KEY
        CONSTRAINT mail_queues_instance_fkey REFERENCES mail_instances (uuid) ON DELETE CASCADE,
    node UUID,
    revisions JSONB NOT NULL DEFAULT '{}',
    commands_revision BIGINT NOT NULL DEFAULT 0,
    told_at TIMESTAMP
)
""",
    "COMMENT ON COLUMN mail_queues.revisions IS 'of the rows of the node that are taken in'",
    "COMMENT ON COLUMN mail_queues.commands_revision IS 'of the row that the node is told by'",
    "COMMENT ON COLUMN mail_queues.told_at IS 'when the node has told its state last'",
    # The uuid is the message's.
    """\
CREATE TABLE mail_queue_items (
    uuid UUID NOT NULL CONSTRAINT mail_queue_items_pkey PRIMARY KEY,
    instance UUID NOT NULL CONSTRAINT mail_queue_items_instance_fkey
        REFERENCES mail_instances (uuid) ON DELETE CASCADE,
    shard INTEGER NOT NULL,
    queue_id TEXT NOT NULL,
    account UUID,
    sender TEXT NOT NULL DEFAULT '',
    recipients TEXT[] NOT NULL DEFAULT '{}',
    recipients_count BIGINT NOT NULL DEFAULT 0,
    size BIGINT NOT NULL DEFAULT 0,
    arrived_at TIMESTAMP NOT NULL,
    frozen BOOLEAN NOT NULL DEFAULT false,
    attempts BIGINT NOT NULL DEFAULT 0,
    last_error TEXT NOT NULL DEFAULT '',
    reason TEXT,
    last_attempt_at TIMESTAMP,
    retry_at TIMESTAMP
)
""",
    "CREATE INDEX mail_queue_items_instance_idx ON mail_queue_items (instance, uuid)",
    "CREATE INDEX mail_queue_items_shard_idx ON mail_queue_items (instance, shard)",
    """\
CREATE TABLE mail_queue_domains (
    instance UUID NOT NULL CONSTRAINT mail_queue_domains_instance_fkey
        REFERENCES mail_instances (uuid) ON DELETE CASCADE,
    domain TEXT NOT NULL,
    messages BIGINT NOT NULL DEFAULT 0,
    oldest_at TIMESTAMP,
    last_error TEXT NOT NULL DEFAULT '',
    reason TEXT,
    retry_at TIMESTAMP,
    suspended_until TIMESTAMP,
    suspended_reason TEXT,
    CONSTRAINT mail_queue_domains_pkey PRIMARY KEY (instance, domain)
)
""",
    "COMMENT ON COLUMN mail_queue_domains.domain IS 'empty for all others together'",
    # The uuid begins with the time at which it was asked for.
    """\
CREATE TABLE mail_operations (
    uuid UUID NOT NULL CONSTRAINT mail_operations_pkey PRIMARY KEY,
    instance UUID NOT NULL CONSTRAINT mail_operations_instance_fkey
        REFERENCES mail_instances (uuid) ON DELETE CASCADE,
    action TEXT NOT NULL,
    queue_ids TEXT[] NOT NULL DEFAULT '{}',
    recipient_domain TEXT,
    until TIMESTAMP,
    reason TEXT,
    status TEXT NOT NULL DEFAULT 'PENDING',
    result JSONB,
    error TEXT NOT NULL DEFAULT '',
    created_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP NOT NULL,
    finished_at TIMESTAMP
)
""",
    "CREATE INDEX mail_operations_instance_idx ON mail_operations (instance, uuid)",
    "CREATE INDEX mail_operations_open_idx ON mail_operations (instance) WHERE status = 'PENDING'",
    # Facts: whoever takes in what nodes tell writes them.
    "ALTER TABLE mail_instances ADD COLUMN queue_messages BIGINT",
    "ALTER TABLE mail_instances ADD COLUMN queue_oldest_at TIMESTAMP",
    "ALTER TABLE mail_instances ADD COLUMN queue_reported_at TIMESTAMP",
)
DOWNGRADE = (
    "ALTER TABLE mail_instances DROP COLUMN queue_reported_at",
    "ALTER TABLE mail_instances DROP COLUMN queue_oldest_at",
    "ALTER TABLE mail_instances DROP COLUMN queue_messages",
    "DROP TABLE IF EXISTS mail_operations",
    "DROP TABLE IF EXISTS mail_queue_domains",
    "DROP TABLE IF EXISTS mail_queue_items",
    "DROP TABLE IF EXISTS mail_queues",
)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0013-stats.py"]

    @property
    def migration_id(self) -> str:
        return "adc12f45-ac94-4a0b-a39c-15688242bf40"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
