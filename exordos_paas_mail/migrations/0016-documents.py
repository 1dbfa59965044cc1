# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

UPGRADE = (
    """\
CREATE TABLE mail_documents (
    instance UUID NOT NULL CONSTRAINT mail_documents_instance_fkey
        REFERENCES mail_instances (uuid) ON DELETE CASCADE,
    collection TEXT NOT NULL,
    shard TEXT NOT NULL,
    due BOOLEAN NOT NULL DEFAULT true,
    marks BIGINT NOT NULL DEFAULT 1,
    revision BIGINT NOT NULL DEFAULT 0,
    node UUID,
    sealed_for TEXT NOT NULL DEFAULT '',
    row UUID,
    row_writer BIGINT,
    CONSTRAINT mail_documents_pkey PRIMARY KEY (instance, collection, shard)
)
""",
    "CREATE INDEX mail_documents_due_idx ON mail_documents (instance) WHERE due",
    "COMMENT ON COLUMN mail_documents.marks IS 'how often the node was to be told anew'",
    "COMMENT ON COLUMN mail_documents.revision IS 'of the row that the node is told by'",
    "COMMENT ON COLUMN mail_documents.sealed_for IS 'digest of the node and its key'",
    "COMMENT ON COLUMN mail_documents.row_writer IS 'xmin of the row as it was written here'",
    "ALTER TABLE mail_queues ADD COLUMN documents JSONB NOT NULL DEFAULT '{}'",
    "COMMENT ON COLUMN mail_queues.documents IS 'which revisions the node has told that it holds'",
)
DOWNGRADE = (
    "ALTER TABLE mail_queues DROP COLUMN documents",
    "DROP TABLE IF EXISTS mail_documents",
)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0015-limits.py"]

    @property
    def migration_id(self) -> str:
        return "c7a12ad3-acf5-4cd4-bee8-1a5b71a04f22"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
