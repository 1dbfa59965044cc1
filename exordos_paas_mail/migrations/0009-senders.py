# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

# The default is for the instances that are there, and for those of a control plane of the
# release before: their accounts send as themselves.
UPGRADE = (
    "ALTER TABLE mail_instances ADD COLUMN sender_policy VARCHAR(16) NOT NULL DEFAULT 'account'",
    "ALTER TABLE mail_accounts ADD COLUMN senders TEXT[]",
    "CREATE INDEX mail_accounts_senders_idx ON mail_accounts (instance) WHERE senders IS NOT NULL",
)
DOWNGRADE = (
    "DROP INDEX mail_accounts_senders_idx",
    "ALTER TABLE mail_accounts DROP COLUMN senders",
    "ALTER TABLE mail_instances DROP COLUMN sender_policy",
)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0008-hostname.py"]

    @property
    def migration_id(self) -> str:
        return "2c6e9bd1-1276-40db-8421-aaf21f95e1fe"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
