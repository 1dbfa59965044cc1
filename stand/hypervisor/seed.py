# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The seed system of a machine that boots from the network.

Stands in for the platform's Seed OS: reports as the machine's guest agent, puts
the image onto the machine's disk and reports FLASHED. Started with the uuid of
the machine as its argument.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import typing as tp
import uuid as sys_uuid

import bazooka
import requests
from gcl_sdk.agents.universal import utils
from gcl_sdk.agents.universal.clients.orch import http as orch
from gcl_sdk.agents.universal.drivers import guest, meta
from gcl_sdk.agents.universal.services import agent
from restalchemy.dm import properties, types

from imaging.containers import nodes
from stand import core, repository, settings
from stand.hypervisor import identity, images

LOG = logging.getLogger(__name__)
_PERIOD: tp.Final = 0.5


class Machine:
    """The machine that is being flashed: set once, when the process starts."""

    node: nodes.Node
    key: str
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
            flashed = images.Flashed(self.image, repository.fetch_image(self.image), Machine.key)
        except requests.RequestException:
            LOG.exception("no image at %s", self.image)
            self.status = "ERROR"
            return
        images.flash(Machine.node, flashed)
        Machine.flashed = self.image
        LOG.info("%s flashed with %s", Machine.node.uuid, self.image)
        self.status = "FLASHED"


class Driver(meta.MetaFileStorageAgentDriver):
    """The guest capability, and nothing else."""

    __model_map__ = {guest.GUEST_MACHINE_KIND: Guest}


def main() -> None:
    """Speak for the machine named on the command line until killed."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    uuid = sys_uuid.UUID(sys.argv[1])
    identity.assume(uuid)
    site = settings.SITE
    made = settings.ensure(site.directory)
    admin = core.administrator(site, made).api()
    # What the real one finds on its disk was put there over Core's API.
    Machine.key = admin.expect(200, "GET", f"/v1/compute/nodes/{uuid}/actions/get_private_key")
    Machine.node = nodes.Node(site, uuid)
    # Ended by a signal, it would leave a file that it means to remove later.
    with tempfile.NamedTemporaryFile("w") as key:
        key.write(Machine.key)
        key.flush()
        encryptor = utils.get_encryptor(key.name)
    memory = site.directory / "hypervisor" / f"seed-{uuid}.json"
    memory.unlink(missing_ok=True)
    agent.UniversalAgentService(
        agent_uuid=uuid,
        orch_client=orch.HttpOrchClient(
            orch_endpoint=f"http://{core.address(site)}:11011",
            status_endpoint=f"http://{core.address(site)}:11012",
            http_client=bazooka.Client(default_timeout=20),
            encryptor=encryptor,
        ),
        caps_drivers=[Driver(meta_file=str(memory))],
        facts_drivers=[],
        payload_path=None,
        iter_min_period=_PERIOD,
    ).start()


if __name__ == "__main__":
    main()
