# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

# The mode `mta_sts` is a word like the others; the release before cannot read a policy that has
# it. Its node is to be told what it keeps instead.
DOWNGRADE = (
    "UPDATE mail_instances SET updated_at = timezone('utc', clock_timestamp()) WHERE uuid IN"
    " (SELECT instance FROM mail_tls_policies WHERE mode = 'mta_sts')",
    "UPDATE mail_tls_policies SET mode = 'verify',"
    " updated_at = timezone('utc', clock_timestamp()) WHERE mode = 'mta_sts'",
)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0037-unaccounted.py"]

    @property
    def migration_id(self) -> str:
        return "ad92b910-66bc-45e8-9be2-2c4c7f3a69b4"

    def upgrade(self, session: tp.Any) -> None:
        """Change nothing: what there is stays as it is."""

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
