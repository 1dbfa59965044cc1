# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""How mail leaves, and what waits because it could not leave so."""

from __future__ import annotations

import os
import typing as tp

import pytest

from exordos_paas_mail.codecs import mta_sts, tls_policies
from exordos_paas_mail.codecs.tls_policies import Mode
from exordos_paas_mail.node.events import deferrals
from exordos_paas_mail.node.queue import published, spool, ways
from exordos_paas_mail.node.queue.ways import Way, Ways
from exordos_paas_mail.tests.unit.node import queue_stage

if tp.TYPE_CHECKING:
    import pathlib

NAME, ALICE = queue_stage.NAME, queue_stage.ALICE
BOB = "Bob@One.example"
MX = mta_sts.expression(["mx.one.example"])
UNNAMED = f"MTA-STS: one.example {mta_sts.UNNAMED}"
ABSENT = "MTA-STS: one.example has no policy"
UNKNOWN = "the TLS policies are not known now"


def file(mode: str) -> tls_policies.File:
    return tls_policies.File({"one.example": Mode(mode)}, frozenset())


KEPT = {"one.example": MX}
LEAVES = Ways()
ENFORCED = Ways(enforced=KEPT)
MISSING = Ways(file("mta_sts"))
CUT = Ways(None)


@pytest.mark.parametrize(
    ("policies", "login", "way"),
    [
        (tls_policies.NOTHING, ALICE, Way(Mode.AUTO, MX)),
        (file("encrypt"), ALICE, Way(Mode.ENCRYPT, MX)),
        (file("mta_sts"), ALICE, Way(Mode.MTA_STS, MX)),
        (file("opportunistic"), ALICE, Way(Mode.OPPORTUNISTIC)),
        (file("verify"), ALICE, Way(Mode.VERIFY)),
        (file("dane"), ALICE, Way(Mode.DANE)),
        # Role mail and reports, to the tenant's own domains.
        (tls_policies.NOTHING, "", Way(Mode.AUTO)),
        (None, ALICE, Way(None)),
    ],
)
def test_what_a_domain_enforces_is_kept_by_some_modes(
    policies: tls_policies.File | None, login: str, way: Way
) -> None:
    found = Ways(policies, KEPT).of("one.example", login)
    assert found == way
    assert found.transport is (Mode.MTA_STS if way.mx else way.mode or Mode.AUTO)
    assert Ways(policies, KEPT).of("two.example", login).mx == ""


def test_a_message_that_has_to_arrive_is_held_up_by_no_policy_of_its_recipient() -> None:
    assert ENFORCED.of("one.example", ALICE, optional=True) == Way(Mode.OPPORTUNISTIC)


class Stage:
    """A message whose recipient waits."""

    def __init__(self, *, mx: str = "", reason: str = "tls", to: str = BOB) -> None:
        self.message = spool.Message(NAME, ALICE, ALICE, 1, frozen=False, recipients=(to,), size=9)
        self.key = to.partition("@")[0] + "@" + to.partition("@")[2].lower()
        self.mx, self.reason = mx, reason
        self.waiting = ways.Waiting()

    def is_due(self, of: Ways, text: str, at: int, now: int) -> bool:
        """Return whether it is due whatever exim says, where it was tried *at* a time at last."""
        known = deferrals.Deferral(NAME, self.key, 1, at, text, self.reason, self.mx)
        found = self.waiting.rerouted(self.message, {self.key: known}, of, now)
        assert found <= set(self.message.recipients)
        return bool(found)


@pytest.mark.parametrize(
    ("before", "text", "after"),
    [
        pytest.param(MISSING, ABSENT, LEAVES, id="another mode"),
        pytest.param(MISSING, ABSENT, Ways(file("mta_sts"), KEPT), id="the policy is known"),
        pytest.param(ENFORCED, UNNAMED, LEAVES, id="the policy is withdrawn"),
        pytest.param(
            ENFORCED, UNNAMED, Ways(enforced={"one.example": "^mx2$"}), id="other servers"
        ),
        pytest.param(
            ENFORCED, UNNAMED, Ways(file("opportunistic"), KEPT), id="a mode that is free"
        ),
        pytest.param(CUT, UNKNOWN, LEAVES, id="the file is whole"),
        pytest.param(CUT, UNKNOWN, MISSING, id="the file is whole and asks for a policy"),
    ],
)
def test_what_waits_is_due_once_when_the_way_is_another(
    before: Ways, text: str, after: Ways
) -> None:
    stage = Stage()
    assert not stage.is_due(before, text, 1000, 2000)
    assert not stage.is_due(before, text, 3000, 4000)
    assert stage.is_due(after, text, 3000, 5000)
    # Until it is tried, and also where that was under way when the change was seen.
    assert stage.is_due(after, text, 4999, 6000)
    assert not stage.is_due(after, text, 6001, 7000)
    assert not stage.is_due(after, text, 6001, 8000)


def test_a_way_that_is_back_before_it_was_left_is_no_other() -> None:
    stage = Stage()
    assert not stage.is_due(MISSING, ABSENT, 1000, 2000)
    assert stage.is_due(LEAVES, ABSENT, 1000, 3000)
    assert not stage.is_due(MISSING, ABSENT, 1000, 4000)


@pytest.mark.parametrize(
    ("now", "text", "is_due"),
    [
        (MISSING, ABSENT, False),
        (ENFORCED, UNNAMED, False),
        (CUT, UNKNOWN, False),
        (LEAVES, ABSENT, True),
        (LEAVES, UNKNOWN, True),
        (ENFORCED, ABSENT, True),
        (Ways(file("verify")), UNNAMED, True),
    ],
)
def test_what_waited_before_this_process_was_there_is_due_where_nothing_explains_it(
    now: Ways, text: str, *, is_due: bool
) -> None:
    stage = Stage()
    assert stage.is_due(now, text, 1000, 2000) is is_due
    assert not stage.is_due(now, text, 3000, 4000)


@pytest.mark.parametrize("stage", [Stage(mx="mx.one.example"), Stage(reason="network")])
def test_what_a_server_or_the_network_holds_up_has_the_time_that_exim_says(stage: Stage) -> None:
    for number, way in enumerate((MISSING, LEAVES, ENFORCED, CUT)):
        assert not stage.is_due(way, "x", 1, number)
    assert stage.waiting._tried == {}


def test_what_waits_for_a_domain_is_not_due_for_another() -> None:
    stage = Stage(to="eve@two.example")
    policies = tls_policies.File({"*": Mode.MTA_STS}, frozenset())
    assert not stage.is_due(Ways(policies), "MTA-STS: two.example has no policy", 1000, 2000)
    assert not stage.is_due(Ways(policies, KEPT), "", 1000, 3000)
    assert stage.is_due(Ways(policies, {**KEPT, "two.example": MX}), "", 1000, 4000)


def test_a_message_that_has_left_is_forgotten() -> None:
    stage = Stage()
    assert not stage.is_due(MISSING, ABSENT, 1000, 2000)
    stage.waiting.forget(NAME)
    stage.waiting.forget(NAME)
    assert stage.waiting._tried == {}
    assert not stage.waiting.rerouted(stage.message, {}, MISSING, 3000)
    assert stage.waiting._tried == {}


class Folder:
    """What exordos-mail-sts has told exim."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path / "sts"
        self.published = published.Published(self.path)
        self.changes = 0

    def write(self, domain: str, mode: mta_sts.Mode, *, mx: str = "mx.one.example") -> None:
        """Replace the file of a domain, long ago."""
        said = mta_sts.words(mode, until=1000, ask=5, mx=[mx])
        aside = self.path / "aside"
        aside.write_text(mta_sts.line(domain, said))
        aside.rename(self.path / mta_sts.shard_of(domain))
        self.changes += 1
        os.utime(self.path, (0, self.changes))


def test_what_is_enforced_is_read_as_it_changes(tmp_path: pathlib.Path) -> None:
    folder = Folder(tmp_path)
    assert folder.published.read(10) == {}
    folder.path.mkdir()
    folder.write("one.example", mta_sts.Mode.ENFORCE)
    folder.write("two.example", mta_sts.Mode.TESTING)
    found = folder.published.read(10)
    assert found == KEPT
    assert folder.published.read(999) is found
    # What only says anew when it ends, or when to ask, is no other.
    folder.write("two.example", mta_sts.Mode.ABSENT)
    assert folder.published.read(999) is found
    assert folder.published.read(1000) == {}
    folder.write("one.example", mta_sts.Mode.ENFORCE, mx="mx2.one.example")
    assert folder.published.read(10) == {"one.example": mta_sts.expression(["mx2.one.example"])}
    shard = folder.path / mta_sts.shard_of("one.example")
    # What cannot be read counts as it was, until it can.
    found = folder.published.read(10)
    shard.unlink()
    shard.mkdir()
    os.utime(folder.path, (0, 10_000))
    assert folder.published.read(10) is found
    shard.rmdir()
    folder.write("one.example", mta_sts.Mode.ABSENT)
    assert folder.published.read(10) == {}
    folder.write("one.example", mta_sts.Mode.ENFORCE)
    assert folder.published.read(10) == KEPT
    shard.unlink()
    os.utime(folder.path, (0, 20_000))
    assert folder.published.read(10) == {}
