# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

UPGRADE = (
    """\
ALTER TABLE mail_tls_orders
    ADD COLUMN left_out TEXT[] NOT NULL DEFAULT '{}',
    ADD COLUMN retry_at TIMESTAMP,
    ADD COLUMN is_given_up BOOLEAN NOT NULL DEFAULT FALSE
""",
    "COMMENT ON COLUMN mail_tls_orders.left_out"
    " IS 'names that Core has issued nothing for, the one that is asked for next first'",
    "COMMENT ON COLUMN mail_tls_orders.retry_at IS 'when the next of them is asked for'",
    "COMMENT ON COLUMN mail_tls_orders.is_given_up"
    " IS 'whether Core has not issued it in time, and one of fewer names took its place'",
)
DOWNGRADE = (
    """\
ALTER TABLE mail_tls_orders
    DROP COLUMN IF EXISTS left_out,
    DROP COLUMN IF EXISTS retry_at,
    DROP COLUMN IF EXISTS is_given_up
""",
)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0039-rare-filters.py"]

    @property
    def migration_id(self) -> str:
        return "df1e9c9d-5c62-4618-8bcd-c0d8606a4f10"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
