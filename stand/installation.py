# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The whole stand: brought up in order, looked at, taken down."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import pathlib
import shlex
import sys
import time
import typing as tp

import requests

from clients import elements, files, mail, owners, waiting
from exordos_paas_mail import constants
from imaging import exordos_cli, images, project
from imaging.containers import cgroups, mounts, network, nodes
from stand import (
    core,
    manifests,
    outside,
    platform_layers,
    repository,
    settings,
    trust,
)
from stand.hypervisor import agent

if tp.TYPE_CHECKING:
    from clients import iam, rest
    from imaging.containers import sites

OWNER: tp.Final = "stand-owner"
_ELEMENT_SECONDS: tp.Final = 300
# More than the five minutes for which the runtime keeps an old signing key of Core.
_API_SECONDS: tp.Final = 360
# Gone after a reboot, as the processes are.
_CLAIMS: tp.Final = pathlib.Path("/run")


class InUseError(RuntimeError):
    """There is one stand a machine, and it is another's."""


class Progress:
    """Says each step as it ends, with its time and the time in all (seconds)."""

    def __init__(self) -> None:
        self._started = self._step = time.monotonic()

    def __call__(self, text: str) -> None:
        """Say that a step is done."""
        now = time.monotonic()
        print(f"{now - self._started:6.1f} s  {text} ({now - self._step:.1f} s)", flush=True)
        self._step = now

    def note(self, text: str) -> None:
        """Say what is going on inside a step."""
        print(f"{time.monotonic() - self._started:6.1f} s    {text}", flush=True)


def up(site: sites.Site, *, bare: bool = False) -> None:
    """Bring up what is missing of the stand; nothing happens to what is there.

    A *bare* one ends with Core and a hypervisor at work. The elements metapaas
    and mailaas are published, and their manifests rendered, for others to install.
    """
    progress = Progress()
    _claim(site)
    made = settings.ensure(site.directory)
    _build(progress)
    network.ensure(site)
    repository.ensure(site)
    outside.ensure(site, core.address(site))
    is_new = trust.ensure(site)
    progress("network, repository, the internet outside and its certificate authority are up")
    if is_new:
        core.forget_authority(site, made)
    core.up(site, made)
    session = core.wait_ready(site, made)
    progress("Core answers")
    agent.configure(site, made)
    agent.process(site).ensure()
    admin = session.api()
    known = elements.Elements(
        admin, core.exordos(site, session), waiting.Poll(_ELEMENT_SECONDS, pause=0.5)
    )
    known.wait_active("core")
    progress("element core is ACTIVE, the hypervisor is at work")
    for name, render in (
        (manifests.METAPAAS, manifests.metapaas),
        (manifests.MAIL, manifests.mail),
    ):
        manifest = render(site, known.find(name), progress.note)
        if bare:
            progress(f"element {name} is published")
        else:
            done = known.ensure(manifest)
            progress(f"element {name} is ACTIVE, {done or 'as it was'}")
    if bare:
        return
    address = _control_plane(admin)
    owner = owners.Owner(OWNER, made.owner_password, constants.METAPAAS_PROJECT_ID)
    owners.ensure(admin, owner)
    _write_environment(site, made, address)
    url = f"http://{address}:8080"
    waiting.until("the mail API", lambda: _serves(owner.session(core.url(site)), url), _API_SECONDS)
    progress(f"the mail API answers at {url}{mail.ROOT}")


def _claim(site: sites.Site) -> None:
    """Make the machine's names and addresses this checkout's: there is one stand a machine.

    Raises InUseError for another checkout's stand that runs. Where nothing runs,
    what is left is a dead stand's, whosever: its cables would go on answering
    for the addresses of the nodes to come.
    """
    owner = _CLAIMS / f"mailaas-{site.name}"
    other = pathlib.Path(owner.read_text()) if owner.exists() else site.directory
    if not cgroups.processes(nodes.group(site)):
        nodes.clear(site)
        if other.exists():
            mounts.remove(other)
    elif other != site.directory:
        raise InUseError(f"the stand of {other} is up; take it down there first")
    owner.write_text(str(site.directory))


def _build(progress: Progress) -> None:
    images.ensure(images.NODE, progress.note)
    # What the others link is compiled once, with the node layer; two run at a time.
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        wheel = pool.submit(project.wheel)
        tools = pool.submit(exordos_cli.ensure, progress.note)
        layers = [
            pool.submit(images.ensure, layer, progress.note)
            for layer in (platform_layers.CORE, platform_layers.INDEX, images.MAIL)
        ]
        wheel.result()
        tools.result()
        for built in layers:
            built.result()
    progress("images, wheel and tools are built")


def _control_plane(admin: rest.Api) -> str:
    (found,) = admin.list("/v1/compute/nodes/", name=manifests.CONTROL_PLANE)
    return str(found["default_network"]["ipv4"])


def _write_environment(site: sites.Site, made: settings.Settings, address: str) -> None:
    variables = {
        "EXORDOS_ENDPOINT": core.url(site),
        "EXORDOS_USERNAME": "admin",
        "EXORDOS_PASSWORD": made.admin_password,
        "METAPAAS_USERNAME": OWNER,
        "METAPAAS_PASSWORD": made.owner_password,
        "METAPAAS_PROJECT_ID": constants.METAPAAS_PROJECT_ID,
        "EXORDOS_MAIL_CP_URL": f"http://{address}:8080",
        "EXORDOS_MAIL_INTERNET_URL": outside.url(site),
        # What clients verify with that have no list of their own.
        "SSL_CERT_FILE": str(trust.roots(site)),
        "EXORDOS_CLI": str(exordos_cli.ensure(lambda _: None)),
        "EXORDOS_MAIL_STAND": f"{sys.executable} -m stand",
    }
    text = "".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items())
    files.write_private(site.directory / "env", text)


def environment(site: sites.Site) -> str:
    """Return the environment for tests and shells; LookupError before the first ``up``."""
    file = site.directory / "env"
    if not file.exists():
        raise LookupError("there is no stand yet: make stand")
    return file.read_text()


def _serves(owner: iam.Session, url: str) -> bool:
    try:
        return owner.api(url).call("GET", mail.INSTANCES).ok
    except requests.RequestException:
        return False


@dataclasses.dataclass(frozen=True)
class Part:
    """One part of a running stand; *memory* is in bytes."""

    name: str
    address: str
    is_up: bool
    memory: int


def parts(site: sites.Site) -> list[Part]:
    """Return the parts of the stand, the machine's own side first."""
    found = [
        Part(
            process.name, str(site.address.ip), process.is_up(), cgroups.memory_used(process.group)
        )
        for process in (
            repository.process(site),
            outside.process(site, core.address(site)),
            trust.process(site),
            agent.process(site),
        )
    ]
    for node in nodes.all_of(site):
        if node.exists:
            spec, memory = node.spec, cgroups.memory_used(node.group)
            found.append(Part(spec.name, spec.address.split("/")[0], node.is_up(), memory))
    return found


def down(site: sites.Site) -> None:
    """Take the stand off the machine; what it keeps on disk stays for the next time."""
    progress = Progress()
    _claim(site)
    # First: it would boot the nodes that are shut down.
    agent.process(site).stop()
    known = [node for node in nodes.all_of(site) if node.exists]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(nodes.Node.stop, known))
    progress("nodes are shut down")
    nodes.clear(site)
    (_CLAIMS / f"mailaas-{site.name}").unlink(missing_ok=True)
    progress("nothing of the stand is left on the machine")


def leftovers(site: sites.Site) -> list[str]:
    """Return what the stand has on the machine, but for its files."""
    groups = [path for path in cgroups.paths(nodes.group(site)) if path.exists()]
    return [
        *(f"process {pid}" for pid in cgroups.processes(nodes.group(site))),
        *(f"control group {path}" for path in groups),
        *(f"mount {path}" for path in mounts.below(site.directory)),
        *(f"network namespace {name}" for name in network.namespaces(site)),
        *(f"interface {name}" for name in network.links(site)),
        *(f"route {route}" for route in network.routes(site)),
    ]
