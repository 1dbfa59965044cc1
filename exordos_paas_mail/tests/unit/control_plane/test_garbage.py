# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""control_plane.runtime.garbage: the collector rests while a long page is made, and no longer."""

from __future__ import annotations

import gc
import threading
import typing as tp

import pytest

from exordos_paas_mail.control_plane.api import packers, queries
from exordos_paas_mail.control_plane.runtime import garbage

if tp.TYPE_CHECKING:
    from exordos_paas_mail.tests.unit.control_plane import api_client


def test_it_rests_until_the_last_of_all_is_over() -> None:
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with garbage.uncollected():
            entered.set()
            leave.wait()

    thread = threading.Thread(target=other)
    with garbage.uncollected():
        assert not gc.isenabled()
        thread.start()
        entered.wait()
    assert not gc.isenabled()
    leave.set()
    thread.join()
    assert gc.isenabled()


def test_it_goes_on_after_an_error() -> None:
    with pytest.raises(KeyError), garbage.uncollected():
        raise KeyError
    assert gc.isenabled()


def test_who_has_turned_it_off_has_it_off() -> None:
    gc.disable()
    try:
        with garbage.uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (0, True),
        (queries.PAGE_LIMIT_DEFAULT, True),
        (queries.PAGE_LIMIT_DEFAULT + 1, False),
        (queries.PAGE_LIMIT_MAX, False),
    ],
)
def test_it_rests_for_pages_above_the_default(
    api: api_client.Client, monkeypatch: pytest.MonkeyPatch, limit: int, *, expected: bool
) -> None:
    api.instance()
    pack, seen = packers.JSONPacker.pack_resource, []

    def packed(self: packers.JSONPacker, obj: tp.Any) -> tp.Any:
        seen.append(gc.isenabled())
        return pack(self, obj)

    monkeypatch.setattr(packers.JSONPacker, "pack_resource", packed)
    api.get(f"/v1/types/mail/instances/?page_limit={limit}")
    assert (seen, gc.isenabled()) == ([expected], True)
