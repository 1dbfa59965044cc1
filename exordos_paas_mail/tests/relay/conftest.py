# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pathlib
import re
import typing as tp

import pytest

from exordos_paas_mail.codecs import main_log
from exordos_paas_mail.tests.relay import internet as internet_
from exordos_paas_mail.tests.relay import relay as relay_

# What events are made of; whatever a test has exim write there has to be understood.
_EVENT = re.compile(
    r"\[\d+\] (?:\S{16} )?(?:<= |[=-]> |== |\*\* |Completed|accepted |limits account=|moved from "
    r"|H=(?:\(.*\) )?\[[^]]*\]:\d+ .*rejected |\w+ authenticator failed .*: 535 )"
)


@pytest.fixture(scope="session", autouse=True)
def _bench() -> None:
    if not relay_.is_ours():
        pytest.exit("These tests take over a machine: run them by `make test-relay`.", returncode=2)


@pytest.fixture(scope="session")
def internet_session(tmp_path_factory: pytest.TempPathFactory) -> tp.Iterator[internet_.Internet]:
    world = internet_.Internet(tmp_path_factory.mktemp("internet") / "mx")
    yield world
    world.close()


@pytest.fixture(scope="session")
def relay_session(internet_session: internet_.Internet) -> tp.Iterator[relay_.Relay]:
    relay = relay_.Relay()
    relay.units.start()
    yield relay
    relay.units.stop()
    panic = relay_.PANIC_LOG
    assert not panic.exists() or panic.read_text() == ""


@pytest.fixture
def internet(internet_session: internet_.Internet) -> internet_.Internet:
    internet_session.forget()
    return internet_session


@pytest.fixture
def relay(relay_session: relay_.Relay, internet: internet_.Internet) -> tp.Iterator[relay_.Relay]:
    """Give a relay with an empty queue, no rate-limit memory and an empty log."""
    relay_session.forget_queue()
    internet.forget()
    relay_session.forget_counts()
    relay_.LOG.unlink(missing_ok=True)
    yield relay_session
    lines = [line for line in relay_session.log().splitlines() if _EVENT.search(line)]
    unread = [line for line in lines if main_log.parse(line) is None]
    for path in (
        *(relay_.SENDERS, relay_.SENDERS_INDEX),
        *(relay_.CREDENTIALS, relay_.CREDENTIALS_INDEX),
        *(relay_.HOLDS, relay_.HOLDS_INDEX),
        *(relay_.TLS_POLICIES, relay_.TLS_POLICIES_INDEX),
    ):
        path.unlink(missing_ok=True)
    panic = relay_.PANIC_LOG
    said = panic.read_text() if panic.exists() else ""
    panic.unlink(missing_ok=True)
    assert said == ""
    assert unread == []


@pytest.fixture
def project() -> pathlib.Path:
    return pathlib.Path(__file__).parents[3]
