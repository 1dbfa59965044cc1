# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import base64
import typing as tp

import pytest

from exordos_paas_mail.node.commands import repair
from exordos_paas_mail.node.machine import spool

if tp.TYPE_CHECKING:
    import pathlib

NAME = "1xWNcv-00000a-1c"
ACCOUNT = "alice@tenant.example"
LONG = b"word " * 300


@pytest.fixture
def data(tmp_path: pathlib.Path) -> pathlib.Path:
    """Give the data file of a message in a spool."""
    folder = tmp_path / "var/spool/exim4/input/v"
    folder.mkdir(parents=True)
    return folder / f"{NAME}-D"


def run(
    root: pathlib.Path, header: bytes, *, longest: int = 80, account: str = ACCOUNT
) -> tuple[int, pathlib.Path]:
    encoded = [base64.b64encode(one).decode() for one in (header, b"Root@Tenant.example, x@y.z")]
    return repair.main([NAME, "tenant.example", account, str(longest), *encoded], str(root)), root


def test_a_machines_user_gets_two_repairs(
    tmp_path: pathlib.Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert run(tmp_path, b"From: root\nTo: root, A <a@b.example>\n")[0] == 0
    assert capfdbinary.readouterr().out == (
        b'written_removed="from:to" written_resent="" written_from=" root@tenant.example" '
        b'written_sender="" written_others="To: root@tenant.example,\\n A <a@b.example>\\n" '
        b'account_removed="from:to" account_resent="" '
        b'account_from=" root <alice@tenant.example>" account_sender="" '
        b'account_others="To: root@tenant.example,\\n A <a@b.example>\\n"'
    )


def test_a_null_sender_takes_nobodys_place(
    tmp_path: pathlib.Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert run(tmp_path, b"From: root\n", account="")[0] == 0
    assert b"account" not in capfdbinary.readouterr().out


def test_the_body_is_written_in_place(
    tmp_path: pathlib.Path, data: pathlib.Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    data.write_bytes(f"{NAME}-D\n".encode() + LONG + b"\n")
    inode = data.stat().st_ino
    assert run(tmp_path, b"From: a@b.example\n", longest=1500)[0] == 0
    assert b"Content-Transfer-Encoding: quoted-printable" in capfdbinary.readouterr().out
    written = data.read_bytes()
    assert written.startswith(f"{NAME}-D\nword word ".encode())
    assert (
        written.replace(b"=\n", b"").replace(b"=20", b" ") == f"{NAME}-D\n".encode() + LONG + b"\n"
    )
    assert data.stat().st_ino == inode
    assert [*data.parent.iterdir()] == [data]


def test_a_body_that_becomes_shorter_has_nothing_of_the_old_one(
    tmp_path: pathlib.Path, data: pathlib.Path
) -> None:
    data.write_bytes(f"{NAME}-D\nlong old body\n".encode())
    with spool.body(NAME, str(tmp_path)) as body:
        body.replace([b"new\n"])
    assert data.read_bytes() == f"{NAME}-D\nnew\n".encode()


def test_a_refusal_is_an_answer_and_changes_nothing(
    tmp_path: pathlib.Path, data: pathlib.Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    content = f"{NAME}-D\n-----BEGIN PGP SIGNED MESSAGE-----\n".encode() + LONG + b"\n"
    data.write_bytes(content)
    assert run(tmp_path, b"From: a@b.example\n", longest=1500)[0] == 0
    assert capfdbinary.readouterr().out == (
        b'refused="554 5.6.0 Line longer than 998 octets (RFC 5322 2.1.1): line 2 of the body, '
        b'in what is signed or encrypted: sign shorter lines"'
    )
    assert data.read_bytes() == content
    assert run(tmp_path, b"To: a b\n")[0] == 0
    assert capfdbinary.readouterr().out == (
        b'refused="554 5.6.0 To: a b is not an address: write Name <user@domain>"'
    )


def test_a_message_that_is_not_there_is_a_failure(
    tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, b"From: a@b.example\n", longest=1500)[0] == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("exordos-mail-repair: [Errno 2] No such file or directory")
