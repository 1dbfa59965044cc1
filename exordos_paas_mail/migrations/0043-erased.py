# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

UPGRADE = (
    """\
CREATE TABLE mail_erased (
    instance UUID NOT NULL CONSTRAINT mail_erased_instance_fkey
        REFERENCES mail_instances (uuid) ON DELETE CASCADE,
    name TEXT NOT NULL,
    shard TEXT NOT NULL,
    at TIMESTAMP NOT NULL,
    CONSTRAINT mail_erased_pkey PRIMARY KEY (instance, name)
)
""",
    "COMMENT ON COLUMN mail_erased.name IS 'an address, or the queue id of a message'",
    "CREATE INDEX mail_erased_shard_idx ON mail_erased (instance, shard, at)",
    "CREATE INDEX mail_erased_at_idx ON mail_erased (at)",
)
DOWNGRADE = (
    "DELETE FROM mail_documents WHERE collection = 'erased'",
    "DROP TABLE IF EXISTS mail_erased",
)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0042-pages-of-suppressions.py"]

    @property
    def migration_id(self) -> str:
        return "c3c7cdbf-e1a1-41ed-8090-ed85baa8f2f9"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
