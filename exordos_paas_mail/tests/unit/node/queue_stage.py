# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A spool as exim writes it, and who does to it what exim does."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import typing as tp

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import log_ids
from exordos_paas_mail.node import machine

if tp.TYPE_CHECKING:
    from collections.abc import Sequence

NAMES: tp.Final = [f"1xWfZB-00000{letter}-2E" for letter in "abc"]
NAME: tp.Final = NAMES[0]
ALICE: tp.Final = "alice@tenant.example"
ARRIVED: tp.Final = log_ids.arrived(NAME)


class Spool:
    """The spool below *root*."""

    def __init__(self, root: pathlib.Path) -> None:
        self.path = root / constants.EXIM_SPOOL_DIR.lstrip("/")
        self.folder = self.path / "input" / NAME[5]
        self.folder.mkdir(parents=True)
        self.now = ARRIVED + 3600.0
        """A long time after the last change."""

    def write(
        self,
        name: str,
        *recipients: str,
        frozen: bool = False,
        queue: str = "",
        hold: str = "",
        account: str = ALICE,
    ) -> None:
        """Have a message be in a queue of the spool, or be another."""
        folder = self.path / queue / "input" / name[5]
        folder.mkdir(parents=True, exist_ok=True)
        variable = [f"-aclm _hold {len(hold)}", hold] if hold else []
        lines = [
            *(f"{name}-H", "Debian-exim 1 1", f"<{ALICE}>", f"{ARRIVED} 0"),
            *variable,
            *(f"--auth_id {account}", *(["-frozen 5"] if frozen else []), "XX"),
            *(str(len(recipients)), *recipients, "", "010  To: x@y"),
        ]
        aside = folder / f"hdr.{name}"
        aside.write_text("".join(f"{line}\n" for line in lines))
        aside.rename(folder / f"{name}-H")
        (folder / f"{name}-D").write_text(f"{name}-D\nHello.\n")
        self.settle()

    def remove(self, name: str) -> None:
        """Have a message have left."""
        for kind in "HDJ":
            (self.folder / f"{name}-{kind}").unlink(missing_ok=True)
        self.settle()

    def settle(self) -> None:
        """Have the last change be long ago, and no two at the same time."""
        self.now += 100
        os.utime(self.folder, (self.now - 50, self.now - 50))
        os.utime(self.folder.parent, (ARRIVED, ARRIVED))


class _Over:
    def is_over(self) -> bool:
        return True


@dataclasses.dataclass(frozen=True)
class Exim(machine.Machine):
    """A machine whose exim does what it is told with the spool, but for what is *locked*."""

    locked: set[str] = dataclasses.field(default_factory=set)
    tried: list[str] = dataclasses.field(default_factory=list)
    begun: list[list[str]] = dataclasses.field(default_factory=list)
    moved: list[tuple[tuple[str, ...], str]] = dataclasses.field(default_factory=list)
    reported: list[str] = dataclasses.field(default_factory=list)
    hints: dict[str, str] = dataclasses.field(default_factory=dict)

    def begin_delivery(self, queue_ids: Sequence[str]) -> machine.Delivery:
        self.tried.extend(queue_ids)
        return tp.cast("machine.Delivery", _Over())

    def begin_due_delivery(self, queue_ids: Sequence[str]) -> machine.Delivery:
        self.begun.append(list(queue_ids))
        return tp.cast("machine.Delivery", _Over())

    def delete_messages(self, queue_ids: Sequence[str], queue: str = "") -> None:
        self._end(queue_ids, queue)
        if self.locked & set(queue_ids):
            raise machine.MachineError("exim4 -Mrm: exit status 1: Message x is locked")

    def move_messages(self, queue_ids: Sequence[str], source: str, queue: str) -> None:
        target = self._folder(queue)
        target.mkdir(parents=True, exist_ok=True)
        for queue_id in queue_ids:
            for kind in "DH" if queue_id not in self.locked else "":
                file = self._folder(source) / f"{queue_id}-{kind}"
                if file.exists():
                    file.rename(target / file.name)
        self.moved.append((tuple(queue_ids), queue))
        if self.locked & set(queue_ids):
            raise machine.MachineError("exim4 -MG: exit status 1: Message x is locked")

    def bounce_messages(self, queue_ids: Sequence[str]) -> None:
        self._end(queue_ids)
        self.reported.extend(one for one in queue_ids if one not in self.locked)

    def retry_hints(self) -> str:
        if not self.hints:
            raise machine.MachineError("exim_dumpdb: exit status 1")
        time = "26-Nov-2026 19:55:37"
        return "".join(
            f"  {key} 111 0 Refused\n{time}  {time}  {due} \n" for key, due in self.hints.items()
        )

    def _folder(self, queue: str) -> pathlib.Path:
        return pathlib.Path(
            self.root, constants.EXIM_SPOOL_DIR.lstrip("/"), queue, "input", NAME[5]
        )

    def _end(self, queue_ids: Sequence[str], queue: str = "") -> None:
        folder = self._folder(queue)
        for queue_id in queue_ids:
            if queue_id not in self.locked:
                for kind in "HD":
                    (folder / f"{queue_id}-{kind}").unlink(missing_ok=True)
