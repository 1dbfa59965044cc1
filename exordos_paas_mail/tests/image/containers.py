# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A node of the image under systemd-nspawn."""

from __future__ import annotations

import dataclasses
import os
import typing as tp
import uuid

from exordos_paas_mail.tests.image import machines
from imaging.containers import nodes, sites

if tp.TYPE_CHECKING:
    import pathlib


_ADDRESS = "10.77.8.10"


@dataclasses.dataclass
class Container:
    """A node of the image under systemd-nspawn."""

    node: nodes.Node
    host: str = _ADDRESS
    ports: tp.Mapping[int, int] = dataclasses.field(
        default_factory=lambda: {port: port for port in (25, 465, 587)}
    )

    def run(self, *command: str, stdin: str = "", check: bool = True) -> str:
        return self.node.exec(*command, stdin=stdin, check=check, timeout=120).stdout


def start(site: sites.Site, layers: tuple[str, ...], *, data: bool) -> Container:
    node = nodes.Node(site, uuid.uuid4())
    disk = str(site.volumes / str(node.uuid)) if data else None
    node.up(
        nodes.Spec(
            "mailaas-dp-image-test",
            f"{_ADDRESS}/24",
            layers,
            key=machines.agent_key(),
            data=disk,
            # Nobody answers there, and that is known at once.
            resolver="127.0.0.1",
        )
    )
    node.wait_booted()
    return Container(node)


def renumber(root: pathlib.Path, name: str, number: int) -> None:
    """Give user and group *name* of the system below *root* another number."""
    users = {
        line.split(":")[0]: line.split(":")
        for line in (root / "etc/passwd").read_text().splitlines()
    }
    uid, gid = (int(users[name][field]) for field in (2, 3))
    for path in [path for part in ("etc/exim4", "var") for path in (root / part).rglob("*")]:
        status = path.lstat()
        if uid == status.st_uid or gid == status.st_gid:
            mode = status.st_mode
            os.chown(
                path,
                number if status.st_uid == uid else -1,
                number if status.st_gid == gid else -1,
                follow_symlinks=False,
            )
            if not path.is_symlink():
                path.chmod(mode & 0o7777)  # chown(2) clears the set-id bits
    users[name][2:4] = [str(number), str(number)]
    (root / "etc/passwd").write_text("".join(":".join(user) + "\n" for user in users.values()))
    groups = [line.split(":") for line in (root / "etc/group").read_text().splitlines()]
    for group in groups:
        if group[0] == name:
            group[2] = str(number)
    (root / "etc/group").write_text("".join(":".join(group) + "\n" for group in groups))
