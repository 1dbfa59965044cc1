# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""An entry of the catalogue that a manifest declares."""

from __future__ import annotations

import typing as tp

from restalchemy.dm import filters

from exordos_paas_mail import utils
from exordos_paas_mail.control_plane.records import versions


class DeclaredVersion(versions.MailVersion):
    """An entry of the catalogue that a manifest declares."""

    def insert(self, session: tp.Any = None) -> None:
        """Add the entry, or take over the one of this uuid.

        The agent finds its entries by ``manager``, which those of releases
        before do not have if their description was changed meanwhile.
        """
        with utils.transaction(session) as active:
            stored = versions.MailVersion.objects.get_one_or_none(
                filters={"uuid": filters.EQ(str(self.uuid))}, session=active
            )
            if stored is None:
                super().insert(session=active)
                return
            for name in ("name", "description", "image", "manager"):
                setattr(stored, name, getattr(self, name))
            stored.update(session=active)
