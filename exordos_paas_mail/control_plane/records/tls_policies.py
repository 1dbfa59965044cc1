# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The TLS policies of an instance: how its mail leaves for which domain."""

from __future__ import annotations

import typing as tp

from restalchemy.dm import models, properties, relationships, types

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import tls_policies
from exordos_paas_mail.control_plane.records import base, errors, fields, instances, of_instance


class MailTlsPolicy(base.Record, models.ModelWithProject, base.Stored):
    """A TLS policy of an instance.

    A write touches the instance first: its node is to hold something else after it.
    """

    __tablename__ = "mail_tls_policies"

    name = properties.property(fields.Text(0, 255), default="")
    instance = relationships.relationship(instances.MailInstance, required=True, read_only=True)
    domain = properties.property(fields.PolicyDomain(), required=True, read_only=True)
    mode = properties.property(types.Enum(list(tls_policies.MODES)), required=True)
    # Why a manifest that declares it is not applied.
    error = properties.property(types.String(), default="")

    def insert(self, session: tp.Any = None) -> None:
        """Add the policy; RecordNotFound if its instance is gone.

        Raises ConflictRecords if the instance has as many as it can have.
        """
        of_instance.check_project(self, self.instance)
        with utils.transaction(session) as active:
            of_instance.touch(active, self.instance.uuid)
            (row,) = active.execute(
                "SELECT count(*) AS policies FROM mail_tls_policies WHERE instance = %s",
                (str(self.instance.uuid),),
            ).fetchall()
            if row["policies"] >= tls_policies.POLICIES_MAX:
                raise errors.ConflictRecords(
                    "instance",
                    f"already has {tls_policies.POLICIES_MAX} TLS policies,"
                    " the most that it can have",
                )
            super().insert(session=active)

    def update(self, session: tp.Any = None, force: bool = False) -> None:  # noqa: FBT001, FBT002
        """Write what changed."""
        with utils.transaction(session) as active:
            if self.properties["mode"].is_dirty():
                of_instance.touch(active, self.instance.uuid)
            super().update(session=active, force=force)

    def delete(self, session: tp.Any = None, **kwargs: tp.Any) -> tp.Any:
        with utils.transaction(session) as active:
            instances.MailInstance.touch(self.instance.uuid, active)
            return super().delete(session=active, **kwargs)
