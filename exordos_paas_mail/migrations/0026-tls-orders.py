# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

UPGRADE = (
    # An order outlives its instance: it is what knows the certificate that is still at Core.
    """\
CREATE TABLE mail_tls_orders (
    uuid UUID NOT NULL CONSTRAINT mail_tls_orders_pkey PRIMARY KEY,
    instance UUID NOT NULL,
    project_id UUID NOT NULL,
    source VARCHAR(64) NOT NULL,
    certificate UUID NOT NULL,
    names TEXT[] NOT NULL DEFAULT '{}',
    considered TEXT[] NOT NULL DEFAULT '{}',
    created_at TIMESTAMP NOT NULL,
    since TIMESTAMP NOT NULL,
    asked_at TIMESTAMP,
    digest VARCHAR(32) NOT NULL DEFAULT '',
    renew_at TIMESTAMP,
    next_at TIMESTAMP NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '',
    is_late BOOLEAN NOT NULL DEFAULT FALSE,
    withdraw_at TIMESTAMP,
    withdrawn_at TIMESTAMP
)
""",
    "CREATE INDEX mail_tls_orders_instance_idx ON mail_tls_orders (instance, created_at)",
    "CREATE INDEX mail_tls_orders_project_id_idx ON mail_tls_orders (project_id, asked_at)",
    "COMMENT ON COLUMN mail_tls_orders.source IS 'what of mail_instances.tls it is for'",
    "COMMENT ON COLUMN mail_tls_orders.certificate IS 'its uuid at Core'",
    "COMMENT ON COLUMN mail_tls_orders.considered IS 'what names was made of'",
    "COMMENT ON COLUMN mail_tls_orders.since IS 'since when an answer is waited for'",
    "COMMENT ON COLUMN mail_tls_orders.digest IS 'MD5 of the chain that was taken over'",
    "COMMENT ON COLUMN mail_tls_orders.reason IS 'why the last look found nothing to take over'",
)
DOWNGRADE = ("DROP TABLE IF EXISTS mail_tls_orders",)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0025-notices.py"]

    @property
    def migration_id(self) -> str:
        return "893d6335-af5e-4adb-bac9-d60f3bc35e58"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
