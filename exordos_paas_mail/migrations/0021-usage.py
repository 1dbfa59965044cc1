# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

UPGRADE = (
    # The owner is the account, or the instance: what all its accounts have sent together.
    """\
CREATE TABLE mail_usage (
    owner UUID NOT NULL CONSTRAINT mail_usage_pkey PRIMARY KEY,
    instance UUID NOT NULL CONSTRAINT mail_usage_instance_fkey
        REFERENCES mail_instances (uuid) ON DELETE CASCADE,
    account UUID CONSTRAINT mail_usage_account_fkey
        REFERENCES mail_accounts (uuid) ON DELETE CASCADE,
    at BIGINT NOT NULL,
    minute BIGINT NOT NULL,
    hour BIGINT NOT NULL,
    day BIGINT NOT NULL,
    month BIGINT NOT NULL
)
""",
    "COMMENT ON COLUMN mail_usage.at IS"
    " 'when something was counted last, in ms since 1970: the windows are those it is in'",
    "CREATE INDEX mail_usage_instance_idx ON mail_usage (instance)",
    "CREATE INDEX mail_usage_account_idx ON mail_usage (account)",
)
DOWNGRADE = ("DROP TABLE IF EXISTS mail_usage",)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0020-holds.py"]

    @property
    def migration_id(self) -> str:
        return "52d9a6c6-486d-4b5b-924c-7ebcbbddf2fd"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
