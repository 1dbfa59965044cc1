# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp
import uuid as sys_uuid

from restalchemy.storage.sql import migrations

UPGRADE = (
    """\
ALTER TABLE mail_domains
    ADD COLUMN name VARCHAR(255) NOT NULL DEFAULT '',
    ADD COLUMN description VARCHAR(255) NOT NULL DEFAULT '',
    ADD COLUMN active BOOLEAN NOT NULL DEFAULT TRUE,
    ADD COLUMN status VARCHAR(16) NOT NULL DEFAULT 'PENDING',
    ADD COLUMN error TEXT NOT NULL DEFAULT '',
    ADD COLUMN declaration_error TEXT NOT NULL DEFAULT '',
    ADD COLUMN verified_at TIMESTAMP,
    ADD COLUMN proof_lost_at TIMESTAMP,
    ADD COLUMN dns_status VARCHAR(16) NOT NULL DEFAULT 'INCOMPLETE',
    ADD COLUMN declared JSONB NOT NULL DEFAULT '{}',
    ADD COLUMN dkim_rotation_days INTEGER NOT NULL DEFAULT 0,
    ADD COLUMN keys_made INTEGER NOT NULL DEFAULT 0
""",
    "UPDATE mail_domains SET name = domain, status = 'VERIFIED', keys_made = 1 WHERE is_primary",
    """\
CREATE TABLE mail_dkim_keys (
    uuid UUID CONSTRAINT mail_dkim_keys_pkey PRIMARY KEY,
    project_id UUID NOT NULL,
    instance UUID NOT NULL,
    domain UUID NOT NULL
        CONSTRAINT mail_dkim_keys_domain_fkey
        REFERENCES mail_domains (uuid) ON DELETE CASCADE,
    selector VARCHAR(63) NOT NULL,
    algorithm VARCHAR(16) NOT NULL,
    state VARCHAR(16) NOT NULL DEFAULT 'PENDING',
    public_key TEXT NOT NULL DEFAULT '',
    takes_over BOOLEAN NOT NULL DEFAULT FALSE,
    sightings INTEGER NOT NULL DEFAULT 0,
    absences INTEGER NOT NULL DEFAULT 0,
    seen_since TIMESTAMP,
    visible_at TIMESTAMP,
    activated_at TIMESTAMP,
    retiring_at TIMESTAMP,
    revoked_at TIMESTAMP,
    safe_to_remove_at TIMESTAMP,
    remade_at TIMESTAMP,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    CONSTRAINT mail_dkim_keys_domain_selector_key UNIQUE (domain, selector)
)
""",
    "CREATE INDEX mail_dkim_keys_instance_idx ON mail_dkim_keys (instance)",
    "CREATE INDEX mail_dkim_keys_project_id_idx ON mail_dkim_keys (project_id)",
)
# The release before knows of the primary domain and its key ``platform``, no others.
DOWNGRADE = (
    "DROP TABLE IF EXISTS mail_dkim_keys",
    "DELETE FROM mail_domains WHERE NOT is_primary",
    """\
ALTER TABLE mail_domains
    DROP COLUMN name,
    DROP COLUMN description,
    DROP COLUMN active,
    DROP COLUMN status,
    DROP COLUMN error,
    DROP COLUMN declaration_error,
    DROP COLUMN verified_at,
    DROP COLUMN proof_lost_at,
    DROP COLUMN dns_status,
    DROP COLUMN declared,
    DROP COLUMN dkim_rotation_days,
    DROP COLUMN keys_made
""",
)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0006-manager-of-version.py"]

    @property
    def migration_id(self) -> str:
        return "6b278512-9a68-4ae8-80b7-8364b7c6c61c"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)
        for row in session.execute("SELECT uuid FROM mail_domains WHERE is_primary").fetchall():
            # PostgreSQL has no uuid5 without an extension.
            key = sys_uuid.uuid5(sys_uuid.UUID(str(row["uuid"])), "platform")
            session.execute(
                "INSERT INTO mail_dkim_keys (uuid, project_id, instance, domain, selector,"
                " algorithm, state, public_key, activated_at, created_at, updated_at)"
                " SELECT %s, project_id, instance, uuid, 'platform', 'rsa', 'ACTIVE',"
                " coalesce(substring(dkim_public_key FROM 'p=([A-Za-z0-9+/=]+)'), ''),"
                " created_at, created_at, created_at FROM mail_domains WHERE uuid = %s",
                (str(key), str(row["uuid"])),
            )

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
