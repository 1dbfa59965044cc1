# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What becomes of bounces of a domain's mail that come later: ``bounce_handling``.

A return path of a name that is not in DNS has receivers refuse the mail. So a domain has
one, ``return_path``, from when its records were found until they are not there any more.
"""

from __future__ import annotations

import typing as tp

from exordos_paas_mail.codecs import return_paths

if tp.TYPE_CHECKING:
    import uuid as sys_uuid

NONE: tp.Final = "none"
MANAGED: tp.Final = "managed"
KINDS: tp.Final = (NONE, MANAGED)
DEFAULT: tp.Final[tp.Mapping[str, tp.Any]] = {"kind": NONE}


def uses(session: tp.Any, instance: sys_uuid.UUID) -> list[tuple[str, str]]:
    """Return the domains that have a return path, with what becomes of what comes to it."""
    found = session.execute(
        "SELECT domain, (bounce_handling->>'forward')::boolean AS forward FROM mail_domains"
        " WHERE instance = %s AND active AND bounce_handling->>'kind' = %s AND return_path <> ''",
        (str(instance), MANAGED),
    ).fetchall()
    return [
        (row["domain"], return_paths.FORWARD if row["forward"] else return_paths.KEEP)
        for row in found
    ]


def settle(session: tp.Any, domain: sys_uuid.UUID, *, is_found: bool) -> bool:
    """Write whether DNS has what the return path needs; return whether that changed anything."""
    found = session.execute(
        "UPDATE mail_domains SET return_path = new.path FROM ("
        " SELECT uuid, CASE WHEN %s AND bounce_handling->>'kind' = %s THEN %s || domain"
        " ELSE '' END AS path FROM mail_domains WHERE uuid = %s) new"
        " WHERE mail_domains.uuid = new.uuid AND return_path <> new.path RETURNING new.path",
        (is_found, MANAGED, f"{return_paths.LABEL}.", str(domain)),
    ).fetchall()
    return bool(found)
