# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What records of an instance share: its project, and the lock that orders its writes."""

from __future__ import annotations

import typing as tp

from restalchemy.storage import exceptions

from exordos_paas_mail.control_plane.records import errors, instances, locks


def check_project(record: tp.Any, owner: tp.Any) -> None:
    """Raise FieldError if *record* is of another project than *owner*, which it is of."""
    if record.project_id != owner.project_id:
        raise errors.FieldError("project_id", "must be the project of the instance")


def touch(session: tp.Any, instance: tp.Any) -> None:
    """Wake the builders for *instance*, and hold it; RecordNotFound if it is gone."""
    if not instances.MailInstance.touch(instance, session):
        raise _gone(instance)


def hold(session: tp.Any, instance: tp.Any) -> None:
    """Hold *instance* to the end of the transaction; RecordNotFound if it is gone."""
    if not locks.hold_instance(session, instance):
        raise _gone(instance)


def _gone(instance: tp.Any) -> exceptions.RecordNotFound:
    return exceptions.RecordNotFound(model="MailInstance", filters={"uuid": str(instance)})
