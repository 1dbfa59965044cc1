# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A message hidden in another one's data, and a client that sends it octet by octet."""

from __future__ import annotations

from exordos_paas_mail.tests.relay import relay as relay_

ALICE = relay_.ALICE


def submission(relay: relay_.Relay, port: int = 587) -> relay_.Raw:
    """Return a client that is logged in and may send DATA's content."""
    client = relay_.Raw(relay, port, tls=port != 465)
    if port == 465:
        client.answer()
        client.command("EHLO client.example")
    assert client.command(f"AUTH PLAIN {relay_.token(ALICE, relay_.PASSWORD)}")[:3] == "235"
    assert client.command(f"MAIL FROM:<{ALICE}>")[:3] == "250"
    assert client.command("RCPT TO:<someone@elsewhere.example>")[:3] == "250"
    assert client.command("DATA")[:3] == "354"
    return client


SMUGGLED = (
    f"MAIL FROM:<{ALICE}>\r\nRCPT TO:<victim@elsewhere.example>\r\nDATA\r\n"
    f"From: {ALICE}\r\nSubject: smuggled\r\n\r\nSmuggled.\r\n.\r\n"
).encode()
ENDS = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r.\r",
    b"\r\n.\n",
    b"\r\n.\r",
    b"\r\r\n.\r\r\n",
    b"\n\n.\r\n",
    b"\r\n\x00.\r\n",
]
