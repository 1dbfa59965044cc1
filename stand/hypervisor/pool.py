# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A machine pool of containers.

A machine that boots from the network is being flashed: an agent on this machine
speaks for it (hypervisor.seed). A machine that boots from its disk is a node of
the site. What runs is brought in line at each look, so a node that lost its
power is up again within one round of the agent.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import typing as tp
import uuid as sys_uuid

from gcl_sdk.agents.universal.drivers import pool
from gcl_sdk.infra import constants

from exordos_paas_mail import constants as product
from imaging.containers import nodes
from stand import core, manifests, outside, processes, settings
from stand.hypervisor import images, records

LOG = logging.getLogger(__name__)
# More than a stand will ever ask for; in cores, MB and GB.
_CORES: tp.Final = 64
_MEMORY: tp.Final = 256 * 1024
_STORAGE: tp.Final = 10_000
# An operator's setting of the relay: here the whole internet has private addresses.
_RELAY: tp.Final = {"/etc/exordos_metapaas/relay.env": "RELAY_ALLOW_PRIVATE_MX=yes\n"}
_CHECKER: tp.Final = "/etc/exordos_metapaas/mail_dns.env"


class ContainerPoolDriver(pool.AbstractPoolDriver):
    """Machines are nodes of the site, volumes are directories of it."""

    def __init__(self, machine_pool: pool.MachinePool, *, dry_run: bool = False) -> None:
        super().__init__(dry_run=dry_run)
        self._spec = machine_pool.driver_spec
        self._site = settings.SITE
        self._settings = settings.ensure(self._site.directory)
        self._records = records.Records.read(self._site.directory / "pool.json")
        self._storage = [
            pool.ThinStoragePool(
                uuid=sys_uuid.uuid5(machine_pool.uuid, entry["name"]),
                name=entry["name"],
                pool_type="dir",
                tier=entry.get("tier", constants.DiskTier.WARM.value),
                ephemeral=entry.get("ephemeral", True),
                capacity_usable=_STORAGE,
            )
            for entry in machine_pool.driver_spec.storage_pool
        ]

    # -- the pool

    def get_pool_info(self) -> pool.MachinePool:
        """Return the size of the pool."""
        return pool.MachinePool(
            driver_spec=self._spec,
            all_cores=_CORES,
            all_ram=_MEMORY,
            status=pool.MachinePoolStatus.ACTIVE.value,
        )

    def list_storage_pools(self) -> list[pool.ThinStoragePool]:
        """Return the storage pools with what is given out of each."""
        for storage in self._storage:
            used = sum(
                volume["size"]
                for volume in self._records.volumes.values()
                if volume["storage_pool"] == storage.name
            )
            storage.capacity_provisioned = used
            storage.available_actual = _STORAGE - used
        return self._storage

    def list_pool_resources(self) -> tuple[tp.Any, tp.Any, tp.Any, tp.Any]:
        """Return the pool, its storage, machines and volumes."""
        return (
            self.get_pool_info(),
            self.list_storage_pools(),
            self.list_machines(),
            self.list_volumes(),
        )

    # -- machines

    def list_machines(self) -> list[tuple[pool.Machine, tuple[pool.Port, ...]]]:
        """Return the machines, each brought to the state it should be in."""
        for uuid in self._records.machines:
            self._align(uuid)
        return [self._machine(uuid) for uuid in self._records.machines]

    def get_machine(self, machine: sys_uuid.UUID) -> tuple[pool.Machine, tuple[pool.Port, ...]]:
        """Return a machine and its ports; raises MachineNotFoundError."""
        if str(machine) not in self._records.machines:
            raise pool.MachineNotFoundError(machine=machine)
        return self._machine(str(machine))

    def create_machine(
        self,
        machine: pool.Machine,
        volumes: tp.Iterable[pool.MachineVolume],
        ports: tp.Iterable[pool.Port],
    ) -> tuple[pool.Machine, tuple[pool.Port, ...]]:
        """Make a machine and switch it on."""
        ports = tuple(ports)
        for volume in volumes:
            volume.machine = machine.uuid
            self._keep_volume(volume)
        self._keep(machine, ports)
        LOG.info("machine %s created, boot=%s", machine.uuid, machine.boot)
        self._align(str(machine.uuid))
        return machine, ports

    def recreate_machine(
        self, machine: pool.Machine, ports: tp.Collection[pool.Port] | None = None
    ) -> None:
        """Switch a machine off and on again with another boot device or image."""
        LOG.info("machine %s recreated, boot=%s %s", machine.uuid, machine.boot, machine.image)
        self._keep(machine, tuple(ports) if ports is not None else None)
        if not self._is_core(str(machine.uuid)):
            self._node(str(machine.uuid)).stop()
            self._seed(str(machine.uuid)).stop()
        self._align(str(machine.uuid))

    def delete_machine(self, machine: pool.Machine, delete_volumes: bool = True) -> None:  # noqa: FBT001, FBT002
        """Remove a machine, and the volumes that are its own."""
        uuid = str(machine.uuid)
        self._seed(uuid).stop()
        self._node(uuid).destroy()
        for volume in self.list_volumes(machine) if delete_volumes else []:
            self.delete_volume(volume)
        self._records.machines.pop(uuid, None)
        self._records.ports.pop(uuid, None)
        self._records.write()
        LOG.info("machine %s deleted", uuid)

    def set_machine_cores(self, machine: pool.Machine, cores: int) -> None:
        """Record the number of cores: containers share the machine's."""
        self._change(machine, cores=cores)

    def set_machine_ram(self, machine: pool.Machine, ram: int) -> None:
        """Limit the memory (MB) of a machine, from its next boot on."""
        self._change(machine, ram=ram)

    def rename_machine(self, machine: pool.Machine, name: str) -> None:
        """Record another name."""
        self._change(machine, name=name)

    def reset_machine(self, machine: pool.Machine) -> None:
        """Switch a machine off the hard way; the next look boots it."""
        self._node(str(machine.uuid)).cut_power()

    def shutdown_machine(self, machine: pool.Machine, force: bool = False) -> None:  # noqa: FBT001, FBT002
        """Shut a machine down, at once when forced."""
        node = self._node(str(machine.uuid))
        if force:
            node.cut_power()
        else:
            node.stop()

    def start_machine(self, machine: pool.Machine) -> None:
        """Boot a machine that is off."""
        self._align(str(machine.uuid))

    def attach_port(self, machine: pool.Machine, port: pool.Port) -> None:
        """Do nothing: a machine is born with its one port."""

    def detach_port(self, machine: pool.Machine, port: pool.Port) -> None:
        """Do nothing: a machine keeps its one port."""

    # -- volumes

    def list_volumes(self, machine: pool.Machine | None = None) -> list[pool.MachineVolume]:
        """Return all volumes, or those of *machine*."""
        return [
            pool.MachineVolume.restore_from_simple_view(**view)
            for view in self._records.volumes.values()
            if machine is None or view["machine"] == str(machine.uuid)
        ]

    def get_volume(self, volume: sys_uuid.UUID) -> pool.MachineVolume:
        """Return a volume; raises VolumeNotFoundError."""
        if str(volume) not in self._records.volumes:
            raise pool.VolumeNotFoundError(volume=volume)
        return pool.MachineVolume.restore_from_simple_view(**self._records.volumes[str(volume)])

    def create_volume(self, volume: pool.MachineVolume) -> pool.MachineVolume:
        """Make an empty volume; a root volume is the machine's own directory."""
        self._keep_volume(volume)
        return volume

    def delete_volume(self, volume: pool.MachineVolume) -> None:
        """Remove a volume and what is on it."""
        self._records.volumes.pop(str(volume.uuid), None)
        self._records.write()
        directory = self._site.volumes / str(volume.uuid)
        if directory.exists():
            shutil.rmtree(directory)

    def resize_volume(self, volume: pool.MachineVolume) -> None:
        """Record another size (GB); directories take what they need."""
        self._keep_volume(volume)

    def attach_volume(self, volume: pool.MachineVolume) -> None:
        """Record the machine of a volume; it gets it at its next boot."""
        self._keep_volume(volume)

    def detach_volume(self, volume: pool.MachineVolume) -> None:
        """Take a volume from its machine."""
        volume.machine = None
        self._keep_volume(volume)

    # -- inside

    def _is_core(self, uuid: str) -> bool:
        # Core's own machine was there before Core, and Core must not end it.
        return uuid == self._settings.core_uuid

    def _node(self, uuid: str) -> nodes.Node:
        return nodes.Node(self._site, sys_uuid.UUID(uuid))

    def _seed(self, uuid: str) -> processes.Process:
        wire = core.boot_wire(self._site, self._settings)
        command = ("nsenter", f"--net={wire}", sys.executable, "-m", "stand.hypervisor.seed", uuid)
        # The seed of a Core that has booted again since is started anew, on the new wire.
        environment = {**os.environ, "BOOT_WIRE": str(wire.stat().st_ino if wire.exists() else "")}
        return processes.Process(self._site, f"seed-{uuid}", command, environment)

    def _machine(self, uuid: str) -> tuple[pool.Machine, tuple[pool.Port, ...]]:
        machine = pool.Machine.restore_from_simple_view(**self._records.machines[uuid])
        ports = self._records.ports[uuid]
        return machine, tuple(pool.Port.restore_from_simple_view(**port) for port in ports)

    def _keep(self, machine: pool.Machine, ports: tuple[pool.Port, ...] | None) -> None:
        machine.status = pool.MachineStatus.ACTIVE.value
        self._records.machines[str(machine.uuid)] = machine.dump_to_simple_view()
        if ports is not None:
            self._records.ports[str(machine.uuid)] = [port.dump_to_simple_view() for port in ports]
        self._records.write()

    def _keep_volume(self, volume: pool.MachineVolume) -> None:
        volume.status = pool.VolumeStatus.ACTIVE.value
        self._records.volumes[str(volume.uuid)] = volume.dump_to_simple_view()
        self._records.write()

    def _change(self, machine: pool.Machine, **fields: tp.Any) -> None:
        self._records.machines[str(machine.uuid)].update(fields)
        self._records.write()

    def _align(self, uuid: str) -> None:
        if self._is_core(uuid):
            return
        machine, seed, node = self._records.machines[uuid], self._seed(uuid), self._node(uuid)
        if machine["boot"] == pool.BootAlternative.network.value:
            if seed.ensure():
                LOG.info("machine %s is being flashed", uuid)
        elif not node.is_up():
            seed.stop()
            node.up(self._node_spec(uuid))
            LOG.info("machine %s (%s) booted", uuid, machine["name"])

    def _node_spec(self, uuid: str) -> nodes.Spec:
        machine, port = self._records.machines[uuid], self._records.ports[uuid][0]
        flashed = images.read(self._node(uuid))
        data = [
            volume["uuid"]
            for volume in sorted(self._records.volumes.values(), key=lambda view: view["index"])
            if volume["machine"] == uuid and volume["index"] != 0
        ]
        return nodes.Spec(
            name=machine["name"],
            address=f"{port['ipv4']}/{self._site.subnet.prefixlen}",
            layers=tuple(flashed.layers),
            mac=port["mac"],
            key=flashed.key,
            data=str(self._site.volumes / data[0]) if data else None,
            memory=machine["ram"],
            hosts=self._hosts(),
            files=self._files(machine["name"], flashed.layers),
        )

    def _files(self, name: str, layers: tp.Sequence[str]) -> dict[str, str]:
        if name.startswith(product.NODE_SET_NAME_PREFIX):
            return {**_RELAY, **outside.trusting(self._site, layers)}
        if name == manifests.CONTROL_PLANE:
            root = outside.root(self._site)
            return {_CHECKER: f"ROOT_SERVERS={root}\nNETWORKS={self._site.subnet}\n"}
        return {}

    def _hosts(self) -> dict[str, str]:
        known = {
            f"{machine['name']}.local.genesis-core.tech": self._records.ports[uuid][0]["ipv4"]
            for uuid, machine in self._records.machines.items()
            if self._records.ports[uuid][0]["ipv4"]
        }
        return {**known, "core.local.genesis-core.tech": str(core.address(self._site))}
