# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Writes of accounts that are answered are done, once, whoever is killed on their way.

The short form of the survival run of accounts (docs/functional-tests.md).
"""

from __future__ import annotations

import typing as tp

import pytest

from clients import mail
from exordos_paas_mail.tests.functional import account_writing, kills, pages, suffering

if tp.TYPE_CHECKING:
    from clients import iam, rest, waiting
    from exordos_paas_mail.tests.functional import stand_control

WRITES: tp.Final = 40
SEED: tp.Final = 13
# The user API last: made anew, it has no connection to the database that was killed, and
# answers who comes after this test.
FAULTS: tp.Final = (
    "PostgreSQL killed",
    "exordos-metapaas-mail-agent killed",
    "exordos-metapaas-gservice killed",
    "exordos-metapaas-user-api killed",
)


@pytest.fixture
def writers(
    owner_session: iam.Session, url: str, instance: rest.Json
) -> tp.Iterator[account_writing.Writers]:
    """Return who writes; what they have made goes."""
    made = account_writing.Writers(
        lambda: owner_session.api(url),
        mail.accounts_path(instance),
        instance["domain"],
        "written",
        WRITES,
        SEED,
    )
    yield made
    made.remove_all()


def test_writes_through_kills_are_in_the_api_and_on_the_node_and_nothing_else_is(
    owner: rest.Api,
    writers: account_writing.Writers,
    instance: rest.Json,
    stand: stand_control.Stand,
    poll: waiting.Poll,
) -> None:
    path, address = mail.accounts_path(instance), instance["ipsv4"][0]
    node = account_writing.Node(stand, address, instance["domain"])
    before = {each["username"] for each in pages.everything(owner, path, poll)}
    # What the tests before have written may be on its way.
    others = _active(stand, instance)
    poll.until("the node has what it should", node.accounts, lambda found: found == others)
    with writers.running():
        suffering.suffer(kills.of_accounts(), FAULTS, stand, address, poll, [writers])
    listed = pages.everything(owner, path, poll)
    assert account_writing.listed_otherwise(listed, writers.written, before) == []
    poll.until(
        "the node has what was written, and nothing else",
        lambda: node.differences(writers.written, others),
        lambda found: found == [],
    )


def _active(stand: stand_control.Stand, instance: rest.Json) -> dict[str, str]:
    """Return the hashes that the control plane has of accounts that may log in, by user name."""
    rows = stand.query(
        "metapaas-cp",
        "metapaas",
        "SELECT username, password_hash FROM mail_accounts"  # noqa: S608 - what a test says
        f" WHERE instance = '{instance['uuid']}' AND active",
    )
    return dict(row.split("|") for row in rows)
