# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

UPGRADE = (
    """\
ALTER TABLE mail_instances ADD COLUMN smarthost JSONB NOT NULL DEFAULT '{"kind": "none"}'
""",
    # The password is in an envelope, whose key is a file of the control plane.
    """\
CREATE TABLE mail_smarthosts (
    instance UUID NOT NULL CONSTRAINT mail_smarthosts_pkey PRIMARY KEY
        CONSTRAINT mail_smarthosts_instance_fkey
        REFERENCES mail_instances (uuid) ON DELETE CASCADE,
    sealed_password TEXT NOT NULL
)
""",
)
DOWNGRADE = (
    "DELETE FROM mail_documents WHERE collection = 'smarthost'",
    "DROP TABLE IF EXISTS mail_smarthosts",
    "ALTER TABLE mail_instances DROP COLUMN IF EXISTS smarthost",
)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0029-tls-policies.py"]

    @property
    def migration_id(self) -> str:
        return "6d1f1b5e-9d5c-4f0e-8f5b-2a7a3ce0b914"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
