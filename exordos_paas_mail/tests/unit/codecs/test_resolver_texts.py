# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What the node's own resolver is made of, and told by."""

from __future__ import annotations

import pytest

from exordos_paas_mail.codecs import (
    resolv_conf,
    resolver_settings,
    resolver_status,
    trust_anchors,
    unbound_conf,
)

# Of the root, since 2018 and since 2026: what dns-root-data has.
KSK = (
    "AwEAAaz/tAm8yTn4Mfeh5eyI96WSVexTBAvkMgJzkKTOiW1vkIbzxeF3+/4RgWOq7HrxRixHlFlExOLAJr5emLvN7SWX"
    "gnLh4+B5xQlNVz8Og8kvArMtNROxVQuCaSnIDdD5LKyWbRd2n9WGe2R8PzgCmr3EgVLrjyBxWezF0jLHwVN8efS3rCj/"
    "EWgvIWgb9tarpVUDK/b58Da+sqqls3eNbuv7pr+eoZG+SrDK6nWeL3c6H5Apxz7LjVc1uTIdsIXxuOLYA4/ilBmSVIzu"
    "DWfdRUfhHdY6+cn8HFRm+2hM8AnXGXws9555KrUB5qihylGa8subX2Nn6UwNR1AkUTV74bU="
)
DIGEST = "683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16"
NETWORK = (
    "# DHCP\nsearch Old.example\nnameserver 10.0.0.2\ndomain corp.example. \nnameserver 8.8.8.8\n"
)


@pytest.mark.parametrize(
    ("text", "given"),
    [
        pytest.param(NETWORK, (("10.0.0.2", "8.8.8.8"), ("corp.example",)), id="of DHCP"),
        pytest.param("nameserver 127.0.0.53\noptions edns0 trust-ad\n", ((), ()), id="a stub"),
        pytest.param("nameserver ::ffff:127.0.0.1\nnameserver 0.0.0.0\n", ((), ()), id="here"),
        pytest.param("nameserver fe80::1%eth0\nnameserver x\nnameserver\n", ((), ()), id="none"),
        pytest.param(
            "nameserver 169.254.169.254\nnameserver 8.8.8.8\n",
            (("169.254.169.254", "8.8.8.8"), ()),
            id="of a cloud",
        ),
        pytest.param(
            "nameserver fe80::1%eth0\nnameserver 8.8.8.8\nsearch corp\n",
            ((), ("corp",)),
            id="first of a link",
        ),
        pytest.param("nameserver 127.0.0.1\nnameserver 8.8.8.8\n", ((), ()), id="first here"),
        pytest.param(
            "nameserver x\nnameserver 10.0.0.2\nnameserver fe80::1%eth0\nnameserver 8.8.8.8\n",
            (("10.0.0.2", "8.8.8.8"), ()),
            id="another of a link",
        ),
        pytest.param(
            "".join(f"nameserver 10.0.0.{number}\n" for number in range(1, 6)),
            (("10.0.0.1", "10.0.0.2", "10.0.0.3"), ()),
            id="more than are asked",
        ),
        pytest.param(
            "nameserver 2001:db8::1\nnameserver 2001:db8::1\nsearch a/b c\n",
            (("2001:db8::1",), ("c",)),
            id="twice, and a name that is none",
        ),
        pytest.param("", ((), ()), id="empty"),
    ],
)
def test_the_network_is_what_its_file_says_of_other_machines(
    text: str, given: tuple[tuple[str, ...], tuple[str, ...]]
) -> None:
    assert resolv_conf.parse(text) == given
    assert not resolv_conf.is_ours(text)


@pytest.mark.parametrize(
    ("text", "is_so"),
    [
        ("nameserver 127.0.0.53\nnameserver 8.8.8.8\n", True),
        ("search corp\n", True),
        ("nameserver 127.0.0.1\n", False),
        ("nameserver fe80::1%eth0\nnameserver 127.0.0.53\n", False),
        (NETWORK, False),
    ],
)
def test_it_is_left_to_resolved_by_its_stub_or_by_naming_nobody(text: str, *, is_so: bool) -> None:
    assert resolv_conf.is_of_resolved(text) == is_so


def test_private_servers_are_known_by_their_addresses() -> None:
    private = ["10.0.0.2", "172.31.0.1", "192.168.1.1", "fd00::1"]
    others = ["172.32.0.1", "8.8.8.8", "2001:db8::1", "100.64.0.1"]
    assert [it for it in [*private, *others] if resolv_conf.is_private(it)] == private


@pytest.mark.parametrize("validates", [True, False])
def test_only_a_resolver_that_validates_is_believed(*, validates: bool) -> None:
    text = resolv_conf.render(("a.example", "b.example"), validates=validates)
    lines = ["nameserver 127.0.0.1", "search a.example b.example"]
    options = "options edns0 trust-ad" if validates else "options edns0"
    assert text.splitlines() == [resolv_conf.MARK, *lines, options]
    assert resolv_conf.is_ours(text)


def test_settings_are_read_one_file_over_the_other() -> None:
    image = "RELAY_PRIVATE_ZONES=Corp lan.example corp\nRELAY_MESSAGE_SIZE_MB=50\n"
    settings = resolver_settings.parse(image)
    zones = ("corp", "lan.example")
    assert settings == resolver_settings.Settings(is_on=True, private_zones=zones)
    off = resolver_settings.parse("RELAY_RESOLVER=no\n", settings)
    assert off == settings._replace(is_on=False)
    none = resolver_settings.parse("RELAY_PRIVATE_ZONES=\n", settings)
    assert none == resolver_settings.Settings()


@pytest.mark.parametrize(
    "text",
    [
        "RELAY_RESOLVER=off\n",
        "RELAY_RESOLVER=\n",
        'RELAY_PRIVATE_ZONES=a"b\n',
        "RELAY_PRIVATE_ZONES=corp.\n",
        f"RELAY_PRIVATE_ZONES={'a' * 64}\n",
        f"RELAY_PRIVATE_ZONES={' '.join(f'z{number}' for number in range(51))}\n",
        "nonsense\n",
    ],
)
def test_settings_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"RELAY_|KEY=value"):
        resolver_settings.parse(text)


def test_keys_of_the_root_are_known_by_their_ids() -> None:
    text = (
        f"; of IANA\n\n. IN DNSKEY 257 3 8 {KSK} ; keytag 20326\n. 3600 IN DS 38696 8 2 {DIGEST}\n"
    )
    found = trust_anchors.parse(text)
    assert [anchor.key_id for anchor in found] == [20326, 38696]
    assert found[0].record.replace(" ", "") == f".INDNSKEY25738{KSK}"
    assert found[1].record == f". IN DS 38696 8 2 {DIGEST.lower()}"


@pytest.mark.parametrize(
    "text",
    ["", "; none\n", "example. IN DS 1 8 2 00\n", ". IN A 192.0.2.1\n", ". IN DNSKEY x\n", ".\n"],
)
def test_a_file_without_keys_of_the_root_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="key of the root"):
        trust_anchors.parse(text)


def test_a_resolver_that_validates_and_one_that_does_not() -> None:
    anchor = f". IN DS 38696 8 2 {DIGEST}"
    zones = ("corp", "corp.example")
    near = ("10.0.0.2", "10.0.0.3")
    validating, plain = (
        unbound_conf.render("8.8.8.8", near, zones, anchors, ipv6=bool(anchors))
        for anchors in ([anchor], [])
    )
    private = [
        *("corp", "corp.example", "home", "home.arpa", "internal", "intranet", "invalid", "lan"),
        *("local", "localdomain", "private", "test"),
    ]
    reverse = [
        *("10.in-addr.arpa", *(f"{number}.172.in-addr.arpa" for number in range(16, 32))),
        *("168.192.in-addr.arpa", "254.169.in-addr.arpa", "8.e.f.ip6.arpa", "9.e.f.ip6.arpa"),
        *("a.e.f.ip6.arpa", "b.e.f.ip6.arpa", "d.f.ip6.arpa"),
    ]
    forwarded = [
        line
        for zone in sorted([*private, *reverse])
        for line in (
            *("forward-zone:", f'  name: "{zone}."'),
            *("  forward-addr: 10.0.0.2", "  forward-addr: 10.0.0.3"),
        )
    ]
    assert "  aggressive-nsec: no" in validating.splitlines()
    tail = [
        "  interface: 127.0.0.1",
        "  interface: ::1",
        '  module-config: "validator iterator"',
        f'  trust-anchor: "{anchor}"',
        '  local-zone: "home.arpa." nodefault',
        '  local-zone: "invalid." nodefault',
        '  local-zone: "test." nodefault',
        *(f'  domain-insecure: "{zone}."' for zone in private),
        "remote-control:",
        "  control-enable: no",
        *forwarded,
        "forward-zone:",
        '  name: "."',
        "  forward-addr: 8.8.8.8",
    ]
    assert validating.splitlines()[-len(tail) :] == tail
    differing = set(validating.splitlines()) ^ set(plain.splitlines())
    assert differing == {tail[1], tail[2], tail[3], '  module-config: "iterator"'}


def test_a_status_is_told_and_read() -> None:
    status = resolver_status.Status(1_700_000_000_000, resolver_status.Mode.PLAIN, "10.0.0.2", "x")
    data = resolver_status.render(status)
    assert data == b'{"at":1700000000000,"mode":"plain","server":"10.0.0.2","detail":"x"}\n'
    assert resolver_status.parse(data) == status
    mode, at = resolver_status.families(status)
    told = {sample.labels["mode"]: sample.value for sample in mode.samples}
    assert told == {"validating": 0, "plain": 1, "away": 0, "off": 0}
    assert at.samples[0].value == 1_700_000_000


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"mode":"else"}', b'{"mode":1}'])
def test_a_status_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="resolver's status"):
        resolver_status.parse(data)
