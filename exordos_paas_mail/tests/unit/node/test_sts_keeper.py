# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Policies of domains: found out once, kept while they last, and forgotten in their order."""

from __future__ import annotations

import time
import typing as tp

import pytest

from exordos_paas_mail.codecs import mta_sts
from exordos_paas_mail.node.sts import finder, findings, keeper, shards, store
from exordos_paas_mail.tests.unit.node import sts_stage

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator

DAY = 86_400
NOW = 1_800_000_000
Mode = mta_sts.Mode
_NOT_YET = (None, mta_sts.UNKNOWN)


class Stage:
    """A keeper whose clock is the test's."""

    def __init__(self, folder: pathlib.Path, site: sts_stage.Site) -> None:
        self.folder, self.site, self.now = folder, site, NOW
        self.start()

    def start(self) -> None:
        self.store = store.Store(self.folder)
        self.keeper = keeper.Keeper(
            self.store, shards.Shards(self.folder / "known"), self.site.finder()
        )

    def ask(self, domain: str = sts_stage.DOMAIN) -> str:
        """Return the line of *domain* once it is looked at, or known already."""
        deadline = time.monotonic() + 60
        # A machine that does much else may take longer than mail waits.
        while self.keeper.answer(sts_stage.request(domain), 0, self.now) in _NOT_YET:
            assert time.monotonic() < deadline
            self.keeper.turn(self.now)
            time.sleep(0.01)
        return self.line(domain)

    def settle(self) -> None:
        """Have what is due be looked at."""
        deadline = time.monotonic() + 60
        self.keeper.turn(self.now)
        while self.keeper._fast._busy or self.keeper._slow._busy:
            assert time.monotonic() < deadline
            self.keeper.turn(self.now)
            time.sleep(0.01)

    def line(self, domain: str = sts_stage.DOMAIN) -> str:
        path = self.folder / "known" / mta_sts.shard_of(domain)
        lines = path.read_text().splitlines() if path.exists() else []
        return "".join(each for each in lines if each.startswith(f"{domain}: "))


@pytest.fixture(scope="module")
def running() -> Iterator[sts_stage.Site]:
    with sts_stage.site() as made:
        yield made


@pytest.fixture
def stage(
    tmp_path: pathlib.Path, running: sts_stage.Site, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stage]:
    # None is slow, and looked at twice, because this machine is.
    monkeypatch.setattr(finder, "TIMEOUT", finder.PATIENCE)
    running.ids, running.silent, running.fetches = {sts_stage.DOMAIN: "1"}, set(), 0
    running.code, running.body = 200, sts_stage.policy()
    made = Stage(tmp_path, running)
    yield made
    made.store.close()


def enforced(until: int, ask: int) -> str:
    return f"bank.example: mode=enforce ask={ask} until={until} mx=^(?i:mx[.]bank[.]example)$"


def test_a_policy_is_found_out_once(stage: Stage) -> None:
    assert stage.ask() == enforced(NOW + 7 * DAY, NOW + 6 * 3600)
    assert stage.ask() == enforced(NOW + 7 * DAY, NOW + 6 * 3600)
    assert stage.site.fetches == 1
    # Also by who is started anew.
    stage.store.close()
    stage.start()
    assert stage.ask() == enforced(NOW + 7 * DAY, NOW + 6 * 3600)
    assert stage.site.fetches == 1


def test_a_domain_without_a_policy_is_asked_again_in_an_hour(stage: Stage) -> None:
    assert stage.ask("none.example") == f"none.example: mode=absent ask={NOW + 3600}"
    stage.site.ids["none.example"] = "1"
    stage.now += 3599
    assert stage.ask("none.example") == f"none.example: mode=absent ask={NOW + 3600}"


def test_the_id_is_looked_at_often_and_the_policy_fetched_daily(stage: Stage) -> None:
    stage.ask()
    for _ in range(4):
        stage.now += 6 * 3600
        stage.settle()
    assert stage.site.fetches == 2
    assert stage.line() == enforced(NOW + 8 * DAY, NOW + 6 * 3600)
    stage.site.ids[sts_stage.DOMAIN], stage.site.body = "2", sts_stage.policy("none")
    stage.now += 6 * 3600
    stage.settle()
    assert stage.line().startswith("bank.example: mode=none ")


def test_a_policy_of_less_than_a_day_is_fetched_before_it_ends(stage: Stage) -> None:
    stage.site.body = sts_stage.policy("enforce", 3600)
    stage.ask()
    for _ in range(4):
        stage.now += 900
        stage.settle()
    assert stage.site.fetches > 1
    assert int(stage.line().split("until=")[1].split()[0]) > stage.now


@pytest.mark.parametrize("wrong", ["silent", "withdrawn", "broken"])
def test_a_policy_is_kept_until_it_ends(stage: Stage, wrong: str) -> None:
    stage.ask()
    if wrong == "silent":
        stage.site.silent = {sts_stage.DOMAIN}
    elif wrong == "withdrawn":
        stage.site.ids = {}
    else:
        stage.site.ids[sts_stage.DOMAIN], stage.site.code = "2", 500
    stage.now += 7 * DAY - 1
    stage.settle()
    assert stage.keeper.failing() == 1
    assert stage.line() == enforced(NOW + 7 * DAY, NOW + 6 * 3600)
    stage.now += 3601
    stage.settle()
    assert stage.line() == ""
    said = {"silent": "failed", "withdrawn": "absent", "broken": "failed"}[wrong]
    assert stage.ask().split()[1] == f"mode={said}"


def test_a_policy_that_may_not_be_kept_is_fetched_once_for_who_waits(stage: Stage) -> None:
    stage.site.body = sts_stage.policy("enforce", 0)
    assert stage.ask() == enforced(NOW + 60, NOW + 60)
    stage.settle()
    assert stage.ask() == enforced(NOW + 60, NOW + 60)
    assert stage.site.fetches == 1
    stage.now += 60
    stage.settle()
    assert stage.line() == ""
    assert stage.ask() == enforced(NOW + 120, NOW + 120)
    assert stage.site.fetches == 2


def test_a_policy_that_nobody_used_for_long_is_kept_fresh_again(stage: Stage) -> None:
    stage.site.body = sts_stage.policy("enforce", 300 * DAY)
    stage.ask()
    stage.now += 31 * DAY
    stage.settle()
    fetches = stage.site.fetches
    stage.now += 31 * DAY
    stage.settle()
    assert stage.site.fetches == fetches
    # With the first mail it is looked at again, which does not wait for that.
    stage.site.ids[sts_stage.DOMAIN], stage.site.body = "2", sts_stage.policy("none")
    assert stage.ask().startswith("bank.example: mode=enforce ")
    stage.settle()
    assert stage.line().startswith("bank.example: mode=none ")


def test_who_asks_is_told_what_the_file_says(stage: Stage) -> None:
    line = stage.ask()
    assert f"bank.example: {stage.keeper.answer(sts_stage.request(), 0, NOW)}" == line


def test_a_fault_over_one_domain_is_that_domains(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def texts(name: str, seconds: float) -> list[str]:
        raise RuntimeError("oh")

    monkeypatch.setattr(stage.site, "texts", texts)
    stage.start()
    assert stage.ask().endswith('why="a fault of the relay (RuntimeError)"')


def test_a_failure_is_tried_again_ever_later(stage: Stage) -> None:
    stage.site.code = 503
    pauses = []
    for _ in range(6):
        line = stage.ask()
        assert line.endswith('why="its web server answers 503"')
        pauses.append(int(line.split("ask=")[1].split()[0]) - stage.now)
        stage.now += pauses[-1]
    assert pauses == [300, 600, 1200, 2400, 3600, 3600]
    stage.site.code = 200
    assert stage.ask().startswith("bank.example: mode=enforce ")
    assert stage.keeper.failing() == 0


def test_who_hangs_holds_up_nobody_else(stage: Stage) -> None:
    stage.site.hanging.set()
    try:
        assert stage.keeper.answer(sts_stage.request(), 0, NOW) is None
        assert stage.ask("none.example").split()[1] == "mode=absent"
        assert stage.keeper.answer(sts_stage.request(), 1.8, NOW) == mta_sts.UNKNOWN
    finally:
        stage.site.hanging.clear()
        stage.site.over.set()
    stage.settle()
    assert stage.line().startswith("bank.example: mode=enforce ")


def test_a_flood_of_domains_does_not_put_out_what_is_used(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "DOMAINS_MAX", 100)
    stage.ask()
    stage.now += 6 * 3600
    stage.ask()
    for number in range(400):
        known = findings.Known(
            *(f"a{number}.evil.example", Mode.ENFORCE, "1", ("mx.evil.example",)),
            max_age=30 * DAY,
            fetched_at=stage.now,
            look_at=stage.now + DAY,
            used_at=stage.now + number,
            uses=1,
        )
        stage.store.put(known)
    left = sum(len(stage.store.of_shard(shard)) for shard in mta_sts.SHARDS)
    assert left <= 100
    assert stage.store.get(sts_stage.DOMAIN) is not None
    assert stage.store.get("a399.evil.example") is not None


def test_policies_are_bounded_in_size(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "SIZE_MAX", 100_000)
    for number in range(100):
        mx = tuple(f"mx{each}.a{number}.example" for each in range(200))
        stage.store.put(findings.Known(f"a{number}.example", Mode.TESTING, "1", mx, used_at=number))
    kept = [one for shard in mta_sts.SHARDS for one in stage.store.of_shard(shard)]
    assert 0 < sum(len(" ".join(one.mx)) for one in kept) <= 100_000


def test_a_damaged_store_is_moved_aside(stage: Stage, tmp_path: pathlib.Path) -> None:
    stage.ask()
    stage.store.close()
    path = tmp_path / store.FILE_NAME
    data = bytearray(path.read_bytes())
    # Not the first page: that it is damaged shows when it is read.
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    stage.start()
    assert stage.ask().startswith("bank.example: mode=enforce ")
    assert list(tmp_path.glob(f"{store.FILE_NAME}.aside-*"))


@pytest.mark.parametrize("line", ["", "know", "know a.example", "forget a.example 1"])
def test_what_is_no_request_is_refused(stage: Stage, line: str) -> None:
    with pytest.raises(ValueError, match="request"):
        stage.keeper.answer(line, 0, NOW)
