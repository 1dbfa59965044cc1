# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What is told of messages that wait, and of their domains."""

from __future__ import annotations

import os

from exordos_paas_mail.codecs import queue_reports, smarthosts, tls_policies
from exordos_paas_mail.codecs.queue_reports import Domain, Item
from exordos_paas_mail.codecs.suspensions import Suspension
from exordos_paas_mail.codecs.tls_policies import Mode
from exordos_paas_mail.node.events import deferrals
from exordos_paas_mail.node.queue import listing as listing_
from exordos_paas_mail.node.queue import spool
from exordos_paas_mail.node.queue.ways import Ways
from exordos_paas_mail.tests.unit.node import queue_stage

NAME, OTHER, _ = queue_stage.NAMES
ALICE, ARRIVED = queue_stage.ALICE, queue_stage.ARRIVED
BOB, EVE = "Bob@One.example", "eve@two.example"


def message(*recipients: str, name: str = NAME, arrived_at: int = ARRIVED) -> spool.Message:
    return spool.Message(
        name, ALICE, ALICE, arrived_at, frozen=False, recipients=recipients, size=9
    )


def deferral(recipient: str, attempts: int, at: int, text: str) -> deferrals.Deferral:
    key = recipient.replace("One", "one")
    return deferrals.Deferral(NAME, key, attempts, at, text, "rate", "mx.example", "192.0.2.1")


def listed(
    *waits: tuple[spool.Message, listing_.Waits], suspended: dict[str, Suspension] | None = None
) -> queue_reports.State:
    listing = listing_.Listing()
    for one, told in waits:
        listing.put(one, told)
    return listing.state([], suspended or {})


def test_the_last_delay_says_why_and_the_first_time_when() -> None:
    known = [deferral(BOB, 2, 5000, "busy"), deferral(EVE, 7, 4000, "full")]
    attempts = {one.recipient: one for one in known}
    hints = {"T:mx.example:192.0.2.1": 30, "R:two.example": 40}
    item, domains, *_ = listing_.waits(message(BOB, EVE), attempts, hints, {})
    arrived = ARRIVED * 1000
    assert item == Item(
        *(NAME, ALICE, ALICE, (BOB, EVE), 2, 9, arrived),
        frozen=False,
        attempts=7,
        last_error="busy",
        reason="rate",
        last_attempt_at=5000,
        retry_at=30_000,
    )
    assert [one.told for one in domains] == [
        Domain("one.example", 1, arrived, "busy", "rate", 30_000),
        Domain("two.example", 1, arrived, "full", "rate", 40_000),
    ]


def test_a_time_of_a_server_is_of_mail_that_leaves_by_the_same_policy() -> None:
    known = {"Bob@one.example": deferral(BOB, 2, 5000, "no TLS")}
    hints = {"T:mx.example/0.0.0.0": 30}
    file = tls_policies.File({"*.example": Mode.DANE, "one.example": Mode.VERIFY}, frozenset())
    for policies, at in ((file, 30), (tls_policies.NOTHING, 0)):
        assert listing_.waits(message(BOB), known, hints, {}, ways=Ways(policies)).due_at == at
    requiring = tls_policies.File({}, frozenset({ALICE}))
    hints = {"T:mx.example:192.0.2.1/0.0.0.0": 40, "T:mx.example": 50}
    optional = message(BOB)._replace(tls_optional=True)
    for one, policies, at in (
        (message(BOB), requiring, 40),
        (optional, requiring, 40),
        (optional, tls_policies.NOTHING, 50),
    ):
        assert listing_.waits(one, known, hints, {}, ways=Ways(policies)).due_at == at


def test_a_time_of_what_a_domain_enforces_is_of_mail_that_keeps_to_it() -> None:
    known = {"Bob@one.example": deferral(BOB, 2, 5000, "no TLS")}
    key = "T:mx.example:192.0.2.1/0.0.0.0"
    hints = {key: 30, "T:mx.example:192.0.2.1": 40, "T:mx.example": 50}
    of_mode = {
        mode: Ways(tls_policies.File({"*": mode}, frozenset()), {"one.example": "^(?i:mx)$"})
        for mode in (Mode.AUTO, Mode.ENCRYPT, Mode.MTA_STS, Mode.OPPORTUNISTIC)
    }
    expected = {Mode.AUTO: 30, Mode.ENCRYPT: 30, Mode.MTA_STS: 30, Mode.OPPORTUNISTIC: 50}
    # Its own message, and one that is put off because the server has just failed.
    for attempts, servers in (
        (known, {}),
        ({}, {"one.example": ("mx.example", "192.0.2.1")}),
    ):
        assert {
            mode: listing_.waits(message(BOB), attempts, hints, {}, servers, ways).due_at
            for mode, ways in of_mode.items()
        } == expected
    # It does not any more, and what could not leave so is tried as by the mode.
    assert listing_.waits(message(BOB), known, hints, {}).due_at == 40


def test_a_time_of_a_smarthost_is_of_the_mail_that_goes_by_it() -> None:
    known = {"Bob@one.example": deferral(BOB, 2, 5000, "the login is refused")}
    hints = {"T:mx.example:192.0.2.1:587/0.0.0.0": 30, "T:mx.example/0.0.0.0": 40}
    policies = tls_policies.File({"one.example": Mode.VERIFY}, frozenset())
    for names, at in ((frozenset(), 30), (frozenset({"one.example"}), 30), ({"two.example"}, 40)):
        route = smarthosts.Route("smart.example", 587, frozenset(names))
        waits = listing_.waits(message(BOB), known, hints, {}, ways=Ways(policies), smarthost=route)
        assert waits.due_at == at
        put_off = [
            listing_.is_put_off_by({key}, message(BOB), known, {}, Ways(policies), route)
            for key in hints
        ]
        assert put_off == [at == 30, at == 40]


def test_of_what_nothing_is_known_nothing_is_told() -> None:
    item, *_ = listing_.waits(message(BOB), {}, {}, {})
    told = (item.attempts, item.last_error, item.reason, item.last_attempt_at, item.retry_at)
    assert told == (0, "", "", 0, 0)


def test_a_suspended_domain_waits_for_its_end() -> None:
    suspended = {
        "one.example": Suspension("one.example", 99, "why"),
        "none.example": Suspension("none.example", 98),
    }
    known = {EVE: deferral(EVE, 1, 4000, "full")}
    one = message(BOB, EVE)
    waits = listing_.waits(one, known, {"R:one.example": 5, "R:two.example": 100}, suspended)
    assert waits.item.retry_at == 99_000
    assert listed((one, waits), suspended=suspended).domains == (
        Domain(
            *("one.example", 1, ARRIVED * 1000, "Delivery to the domain is suspended", "other"),
            *(99_000, 99_000, "why"),
        ),
        Domain("two.example", 1, ARRIVED * 1000, "full", "rate", 100_000),
        Domain("none.example", suspended_until=98_000),
    )


def test_a_queue_is_summed_up() -> None:
    old = message(BOB, "ann@one.example", EVE)
    young = message(BOB, name=OTHER, arrived_at=ARRIVED + 60)
    known = {"Bob@one.example": deferral(BOB, 1, 9000, "busy")}
    waits = [(old, listing_.waits(old, {}, {}, {})), (young, listing_.waits(young, known, {}, {}))]
    state = listed(*waits)
    assert state == queue_reports.State(
        at=0,
        messages=2,
        oldest_at=ARRIVED * 1000,
        recipients=4,
        domains=(
            Domain("one.example", 2, ARRIVED * 1000, "busy", "rate"),
            Domain("two.example", 1, ARRIVED * 1000),
        ),
    )


def test_young_messages_are_counted() -> None:
    state = listing_.Listing().state({NAME}, {})
    assert (state.messages, state.oldest_at, state.recipients) == (1, ARRIVED * 1000, 0)


def test_the_most_common_domains_are_told_by_name_and_the_rest_as_one() -> None:
    recipients = [f"a@d{number:03}.example" for number in range(150)]
    one = message(*recipients)
    suspended = {f"s{number}.example": Suspension(f"s{number}.example", 9) for number in range(100)}
    state = listed((one, listing_.waits(one, {}, {}, suspended)), suspended=suspended)
    assert len(state.domains) == queue_reports.DOMAINS_MAX
    assert state.others == Domain("", 50, ARRIVED * 1000)
    assert queue_reports.parse_state(queue_reports.render_state(state)) == state


def test_domains_are_told_as_the_api_spells_them() -> None:
    umlaut = "\N{LATIN SMALL LETTER U WITH DIAERESIS}"
    one = message(f"a@M{umlaut}ller.example", "b@xn--mller-kva.EXAMPLE", "c@[192.0.2.1]", "d")
    _, domains, *_ = listing_.waits(one, {}, {}, {})
    assert [each.told.domain for each in domains] == ["xn--mller-kva.example", "[192.0.2.1]", "d"]


def test_a_message_is_found_by_its_domains() -> None:
    listing = listing_.Listing()
    for one in (message(BOB), message(BOB, EVE, name=OTHER)):
        listing.put(one, listing_.waits(one, {}, {}, {}))
    assert listing.waiting_for("one.example") == ([NAME], [OTHER])
    assert listing.waiting_for("two.example") == ([], [OTHER])
    listing.drop(NAME)
    listing.drop(NAME)
    assert (listing.ids(), listing.waiting_for("one.example")) == ([OTHER], ([], [OTHER]))


def test_a_shard_tells_its_messages_and_of_too_many_the_oldest() -> None:
    listing = listing_.Listing()
    shard = queue_reports.shard_of(NAME)
    names = (f"1xWfZB-{number:06}-2E" for number in range(100_000))
    fitting = [name for name in names if queue_reports.shard_of(name) == shard][:60]
    for age, name in enumerate(fitting):
        # Recipients that no packing makes shorter.
        recipients = [f"{os.urandom(150).hex()}@one.example" for _ in range(100)]
        one = message(*recipients, name=name, arrived_at=ARRIVED - age)
        listing.put(one, listing_.waits(one, {}, {}, {}))
    data = listing.content(shard)
    assert len(data) <= queue_reports.RAW_SIZE_MAX
    items = queue_reports.parse_items(data, shard)
    assert [item.queue_id for item in items] == fitting[::-1][: len(items)]
    assert len(items) >= 15
