# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A node of 512 MB with all it can have on, and 200 sessions at once: its memory, by unit.

The image under systemd-nspawn, with the stand's internet and no control plane. Several of
the machine's addresses are the clients': one alone is given fewer sessions.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import ipaddress
import json
import os
import pathlib
import smtplib
import threading
import typing as tp
import uuid

import pytest

from clients import internet as internet_client
from clients import waiting
from exordos_paas_mail import constants
from exordos_paas_mail.codecs import webhook_config
from exordos_paas_mail.tests.image import containers, guests, machines
from imaging import images
from imaging.containers import cgroups, network, nodes, sites
from stand import outside

if tp.TYPE_CHECKING:
    from collections.abc import Iterator

RAM: tp.Final = 512
SESSIONS: tp.Final = int(os.environ.get("SESSIONS") or 200)
_SUBNET: tp.Final = ipaddress.IPv4Network("10.77.12.0/24")
_PUBLIC: tp.Final = ipaddress.IPv4Network("192.0.1.8/29")
_ADDRESS: tp.Final = "10.77.12.20"
# Those of the internet's servers are this machine's.
_CLIENTS: tp.Final = (1, 3, 4, 5, 6, 7)
_SECONDS: tp.Final = 240
# How many of the sessions send a message at the same time.
AT_ONCE: tp.Final = int(os.environ.get("AT_ONCE") or 4)
_DOMAIN: tp.Final = "small.example"
_HOOKS: tp.Final = "hooks.other.example"
# What the machine tells of its own memory is no node's: it is told of the node's there.
_MEMORY: tp.Final = "/proc/meminfo"
_TEXT: tp.Final = "A line of the size that lines of mail have, about.\r\n" * 200
# What an installation has, and the exchanger's address in a private network.
_FILES: tp.Final = {constants.RELAY_ENV_FILE: "RELAY_ALLOW_PRIVATE_MX=yes\n"}


class Memory:
    """The memory of a node's units (bytes), and the most of each that was seen."""

    def __init__(self, group: str) -> None:
        self._root = cgroups.unified() / group
        self.most: dict[str, int] = {}
        self.total = 0

    def look(self) -> dict[str, int]:
        found: dict[str, int] = {}
        # A unit that ends takes its group along: os.walk passes over what is gone.
        for directory, _, _ in os.walk(self._root):
            path = pathlib.Path(directory)
            if path.suffix == ".service":
                group = path.relative_to(cgroups.unified())
                found[path.name] = cgroups.memory_used(str(group))
        for name, used in found.items():
            self.most[name] = max(self.most.get(name, 0), used)
        self.total = max(self.total, sum(found.values()))
        return found


@contextlib.contextmanager
def repeated(look: tp.Callable[[], object], pause: float) -> Iterator[None]:
    """Look again and again while the block runs, *pause* seconds after each time."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(pause):
            look()

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        try:
            yield
        finally:
            ended.set()
        watching.result()


def data_disk(node: nodes.Node) -> pathlib.Path:
    return node.site.volumes / str(node.uuid)


class Told:
    """What a node is told of memory: its own, as by the kernel of a machine of its own."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        path.write_text(f"MemTotal:       {RAM * 1024:8} kB\nMemAvailable:   {RAM * 1024:8} kB\n")

    def files(self) -> dict[str, str]:
        """Return what has the units read it: the container's /proc is not that of each of them."""
        drop_in = f"[Service]\nBindReadOnlyPaths=/persist/{self.path.name}:{_MEMORY}\n"
        units = ("exim4@.service", "exordos-mail-queue.service")
        return {f"/etc/systemd/system/{unit}.d/memory.conf": drop_in for unit in units}

    def renew(self, node: nodes.Node) -> None:
        line = f"MemAvailable:   {cgroups.memory_available(node.group) // 1024:8} kB\n"
        # At once, and of one length: it is read meanwhile.
        with self.path.open("r+b") as file:
            os.pwrite(file.fileno(), line.encode(), len(line))


@pytest.fixture
def internet(tmp_path: pathlib.Path) -> Iterator[tuple[sites.Site, internet_client.Client]]:
    """Return a site and what is outside of it."""
    site = sites.Site("small", tmp_path, _SUBNET, _PUBLIC)
    nodes.clear(site)
    network.ensure(site)
    # Nobody is there who has zones of its own.
    outside.ensure(site, site.subnet[2])
    yield site, internet_client.Client(outside.url(site))
    nodes.clear(site)


@pytest.fixture
def node(internet: tuple[sites.Site, internet_client.Client]) -> nodes.Node:
    return nodes.Node(internet[0], uuid.uuid4())


@pytest.fixture
def told(node: nodes.Node) -> Told:
    disk = data_disk(node)
    disk.mkdir(parents=True)
    return Told(disk / "meminfo")


@pytest.fixture
def container(
    internet: tuple[sites.Site, internet_client.Client], node: nodes.Node, told: Told
) -> Iterator[containers.Container]:
    """Return a node that has an account and a webhook, and a resolver that validates."""
    site, client = internet
    layers = tuple(map(str, images.ensure(images.MAIL)))
    node.up(
        nodes.Spec(
            "mailaas-dp-small",
            f"{_ADDRESS}/24",
            layers,
            key=machines.agent_key(),
            data=str(data_disk(node)),
            memory=RAM,
            resolver=outside.resolver(site),
            files={**_FILES, **told.files(), **outside.trusting(site, layers)},
        )
    )
    node.wait_booted()
    made = containers.Container(node, _ADDRESS)
    guests.deliver_mail_env(made)
    client.serve(_HOOKS)
    know_webhook(made)
    assert guests.set_account(made)["status"] == "ACTIVE"
    waiting.until(
        "its resolver validates",
        lambda: json.loads(made.run("cat", constants.RESOLVER_STATUS_FILE, check=False) or "{}"),
        _SECONDS,
        lambda told: told.get("mode") == "validating",
    )
    yield made
    node.destroy()


def know_webhook(container: containers.Container) -> None:
    hook = webhook_config.Hook(
        uuid.UUID(int=1),
        f"https://{_HOOKS}/",
        ("message.delivered",),
        (webhook_config.new_secret(),),
    )
    document = webhook_config.render(webhook_config.Config(uuid.UUID(int=2), (hook,)))
    owner = ("-o", constants.EXIM_USER, "-g", constants.EXIM_GROUP)
    folders = [f"{constants.EVENTS_DIR}/documents", f"{constants.EVENTS_DIR}/documents/webhooks"]
    container.run("install", "-d", "-m", "0700", *owner, *folders)
    container.run(
        *("install", "-m", "0600", *owner, "/dev/stdin", constants.WEBHOOKS_FILE),
        stdin=document.decode(),
    )


def session(number: int) -> smtplib.SMTP:
    """Return a client that has logged in, from the address and to the port of its *number*."""
    context = guests.trusting()
    options: dict[str, tp.Any] = {
        "local_hostname": "client.example.net",
        "timeout": _SECONDS,
        "source_address": (str(_SUBNET[_CLIENTS[number // 2 % len(_CLIENTS)]]), 0),
    }
    if number % 2:
        client: smtplib.SMTP = smtplib.SMTP_SSL(_ADDRESS, 465, context=context, **options)
    else:
        client = smtplib.SMTP(_ADDRESS, 587, **options)
        client.starttls(context=context)
    client.login(guests.SENDER, guests.PASSWORD)
    return client


@pytest.mark.timeout(1800)
def test_a_node_of_512_mb_takes_200_sessions_at_once(
    container: containers.Container,
    internet: tuple[sites.Site, internet_client.Client],
    told: Told,
) -> None:
    _, client = internet
    for unit in ("exim4@587.service", "exordos-mail-queue.service"):
        pid = container.run("systemctl", "show", "--value", "--property=MainPID", unit).strip()
        seen = container.run("nsenter", f"--target={pid}", "--mount", "cat", _MEMORY)
        assert seen.startswith(f"MemTotal:       {RAM * 1024:8} kB\n")
    memory = Memory(container.node.group)
    # Each goes to another domain, which the node has to find out about.
    recipients = [f"someone@d{number}.{_DOMAIN}" for number in range(SESSIONS)]
    idle = memory.look()

    def send(number: int) -> dict[str, tuple[int, bytes]]:
        text = f"From: {guests.SENDER}\r\nTo: {recipients[number]}\r\nSubject: small\r\n\r\n{_TEXT}"
        return sessions[number].sendmail(guests.SENDER, recipients[number], text)

    logged_in: dict[str, int] = {}
    try:
        with (
            repeated(lambda: told.renew(container.node), 0.05),
            repeated(memory.look, 1),
            contextlib.ExitStack() as stack,
            concurrent.futures.ThreadPoolExecutor(SESSIONS) as pool,
        ):
            sessions = list(pool.map(session, range(SESSIONS)))
            for each in sessions:
                stack.callback(each.close)
            logged_in = memory.look()
            with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as senders:
                assert list(senders.map(send, range(SESSIONS))) == [{}] * SESSIONS
            waiting.until(
                "all arrive",
                lambda: {name for message in client.messages() for name in message["recipients"]},
                _SECONDS,
                lambda arrived: arrived == set(recipients),
                pause=1,
            )
            waiting.until(
                "webhooks are sent",
                lambda: len(client.asked(_HOOKS)) >= SESSIONS,
                _SECONDS,
                pause=1,
            )
    finally:
        tell(memory, idle, logged_in, container.node.group)
    assert cgroups.memory_kills(container.node.group) == 0
    assert container.run("systemctl", "--failed", "--no-legend", "--plain") == ""


def tell(memory: Memory, idle: dict[str, int], logged_in: dict[str, int], group: str) -> None:
    """Print the figures, of a run that failed too."""
    rows = [
        (f"`{name.removesuffix('.service')}`", idle.get(name, 0), logged_in.get(name, 0), most)
        for name, most in sorted(memory.most.items(), key=lambda item: -item[1])
    ]
    rows.append(("all", sum(idle.values()), sum(logged_in.values()), memory.total))
    lines = [
        f"| MB of | at rest | {SESSIONS} sessions | at most |",
        "| -- | -- | -- | -- |",
        *(
            f"| {name} | {' | '.join(f'{each / 2**20:.1f}' for each in octets)} |"
            for name, *octets in rows
        ),
        f"the node at most, with what its kernel keeps of files:"
        f" {cgroups.memory_peak(group) / 2**20:.0f} MB;"
        f" {cgroups.memory_kills(group)} processes were ended for want of memory",
    ]
    print("", *lines, sep="\n")  # noqa: T201 - the figures of the run
