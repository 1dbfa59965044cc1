# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import io
import re
import shlex

import pytest
from rich import console

from clients import owners
from stand import demo, steps

VALUES = {
    "seconds": 61.23,
    "host": "10.77.0.20",
    "url": "http://10.77.0.9:8080/v1/types/mail",
    "outside": "http://10.77.0.1:8053",
    "token": "TOKEN",
    "instance": {"uuid": "UUID"},
    "records": [
        {"name": "demo.example", "type": "A", "value": "10.77.0.20"},
        {"name": "demo.example", "type": "TXT", "value": "v=spf1 -all"},
    ],
    "person": demo.Person(owners.Owner("demo-1", "secret", "PROJECT"), "account-secret"),
    "facts": {
        "mail_from": "alice@demo.example",
        "client": "10.77.0.20",
        "helo": "demo.example",
        "tls": "TLSv1.3",
        "verdict": {
            "spf": "pass",
            "dmarc": "pass",
            "signatures": [{"result": "pass", "domain": "demo.example", "selector": "platform"}],
        },
    },
}


def lines(first_word: str) -> list[list[str]]:
    report = demo._report(VALUES).replace("\\\n", " ")
    found = [line for line in report.splitlines() if line.strip().startswith(f"{first_word} ")]
    return [shlex.split(line) for line in found]


def test_the_commands_shown_can_be_pasted_as_they_are() -> None:
    account = [
        *("--auth", "PLAIN", "--auth-user", "alice@demo.example"),
        *("--auth-password", "account-secret"),
        *("--from", "alice@demo.example", "--to", "bob@example.net"),
    ]
    server = ["swaks", "--server", "10.77.0.20", "--port"]
    assert lines("swaks") == [
        [*server, "587", "--tls", *account],
        [*server, "465", "--tls-on-connect", *account],
    ]
    assert lines("export") == [
        ["export", "TOKEN=TOKEN"],
        ["export", "INSTANCE=http://10.77.0.9:8080/v1/types/mail/instances/UUID"],
    ]
    assert [command[-1] for command in lines("curl")] == [
        "$INSTANCE",
        "$INSTANCE/accounts/",
        '{"username": "carol", "password": "carol-account-secret"}',
        "http://10.77.0.1:8053/messages?recipient=bob@example.net",
    ]


def test_the_records_shown_are_those_of_the_api() -> None:
    shown = [line.strip() for line in demo._report(VALUES).splitlines()]
    assert {"demo.example. A 10.77.0.20", "demo.example. TXT v=spf1 -all"} <= set(shown)


def test_a_step_is_shown_with_its_note_and_a_failed_one_ends_the_run() -> None:
    shown = steps.Steps(count=2)
    shown.console = console.Console(file=io.StringIO(), width=100, highlight=False)
    with shown.step("first [thing]") as step:
        step.note = "[10.77.0.20]"
    with pytest.raises(RuntimeError, match="broken"), shown.step("second"):
        raise RuntimeError("broken")
    assert isinstance(shown.console.file, io.StringIO)
    printed = shown.console.file.getvalue().splitlines()
    assert [re.sub(r" +[0-9]+\.[0-9] s +", " N s ", line) for line in printed] == [
        "✓ 1/2  first [thing] N s [10.77.0.20]",
        "✗ 2/2  second N s failed",
    ]
