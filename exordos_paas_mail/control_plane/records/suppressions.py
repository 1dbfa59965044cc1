# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Suppressions of an instance: recipients that nothing is sent to."""

from __future__ import annotations

import itertools
import typing as tp

from restalchemy.dm import models, properties, types

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import domains, suppressions
from exordos_paas_mail.control_plane.records import (
    account_logins,
    base,
    errors,
    fields,
    locks,
    log_pages,
    suppression_rows,
)

if tp.TYPE_CHECKING:
    import uuid as sys_uuid

REASONS: tp.Final = tuple(reason.value for reason in suppressions.Reason)
_NUMBER: tp.Final = types.Integer()


class MailSuppression(models.ModelWithUUID, base.Stored):
    """A recipient that nothing is sent to, by any account or by one."""

    __tablename__ = "mail_suppressions"

    instance = properties.property(types.UUID(), required=True)
    address = properties.property(fields.Recipient(), required=True)
    scope = properties.property(
        fields.Choice(list(suppression_rows.SCOPES)), default=suppression_rows.INSTANCE
    )
    account = properties.property(types.AllowNone(types.UUID()), default=None)
    shard = properties.property(types.String(), default="")
    size = properties.property(_NUMBER, default=0)
    reason = properties.property(
        fields.Choice(list(REASONS)), default=suppressions.Reason.MANUAL.value
    )
    origin = properties.property(
        types.Enum(list(suppression_rows.ORIGINS)), default=suppression_rows.USER
    )
    # The other server's words, or a user's.
    detail = properties.property(fields.Text(0, suppression_rows.DETAIL_SIZE_MAX), default="")
    message = properties.property(types.AllowNone(types.UUID()), default=None)
    hits = properties.property(_NUMBER, default=0)
    last_hit_at = properties.property(fields.Moment(), default=None)
    created_at = properties.property(types.UTCDateTimeZ(), default=utils.now)
    # None is never.
    expires_at = properties.property(fields.OptionalTime(), default=None)
    # Why the manifest that declares the entry is not applied.
    error = properties.property(types.String(), default="")


# Nothing of one that no manifest declares is in the columns of those that one does.
_COLUMNS: tp.Final = ", ".join(
    "coalesce(error, '') AS error" if name == "error" else name
    for name in MailSuppression.properties.properties
)


# What there are few kinds of: most of a million may be of one of them, and none of another.
_KINDS: tp.Final[tp.Mapping[str, tp.Sequence[str]]] = {
    "reason": REASONS,
    "origin": suppression_rows.ORIGINS,
    "scope": suppression_rows.SCOPES,
}


class Suppressions(log_pages.Page):
    """A page of the suppressions of an instance, oldest first; one that is over is none."""

    def __init__(self, instance: sys_uuid.UUID, limit: int) -> None:
        super().__init__(MailSuppression.__tablename__, limit, columns=_COLUMNS)
        self._kinds: dict[str, str] = {}
        self._is_of_kinds = False
        self.where("instance = %s", str(instance))
        self.where("expires_at IS NULL OR expires_at > %s", utils.timestamp(utils.now()))

    def select(self, session: tp.Any) -> list[dict[str, tp.Any]]:
        """Return the rows of the page.

        Where it is of a kind or a domain, all its kinds are put together: those of each are in
        the order of their uuids in an index, and no row of another is looked at.
        """
        if not self._is_of_kinds:
            return super().select(session)
        known = [[self._kinds[n]] if n in self._kinds else kinds for n, kinds in _KINDS.items()]
        # In the statement itself: they are no client's.
        parts = [
            f"SELECT * FROM {self.table} WHERE {self.condition} AND "  # noqa: S608
            + " AND ".join(f"{n} = '{kind}'" for n, kind in zip(_KINDS, kinds, strict=True))
            for kinds in itertools.product(*known)
        ]
        rows = session.execute(
            f"SELECT {self.columns} FROM ({' UNION ALL '.join(parts)}) AS found"  # noqa: S608
            " ORDER BY uuid LIMIT %s",
            (*len(parts) * self.values, self.limit),
        ).fetchall()
        return [dict(row) for row in rows]

    def of_address(self, address: str) -> None:
        """Have those of an address, in whatever spelling."""
        self.where("address = %s", address)

    def to_domain(self, domain: str) -> None:
        """Have those of a domain."""
        self._is_of_kinds = True
        self.where("split_part(address, '@', 2) = %s", domains.with_a_labels(domain).lower())

    def of_account(self, account: sys_uuid.UUID) -> None:
        """Have those of an account alone."""
        self.where("account = %s", str(account))

    def with_scope(self, scope: str) -> None:
        """Have those of a scope."""
        self._have("scope", scope)

    def with_reason(self, reason: str) -> None:
        """Have those for a reason."""
        self._have("reason", reason)

    def with_origin(self, origin: str) -> None:
        """Have those that came so."""
        self._have("origin", origin)

    def _have(self, name: str, kind: str) -> None:
        self._is_of_kinds = True
        kinds = _KINDS[name]
        self._kinds[name] = kinds[kinds.index(kind)]


def add(instance: sys_uuid.UUID, uuid: sys_uuid.UUID | None, **values: tp.Any) -> MailSuppression:
    """Add what a user asks for; return it.

    Raises ConflictRecords if it is there already or there is no room for it, and
    RecordNotFound if the instance is gone.
    """
    with utils.transaction() as session:
        if not locks.hold_instance(session, instance):
            raise errors.RecordNotFound(instance)
        account = values.get("account")
        entry = suppression_rows.Entry(
            **{"reason": suppressions.Reason.MANUAL.value, **values},
            origin=suppression_rows.USER,
            login=login_of(session, instance, account) if account else "",
            uuid=uuid,
        )
        put(session, instance, entry)
        page = Suppressions(instance, 1)
        page.of_address(entry.address)
        page.where("account IS NOT DISTINCT FROM %s::uuid", account and str(account))
        (row,) = page.select(session)
    return tp.cast("MailSuppression", MailSuppression.restore_from_storage(**row))


def put(session: tp.Any, instance: sys_uuid.UUID, entry: suppression_rows.Entry) -> None:
    """Add *entry*; the instance is held.

    Raises ConflictRecords if its uuid is taken, it is there already, or there is no room for it.
    """
    if (
        entry.uuid is not None
        and session.execute(
            "SELECT FROM mail_suppressions WHERE uuid = %s", (str(entry.uuid),)
        ).fetchall()
    ):
        raise errors.ConflictRecords("uuid", "is already taken")
    done = suppression_rows.put(session, instance, [entry], utils.now())
    if done.existing:
        raise errors.ConflictRecords("address", EXISTING)
    if done.full:
        raise errors.ConflictRecords("address", FULL)


OTHER_SCOPE: tp.Final = "must be given if, and only if, scope is account"
EXISTING: tp.Final = "is already suppressed in this scope"
FULL: tp.Final = (
    f"cannot be added: the instance has {suppression_rows.ENTRIES_MAX} suppressions, or too many"
    " whose addresses are alike"
)


def login_of(session: tp.Any, instance: sys_uuid.UUID, account: sys_uuid.UUID) -> str:
    """Return the login of *account*, which stays; FieldError if *instance* has no such account."""
    login = account_logins.of_account(session, instance, account)
    if login is None:
        raise errors.FieldError("account", "must be the UUID of an account of the instance")
    return login


def remove(instance: sys_uuid.UUID, uuid: sys_uuid.UUID) -> None:
    """Take out an entry; RecordNotFound if it is not there."""
    page = Suppressions(instance, 1)
    page.where("uuid = %s", str(uuid))
    with utils.transaction() as session:
        if not (
            page.select(session)
            and locks.hold_instance(session, instance)
            and suppression_rows.remove(session, instance, uuid, utils.now())
        ):
            raise errors.RecordNotFound(uuid)
