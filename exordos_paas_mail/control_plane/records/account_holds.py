# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Accounts that are on hold: put there by a user, a limit or a reputation, released by a user.

A machine puts nobody on hold who is on hold already, and it releases nobody. A user's
release is final: only what has happened since counts against the account again.
"""

from __future__ import annotations

import datetime
import json
import typing as tp
import uuid as sys_uuid

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import holds, mail_events
from exordos_paas_mail.control_plane.records import (
    account_logins,
    errors,
    instances,
    notices,
    setting_fields,
)

USER, LIMIT, REPUTATION = setting_fields.HOLDERS
REASON_SIZE_MAX: tp.Final = 200
# A node that was away for so long, after a release, is not told what to do with what is apart.
RELEASE_KEPT: tp.Final = datetime.timedelta(days=30)
NEVER: tp.Final[tp.Mapping[str, tp.Any]] = {
    "active": False,
    "reason": "",
    "since": None,
    "by": None,
    "release": None,
    "released_at": None,
}


def hold(
    session: tp.Any, instance: sys_uuid.UUID, account: sys_uuid.UUID, by: str, reason: str
) -> bool:
    """Put an account on hold; return whether it is by this.

    A user takes over what a machine has put on hold, and may give another reason.
    RecordNotFound if there is no such account.
    """
    before = _begin(session, instance, account)
    if before["active"] and by != USER:
        return False
    now = utils.now()
    since = before["since"] if before["active"] else text_of(now)
    changes = {"active": True, "reason": reason, "since": since, "by": by}
    _write(session, account, {**NEVER, **changes})
    tell(session, instance, account, mail_events.Type.HELD, f"{by}: {reason}")
    return True


def hold_for(  # noqa: PLR0913 - all of them by name
    session: tp.Any,
    instance: sys_uuid.UUID,
    account: sys_uuid.UUID,
    by: str,
    reason: str,
    *,
    happened_at: datetime.datetime,
) -> bool:
    """Put an account on hold for something that happened; return whether it is by this.

    What happened before a user released it was known, and is no reason. The instance is
    held; an account that is gone is left alone.
    """
    found = session.execute(
        "SELECT hold FROM mail_accounts WHERE uuid = %s AND instance = %s",
        (str(account), str(instance)),
    ).fetchall()
    if not found or found[0]["hold"]["active"]:
        return False
    released_at = found[0]["hold"]["released_at"]
    if released_at is not None and happened_at <= moment_of(released_at):
        return False
    return hold(session, instance, account, by, reason)


def release(
    session: tp.Any, instance: sys_uuid.UUID, account: sys_uuid.UUID, messages: str
) -> None:
    """End the hold of an account; *messages* says what becomes of what is apart.

    It may be said anew. ConflictRecords for an account that was never on hold, and
    RecordNotFound if there is no such account.
    """
    before = _begin(session, instance, account)
    if before["since"] is None:
        raise errors.ConflictRecords("hold", "the account is not on hold")
    changes = {"active": False, "release": messages, "released_at": text_of(utils.now())}
    _write(session, account, {**before, **changes})
    done = "delivered" if messages == holds.State.DELIVER.value else "deleted"
    said = f"{USER}: what is apart is {done}"
    tell(session, instance, account, mail_events.Type.RELEASED, said)


def tell(
    session: tp.Any,
    instance: sys_uuid.UUID,
    account: sys_uuid.UUID,
    kind: mail_events.Type,
    text: str,
) -> None:
    """Have an event of an account be told: the ingester gives it its place among the others.

    Webhooks hear of it at once. The instance is held; of an account that is gone nothing
    is told.
    """
    login = account_logins.of_account(session, instance, account)
    if login is None:
        return
    told = {"account": account, "login": login, "text": text}
    notices.tell(session, instance, f"account.{kind.value}", told)
    session.execute(
        "INSERT INTO mail_account_events (uuid, instance, account, at, type, text)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        (
            *(str(sys_uuid.uuid4()), str(instance), str(account)),
            *(utils.timestamp(utils.now()), kind.value, text),
        ),
    )


def lines(session: tp.Any, instance: tp.Any) -> list[tuple[str, holds.Hold]]:
    """Return (username, hold) of each account that is on hold or was released of late.

    Also of one that is not active: what it has apart is not sent for that.
    """
    rows = session.execute(
        "SELECT username, hold, on_limit FROM mail_accounts WHERE instance = %s"
        " AND hold->>'since' IS NOT NULL ORDER BY username",
        (str(instance),),
    ).fetchall()
    oldest = utils.now() - RELEASE_KEPT
    told = []
    for row in rows:
        held = row["hold"]
        at = moment_of(held["since"] if held["active"] else held["released_at"])
        # What becomes of new mail is what becomes of it beyond a limit.
        state = holds.State(row["on_limit"] if held["active"] else held["release"])
        if held["active"] or at > oldest:
            told.append((row["username"], holds.Hold(state, int(at.timestamp() * 1000))))
    return told


def text_of(moment: datetime.datetime) -> str:
    """Return *moment* as a hold has it."""
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"


def moment_of(text: str) -> datetime.datetime:
    """Return the time that ``text_of`` has written."""
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(
        tzinfo=datetime.timezone.utc
    )


def _begin(
    session: tp.Any, instance: sys_uuid.UUID, account: sys_uuid.UUID
) -> tp.Mapping[str, tp.Any]:
    """Have the builders look at the instance, and return the hold of the account, locked."""
    instances.MailInstance.touch(instance, session)
    found = session.execute(
        "SELECT hold FROM mail_accounts WHERE uuid = %s AND instance = %s FOR UPDATE",
        (str(account), str(instance)),
    ).fetchall()
    if not found:
        raise errors.RecordNotFound(account)
    return {**NEVER, **found[0]["hold"]}


def _write(session: tp.Any, account: sys_uuid.UUID, held: tp.Mapping[str, tp.Any]) -> None:
    columns = {"hold": json.dumps(held), "updated_at": utils.timestamp(utils.now())}
    utils.update_columns(session, "mail_accounts", {"uuid": str(account)}, columns)
