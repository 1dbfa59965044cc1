# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from exordos_paas_mail.tests.relay import relay as relay_

PORTS = (25, 465, 587)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("port", PORTS)
def test_an_account_logs_in(relay: relay_.Relay, port: int, mechanism: str) -> None:
    with relay.connect(port) as client:
        assert client.esmtp_features["auth"].split() == ["PLAIN", "LOGIN"]
        client.user, client.password = relay_.ALICE, relay_.PASSWORD
        method = client.auth_plain if mechanism == "PLAIN" else client.auth_login
        assert client.auth(mechanism, method)[0] == 235
