# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A node: a virtual machine's stand-in, with its own systemd, network and data disk.

It is a systemd-nspawn container over shared image layers. What it writes goes
to a directory of its own, which a re-image empties; its data disk is another
directory, mounted at /persist, which a re-image keeps.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import ipaddress
import json
import os
import pathlib
import shutil
import signal
import subprocess
import typing as tp
import uuid as sys_uuid

from clients import waiting
from imaging import commands, images
from imaging.containers import cgroups, mounts, network, sites

_SUPERVISE: tp.Final = pathlib.Path(__file__).with_name("supervise.sh")
_STOP_SECONDS: tp.Final = 30
_BOOT_SECONDS: tp.Final = 60
# Where an agent reads who it is (gcl_sdk.agents.universal.utils.system_uuid)
# and the key it proves it with.
_IDENTITY: tp.Final = "dmi/id/product_uuid"
_AGENT_KEY: tp.Final = "var/lib/exordos/universal_agent/private_key"


class NotUpError(RuntimeError):
    """The node is not running."""


@dataclasses.dataclass(frozen=True)
class Spec:
    """What a node is made of; it is kept beside the node, for the next boot.

    *layers* are image directories, the topmost first; *data* the directory of
    the data disk; *memory* is in megabytes; *hosts* maps further names to
    addresses; *resolver* is the name server; *media* maps paths in the node to
    directories here that it may read; *files* are written to the root at each boot.
    """

    name: str
    address: str
    layers: tuple[str, ...]
    mac: str | None = None
    key: str | None = None
    data: str | None = None
    memory: int | None = None
    resolver: str | None = None
    hosts: tp.Mapping[str, str] = dataclasses.field(default_factory=dict)
    media: tp.Mapping[str, str] = dataclasses.field(default_factory=dict)
    files: tp.Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Node:
    """One node of a site, up or not; *uuid* is what its agents call the system's."""

    site: sites.Site
    uuid: sys_uuid.UUID

    @property
    def directory(self) -> pathlib.Path:
        """All there is of the node, but for its data disk."""
        return self.site.nodes / str(self.uuid)

    @property
    def root(self) -> pathlib.Path:
        """The root file system, as long as the node is up."""
        return self.directory / "root"

    @property
    def port(self) -> network.Port:
        """The node's plug on the bridge."""
        return network.Port(self.site, str(self.uuid)[:8])

    @property
    def group(self) -> str:
        """The node's control group."""
        return f"{group(self.site)}/{self.uuid}"

    @property
    def exists(self) -> bool:
        """Whether the node was made and not destroyed."""
        return self._spec_file.exists()

    @property
    def spec(self) -> Spec:
        """What the node was last made of."""
        fields = json.loads(self._spec_file.read_text())
        return Spec(**{**fields, "layers": tuple(fields["layers"])})

    @property
    def _spec_file(self) -> pathlib.Path:
        return self.directory / "node.json"

    def is_up(self) -> bool:
        """Return whether the node's systemd runs."""
        return self._leader() is not None

    def up(self, spec: Spec | None = None) -> None:
        """Boot the node, with *spec* or as it was; nothing happens to one that is up."""
        with self._locked():
            if not self.is_up():
                self._up(spec)

    def wait_booted(self, seconds: float = _BOOT_SECONDS) -> str:
        """Wait for the end of the boot; return ``running`` or ``degraded``.

        Raises TimeoutError when systemd is still at it after *seconds*.
        """

        def state() -> str:
            if not self.is_up():
                return "down"
            return self.exec("systemctl", "is-system-running", check=False).stdout.strip()

        return waiting.until(
            f"the boot of {self.uuid}, see {self._console}",
            state,
            seconds,
            lambda found: found in {"running", "degraded"},
            pause=0.1,
        )

    def exec(
        self, *command: str, stdin: str = "", check: bool = True, timeout: float | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run *command* in the node, as root; see commands.run. Raises NotUpError."""
        return commands.run(*self.enter(*command), stdin=stdin, check=check, timeout=timeout)

    def enter(self, *command: str) -> list[str]:
        """Return the machine's command that runs *command* in the node. Raises NotUpError."""
        leader = self._leader()
        if leader is None:
            raise NotUpError(f"node {self.uuid} is not up")
        # In the node's own group, so that a power cut ends this too.
        inside = cgroups.ensure(f"{self.group}/exec")[0] / "cgroup.procs"
        return [
            *("sh", "-c", 'echo $$ >"$0"; exec "$@"', str(inside)),
            *("nsenter", "--target", str(leader), "--mount", "--uts", "--ipc", "--net", "--pid"),
            *("--root", "--wdns=/root", "--"),
            *("env", "-i", "HOME=/root", "LANG=C.UTF-8", "TERM=xterm"),
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            *command,
        ]

    def stop(self) -> None:
        """Shut the node down in order; a node that does not obey is cut off."""
        with self._locked():
            self._stop()

    def cut_power(self) -> None:
        """End everything in the node at once; nothing gets to say goodbye."""
        with self._locked():
            cgroups.kill(self.group)
            self._clear()

    def reimage(self, layers: tp.Sequence[str | pathlib.Path]) -> None:
        """Shut down and boot from *layers* with an empty root; the data disk is kept."""
        spec = dataclasses.replace(self.spec, layers=tuple(map(str, layers)))
        with self._locked():
            self._stop()
            self._drop_root()
            self._up(spec)

    def erase(self) -> None:
        """Empty the root file system of a node that is not up."""
        with self._locked():
            if self.is_up():
                raise RuntimeError(f"node {self.uuid} is up")
            self._clear()
            self._drop_root()
            self.directory.mkdir(parents=True, exist_ok=True)

    def destroy(self) -> None:
        """Remove the node and what it wrote; its data disk is not its own."""
        with self._locked():
            cgroups.kill(self.group)
            self._clear()
            if self.directory.exists():
                shutil.rmtree(self.directory)

    @contextlib.contextmanager
    def _locked(self) -> tp.Iterator[None]:
        # The hypervisor boots a node that is down at any moment: also at the one
        # when a command is between a node's end and the removal of its mounts.
        locks = self.site.directory / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        with (locks / f"{self.uuid}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _stop(self) -> None:
        if leader := self._leader():
            # systemd's own signal for a power-off (systemd(1), SIGRTMIN+4).
            os.kill(leader, signal.SIGRTMIN + 4)
            with contextlib.suppress(TimeoutError):
                waiting.until(
                    "the end of the node",
                    lambda: not cgroups.processes(self.group),
                    _STOP_SECONDS,
                    pause=0.05,
                )
        self._clear()

    def _up(self, spec: Spec | None) -> None:
        self._clear()
        spec = spec or self.spec
        upper, work = self.directory / "upper", self.directory / "work"
        for directory in (upper, work, self.root):
            directory.mkdir(parents=True, exist_ok=True)
        _write_private(self._spec_file, json.dumps(dataclasses.asdict(spec), indent=2))
        images.hold(self.site.nodes)
        if spec.data:
            pathlib.Path(spec.data).mkdir(parents=True, exist_ok=True)
        mounts.overlay([pathlib.Path(layer) for layer in spec.layers], upper, work, self.root)
        self._personalise(spec)
        self.port.plug(ipaddress.IPv4Interface(spec.address), spec.mac)
        self._start(spec)

    @property
    def _console(self) -> pathlib.Path:
        return self.directory / "console.log"

    def _leader(self) -> int | None:
        for pid in cgroups.processes(self.group):
            # Gone between the list and the look.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                status = pathlib.Path(f"/proc/{pid}/status").read_text()
                ids = next(line for line in status.splitlines() if line.startswith("NSpid:"))
                name = status.splitlines()[0].split()[1]
                if ids.split()[1:][-1:] == ["1"] and len(ids.split()) > 2 and name == "systemd":  # noqa: PLR2004
                    return pid
        return None

    def _personalise(self, spec: Spec) -> None:
        identity = self.directory / "sys-class" / _IDENTITY
        identity.parent.mkdir(parents=True, exist_ok=True)
        identity.write_text(f"{self.uuid}\n")
        # Without one, systemd takes the boot for the first and enables every unit.
        (self.root / "etc/machine-id").write_text(f"{self.uuid.hex}\n")
        if not (self.root / "etc/hostname").exists() or not (self.directory / "born").exists():
            (self.root / "etc/hostname").write_text("localhost\n")
            (self.directory / "born").touch()
        own = spec.address.partition("/")[0]
        names = {spec.name: own, **spec.hosts}
        hosts = "".join(f"{address} {name}\n" for name, address in names.items())
        (self.root / "etc/hosts").write_text(f"127.0.0.1 localhost\n{hosts}")
        # A name that nobody answers for stalls a mail server for half a minute.
        resolver = spec.resolver or str(self.site.address.ip)
        _replace(self.root / "etc/resolv.conf", f"nameserver {resolver}\n")
        for name, text in spec.files.items():
            target = self.root / name.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        if spec.key is not None:
            target = self.root / _AGENT_KEY
            target.parent.mkdir(parents=True, exist_ok=True)
            _write_private(target, spec.key)

    def _start(self, spec: Spec) -> None:
        own, sysfs = self.directory, self.directory / "sys"
        sysfs.mkdir(exist_ok=True)
        # A sysfs shows the network namespace it was mounted from.
        commands.run(
            *("nsenter", f"--net={self.port.namespace_file}"),
            *("mount", "-t", "sysfs", "sysfs", str(sysfs)),
        )
        data = [f"--bind={spec.data}:/persist"] if spec.data else []
        media = [f"--bind-ro={here}:{there}" for there, here in spec.media.items()]
        groups = ":".join(map(str, cgroups.ensure(self.group, spec.memory)))
        with self._console.open("ab") as console:
            subprocess.Popen(
                [
                    *(str(_SUPERVISE), groups),
                    *("--quiet", f"--directory={self.root}", f"--machine={self.port.namespace}"),
                    *("--boot", "--register=no", "--keep-unit"),
                    f"--network-namespace-path={self.port.namespace_file}",
                    *("--resolv-conf=off", "--timezone=off", "--link-journal=no"),
                    # The node's identity, laid over the machine's own /sys/class.
                    f"--bind-ro={sysfs}/devices/virtual/net:/sys/devices/virtual/net",
                    f"--overlay-ro={sysfs}/class:{own}/sys-class:/sys/class",
                    *("--setenv=SYSTEMD_COLORS=0", "--console=read-only"),
                    *data,
                    *media,
                ],
                env={
                    "PATH": os.defpath,
                    "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
                    "SYSTEMD_NSPAWN_LOCK": "0",
                },
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _clear(self) -> None:
        """Remove what a node that is not up leaves on the machine."""
        cgroups.remove(self.group)
        mounts.remove(self.directory)
        self.port.unplug()

    def _drop_root(self) -> None:
        for part in ("upper", "work", "born"):
            path = self.directory / part
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def group(site: sites.Site) -> str:
    """Return the control group of everything a site runs."""
    return f"mailaas-{site.name}"


def all_of(site: sites.Site) -> list[Node]:
    """Return the nodes of *site*, by their directories."""
    if not site.nodes.exists():
        return []
    return [Node(site, sys_uuid.UUID(path.name)) for path in sorted(site.nodes.iterdir())]


def _write_private(path: pathlib.Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


def _replace(path: pathlib.Path, text: str) -> None:
    path.unlink(missing_ok=True)  # it may be a symbolic link to another's file
    path.write_text(text)


def clear(site: sites.Site) -> None:
    """Cut every node of *site* off and remove all it put on the machine, but its files."""
    cgroups.remove(group(site))
    mounts.remove(site.directory)
    network.remove(site)
