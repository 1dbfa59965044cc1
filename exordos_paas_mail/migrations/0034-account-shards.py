# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Digests of the shards of each account file, kept in the transaction of each write.

``codecs.account_shards`` says what they are. Whoever writes accounts need not know: triggers
keep them, of releases before and of people too.
"""

from __future__ import annotations

import typing as tp

from restalchemy.storage.sql import migrations

_NO_LIMITS = (
    '{"recipients_per_minute": null, "recipients_per_hour": null, "recipients_per_day": null,'
    ' "recipients_per_month": null, "recipients_per_message": null, "message_size_mb": null}'
)
_SHARD = "get_byte(decode(md5(username), 'hex'), 0)"
# Of one line. A placeholder stands in the column of an account without a password; a prefix of
# Dovecot's reaches no file.
_DIGEST = (
    "('x' || left(encode(sha256(convert_to(username || ':' ||"
    " regexp_replace(password_hash, '^[{][A-Za-z0-9.-]+[}]', ''), 'UTF8')), 'hex'), 32))::bit(128)"
)


def _lines(table: str, count: int) -> str:
    return (
        f"SELECT instance, {_SHARD} AS shard, {_DIGEST} AS digest, {count} AS accounts"  # noqa: S608
        f" FROM {table} WHERE active"
    )


def _changes(*tables: str) -> str:
    """Return the statement that takes over the lines of transition tables."""
    return f"""\
        INSERT INTO mail_account_shards AS known (instance, shard, digest, accounts)
        SELECT instance, shard, bit_xor(digest), sum(accounts) FROM (
            {" UNION ALL ".join(tables)}
        ) AS changed
        GROUP BY instance, shard
        HAVING bit_xor(digest) <> 0::bit(128) OR sum(accounts) <> 0
        ORDER BY instance, shard
        ON CONFLICT (instance, shard) DO UPDATE
        SET digest = known.digest # excluded.digest,
            accounts = known.accounts + excluded.accounts"""  # noqa: S608


_REMOVED, _ADDED = _lines("removed", -1), _lines("added", 1)
# What there is for each kind of write; a statement is one write, of a hundred thousand too.
_WRITES = {
    "insert": (_changes(_ADDED), "NEW TABLE AS added"),
    "update": (_changes(_REMOVED, _ADDED), "OLD TABLE AS removed NEW TABLE AS added"),
    "delete": (_changes(_REMOVED), "OLD TABLE AS removed"),
}

UPGRADE = (
    """\
CREATE TABLE mail_account_shards (
    instance UUID NOT NULL
        CONSTRAINT mail_account_shards_instance_fkey
        REFERENCES mail_instances (uuid) ON DELETE CASCADE,
    shard SMALLINT NOT NULL,
    digest BIT(128) NOT NULL,
    accounts INTEGER NOT NULL,
    CONSTRAINT mail_account_shards_pkey PRIMARY KEY (instance, shard)
)
""",
    *(
        f"""\
CREATE FUNCTION mail_account_shards_{write}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
{statement};
    RETURN NULL;
END
$$
"""
        for write, (statement, _) in _WRITES.items()
    ),
    # From here to the end of the transaction nobody else writes an account.
    *(
        f"CREATE TRIGGER mail_account_shards_{write} AFTER {write.upper()} ON mail_accounts"
        f" REFERENCING {tables} FOR EACH STATEMENT"
        f" EXECUTE FUNCTION mail_account_shards_{write}()"
        for write, (_, tables) in _WRITES.items()
    ),
    _changes(_lines("mail_accounts", 1)),
    f"CREATE INDEX mail_accounts_shard_idx ON mail_accounts (instance, ({_SHARD})) WHERE active",
    # A pass of the builder asks for these accounts each time, and there are few.
    "CREATE INDEX mail_accounts_limits_idx ON mail_accounts (instance) WHERE active"
    f" AND (limits <> '{_NO_LIMITS}'::jsonb OR on_limit <> 'defer')",
    "CREATE INDEX mail_accounts_require_tls_idx ON mail_accounts (instance)"
    " WHERE active AND require_tls",
)
DOWNGRADE = (
    "DROP INDEX IF EXISTS mail_accounts_require_tls_idx",
    "DROP INDEX IF EXISTS mail_accounts_limits_idx",
    "DROP INDEX IF EXISTS mail_accounts_shard_idx",
    *(
        line
        for write in _WRITES
        for line in (
            f"DROP TRIGGER IF EXISTS mail_account_shards_{write} ON mail_accounts",
            f"DROP FUNCTION IF EXISTS mail_account_shards_{write}()",
        )
    ),
    # The release before tells the whole file, and has to look at the instance to do so.
    "UPDATE mail_instances SET updated_at = timezone('utc', clock_timestamp()) WHERE uuid IN ("
    "SELECT instance FROM mail_account_shards GROUP BY instance HAVING sum(accounts) >= 1000)",
    "DROP TABLE IF EXISTS mail_account_shards",
)


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self) -> None:
        self._depends = ["0033-declared-tls-policies.py"]

    @property
    def migration_id(self) -> str:
        return "5d1f7a9e-0b64-4c1c-9b38-6f3a2e4d7c10"

    def upgrade(self, session: tp.Any) -> None:
        for expression in UPGRADE:
            session.execute(expression)

    def downgrade(self, session: tp.Any) -> None:
        for expression in DOWNGRADE:
            session.execute(expression)


migration_step = MigrationStep()
