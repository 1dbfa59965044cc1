# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The queue as it is told and as it is acted on, with exim's own spool and commands."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import pathlib
import shutil
import subprocess
import time
import typing as tp
import uuid

import pytest

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import mta_sts, node_commands, queue_reports, retry_hints
from exordos_paas_mail.codecs.node_commands import Action, Command
from exordos_paas_mail.node import machine, status_api
from exordos_paas_mail.node.events import recorder as recorder_
from exordos_paas_mail.node.queue import actions as actions_
from exordos_paas_mail.node.queue import attempts as attempts_
from exordos_paas_mail.node.queue import journal as journal_
from exordos_paas_mail.node.queue import keeper as keeper_
from exordos_paas_mail.node.queue import listing as listing_
from exordos_paas_mail.node.queue import scheduler as scheduler_
from exordos_paas_mail.node.queue import spool as spool_
from exordos_paas_mail.node.queue import suspended as suspended_
from exordos_paas_mail.tests.relay import relay as relay_
from exordos_paas_mail.tests.relay import units

if tp.TYPE_CHECKING:
    from collections.abc import Iterator

    from exordos_paas_mail.tests.relay import internet as internet_

LATER = "later@elsewhere.example"
SUSPENSIONS = pathlib.Path(constants.SUSPENSIONS_FILE)


class Queue:
    """What a node's daemons know of the queue, and do with it."""

    def __init__(self, folder: pathlib.Path) -> None:
        SUSPENSIONS.parent.mkdir(parents=True, exist_ok=True)
        shutil.chown(SUSPENSIONS.parent, "Debian-exim", "Debian-exim")
        self.node = machine.Machine()
        self.recorder = recorder_.Recorder(relay_.LOG, folder, lambda: 2**40)
        self.attempts = attempts_.Attempts(folder)
        self.spool = spool_.Spool(str(relay_.SPOOL))
        self.suspended = suspended_.Suspended(SUSPENSIONS)
        self.journal = journal_.Journal(folder)
        self.actions = actions_.Actions(self.node, self.journal, self.spool, self.suspended)
        self.listing = listing_.Listing()

    def close(self) -> None:
        self.actions.close()
        self.journal.close()
        self.recorder.store.close()
        SUSPENSIONS.unlink(missing_ok=True)

    def look(self) -> dict[str, queue_reports.Item]:
        """Return the messages by their queue id."""
        while self.recorder.turn():
            pass
        self.recorder._keep()
        # No message of a test is as old as those that are told.
        now = time.time() + spool_.YOUNG + 1
        changed = self.spool.look(now) | self.attempts.read(self.spool.messages)
        known_times = (relay_.SPOOL / "db" / "retry").exists()
        hints = retry_hints.parse(self.node.retry_hints()) if known_times else {}
        for queue_id in changed | self.spool.messages.keys():
            message = self.spool.messages.get(queue_id)
            if message is None:
                self.listing.drop(queue_id)
            else:
                known = self.attempts.of(queue_id)
                held = self.suspended.now(time.time())
                self.listing.put(message, listing_.waits(message, known, hints, held))
        items: list[queue_reports.Item] = []
        for shard in range(queue_reports.SHARDS):
            items += queue_reports.parse_items(self.listing.content(shard), shard)
        return {item.queue_id: item for item in items}

    def wait_for(
        self, is_so: tp.Callable[[dict[str, queue_reports.Item]], bool]
    ) -> dict[str, queue_reports.Item]:
        deadline = time.monotonic() + units.PATIENCE
        while not is_so(items := self.look()):
            assert time.monotonic() < deadline, items
            time.sleep(0.1)
        return items

    def do(self, action: Action, **fields: tp.Any) -> queue_reports.Result:
        """Have a command be done, and return its result once it is told."""
        not_after = int(time.time() * 1000) + 60_000
        command = Command(uuid.uuid4(), action, not_after, **fields)
        data = node_commands.render_commands([command])
        self.look()
        assert self.actions.take(node_commands.parse_commands(data), self.listing, time.time())
        deadline = time.monotonic() + units.PATIENCE
        while not (results := self.journal.results([command.id])):
            assert time.monotonic() < deadline
            self.actions.turn()
            time.sleep(0.05)
        (result,) = results
        assert result.id == command.id
        return result


@pytest.fixture
def queue(relay: relay_.Relay, tmp_path: pathlib.Path) -> Iterator[Queue]:
    queue = Queue(tmp_path)
    yield queue
    queue.close()


def submit(relay: relay_.Relay, *recipients: str) -> str:
    """Submit a message and return its queue id."""
    code, text = relay.send(recipients=recipients)
    assert code == 250, text
    return text.removeprefix("OK id=")


def outcome(result: queue_reports.Result) -> tuple[tuple[str, ...], dict[str, str], str]:
    assert (result.count, result.failed_count) == (len(result.done), len(result.failed))
    return result.done, dict(result.failed), result.error


def test_a_message_that_waits_is_told_with_its_reason_and_its_next_time(
    relay: relay_.Relay, internet: internet_.Internet, queue: Queue
) -> None:
    name = submit(relay, LATER, "Someone@elsewhere.example")
    internet.wait_for(1)
    relay.wait_for_log(f"{name} == ")
    relay.wait_until_idle()
    item = queue.wait_for(lambda items: items[name].attempts == 1)[name]
    now = time.time() * 1000
    assert abs(item.arrived_at - now) < 60_000
    assert abs(item.last_attempt_at - now) < 60_000
    # The first of the retry rules.
    assert 200_000 < item.retry_at - now < 310_000
    assert 200 < item.size < 3000
    assert dataclasses.replace(item, arrived_at=0, last_attempt_at=0, retry_at=0, size=0) == (
        queue_reports.Item(
            name,
            account=relay_.ALICE,
            sender=relay_.ALICE,
            recipients=(LATER,),
            recipients_count=1,
            attempts=1,
            last_error="451 4.2.0 Try again later",
            reason="other",
        )
    )
    subprocess.run(["exim4", "-q"], check=True)
    assert queue.look()[name].attempts == 1
    relay.run_queue()
    assert queue.look()[name].attempts == 2


def test_a_message_that_is_frozen_or_of_several_lines_of_options_is_read(
    relay: relay_.Relay, queue: Queue
) -> None:
    with relay.login() as client:
        client.mail(relay_.ALICE, ["ENVID=x+20y", "RET=HDRS"])
        client.rcpt(LATER, ["NOTIFY=FAILURE,DELAY", f"ORCPT=rfc822;{LATER}"])
        client.rcpt('"two words, 3#3"@elsewhere.example')
        code, text = client.data(relay_.message(From=relay_.ALICE))
    assert code == 250
    name = text.decode().removeprefix("OK id=")
    relay.wait_for_log(f"{name} == ")
    relay.wait_until_idle()
    subprocess.run(["exim4", "-Mf", name], check=True, stdout=subprocess.PIPE)
    item = queue.look()[name]
    assert (item.recipients, item.frozen) == ((LATER,), True)


def test_a_retry_is_tried_at_once(
    relay: relay_.Relay, internet: internet_.Internet, queue: Queue
) -> None:
    first, second = (submit(relay, LATER) for _ in range(2))
    queue.wait_for(
        lambda items: all(one in items and items[one].attempts for one in (first, second))
    )
    relay.wait_until_idle()
    result = queue.do(Action.RETRY, queue_ids=(first, "1tFxyz-0000Ab-2C"))
    assert outcome(result) == ((first,), {"1tFxyz-0000Ab-2C": "not in the queue"}, "")
    items = queue.wait_for(lambda items: items[first].attempts == 2)
    assert items[second].attempts == 1
    relay.wait_until_idle()
    assert set(queue.do(Action.RETRY, domain="elsewhere.example").done) == {first, second}
    queue.wait_for(lambda items: items[second].attempts == 2)
    relay.wait_until_idle()
    assert queue.do(Action.RETRY, domain="other.example").done == ()
    assert set(queue.do(Action.RETRY).done) == {first, second}
    queue.wait_for(lambda items: items[second].attempts == 3)
    relay.wait_until_idle()
    assert internet.received() == []


def test_what_is_deleted_is_gone_without_a_word(relay: relay_.Relay, queue: Queue) -> None:
    alone, mixed, other = (
        submit(relay, LATER),
        submit(relay, LATER, "later@utf8.example"),
        submit(relay, LATER),
    )
    queue.wait_for(lambda items: all(items[one].attempts for one in (alone, mixed, other)))
    relay.wait_until_idle()
    assert outcome(queue.do(Action.DELETE, queue_ids=(other,))) == ((other,), {}, "")
    result = queue.do(Action.DELETE, domain="elsewhere.example")
    assert outcome(result) == ((alone,), {mixed: actions_.MIXED}, "")
    assert list(queue.look()) == [mixed]
    assert relay.log_lines("<= <>") == []
    assert len(relay.log_lines("removed by Debian-exim")) == 2


def test_what_is_bounced_is_reported_to_its_sender(
    relay: relay_.Relay, internet: internet_.Internet, queue: Queue
) -> None:
    name = submit(relay, LATER)
    queue.wait_for(lambda items: bool(items[name].attempts))
    relay.wait_until_idle()
    assert outcome(queue.do(Action.BOUNCE, domain="elsewhere.example")) == ((name,), {}, "")
    (report,) = internet.wait_for(1)
    assert report.recipients == [relay_.ALICE]
    assert LATER.encode() in report.data
    relay.wait_for_queue(0)
    assert queue.look() == {}


def test_what_is_being_delivered_cannot_be_ended(relay: relay_.Relay, queue: Queue) -> None:
    name = submit(relay, LATER)
    queue.wait_for(lambda items: bool(items[name].attempts))
    relay.wait_until_idle()
    (body,) = (relay_.SPOOL / "input").glob(f"**/{name}-D")
    with body.open("r+b") as file:
        # As a delivery does, for as long as it takes (spool_open_datafile in exim's spool_in.c).
        fcntl.lockf(file, fcntl.LOCK_EX, len(f"{name}-D\n"))
        for action in (Action.DELETE, Action.BOUNCE):
            result = queue.do(action, queue_ids=(name,))
            assert outcome(result) == ((), {name: actions_.DELIVERED_NOW}, "")
    assert outcome(queue.do(Action.DELETE, queue_ids=(name,))) == ((name,), {}, "")


@pytest.fixture
def keeper(queue: Queue, tmp_path: pathlib.Path) -> Iterator[keeper_.Keeper]:
    """Give who sees to the queue, on a node whose control plane is away."""
    api = status_api.StatusApi("http://127.0.0.1:9", uuid.uuid4(), bytes(32))
    keeper = keeper_.Keeper(queue.node, api, tmp_path)
    yield keeper
    keeper.close()


def see_to(keeper: keeper_.Keeper, queue: Queue) -> None:
    """See to the queue once, with all that the log says."""
    while queue.recorder.turn():
        pass
    queue.recorder._keep()
    with contextlib.suppress(status_api.StatusError):
        keeper.turn()


def keep(keeper: keeper_.Keeper, queue: Queue, seconds: float) -> None:
    """See to the queue for some seconds, and let what was begun end."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline or keeper.is_busy:
        assert time.monotonic() < deadline + 60
        see_to(keeper, queue)
        time.sleep(0.2)


def test_what_is_due_is_tried_and_nothing_else(
    relay: relay_.Relay, queue: Queue, keeper: keeper_.Keeper, tmp_path: pathlib.Path
) -> None:
    name = submit(relay, LATER)
    queue.wait_for(lambda items: bool(items[name].attempts))
    relay.wait_until_idle()
    keep(keeper, queue, 13)
    # Neither tried, nor begun and put off again.
    assert len(relay.log_lines(f"{name} == ")) == 1
    assert (tmp_path / "scheduled").exists()

    relay.forget_counts()
    keeper._next_hints = 0.0
    keep(keeper, queue, 7)
    assert len(relay.log_lines(f"{name} == .*: 451 4.2.0 Try again later")) == 2
    keep(keeper, queue, 7)
    assert len(relay.log_lines(f"{name} == ")) == 2


def put_off(node: machine.Machine, *, days: int) -> None:
    """Have exim believe that all it put off waits for some days, as after a clock is set back."""
    at = time.strftime("%y%m%d%H%M", time.localtime(time.time() + days * 86400))
    keys = retry_hints.parse(node.retry_hints())
    # The fifth field of a record (exim specification, 54.11).
    asked = "".join(f"{key}\n4 {at}\n" for key in keys)
    subprocess.run(
        ["exim_fixdb", relay_.SPOOL, "retry"], input=asked, text=True, check=True, timeout=60
    )
    assert {at - time.time() > (days - 1) * 86400 for at in _times(node)} == {True}


def _times(node: machine.Machine) -> list[int]:
    return list(retry_hints.parse(node.retry_hints()).values())


def test_mail_does_not_wait_for_a_clock_that_was_set_back(
    relay: relay_.Relay, queue: Queue, keeper: keeper_.Keeper
) -> None:
    name = submit(relay, LATER)
    queue.wait_for(lambda items: bool(items[name].attempts))
    relay.wait_until_idle()
    put_off(queue.node, days=2)
    subprocess.run(["exim4", "-q"], check=True)
    assert len(relay.log_lines(f"{name} == .*: 451 4.2.0 Try again later")) == 1

    keep(keeper, queue, 13)

    assert len(relay.log_lines(f"{name} == .*: 451 4.2.0 Try again later")) == 2
    assert max(_times(queue.node)) < time.time() + keeper_.RETRY_MAX


def test_of_the_mail_of_a_server_that_is_away_a_few_messages_are_begun(
    relay: relay_.Relay, queue: Queue, keeper: keeper_.Keeper
) -> None:
    recipient = "someone@gone.example"
    first = submit(relay, recipient)
    relay.wait_for_log(f"{first} == .* No route to host")
    others = [submit(relay, recipient) for _ in range(11)]
    relay.wait_for_log(f"{others[-1]} == .* retry time not reached for any host")
    relay.wait_until_idle()
    keep(keeper, queue, 13)
    assert len(relay.log_lines(" == ")) == 12

    relay.forget_counts()
    keeper._next_hints = 0.0
    keep(keeper, queue, 20)
    tried = relay.log_lines(" == ")[12:]
    assert 0 < len(tried) <= scheduler_.SCOUTS, tried
    # Who was put off untried waits for the same.
    shard = queue_reports.shard_of(others[-1])
    told = queue_reports.parse_items(keeper._contents[shard], shard)
    (item,) = [one for one in told if one.queue_id == others[-1]]
    assert item.attempts == 0
    assert item.retry_at > time.time() * 1000


@pytest.fixture
def published(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Give the folder that exim and who sees to the queue read what domains publish in."""
    folder = pathlib.Path(constants.STS_DIR)
    (tmp_path / "sts").symlink_to(folder)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_mail_that_could_go_to_no_server_is_tried_at_once_where_that_is_another(
    relay: relay_.Relay,
    internet: internet_.Internet,
    queue: Queue,
    keeper: keeper_.Keeper,
    published: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(spool_, "YOUNG", 0)
    domains = ("tls.example", "valid.example", "elsewhere.example")
    relay.set_tls_policies({"*": "mta_sts"})
    names = {domain: submit(relay, f"a@{domain}") for domain in domains}
    for domain in domains:
        relay.wait_for_log(f"== a@{domain} .* defer .*MTA-STS: ")
    # exim writes its times at the end of a delivery.
    relay.wait_until_idle()
    before = retry_hints.parse(queue.node.retry_hints())
    assert before.keys() == {f"R:a@{domain}" for domain in domains}

    def look() -> None:
        keeper._next_look = keeper._next_hints = 0.0
        see_to(keeper, queue)
        # Until what was begun has ended.
        keep(keeper, queue, 0)
        relay.wait_until_idle()

    def tried(domain: str) -> int:
        return len(relay.log_lines(f"{names[domain]} == "))

    look()
    assert [tried(domain) for domain in domains] == [1, 1, 1]
    relay.set_tls_policies({"*": "mta_sts", "tls.example": "encrypt"})
    look()
    (got,) = internet.wait_for(1)
    assert (got.recipients, got.tls) == (["a@tls.example"], True)

    said = mta_sts.words(mta_sts.Mode.ENFORCE, until=2**32, ask=2**32, mx=["mx.valid.example"])
    folder = published
    folder.mkdir(parents=True)
    shard = folder / mta_sts.shard_of("valid.example")
    relay_.install(shard, mta_sts.line("valid.example", said))
    look()
    # Nobody trusts who has issued its certificate.
    relay.wait_for_log(f"{names['valid.example']} == .* T=remote_smtp_mta_sts ")
    look()
    assert [tried(domain) for domain in domains] == [1, 2, 1]


def test_mail_for_a_suspended_domain_waits_untried_and_leaves_when_it_is_resumed(
    relay: relay_.Relay, internet: internet_.Internet, queue: Queue
) -> None:
    until = int(time.time()) + 3600
    suspend = {"domain": "elsewhere.example", "until": until * 1000, "reason": "Asked to: wait"}
    assert outcome(queue.do(Action.SUSPEND, **suspend)) == ((), {}, "")
    name = submit(relay, "someone@Elsewhere.example")
    relay.wait_for_log(f"{name} == .* defer \\(-23\\).*: domain is held")
    relay.wait_until_idle()
    # As every minute, and after more than the time that mail is tried for.
    subprocess.run(["exim4", "-q"], check=True)
    relay.age(name, hours=100)
    subprocess.run(["exim4", "-q"], check=True)
    item = queue.look()[name]
    assert (item.attempts, item.last_attempt_at, item.retry_at) == (0, 0, until * 1000)
    assert item.last_error == "Delivery to the domain is suspended"
    assert relay.log_lines(r"retry timeout|\*\* ") == []
    assert not (relay_.SPOOL / "db" / "retry").exists()
    failed = {name: "delivery to elsewhere.example is suspended"}
    assert outcome(queue.do(Action.RETRY, queue_ids=(name,))) == ((), failed, "")
    # Its sender is told of a delay, as of any other.
    assert [one.recipients for one in internet.wait_for(1)] == [[relay_.ALICE]]

    result = queue.do(Action.RESUME, domain="elsewhere.example")
    assert outcome(result) == ((name,), {}, "")
    received = internet.wait_for(2)
    assert [one.recipients for one in received[1:]] == [["someone@Elsewhere.example"]]


def test_a_suspension_that_is_over_is_none(
    relay: relay_.Relay, internet: internet_.Internet, queue: Queue
) -> None:
    suspend = {"domain": "elsewhere.example", "until": int(time.time() * 1000) - 1000}
    queue.do(Action.SUSPEND, **suspend)
    relay_.install(SUSPENSIONS, f"elsewhere.example: {int(time.time()) - 1} x\n", 0o644)
    submit(relay, "someone@elsewhere.example")
    internet.wait_for(1)


def test_other_domains_are_not_suspended(
    relay: relay_.Relay, internet: internet_.Internet, queue: Queue
) -> None:
    until = int(time.time() * 1000) + 3_600_000
    queue.do(Action.SUSPEND, domain="where.example", until=until)
    queue.do(Action.SUSPEND, domain="sub.elsewhere.example", until=until)
    queue.do(Action.SUSPEND, domain="xn--mller-kva.example", until=until)
    submit(relay, "someone@elsewhere.example")
    internet.wait_for(1)
    with relay.login() as client:
        client.mail(relay_.ALICE, ["SMTPUTF8"])
        client.docmd("RCPT TO:<someone@m\N{LATIN SMALL LETTER U WITH DIAERESIS}ller.example>")
        code, text = client.data(relay_.message(From=relay_.ALICE))
    assert code == 250
    name = text.decode().removeprefix("OK id=")
    relay.wait_for_log(f"{name} == .* defer \\(-23\\)")
    relay.wait_until_idle()
    queue.look()
    assert queue.listing.waiting_for("xn--mller-kva.example") == ([name], [])
