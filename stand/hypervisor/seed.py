# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The seed system of a machine that boots from the network.

Stands in for the platform's Seed OS: speaks to Core's boot API alone, which wants
no key, as the machine's guest agent; puts the image onto the machine's disk, has
Core renew the machine's key, leaves it on the disk and reports FLASHED. Started
on the boot network, with the uuid of the machine as its argument.
"""

from __future__ import annotations

import logging
import sys
import typing as tp
import uuid as sys_uuid

import bazooka
import requests
from gcl_sdk.agents.universal.clients.http import status
from gcl_sdk.agents.universal.clients.orch import http as orch
from gcl_sdk.agents.universal.drivers import guest, meta
from gcl_sdk.agents.universal.services import agent
from restalchemy.dm import properties, types

from imaging.containers import nodes
from stand import core, repository, settings
from stand.hypervisor import identity, images

LOG = logging.getLogger(__name__)
_PERIOD: tp.Final = 0.5
_TIMEOUT: tp.Final = 60


class Machine:
    """The machine that is being flashed: set once, when the process starts."""

    node: nodes.Node
    flashed: str | None = None


class Guest(guest.GuestMachineMetaModel):
    """The guest model of the platform, whose effect on the machine is the flashing."""

    status = properties.property(
        types.Enum(["NEW", "IN_PROGRESS", "ACTIVE", "ERROR", "FLASHED"]), default="IN_PROGRESS"
    )

    def dump_to_dp(self) -> None:
        """Put the image onto the machine's disk."""
        self._flash()

    def update_on_dp(self) -> None:
        """Put another image onto the machine's disk."""
        self._flash()

    def restore_from_dp(self) -> None:
        """Report how the flashing went."""
        self._flash()

    def _flash(self) -> None:
        if self.boot != "network":
            self.status = "IN_PROGRESS"
            return
        if Machine.flashed == self.image:
            self.status = "FLASHED"
            return
        try:
            layers = repository.fetch_image(self.image)
        except requests.RequestException:
            LOG.exception("no image at %s", self.image)
            self.status = "ERROR"
            return
        key = renew_key(Machine.node.uuid)
        images.flash(Machine.node, images.Flashed(self.image, layers, key))
        Machine.flashed = self.image
        LOG.info("%s flashed with %s", Machine.node.uuid, self.image)
        self.status = "FLASHED"


class Driver(meta.MetaFileStorageAgentDriver):
    """The guest capability, and nothing else."""

    __model_map__ = {guest.GUEST_MACHINE_KIND: Guest}


def renew_key(uuid: sys_uuid.UUID) -> str:
    """Have Core give the machine another key; return it."""
    keys = status.NodesClient(core.BOOT_API, http_client=bazooka.Client(default_timeout=_TIMEOUT))
    return str(keys.do_action("refresh_secret", uuid, invoke=True)["key"])


def main() -> None:
    """Speak for the machine named on the command line until killed."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    uuid = sys_uuid.UUID(sys.argv[1])
    identity.assume(uuid)
    site = settings.SITE
    Machine.node = nodes.Node(site, uuid)
    memory = site.directory / "hypervisor" / f"seed-{uuid}.json"
    memory.unlink(missing_ok=True)
    agent.UniversalAgentService(
        agent_uuid=uuid,
        orch_client=orch.HttpOrchClient(
            orch_endpoint=core.BOOT_API,
            status_endpoint=core.BOOT_API,
            http_client=bazooka.Client(default_timeout=_TIMEOUT),
        ),
        caps_drivers=[Driver(meta_file=str(memory))],
        facts_drivers=[],
        payload_path=None,
        iter_min_period=_PERIOD,
    ).start()


if __name__ == "__main__":
    main()
