# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The hypervisor's agent: the platform's own, under the stand's identity."""

from __future__ import annotations

import sys
import typing as tp
import uuid as sys_uuid

from gcl_sdk.agents.universal.cmd import universal_agent

from clients import files
from imaging import paths
from stand import core, processes, settings
from stand.hypervisor import identity

if tp.TYPE_CHECKING:
    from imaging.containers import sites

_DRIVER: tp.Final = "LocalPoolAgentDriver"
# The kinds of pool that Core knows are fixed in its models; this one is pinned
# to one agent, as a pool on one machine is. The entry point says who drives it.
_ENTRY_POINTS: tp.Final = """\
[gcl_sdk_machine_pool_driver]
exordos_local_hyper = stand.hypervisor.pool:ContainerPoolDriver
"""
_CONFIG: tp.Final = """\
[universal_agent]
orch_endpoint = http://{core}:11011
status_endpoint = http://{core}:11012
caps_drivers = {driver}
payload_path = {home}/payload.json
private_key_path = {home}/private_key

[{driver}]
meta_file = {home}/meta.json
"""


def process(site: sites.Site) -> processes.Process:
    """Return the agent's process."""
    home = site.directory / "hypervisor"
    command = (
        *(sys.executable, "-m", "stand.hypervisor.agent"),
        *("--config-file", str(home / "agent.conf")),
    )
    # First on the path: the stock driver of that kind is an entry point as well.
    path = f"{home / 'plugins'}:{paths.PROJECT}"
    # The agent ends when Core does not answer at its start; its unit has
    # Restart=always and RestartSec=5s.
    return processes.Process(site, "hypervisor", command, {"PYTHONPATH": path}, restart=5)


def configure(site: sites.Site, made: settings.Settings) -> None:
    """Write what the agent reads."""
    home = site.directory / "hypervisor"
    plugin = home / "plugins" / "mailaas_stand-0.dist-info"
    plugin.mkdir(parents=True, exist_ok=True)
    (plugin / "METADATA").write_text("Metadata-Version: 2.1\nName: mailaas_stand\nVersion: 0\n")
    (plugin / "entry_points.txt").write_text(_ENTRY_POINTS)
    files.write_private(home / "private_key", made.hypervisor_key)
    config = _CONFIG.format(core=core.address(site), driver=_DRIVER, home=home)
    (home / "agent.conf").write_text(config)


def main() -> None:
    """Run the agent until killed."""
    made = settings.ensure(settings.SITE.directory)
    identity.assume(sys_uuid.UUID(made.hypervisor_uuid))
    universal_agent.main()


if __name__ == "__main__":
    main()
