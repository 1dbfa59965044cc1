# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The catalogue of images."""

from __future__ import annotations

from gcl_sdk.agents.universal.dm import models as ua_models
from restalchemy.dm import properties

from exordos_paas_mail.control_plane.records import base, fields


class MailVersion(base.Record, base.Stored, ua_models.TargetResourceMixin):
    """An image that instances are made of."""

    __tablename__ = "mail_versions"

    name = properties.property(fields.Text(1, 255), required=True)
    image = properties.property(fields.Text(1, 2048), required=True)
    # The project of the element manager, by which its agent finds the entries it keeps. Empty if
    # people keep the entry. Not in the API: it says nothing to them.
    manager = properties.property(fields.Text(0, 36), default="")
