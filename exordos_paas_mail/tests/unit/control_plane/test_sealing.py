# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
import os
import pathlib
import pwd
import re
import resource
import stat
import subprocess
import sys
import tempfile
import threading
from typing import TYPE_CHECKING

import hypothesis
import pytest
from hypothesis import strategies

from exordos_paas_mail.control_plane.runtime import sealing

if TYPE_CHECKING:
    from collections.abc import Callable


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


DAMAGED = [
    pytest.param(b"", id="empty"),
    pytest.param(b"not base64", id="not base64"),
    pytest.param(base64.b64encode(bytes(31)), id="short"),
    pytest.param(base64.b64encode(bytes(33)), id="long"),
    pytest.param(b"\0" * 44, id="overwritten"),
]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_key_opens_nothing_and_is_made_anew(
    key_file: pathlib.Path, content: bytes
) -> None:
    envelope = sealing.seal("secret", "a")
    key_file.write_bytes(content)
    key_file.chmod(0o644)
    assert sealing.unseal(envelope, "a") is None
    assert key_file.read_bytes() == content
    again = sealing.seal("secret", "a")
    assert [sealing.unseal(each, "a") for each in (envelope, again)] == [None, "secret"]
    assert [path.name for path in key_file.parent.iterdir()] == [key_file.name]
    assert key_file.stat().st_mode & 0o777 == 0o600
    made = key_file.read_bytes()
    sealing.seal("another", "a")
    assert key_file.read_bytes() == made


def test_a_key_that_an_editor_ended_with_a_line_break_is_whole(key_file: pathlib.Path) -> None:
    envelope = sealing.seal("secret", "a")
    key_file.write_bytes(key_file.read_bytes() + b"\n")
    assert sealing.unseal(envelope, "a") == "secret"


@pytest.mark.parametrize("content", [pytest.param(None, id="missing"), *DAMAGED])
def test_the_key_is_made_once_however_many_ask(
    key_file: pathlib.Path, content: bytes | None
) -> None:
    if content is not None:
        key_file.parent.mkdir()
        key_file.write_bytes(content)
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


def test_processes_that_find_a_damaged_key_together_make_one(key_file: pathlib.Path) -> None:
    key_file.parent.mkdir()
    key_file.write_bytes(b"not base64")
    program = (
        "from exordos_paas_mail.control_plane.runtime import sealing; "
        "print('ready', flush=True); input();"
        "print(sealing.seal('secret', 'a'))"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    envelopes = [process.communicate()[0].strip() for process in processes]
    assert [sealing.unseal(envelope, "a") for envelope in envelopes] == ["secret"] * 4


def test_a_disk_that_is_full_seals_nothing_and_is_named(key_file: pathlib.Path) -> None:
    key_file.parent.mkdir()
    key_file.write_bytes(b"half a")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(OSError, match=re.escape(str(key_file))):
            sealing.seal("secret", "a")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in key_file.parent.iterdir()] == [key_file.name]
    assert key_file.read_bytes() == b"half a"


def test_a_key_that_cannot_be_kept_seals_nothing(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(sealing.KEY_FILE_VARIABLE, str(tmp_path / "file" / "declared.key"))
    with pytest.raises(OSError, match="file"):
        sealing.seal("secret", "a")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_user_api_seals_with_a_key_that_root_has_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        directory.chmod(0o755)
        file = directory / "user_api.key"
        monkeypatch.setenv(sealing.USER_API.variable, str(file))
        envelope = directory / "envelope"
        envelope.touch(0o666)
        envelope.chmod(0o666)

        def seal() -> None:
            envelope.write_text(sealing.seal("secret", "a", sealing.USER_API))

        # It does not make one that gservice could not tell from a stranger's.
        assert as_user_api(seal) == "PermissionError"
        sealing.share()
        assert as_user_api(seal) == ""
        assert sealing.unseal(envelope.read_text(), "a", sealing.USER_API) == "secret"
        assert sealing.unseal(envelope.read_text(), "a") is None
        # What an operator put back, as root makes files.
        file.chmod(0o600)
        os.chown(file, 0, 0)
        assert as_user_api(seal) == "PermissionError"
        sealing.share()
        assert as_user_api(seal) == ""
        assert stat.S_IMODE(file.stat().st_mode) == 0o640


def as_user_api(act: Callable[[], None]) -> str:
    """Return the name of the error of *act*, done in a process of the user API's rights."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        user = pwd.getpwnam("nobody")
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
        error = b""
        try:
            act()
        except OSError as raised:
            error = type(raised).__name__.encode()
        os.write(writer, error)
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader, "rb") as told:
        return told.read().decode()
