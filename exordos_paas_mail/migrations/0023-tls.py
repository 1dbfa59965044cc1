# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

UPGRADE = (
    """\
ALTER TABLE mail_instances
    ADD COLUMN tls JSONB NOT NULL DEFAULT '{"kind": "self_signed"}',
    ADD COLUMN tls_status VARCHAR(16) NOT NULL DEFAULT 'PENDING',
    ADD COLUMN tls_error TEXT NOT NULL DEFAULT '',
    ADD COLUMN tls_certificate TEXT NOT NULL DEFAULT '',
    ADD COLUMN tls_fingerprint_sha256 VARCHAR(95) NOT NULL DEFAULT '',
    ADD COLUMN tls_names TEXT[] NOT NULL DEFAULT '{}',
    ADD COLUMN tls_expires_at TIMESTAMP WITHOUT TIME ZONE
""",
    # The private key is in an envelope, whose key is a file of the control plane.
    """\
CREATE TABLE mail_tls_pairs (
    instance UUID NOT NULL CONSTRAINT mail_tls_pairs_pkey PRIMARY KEY
        CONSTRAINT mail_tls_pairs_instance_fkey
        REFERENCES mail_instances (uuid) ON DELETE CASCADE,
    chain TEXT NOT NULL DEFAULT '',
    sealed_key TEXT NOT NULL DEFAULT '',
    source VARCHAR(64) NOT NULL DEFAULT '',
    error TEXT NOT NULL DEFAULT '',
    is_served BOOLEAN NOT NULL DEFAULT FALSE,
    refused TEXT NOT NULL DEFAULT ''
)
""",
    "COMMENT ON COLUMN mail_tls_pairs.source IS 'what of mail_instances.tls the pair is for'",
    "COMMENT ON COLUMN mail_tls_pairs.error IS 'why there is no pair, or no newer one'",
    "COMMENT ON COLUMN mail_tls_pairs.is_served IS 'whether the node serves what it was told'",
    "COMMENT ON COLUMN mail_tls_pairs.refused IS 'why the node does not'",
    # The relay's own certificate names its addresses, which this tells.
    "INSERT INTO mail_documents (instance, collection, shard)"
    " SELECT uuid, 'tls', '0' FROM mail_instances",
)
DOWNGRADE = (
    "DELETE FROM mail_documents WHERE collection = 'tls'",
    "DROP TABLE IF EXISTS mail_tls_pairs",
    """\
ALTER TABLE mail_instances
    DROP COLUMN IF EXISTS tls,
    DROP COLUMN IF EXISTS tls_status,
    DROP COLUMN IF EXISTS tls_error,
    DROP COLUMN IF EXISTS tls_certificate,
    DROP COLUMN IF EXISTS tls_fingerprint_sha256,
    DROP COLUMN IF EXISTS tls_names,
    DROP COLUMN IF EXISTS tls_expires_at
""",
)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0022-account-pages.py"]

    @property
    def migration_id(self) -> str:
        return "86ccde1c-51e1-4061-bea5-29a644e03aa3"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
