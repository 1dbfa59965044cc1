# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The bench's machine as the node that the product configures."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import shutil
import typing as tp

from exordos_paas_mail import constants
from exordos_paas_mail.node import machine as machine_

if tp.TYPE_CHECKING:
    from exordos_paas_mail.node.machine import services
    from exordos_paas_mail.tests.relay import relay as relay_

ETC: tp.Final = pathlib.Path("/etc/exim4")


@dataclasses.dataclass(frozen=True)
class Machine(machine_.Machine):
    """This machine; only systemd, which is not process 1 here, is the bench's stand-in."""

    units: tp.Any = None

    def reload_relay(self) -> None:
        self.units.reload()

    def restart_relay(self) -> None:
        self.units.restart()

    def relay_units(self) -> list[services.Unit]:
        return []


@contextlib.contextmanager
def configured(relay: relay_.Relay, folder: pathlib.Path) -> tp.Iterator[Machine]:
    """Give the machine of *relay*, and put exim's files back afterwards; they are in *folder*."""
    kept = folder / "exim4"
    shutil.copytree(ETC, kept, symlinks=True)
    pathlib.Path(constants.MAIL_ENV_FILE).parent.mkdir(exist_ok=True)
    pathlib.Path(constants.CONFIGURE_STATE_FILE).parent.mkdir(exist_ok=True)
    try:
        yield Machine(units=relay.units)
    finally:
        # A delivery under way would miss its DKIM key.
        relay.forget_queue()
        shutil.rmtree(ETC)
        shutil.copytree(kept, ETC, symlinks=True)
        for path in (ETC, *ETC.rglob("*")):
            shutil.chown(path, "root", "Debian-exim")
        relay.units.restart()
