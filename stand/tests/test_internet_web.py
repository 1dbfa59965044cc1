# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Sites of the stand's internet, their certificates, and clients that its exchanger drops."""

from __future__ import annotations

import http.client
import socket
import ssl
import subprocess
import typing as tp

import pytest
import requests

from stand.internet import authority
from stand.tests import internet_process

if tp.TYPE_CHECKING:
    import pathlib

NAME: tp.Final = "hooks.example.net"


def ask(
    internet: internet_process.Internet, name: str, body: str = "", host: str | None = None
) -> tuple[int, str]:
    """Return what the site *name* answers who trusts the internet's authority, and nobody else."""
    root = authority.ensure(internet.state).root
    trusted = ssl.create_default_context(cadata=root)
    address = internet_process.neighbour(internet.address, internet_process.WEB)
    with (
        socket.create_connection((address, internet.web_port), timeout=60) as raw,
        trusted.wrap_socket(raw, server_hostname=name) as secured,
    ):
        connection = http.client.HTTPConnection(name)
        connection.sock = secured
        connection.request("POST", "/mail?a=b", body, {"Host": host or name, "X-Its-Own": "1"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def test_a_site_answers_as_it_was_told_and_keeps_what_it_was_asked(
    internet: internet_process.Internet,
) -> None:
    internet.client.serve(NAME, 500, 204, 200, body="thanks")
    answers = [ask(internet, name, "{}") for name in (NAME, NAME.upper(), NAME, NAME)]
    assert answers == [(500, "thanks"), (204, ""), (200, "thanks"), (200, "thanks")]
    asked = internet.client.asked(NAME)
    assert [each["code"] for each in asked] == [500, 204, 200, 200]
    assert asked[0]["headers"].pop("x-its-own") == "1"
    assert (asked[0]["method"], asked[0]["path"], asked[0]["body"]) == ("POST", "/mail?a=b", "{}")
    address = internet_process.neighbour(internet.address, internet_process.WEB)
    assert internet.client.records()[NAME] == {"A": [address]}
    internet.client.serve(NAME)
    assert internet.client.asked(NAME) == []
    internet.client.shut(NAME)
    assert NAME not in internet.client.records()


def test_a_name_without_a_site_has_a_certificate_and_no_answer(
    internet: internet_process.Internet,
) -> None:
    assert ask(internet, "nobody.example.net") == (404, "")
    internet.client.serve(NAME)
    assert ask(internet, "nobody.example.net", host=f"{NAME}:443") == (200, "")
    internet.client.shut(NAME)
    for refused in (lambda: internet.client.asked(NAME), lambda: internet.client.shut(NAME)):
        with pytest.raises(requests.HTTPError, match="404"):
            refused()


@pytest.mark.parametrize("codes", [[100], ["200"], [600]])
def test_what_no_site_can_answer_is_refused(
    internet: internet_process.Internet, codes: list[int]
) -> None:
    with pytest.raises(requests.HTTPError, match="400"):
        internet.client.serve(NAME, *codes)
    assert NAME not in internet.client.records()


def test_certificates_are_issued_by_the_authority_that_is_made_once(
    internet: internet_process.Internet, tmp_path: pathlib.Path
) -> None:
    issued = internet.client.issue("smtp.example.net", "mail.example.net")
    root = tmp_path / f"{authority.ROOT_HASH}.0"
    root.write_text(authority.ensure(internet.state).root)
    chain = tmp_path / "chain.pem"
    chain.write_text(issued["chain"])
    # Found by its name in a directory, as a node finds it.
    done = subprocess.run(
        [
            *("openssl", "verify", "-no-CAfile", "-no-CAstore", "-CApath", str(tmp_path)),
            *("-verify_hostname", "mail.example.net", "-untrusted", str(chain), str(chain)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, f"{chain}: OK\n"), done.stderr


def greeting(internet: internet_process.Internet, client: str, seconds: float) -> bytes:
    """Return what the exchanger greets a client of that address with."""
    with socket.create_connection(
        (internet.address, internet.smtp_port), seconds, source_address=(client, 0)
    ) as connection:
        return connection.recv(3)


def test_the_exchanger_drops_what_a_client_begins_and_takes_all_others(
    internet: internet_process.Internet,
) -> None:
    dropped = [internet_process.neighbour(internet.address, number) for number in (3, 4)]
    internet.client.drop(*dropped)
    for client in dropped:
        with pytest.raises(TimeoutError):
            greeting(internet, client, 0.5)
    assert greeting(internet, internet.address, 60) == b"220"
    internet.client.drop()
    assert greeting(internet, dropped[0], 60) == b"220"
    for refused in (["example.net"], ["192.0.2.1"] * 256):
        with pytest.raises(requests.HTTPError, match="400"):
            internet.client.drop(*refused)
