# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The domains of an instance, and the facts of each.

An instance has a list of domains. One of them is the primary: it is the
instance's ``domain``, its row is written with the instance, and the DKIM
columns of the instance are a copy of its facts.
"""

from __future__ import annotations

import typing as tp
import uuid as sys_uuid

from exordos_paas_mail import utils

FACTS: tp.Final = ("dkim_public_key", "dkim_selector")


def primary_uuid(instance: sys_uuid.UUID) -> sys_uuid.UUID:
    """Return the uuid of the primary domain of *instance*."""
    return sys_uuid.uuid5(instance, "domain")


def write_primary(session: tp.Any, instance: sys_uuid.UUID) -> None:
    """Make the row of the primary domain what the row of its instance says.

    The row may be missing: a control plane of the release before, which may still
    run during an upgrade, makes instances without one. No row of the instance is
    no error, and leaves none here.
    """
    now = utils.timestamp(utils.now())
    session.execute(
        "INSERT INTO mail_domains (uuid, project_id, instance, domain, is_primary,"
        " dkim_public_key, dkim_selector, created_at, updated_at)"
        " SELECT %(uuid)s, project_id, uuid, domain, TRUE, dkim_public_key, dkim_selector,"
        " %(now)s, %(now)s FROM mail_instances WHERE uuid = %(instance)s"
        " ON CONFLICT (instance, domain) DO UPDATE SET"
        " dkim_public_key = EXCLUDED.dkim_public_key,"
        " dkim_selector = EXCLUDED.dkim_selector, updated_at = EXCLUDED.updated_at",
        {"uuid": str(primary_uuid(instance)), "now": now, "instance": str(instance)},
    )
