# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

UPGRADE = (
    # Both uuids begin with a time: a partition is a day, which the ingester makes.
    """\
CREATE TABLE mail_messages (
    uuid UUID NOT NULL CONSTRAINT mail_messages_pkey PRIMARY KEY,
    instance UUID NOT NULL,
    queue_id TEXT NOT NULL,
    account UUID,
    sender TEXT NOT NULL DEFAULT '',
    header_from TEXT NOT NULL DEFAULT '',
    header_message_id TEXT NOT NULL DEFAULT '',
    tags TEXT[] NOT NULL DEFAULT '{}',
    client TEXT NOT NULL DEFAULT '',
    size BIGINT NOT NULL DEFAULT 0,
    recipients_count BIGINT NOT NULL DEFAULT 0,
    status TEXT NOT NULL DEFAULT 'ACCEPTED',
    accepted_at TIMESTAMP NOT NULL,
    completed_at TIMESTAMP
) PARTITION BY RANGE (uuid)
""",
    "COMMENT ON COLUMN mail_messages.uuid IS 'of the instance and the queue id, with its time'",
    "CREATE INDEX mail_messages_instance_idx ON mail_messages (instance, uuid)",
    "CREATE INDEX mail_messages_account_idx ON mail_messages (account, uuid)",
    "CREATE INDEX mail_messages_sender_idx ON mail_messages (instance, lower(sender), uuid)",
    "CREATE INDEX mail_messages_header_idx ON mail_messages (instance, header_message_id, uuid)",
    """\
CREATE TABLE mail_events (
    uuid UUID NOT NULL CONSTRAINT mail_events_pkey PRIMARY KEY,
    instance UUID NOT NULL,
    message UUID,
    account UUID,
    at TIMESTAMP NOT NULL,
    type TEXT NOT NULL,
    queue_id TEXT,
    sender TEXT,
    recipient TEXT,
    recipient_domain TEXT,
    attempt INTEGER,
    recipients BIGINT,
    size BIGINT,
    client TEXT,
    command TEXT,
    temporary BOOLEAN,
    mx TEXT,
    mx_address TEXT,
    tls TEXT,
    cipher TEXT,
    verified TEXT,
    code INTEGER,
    enhanced_code TEXT,
    text TEXT,
    reason TEXT,
    delay_ms BIGINT,
    about TEXT,
    count BIGINT NOT NULL DEFAULT 1
) PARTITION BY RANGE (uuid)
""",
    "COMMENT ON COLUMN mail_events.uuid IS 'a number that only grows, with the time it came here'",
    "CREATE INDEX mail_events_instance_idx ON mail_events (instance, uuid)",
    """\
CREATE INDEX mail_events_message_idx ON mail_events (message, uuid) WHERE message IS NOT NULL
""",
    """\
CREATE INDEX mail_events_account_idx ON mail_events (account, uuid) WHERE account IS NOT NULL
""",
    """\
CREATE INDEX mail_events_recipient_idx ON mail_events (instance, lower(recipient), message)
    WHERE recipient IS NOT NULL
""",
    """\
CREATE INDEX mail_events_domain_idx ON mail_events (instance, recipient_domain, message)
    WHERE recipient IS NOT NULL
""",
    # An address that is erased is looked for in the texts of refusals.
    "CREATE INDEX mail_events_rejected_idx ON mail_events (instance) WHERE type = 'rejected'",
    # No reference to the instance: it is known to be there when the row is locked.
    """\
CREATE TABLE mail_event_streams (
    node UUID NOT NULL,
    stream UUID NOT NULL,
    instance UUID NOT NULL,
    next_seq BIGINT NOT NULL DEFAULT 1,
    waiting_since TIMESTAMP,
    CONSTRAINT mail_event_streams_pkey PRIMARY KEY (node, stream)
)
""",
    "CREATE INDEX mail_event_streams_instance_idx ON mail_event_streams (instance)",
    """\
CREATE TABLE mail_event_order (
    single BOOLEAN NOT NULL DEFAULT true CONSTRAINT mail_event_order_pkey PRIMARY KEY
        CONSTRAINT mail_event_order_single_check CHECK (single),
    last BIGINT NOT NULL
)
""",
    "COMMENT ON TABLE mail_event_order IS 'one row: the lock of the ingester, and the last number'",
    # What is to be taken out: all of an instance, or what is an account's or an address's.
    """\
CREATE TABLE mail_erasures (
    uuid UUID NOT NULL CONSTRAINT mail_erasures_pkey PRIMARY KEY,
    instance UUID NOT NULL,
    account UUID,
    recipient TEXT,
    created_at TIMESTAMP NOT NULL
)
""",
    """\
ALTER TABLE mail_instances ADD COLUMN log JSONB NOT NULL
    DEFAULT '{"level": "all", "retention_days": 14, "max_rows": 1000000}'
""",
)
DOWNGRADE = (
    "ALTER TABLE mail_instances DROP COLUMN log",
    "DROP TABLE IF EXISTS mail_erasures",
    "DROP TABLE IF EXISTS mail_event_order",
    "DROP TABLE IF EXISTS mail_event_streams",
    "DROP TABLE IF EXISTS mail_events",
    "DROP TABLE IF EXISTS mail_messages",
)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0011-publishing.py"]

    @property
    def migration_id(self) -> str:
        return "322ad0b6-d56a-4051-976b-2d4789860885"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
