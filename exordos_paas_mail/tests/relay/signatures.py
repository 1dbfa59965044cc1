# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a message's DKIM signature holds."""

from __future__ import annotations

import dkim

from exordos_paas_mail.tests.relay import relay as relay_

DOMAIN = relay_.DOMAIN


def verify(relay: relay_.Relay, data: bytes) -> bool:
    """Verify with dkimpy against the record as it is published."""
    names: list[bytes] = []

    def published(name: bytes, timeout: int = 5) -> bytes:
        names.append(name)
        return relay.dkim_record.encode()

    good = dkim.verify(data, dnsfunc=published)
    assert names == [f"platform._domainkey.{DOMAIN}.".encode()]
    return bool(good)
