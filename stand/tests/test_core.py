# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What the stand does to Core once it answers."""

from __future__ import annotations

import typing as tp

import pytest

from clients import iam
from clients.tests import fake_core
from stand import core as stand_core

PATH: tp.Final = "/v1/secret/passwords/00000000-0000-0000-0000-000000000001"


@pytest.fixture
def core() -> tp.Iterator[fake_core.Core]:
    """Return a Core that refuses every token of a key it no longer has."""
    with fake_core.running() as found:
        found.put(PATH, value="secret")
        found.on_write = lambda _path, _body: found.tokens.clear()
        yield found


def test_the_published_key_is_replaced_once_and_the_session_goes_on(core: fake_core.Core) -> None:
    admin = iam.Session(core.url, "admin", fake_core.PASSWORDS["admin"])
    stand_core.replace_signing_key(admin)
    replaced = core.resources[PATH]["value"]
    assert len(bytes.fromhex(replaced)) == 32
    assert admin.api().read(PATH)["value"] == replaced
    assert len(core.logins) == 2
    stand_core.replace_signing_key(admin)
    assert core.resources[PATH]["value"] == replaced
    assert len(core.logins) == 2
