# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Logins whose hash costs more memory than the accepting units may have."""

from __future__ import annotations

import contextlib
import re
import smtplib
import typing as tp

from exordos_paas_mail.tests.image import guests

_SLICE: tp.Final = "system-exim4.slice"
_SHARE: tp.Final = 0.6
_PORTS: tp.Final = (25, 465, 587)
_NAME: tp.Final = "costly"
# yescrypt with N=2^16 and r=32: 256 MB (crypt(5)).
_SETTING: tp.Final = "$y$jDT$0123456789abcdef$"


def end_and_the_relay_goes_on(guest: guests.Guest) -> None:
    """Assert that the kernel ends such a session, and no process of a unit.

    The relay on *guest* is configured and has the account of guests.set_account.
    """
    shown = guest.run("cat", "/proc/meminfo")
    (total,) = (int(size) * 1024 for size in re.findall(r"MemTotal:\s+(\d+) kB", shown))
    assert abs(int(_show(guest, _SLICE, "MemoryMax")) / total - _SHARE) < 0.01
    hashed = guest.run("perl", "-e", f"print crypt('{_NAME}', '{_SETTING}')").strip()
    # By the driver: the keeper would take a line added by hand for damage.
    assert guests.set_account(guest, {_NAME: hashed})["status"] == "ACTIVE"
    assert _log_in(guest) == 235
    units = ("exim4-queue.service", *(f"exim4@{port}.service" for port in _PORTS))
    running = {unit: _show(guest, unit, "MainPID") for unit in units}
    # What a node of 256 MB has.
    guest.run("systemctl", "set-property", "--runtime", _SLICE, "MemoryMax=160M")

    assert _log_in(guest) is None
    assert {guests.log_in(guest, port) for port in _PORTS} == {235}
    assert {unit: _show(guest, unit, "MainPID") for unit in units} == running

    assert guests.set_account(guest)["status"] == "ACTIVE"


def _show(guest: guests.Guest, unit: str, name: str) -> str:
    return guest.run("systemctl", "show", f"--property={name}", "--value", unit).strip()


def _log_in(guest: guests.Guest) -> int | None:
    """Return the code that AUTH ends with, None for a session that is cut."""
    with contextlib.suppress(smtplib.SMTPServerDisconnected), guests.session(guest, 587) as client:
        client.ehlo("client.example.net")
        client.user, client.password = f"{_NAME}@{guests.DOMAIN}", _NAME
        return client.auth("plain", client.auth_plain)[0]
    return None
