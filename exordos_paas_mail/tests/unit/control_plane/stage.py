# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""An instance brought to a stage of its life."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail.tests.unit.control_plane import api_client, fake_core, gservice

DKIM = "v=DKIM1; k=rsa; p=MIIBIjANBgkq"
SEED = api_client.HASH


class Stage:
    """An instance brought to a stage of its life, and the hands to bring it further."""

    def __init__(
        self,
        api: api_client.Client,
        core: fake_core.FakeCore,
        services: gservice.GService,
        path: str | None = None,
    ) -> None:
        self.api, self.core, self.services = api, core, services
        self.path = path or api.instance()
        self.uuid = self.path.rpartition("/")[2]
        self.node: gservice.Node | None = None

    def asked_for(self) -> Stage:
        self.services.tick(3)
        assert self.uuid in self.core.sets
        return self

    def with_node(self, ipv4: str | None = "10.0.0.5") -> gservice.Node:
        self.asked_for()
        node = self.core.add_node(self.uuid, ipv4)
        self.core.set_status(self.uuid, "IN_PROGRESS")
        self.services.tick(3)
        return gservice.Node(node)

    def infra_active(self) -> gservice.Node:
        node = self.with_node()
        self.core.set_status(self.uuid, "ACTIVE")
        self.services.tick(3)
        return node

    def serving(self) -> gservice.Node:
        """Bring it to a node that works, by as few passes as settle it: most tests begin here.

        A stage that was put back (``Kept``) has it.
        """
        if self.node is not None:
            return self.node
        for _ in range(2):  # Core is asked, then told what it has made
            self.services.infra_pass()
            self.services.core_pass()
        node = gservice.Node(self.core.add_node(self.uuid, "10.0.0.5"))
        self.core.set_status(self.uuid, "ACTIVE")
        for _ in range(3):  # one, but beside another instance
            self.services.tick()
            if node.is_known():
                break
        node.register()
        self.services.paas_pass()
        node.report(dkim_public_key=DKIM, dkim_selector="platform")
        self.services.tick()
        self.node = node
        return node

    def shown(self, *fields: str) -> tuple[tp.Any, ...]:
        instance = self.api.get(self.path)
        return tuple(instance[field] for field in fields)
