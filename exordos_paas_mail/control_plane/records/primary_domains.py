# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The primary domain of an instance, and its first DKIM key.

An instance has a list of domains. One of them is the primary: it is the
instance's ``domain``, its row is written with the instance, it sends without a
proof of control, and the DKIM columns of the instance are a copy of its facts.
"""

from __future__ import annotations

import typing as tp
import uuid as sys_uuid

from exordos_paas_mail import constants, utils
from exordos_paas_mail.codecs import dkim
from exordos_paas_mail.control_plane.records import domain_states, key_states

# How old a key grows by itself where Core publishes its successor.
PUBLISHED_ROTATION_DAYS: tp.Final = 180
FACTS: tp.Final = ("dkim_public_key", "dkim_selector")


def primary_uuid(instance: sys_uuid.UUID) -> sys_uuid.UUID:
    """Return the uuid of the primary domain of *instance*."""
    return sys_uuid.uuid5(instance, "domain")


def key_uuid(domain: sys_uuid.UUID) -> sys_uuid.UUID:
    """Return the uuid of the first DKIM key of the primary domain with the uuid *domain*."""
    return sys_uuid.uuid5(domain, constants.DKIM_SELECTOR)


def write_primary(session: tp.Any, instance: sys_uuid.UUID) -> None:
    """Make the rows of the primary domain and its first key what the row of its instance says.

    They may be missing: a control plane of the release before, which may still
    run during an upgrade, makes instances without them, or with half of them. No
    row of the instance is no error, and leaves none here.
    """
    domain = primary_uuid(instance)
    values = {
        "uuid": str(domain),
        "key": str(key_uuid(domain)),
        "instance": str(instance),
        "now": utils.timestamp(utils.now()),
        "verified": domain_states.VERIFIED,
        "pending": domain_states.PENDING,
        "active": key_states.ACTIVE,
        "selector": constants.DKIM_SELECTOR,
        "algorithm": dkim.RSA,
        "rotation_days": PUBLISHED_ROTATION_DAYS,
    }
    session.execute(
        "INSERT INTO mail_domains (uuid, project_id, instance, domain, is_primary, name, status,"
        " keys_made, dkim_public_key, dkim_selector, dns, dkim_rotation_days, created_at,"
        " updated_at)"
        " SELECT %(uuid)s, project_id, uuid, domain, TRUE, domain, %(verified)s::varchar, 1,"
        " dkim_public_key, dkim_selector, dns,"
        " CASE dns->>'kind' WHEN 'core' THEN %(rotation_days)s ELSE 0 END, %(now)s, %(now)s"
        " FROM mail_instances WHERE uuid = %(instance)s"
        " ON CONFLICT (instance, domain) DO UPDATE SET"
        " status = CASE mail_domains.status WHEN %(pending)s::varchar THEN %(verified)s::varchar"
        " ELSE mail_domains.status END,"
        " keys_made = greatest(mail_domains.keys_made, 1),"
        " dkim_public_key = EXCLUDED.dkim_public_key,"
        " dkim_selector = EXCLUDED.dkim_selector, updated_at = EXCLUDED.updated_at",
        values,
    )
    session.execute(
        "INSERT INTO mail_dkim_keys (uuid, project_id, instance, domain, selector, algorithm,"
        " state, public_key, activated_at, created_at, updated_at)"
        " SELECT %(key)s, project_id, uuid, %(uuid)s, %(selector)s::varchar, %(algorithm)s,"
        " %(active)s, CASE dkim_selector WHEN %(selector)s::varchar"
        " THEN coalesce(substring(dkim_public_key FROM 'p=([A-Za-z0-9+/=]+)'), '') ELSE '' END,"
        " %(now)s, %(now)s, %(now)s FROM mail_instances WHERE uuid = %(instance)s"
        " ON CONFLICT (domain, selector) DO UPDATE SET public_key = EXCLUDED.public_key,"
        " updated_at = EXCLUDED.updated_at WHERE EXCLUDED.public_key <> ''"
        " AND EXCLUDED.public_key <> mail_dkim_keys.public_key",
        values,
    )


def write_dns(session: tp.Any, instance: sys_uuid.UUID) -> None:
    """Make ``dns`` of the primary domain what the row of its instance says."""
    session.execute(
        "UPDATE mail_domains SET dns = i.dns, updated_at = %(now)s,"
        " dkim_rotation_days = CASE WHEN i.dns->>'kind' = 'core' AND dkim_rotation_days = 0"
        " THEN %(rotation_days)s ELSE dkim_rotation_days END FROM mail_instances i"
        " WHERE mail_domains.uuid = %(uuid)s AND i.uuid = mail_domains.instance",
        {
            "uuid": str(primary_uuid(instance)),
            "rotation_days": PUBLISHED_ROTATION_DAYS,
            "now": utils.timestamp(utils.now()),
        },
    )
