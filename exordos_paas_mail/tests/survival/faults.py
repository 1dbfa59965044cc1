# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What happens to a relay and its control plane, at random and again and again."""

from __future__ import annotations

import typing as tp

if tp.TYPE_CHECKING:
    from exordos_paas_mail.tests.functional import stand_control

_CONTROL_PLANE: tp.Final = "metapaas-cp"
_DIE: tp.Final = (
    "pid=$(systemctl show --value --property=MainPID {unit}); [ $pid -gt 0 ] && kill -KILL $pid"
)
# What was killed may be on its way up again: it is met there, or it is not.
_ON_THE_NODE: tp.Final = (
    "exordos-mail-events",
    "exim4@587",
    "exim4@465",
    "exim4@25",
    "exim4-queue",
    "exordos-metapaas-mail-agent",
    "exordos-metapaas-mail-keeper",
)
_ON_THE_CONTROL_PLANE: tp.Final = (
    "exordos-metapaas-gservice",
    "exordos-metapaas-user-api",
    "exordos-metapaas-status-api",
    "exordos-metapaas-orch-api",
)
# systemd does not start it anew, as Debian has it: an operator does (docs/operations.md).
_DATABASE: tp.Final = (
    "unit=$(systemctl list-units --plain --no-legend 'postgresql@*' | cut -d' ' -f1);"
    " kill -KILL $(systemctl show --value --property=MainPID $unit); sleep 2;"
    " systemctl start $unit"
)
_EVERY_PROCESS_OF_EXIM: tp.Final = (
    "for pid in $(pidof exim4); do kill -KILL $pid 2>/dev/null || [ ! -d /proc/$pid ]; done"
)

Fault: tp.TypeAlias = "tp.Callable[[stand_control.Stand, str], object]"


def kinds() -> dict[str, Fault]:
    """Return each kind of fault by its name; it is done to a stand, and a node by its address."""
    return {
        **{f"{unit} killed": _on_node(_die(unit)) for unit in _ON_THE_NODE},
        "every process of exim killed": _on_node(_EVERY_PROCESS_OF_EXIM),
        **{f"{unit} killed": _on_control_plane(_die(unit)) for unit in _ON_THE_CONTROL_PLANE},
        "PostgreSQL killed": _on_control_plane(_DATABASE),
        "power cut": lambda stand, node: stand.power_cut(node),
    }


def _die(unit: str) -> str:
    return f"{_DIE.format(unit=unit)}; true"


def _on_node(command: str) -> Fault:
    return lambda stand, node: stand.shell(node, command)


def _on_control_plane(command: str) -> Fault:
    return lambda stand, _: stand.shell(_CONTROL_PLANE, command)
