# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

# The release before takes no "*.domain", and none at all for all: a name of nobody's (RFC 6761)
# stands for what is left then. Its node is told the same.
DOWNGRADE = (
    "UPDATE mail_documents SET marks = marks + 1, due = true WHERE collection = 'smarthost'"
    " AND instance IN (SELECT uuid FROM mail_instances"
    " WHERE jsonb_path_exists(smarthost, '$.domains[*] ? (@ starts with \"*.\")'))",
    "UPDATE mail_instances SET smarthost = jsonb_set(smarthost, '{domains}',"
    " coalesce(nullif(jsonb_path_query_array(smarthost,"
    " '$.domains[*] ? (!(@ starts with \"*.\"))'), '[]'::jsonb), '[\"smarthost.invalid\"]'))"
    " WHERE jsonb_path_exists(smarthost, '$.domains[*] ? (@ starts with \"*.\")')",
)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0040-tls-left-out.py"]

    @property
    def migration_id(self) -> str:
        return "8d0c9a5e-2f63-4f0e-9b1d-6f1f4f6f3c27"

    def upgrade(self, session: tp.Any) -> None:
        """Do nothing: what there is says what it did."""

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
