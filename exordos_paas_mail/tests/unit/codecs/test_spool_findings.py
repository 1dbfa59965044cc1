# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from exordos_paas_mail.codecs import mail_events, spool_findings

IDS = [f"1xWfZB-00000{letter}-2E" for letter in "abc"]
ARRIVAL = mail_events.Event(
    1795722937000, mail_events.Type.ACCEPTED, IDS[0], account="a@b.example", text=mail_events.FOUND
)
HELD = mail_events.Event(1795722937000, mail_events.Type.HELD, IDS[0], text="account")


@pytest.mark.parametrize(
    "findings",
    [
        spool_findings.Findings(),
        spool_findings.Findings(adopted=()),
        spool_findings.Findings(adopted=tuple(IDS)),
        spool_findings.Findings(found=(ARRIVAL, HELD), unaccounted=(IDS[1],)),
    ],
)
def test_findings_travel(findings: spool_findings.Findings) -> None:
    assert spool_findings.parse(spool_findings.render(findings)) == findings


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"found": 1}',
        b'{"found": "[1]"}',
        b'{"found": "[{\\"at\\": 1, \\"type\\": \\"accepted\\"}]"}',
        b'{"unaccounted": ["../etc"]}',
        b'{"unaccounted": [1]}',
        b'{"adopted": [["x"]]}',
        b'{"adopted": "x"}',
    ],
)
def test_what_is_no_finding_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"findings|event"):
        spool_findings.parse(data)
