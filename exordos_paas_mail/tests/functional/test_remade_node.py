# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A node that Core makes again under its uuid: another machine and key, usually another disk."""

from __future__ import annotations

import contextlib
import re
import time
import typing as tp

import pytest

from clients import mail, rest, waiting
from exordos_paas_mail.tests.functional import provisioning, stand_control, submission, trusting

# For so many seconds may an agent be silent, and its instance ACTIVE without an error.
BOUND: tp.Final = 30.0

# What a new data disk costs.
LOST_KEY: tp.Final = (
    "the DKIM key {dkim_selector} of {domain} was lost and made anew: publish its record,"
    " until then receivers cannot verify what is sent"
)

_NODES: tp.Final = "/v1/compute/nodes/"
_CORE: tp.Final = "core"
_DATABASE: tp.Final = "exordos_core"
_LOCKS: tp.Final = "FROM pg_locks WHERE relation = 'machine_pools'::regclass"


@pytest.fixture
def own(
    owner: rest.Api, project: str, version: rest.Json, poll: waiting.Poll
) -> tp.Iterator[rest.Json]:
    """Return an instance of this test's own, ACTIVE."""
    created = owner.create(mail.INSTANCES, provisioning.instance_body(project, version, "remade"))
    yield provisioning.wait_active(owner, created, poll)
    owner.delete(mail.instance_path(created))


@contextlib.contextmanager
def core_held(stand: stand_control.Stand, poll: waiting.Poll) -> tp.Iterator[None]:
    """Hold Core, while the block runs, between its looks at nodes and at machines.

    One thread of Core makes the nodes that a set lacks, places them on pools, then
    removes the machines of nodes that are gone: each every three seconds. A node that is
    deleted while it rests is there again before the machine is missed, and the machine
    stays as it is, with a port that it has not got. So the node is deleted in between.
    """
    hold = "BEGIN; LOCK TABLE machine_pools; SELECT pg_sleep(60)"
    psql = f"psql --no-psqlrc --dbname={_DATABASE} --command='{hold}'"
    stand.shell(_CORE, f"systemd-run --quiet --uid=postgres --working-directory=/ {psql}")
    poll.until(
        "Core waits for its pools of machines",
        lambda: stand.query(_CORE, _DATABASE, f"SELECT pid {_LOCKS} AND NOT granted"),
    )
    try:
        yield
    finally:
        end = f"SELECT pg_terminate_backend(pid) {_LOCKS} AND mode = 'AccessExclusiveLock'"
        stand.query(_CORE, _DATABASE, end)


def try_login(shown: rest.Json, account: provisioning.Account) -> int | str:
    """Return the code of a login at the address that the API names, or why there was none."""
    if not shown["ipsv4"]:
        return "no address"
    # On another disk it has another certificate.
    trust = trusting.Fixed(shown["domain"], shown["tls_certificate"])
    relay = submission.Relay(shown["ipsv4"][0], trust)
    # A machine that is switched off keeps a client waiting for longer than is looked here.
    return relay.try_login(account.address, account.password) if relay.answers() else "closed"


class Look(tp.NamedTuple):
    """What a user sees at one moment, in seconds since the node was deleted."""

    at: float
    status: str
    error: str
    login: int | str

    @property
    def is_well(self) -> bool:
        """Whether a user is told that accounts can log in: a DKIM key is not about that."""
        return self.status == "ACTIVE" and self.error.partition(" key ")[0] in {"", "the DKIM"}

    @property
    def is_untrue(self) -> bool:
        return self.is_well and self.login != submission.OK


def longest_untruth(looks: tp.Iterable[Look]) -> float:
    """Return for how many seconds on end the API said that all is well, and nobody could log in."""
    longest, since = 0.0, None
    for look in looks:
        if look.is_untrue:
            since = look.at if since is None else since
            longest = max(longest, look.at - since)
        else:
            since = None
    return longest


def test_a_node_that_is_made_again_comes_back_with_its_accounts(
    own: rest.Json,
    owner: rest.Api,
    core: rest.Api,
    stand: stand_control.Stand,
    poll: waiting.Poll,
    record_property: tp.Callable[[str, object], None],
) -> None:
    path = mail.instance_path(own)
    relay = provisioning.relay_of(owner, own)
    account = provisioning.Accounts(owner, own, relay, poll).ready()
    (node_set,) = core.list("/v1/compute/sets/", name=f"mailaas-dp-{own['uuid']}")
    (node,) = node_set["nodes"]
    key_path = f"{_NODES}{node}/actions/get_private_key"
    key = core.expect(200, "GET", key_path)
    looks: list[Look] = []

    with core_held(stand, poll):
        core.delete(f"{_NODES}{node}")
    deleted = time.monotonic()

    def look() -> Look:
        shown = owner.read(path)
        login = try_login(shown, account)
        looks.append(Look(time.monotonic() - deleted, shown["status"], shown["error"], login))
        return looks[-1]

    poll.until("the old machine is gone", look, lambda it: it.login != submission.OK)
    poll.until("the new machine serves", look, lambda it: it.is_well and it.login == submission.OK)

    record_property("back_seconds", round(looks[-1].at, 1))
    record_property("longest_untruth_seconds", round(longest_untruth(looks), 1))
    (node_set,) = core.list("/v1/compute/sets/", name=f"mailaas-dp-{own['uuid']}")
    assert list(node_set["nodes"]) == [node]
    assert core.expect(200, "GET", key_path) != key
    assert longest_untruth(looks) < BOUND, looks
    record = stand.shell(owner.read(path)["ipsv4"][0], "cat /etc/exim4/dkim/platform.txt")
    held = "".join(re.findall(r'"([^"]*)"', record))
    back = poll.until(
        "the API shows the DKIM key that the node holds",
        lambda: owner.read(path),
        lambda it: it["dkim_public_key"] == held,
    )
    # Core removes the disks of a node that is gone, unless the new one was there sooner.
    is_kept = held == own["dkim_public_key"]
    record_property("data_disk", "kept" if is_kept else "new")
    assert back["error"] == ("" if is_kept else LOST_KEY.format_map(back))
