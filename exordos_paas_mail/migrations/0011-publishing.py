# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

UPGRADE = (
    """ALTER TABLE mail_instances ADD COLUMN dns JSONB NOT NULL DEFAULT '{"kind": "none"}'""",
    """ALTER TABLE mail_domains ADD COLUMN dns JSONB NOT NULL DEFAULT '{"kind": "none"}'""",
    # No reference to the domain: what was published is withdrawn after it is gone.
    """\
CREATE TABLE mail_publications (
    domain UUID CONSTRAINT mail_publications_pkey PRIMARY KEY,
    instance UUID NOT NULL,
    project_id UUID NOT NULL,
    zone UUID,
    digest VARCHAR(64) NOT NULL DEFAULT '',
    error TEXT NOT NULL DEFAULT '',
    outcomes JSONB NOT NULL DEFAULT '[]',
    next_at TIMESTAMP NOT NULL
)
""",
)
DOWNGRADE = (
    "DROP TABLE IF EXISTS mail_publications",
    "ALTER TABLE mail_domains DROP COLUMN dns",
    "ALTER TABLE mail_instances DROP COLUMN dns",
)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0010-dns-records.py"]

    @property
    def migration_id(self) -> str:
        return "97aabf89-67b2-4f12-8c23-4cdaf464a7f2"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
