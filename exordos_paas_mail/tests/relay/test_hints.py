# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What exim keeps of what it has seen: its databases of hints."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail.tests.relay import relay as relay_

if tp.TYPE_CHECKING:
    from exordos_paas_mail.tests.relay import internet as internet_


def test_a_delivery_makes_no_hint_where_nothing_waits_for_its_server(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    assert relay.send()[0] == 250
    internet.wait_for(1)
    relay.wait_until_idle()

    # Of the limits of logins and recipients
    kept = {path.name for path in (relay_.SPOOL / "db").iterdir()}
    assert kept == {"ratelimit", "ratelimit.lockfile"}
