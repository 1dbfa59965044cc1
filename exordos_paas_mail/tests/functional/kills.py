# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What happens to a relay and its control plane, at random and again and again."""

from __future__ import annotations

import time
import typing as tp

if tp.TYPE_CHECKING:
    from exordos_paas_mail.tests.functional import stand_control

_CONTROL_PLANE: tp.Final = "metapaas-cp"
_CORE: tp.Final = "core"
_DIE: tp.Final = (
    "pid=$(systemctl show --value --property=MainPID {unit}); [ $pid -gt 0 ] && kill -KILL $pid"
)
# What was killed may be on its way up again: it is met there, or it is not.
_AGENTS: tp.Final = ("exordos-metapaas-mail-agent", "exordos-metapaas-mail-keeper")
_ON_THE_NODE: tp.Final = (
    "exordos-mail-events",
    "exim4@587",
    "exim4@465",
    "exim4@25",
    "exim4-queue",
    *_AGENTS,
)
_ON_THE_CONTROL_PLANE: tp.Final = (
    "exordos-metapaas-gservice",
    "exordos-metapaas-user-api",
    "exordos-metapaas-status-api",
    "exordos-metapaas-orch-api",
)
_ON_CORE: tp.Final = ("ec-user-api", "ec-orch-api", "ec-status-api", "ec-gservice")
# systemd does not start it anew, as Debian has it: an operator does (docs/operations.md).
_DATABASE: tp.Final = (
    "unit=postgresql@$(cd /etc/postgresql && echo */main | tr / -);"
    " pid=$(systemctl show --value --property=MainPID $unit);"
    " [ $pid -gt 0 ] && kill -KILL $pid; sleep 2; systemctl start $unit"
)
_EVERY_PROCESS_OF_EXIM: tp.Final = (
    "for pid in $(pidof exim4); do kill -KILL $pid 2>/dev/null || [ ! -d /proc/$pid ]; done"
)

# Core's machine is the stand's own: whose power is cut there is booted by an operator.
_CABLE_SECONDS: tp.Final = 5

Kill: tp.TypeAlias = "tp.Callable[[stand_control.Stand, str], object]"


def of_mail() -> dict[str, Kill]:
    """Return what happens to mail and its events, by name.

    A fault is done to a stand, and to a node of it by its address.
    """
    return {
        **{f"{unit} killed": _on_node(_die(unit)) for unit in _ON_THE_NODE},
        "every process of exim killed": _on_node(_EVERY_PROCESS_OF_EXIM),
        **_control_plane(),
        "power of the node cut": _cut_power,
    }


def of_accounts() -> dict[str, Kill]:
    """Return what happens to whoever an account is on its way through, by name; see ``of_mail``."""
    return {
        **{f"{unit} killed": _on_node(_die(unit)) for unit in _AGENTS},
        **_control_plane(),
        **{f"Core's {unit} killed": _on(_CORE, _die(unit)) for unit in _ON_CORE},
        "power of the node cut": _cut_power,
        "power of the control plane cut": lambda stand, _: _cut_power(stand, _CONTROL_PLANE),
        "Core's cable pulled": lambda stand, _: _pull_cable(stand, _CORE),
    }


def _control_plane() -> dict[str, Kill]:
    units = {f"{unit} killed": _die(unit) for unit in _ON_THE_CONTROL_PLANE}
    faults = {**units, "PostgreSQL killed": _DATABASE}
    return {name: _on(_CONTROL_PLANE, command) for name, command in faults.items()}


def _die(unit: str) -> str:
    return f"{_DIE.format(unit=unit)}; true"


def _cut_power(stand: stand_control.Stand, machine: str) -> None:
    # One that is off has no power to be cut.
    stand.shell_when_up(machine, "true")
    stand.power_cut(machine)


def _pull_cable(stand: stand_control.Stand, machine: str) -> None:
    stand.cut(machine)
    try:
        # So long is the fault.
        time.sleep(_CABLE_SECONDS)
    finally:
        stand.mend(machine)


def _on_node(command: str) -> Kill:
    return lambda stand, node: stand.shell_when_up(node, command)


def _on(machine: str, command: str) -> Kill:
    return lambda stand, _: stand.shell_when_up(machine, command)
