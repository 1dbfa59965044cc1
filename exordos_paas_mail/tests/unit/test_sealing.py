# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
import threading
from typing import TYPE_CHECKING

import hypothesis
import pytest
from hypothesis import strategies

from exordos_paas_mail import sealing

if TYPE_CHECKING:
    import pathlib


@pytest.fixture(autouse=True)
def key_file(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    path = tmp_path / "deep" / "declared.key"
    monkeypatch.setenv(sealing.KEY_FILE_VARIABLE, str(path))
    return path


@hypothesis.given(strategies.text(), strategies.text())
@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_an_envelope_opens_with_what_it_is_bound_to(plaintext: str, bound_to: str) -> None:
    try:
        plaintext.encode(), bound_to.encode()
    except UnicodeEncodeError:
        return
    envelope = sealing.seal(plaintext, bound_to)
    assert sealing.unseal(envelope, bound_to) == plaintext
    assert sealing.unseal(envelope, bound_to + "x") is None


def test_equal_passwords_have_envelopes_of_their_own() -> None:
    assert sealing.seal("same", "a") != sealing.seal("same", "a")


def test_an_envelope_tells_nothing() -> None:
    _, _, body = sealing.seal("Tr0ub4dor&3", "a").partition(":")
    assert b"Tr0ub4dor" not in base64.b64decode(body)


@pytest.mark.parametrize("envelope", ["", "v1:", "v1:AAAA", "v1:???", "v2:AAAA", "plaintext"])
def test_what_is_no_envelope_opens_to_nothing(envelope: str) -> None:
    sealing.seal("makes the key", "a")
    assert sealing.unseal(envelope, "a") is None


def test_another_key_opens_nothing(key_file: pathlib.Path) -> None:
    envelope = sealing.seal("secret", "a")
    key_file.unlink()
    assert sealing.unseal(envelope, "a") is None
    sealing.seal("makes another key", "a")
    assert sealing.unseal(envelope, "a") is None


def test_the_key_is_made_once_however_many_ask(key_file: pathlib.Path) -> None:
    start = threading.Barrier(8)
    envelopes: list[str] = []

    def seal() -> None:
        start.wait()
        envelopes.append(sealing.seal("secret", "a"))

    threads = [threading.Thread(target=seal) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [sealing.unseal(envelope, "a") for envelope in envelopes] == ["secret"] * 8
    assert [path.name for path in key_file.parent.iterdir()] == [key_file.name]
    assert key_file.stat().st_mode & 0o777 == 0o600


def test_a_key_that_cannot_be_kept_seals_nothing(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(sealing.KEY_FILE_VARIABLE, str(tmp_path / "file" / "declared.key"))
    with pytest.raises(OSError, match="file"):
        sealing.seal("secret", "a")
