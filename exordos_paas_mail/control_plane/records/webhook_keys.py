# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The secrets of a webhook: which of them sign, and until when."""

from __future__ import annotations

import datetime
import typing as tp
import uuid as sys_uuid

from restalchemy.dm import types

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import webhook_config
from exordos_paas_mail.control_plane.records import errors

if tp.TYPE_CHECKING:
    from collections.abc import Mapping

_TIME: tp.Final = types.UTCDateTimeZ()
Keys: tp.TypeAlias = "Mapping[str, Mapping[str, tp.Any]]"


def add(keys: Keys, now: datetime.datetime, overlap_hours: int) -> tuple[str, dict[str, tp.Any]]:
    """Return a new secret, and *keys* with it: the others sign for so many hours yet.

    Raises ConflictRecords if more of them would sign than can.
    """
    ends = now + datetime.timedelta(hours=overlap_hours)
    left = {
        uuid: {**key, "expires_at": _text(min(_moment(key["expires_at"]) or ends, ends))}
        for uuid, key in signing(keys, now).items()
        if overlap_hours
    }
    if len(left) >= webhook_config.SECRETS_MAX:
        raise errors.ConflictRecords(
            "signing_keys",
            f"{len(left)} of them sign already, the most that can at once:"
            " wait until one ends, or give overlap_hours 0",
        )
    secret = webhook_config.new_secret()
    new = {"secret": secret, "created_at": _text(now), "expires_at": None}
    return secret, {str(sys_uuid.uuid4()): new, **left}


def signing(keys: Keys, now: datetime.datetime) -> dict[str, Mapping[str, tp.Any]]:
    """Return those of *keys* that sign at *now*, the newest first."""
    live = {uuid: key for uuid, key in keys.items() if (_moment(key["expires_at"]) or now) >= now}
    return dict(sorted(live.items(), key=lambda one: one[1]["created_at"], reverse=True))


def secrets(keys: Keys, now: datetime.datetime) -> tuple[str, ...]:
    """Return the secrets that sign at *now*, the newest first."""
    return tuple(key["secret"] for key in signing(keys, now).values())


def shown(keys: Keys, now: datetime.datetime) -> list[dict[str, tp.Any]]:
    """Return what the API shows of those that sign."""
    return [
        {"id": uuid, "created_at": key["created_at"], "expires_at": key["expires_at"]}
        for uuid, key in signing(keys, now).items()
    ]


def ended(session: tp.Any) -> list[sys_uuid.UUID]:
    """Return the instances that have webhooks with secrets which have ended."""
    found = session.execute(
        "SELECT DISTINCT instance FROM mail_webhooks w, jsonb_each(w.secrets) s"
        " WHERE s.value->>'expires_at' < %s",
        (_text(utils.now()),),
    ).fetchall()
    return [row["instance"] for row in found]


def forget(session: tp.Any, instance: sys_uuid.UUID) -> None:
    """Delete the secrets of the webhooks of *instance* that have ended; it is held."""
    session.execute(
        "UPDATE mail_webhooks w SET secrets = (SELECT jsonb_object_agg(s.key, s.value)"
        " FROM jsonb_each(w.secrets) s WHERE coalesce(s.value->>'expires_at' >= %s, true))"
        " WHERE instance = %s",
        (_text(utils.now()), str(instance)),
    )


def _text(moment: datetime.datetime) -> str:
    return str(_TIME.dump_value(moment))


def _moment(text: str | None) -> datetime.datetime | None:
    return None if text is None else datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
