# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Core's DNS in the world: what its owner writes is what everybody is answered."""

from __future__ import annotations

import typing as tp

import dns.resolver
import pytest

from exordos_paas_mail.tests.functional import provisioning

if tp.TYPE_CHECKING:
    from clients import iam, waiting, zones
    from clients import internet as internet_client

KEY: tp.Final = "v=DKIM1; k=rsa; p=" + "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A" * 12


@pytest.fixture
def zone(owner_session: iam.Session, world: internet_client.Client) -> tp.Iterator[zones.Zone]:
    with provisioning.zone(owner_session.api(), world) as made:
        yield made


def texts(world: internet_client.Client, name: str) -> list[str] | None:
    """Return the texts that a stranger's resolver finds; None when it gets no answer in time."""
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [world.host]
    resolver.lifetime = 3
    try:
        answer = resolver.resolve(name, "TXT", search=False)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer, dns.resolver.NoNameservers):
        return []
    except dns.resolver.LifetimeTimeout:
        # Core's public server is silent about a zone that is not on its list yet.
        return None
    return sorted(b"".join(rdata.strings).decode() for rdata in answer)


def test_a_long_text_of_a_zone_is_answered_to_the_world_as_it_was_written(
    world: internet_client.Client,
    zone: zones.Zone,
    poll: waiting.Poll,
) -> None:
    row = zone.add("TXT", "platform._domainkey", KEY)
    name = f"platform._domainkey.{zone.name}"
    assert row["name"] == name
    poll.until("the key is answered", lambda: texts(world, name), lambda found: found == [KEY])
    zone.remove(row)
    poll.until("the key is gone", lambda: texts(world, name), lambda found: found == [])
