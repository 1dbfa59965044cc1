# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exordos_paas_mail.tests.unit.control_plane import api_client


def test_an_instance_and_an_account_are_made_and_shown(api: api_client.Client) -> None:
    instance = api.instance(domain="Mail.Example.COM")
    shown = api.get(instance)
    assert shown["domain"] == "mail.example.com"
    account = api.account(instance, "NoReply", password="s3cret")
    assert api.get(account) == api.get(f"{instance}/accounts/")[0]
    api.patch(account, {"active": False})
    api.patch(instance, {"cpu": 4})
    api.delete(account)
    api.delete(instance)
