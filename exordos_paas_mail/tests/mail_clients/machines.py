# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The machines of an account's owner: containers on the stand's bridge, with its name server.

base ─┬─ programs   the distribution's programs that send mail by themselves
      │   └─ libraries   and what other registries have
      ├─ dma
      └─ ...   each mail transport agent on a machine of its own
"""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import typing as tp
import uuid

from exordos_paas_mail.tests.mail_clients import catalogue
from imaging import commands, digests, images
from imaging.containers import nodes
from stand import outside, settings

if tp.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_HOME: tp.Final = pathlib.Path(__file__).parent
SCRIPTS: tp.Final = _HOME / "layers"
# The stand's nodes get addresses from below.
_FIRST_ADDRESS: tp.Final = 1000
# Where the distribution has the roots of public authorities, and which of them are trusted.
_ROOTS: tp.Final = "/usr/share/ca-certificates"
_ROOT: tp.Final = "mozilla/Stand.crt"
_TRUSTED: tp.Final = "/etc/ca-certificates.conf"
STORE: tp.Final = "/etc/ssl/certs"
_STORE_BEFORE: tp.Final = "/srv/certs-before"
_SECONDS: tp.Final = 60


@dataclasses.dataclass(frozen=True)
class Libraries(images.Script):
    """The layer of libraries: its script finds the npm package's archive among its files."""

    def inputs(self) -> Iterable[str]:
        """Return what the script follows from, and the version of the npm package."""
        return *super().inputs(), catalogue.NODEMAILER

    def build(self, below: Sequence[pathlib.Path], directory: pathlib.Path) -> None:
        """Get the npm package by this machine's npm and run the script."""
        files = directory / "files"
        files.mkdir()
        for name, path in digests.below(self.files).items():
            (files / name).write_bytes(path.read_bytes())
        package = f"nodemailer@{catalogue.NODEMAILER}"
        commands.run("npm", "pack", "--silent", package, "--pack-destination", str(files))
        binds = {"/run/build/files": files}
        images.run_script(self.name, below, directory, self.script, binds, self.pins)


@dataclasses.dataclass(frozen=True)
class Agent(images.Script):
    """The layer of one mail transport agent."""

    @property
    def script(self) -> pathlib.Path:
        """One script for all of them."""
        return self.home / "satellite.sh"


_PINS: tp.Final = {**images.PINS, "PYPI_PACKAGES": " ".join(catalogue.PYPI)}
PROGRAMS: tp.Final = images.Script("programs", images.BASE, SCRIPTS, _PINS)
LIBRARIES: tp.Final = Libraries("libraries", PROGRAMS, SCRIPTS, _PINS)


def layer(satellite: catalogue.Satellite) -> Agent:
    """Return the layer of *satellite*."""
    pins = {"SATELLITE_PACKAGES": " ".join(satellite.packages)}
    return Agent(satellite.name.lower(), images.BASE, SCRIPTS, pins)


@dataclasses.dataclass(frozen=True)
class Machine:
    """A machine of the account's owner, ``web1`` of their domain."""

    node: nodes.Node

    def run(
        self, *command: str, stdin: str = "", environment: tp.Mapping[str, str] | None = None
    ) -> str:
        """Return what *command* prints, run by root; raises CommandError with its last words."""
        variables = [f"{name}={value}" for name, value in (environment or {}).items()]
        done = self.node.exec("env", *variables, *command, stdin=stdin, timeout=_SECONDS)
        return done.stdout

    def run_untrusting(
        self, *command: str, stdin: str = "", environment: tp.Mapping[str, str] | None = None
    ) -> str:
        """Do as ``run`` does, for a command that does not find the authority's root."""
        script = f'mount --bind {_STORE_BEFORE} {STORE} && exec "$@"'
        untrusting = ("unshare", "--mount", "sh", "-c", script, "sh", *command)
        return self.run(*untrusting, stdin=stdin, environment=environment)

    @contextlib.contextmanager
    def untrusting(self) -> Iterator[None]:
        """Have the whole machine not find the authority's root for as long as it is open."""
        self.run("mount", "--bind", _STORE_BEFORE, STORE)
        try:
            yield
        finally:
            self.run("umount", "--lazy", STORE)

    def write(self, path: str, text: str) -> None:
        """Write a file, for everybody to read."""
        self.run("install", "-D", "-m", "644", "/dev/stdin", path, stdin=text)

    def debian_versions(self) -> dict[str, str]:
        """Return the packages of the distribution: name -> version."""
        return _pairs(self.run("dpkg-query", "--show"), "\t")

    def versions(self) -> dict[str, str]:
        """Return the packages of every registry, those that were compiled with too."""
        compiled = _pairs(self.run("cat", f"{catalogue.LIBRARIES_HOME}/debian-packages"), "\t")
        python = f"{catalogue.LIBRARIES_HOME}/python/bin/python"
        pypi = _pairs(self.run("/opt/uv/bin/uv", "pip", "freeze", "--python", python), "==")
        own = {name.replace("-", "_"): version for name, version in pypi.items()}
        return {**compiled, **own, "nodemailer": catalogue.NODEMAILER}


def _pairs(text: str, separator: str) -> dict[str, str]:
    found = [line.partition(separator) for line in text.splitlines()]
    # An architecture may follow the name of Debian's.
    return {name.partition(":")[0]: version for name, _, version in found}


@contextlib.contextmanager
def booted(top: images.Layer, number: int, domain: str, root: str) -> Iterator[Machine]:
    """Give the machine *number* of the run, booted; *root* is among its public authorities'.

    A public root is in the store of each client by itself. Those of the run have no store but the
    distribution's, or one that update-ca-certificates makes of it (Java's).
    """
    site = settings.SITE
    name = f"web1.{domain}"
    address = site.subnet[_FIRST_ADDRESS + number]
    files = {
        "/etc/hostname": "web1\n",
        "/etc/hosts": f"127.0.0.1 localhost\n{address} {name} web1\n",
        "/etc/mailname": f"{name}\n",
        f"{_ROOTS}/{_ROOT}": root,
    }
    spec = nodes.Spec(
        name,
        f"{address}/{site.subnet.prefixlen}",
        tuple(map(str, images.ensure(top))),
        resolver=outside.resolver(site),
        media={catalogue.PROGRAMS_HOME: str(_HOME / "programs")},
        files=files,
    )
    node = nodes.Node(site, uuid.uuid4())
    try:
        node.up(spec)
        node.wait_booted()
        machine = Machine(node)
        machine.run("cp", "--archive", STORE, _STORE_BEFORE)
        machine.run("tee", "--append", _TRUSTED, stdin=f"{_ROOT}\n")
        machine.run("update-ca-certificates")
        yield machine
    finally:
        node.destroy()


def remove_left_over() -> None:
    """Remove the machines of a run that was killed."""
    for node in nodes.all_of(settings.SITE):
        if node.exists and node.spec.name.startswith("web1."):
            node.destroy()
