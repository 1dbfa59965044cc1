# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""codecs.dkim: keys and their DNS records."""

from __future__ import annotations

import base64
import functools

import dns.rdtypes.ANY.TXT
import dns.zone
import hypothesis
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import strategies as st

from exordos_paas_mail.codecs import dkim


@functools.cache
def private_key() -> bytes:
    return dkim.generate()


@hypothesis.given(st.binary(min_size=1, max_size=900))
def test_parse_is_the_inverse_of_render(public_key: bytes) -> None:
    value = f"v=DKIM1; k=rsa; p={base64.b64encode(public_key).decode()}"

    assert dkim.parse(dkim.render(value, "platform", "example.com")) == ("example.com", value)


def test_the_record_is_one_a_name_server_loads() -> None:
    value = dkim.value_of(private_key())
    record = dkim.render(value, "platform", "example.com")

    zone = dns.zone.from_text(
        f"@ 60 IN SOA ns hostmaster 1 60 60 60 60\n@ 60 IN NS ns\n{record}",
        origin="example.com.",
        check_origin=False,
    )
    (txt,) = zone.find_rdataset("platform._domainkey", "TXT")

    assert isinstance(txt, dns.rdtypes.ANY.TXT.TXT)
    assert b"".join(txt.strings).decode() == value
    assert [len(string) for string in txt.strings] == [255, len(value) - 255]


def test_the_value_publishes_the_public_half_of_the_key() -> None:
    public = serialization.load_pem_private_key(private_key(), None).public_key()
    der = public.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )

    assert dkim.value_of(private_key()) == f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"
    assert isinstance(public, rsa.RSAPublicKey)
    assert public.key_size == 2048


def test_a_record_of_opendkim_genkey_is_read() -> None:
    record = (
        'platform._domainkey\tIN\tTXT\t( "v=DKIM1; h=sha256; k=rsa; "\n'
        '\t  "p=MIIB"\n\t  "IjAN" )  ; ----- DKIM key platform for "example.com"\n'
    )

    assert dkim.parse(record) == ("", "v=DKIM1; h=sha256; k=rsa; p=MIIBIjAN")


@pytest.mark.parametrize(
    "record",
    [
        pytest.param("", id="empty"),
        pytest.param("platform._domainkey IN TXT ( )", id="no string"),
        pytest.param('platform._domainkey IN A "v=DKIM1; p=MIIB"', id="not TXT"),
        pytest.param('platform._domainkey IN TXT "v=DKIM1; p=MIIB', id="no end"),
        pytest.param('platform._domainkey IN TXT "v=DKIM1; p="', id="revoked key"),
        pytest.param('platform._domainkey IN TXT "v=DKIM1; p=%%%%"', id="not base64"),
        pytest.param('platform._domainkey IN TXT "v=DKIM1; p=MII"', id="cut base64"),
        pytest.param('platform._domainkey IN TXT "v=spf1 -all"', id="SPF"),
        pytest.param('platform._domainkey IN TXT ; "v=DKIM1; p=MIIB"', id="in a comment"),
    ],
)
def test_a_record_without_a_key_is_refused(record: str) -> None:
    with pytest.raises(ValueError, match="DKIM"):
        dkim.parse(record)


@pytest.mark.parametrize(
    "pem",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"secret", id="not PEM"),
        pytest.param(private_key()[:-200], id="cut short"),
        pytest.param(
            ec.generate_private_key(ec.SECP256R1()).private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
            id="not RSA",
        ),
        pytest.param(
            serialization.load_pem_private_key(private_key(), None).private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"x"),
            ),
            id="encrypted",
        ),
    ],
)
def test_a_key_exim_cannot_sign_with_is_refused(pem: bytes) -> None:
    with pytest.raises(ValueError, match="DKIM private key"):
        dkim.value_of(pem)


def test_an_ed25519_key_is_published_by_its_32_octets() -> None:
    key = dkim.generate(dkim.ED25519)
    public = dkim.public_key_of(key, dkim.ED25519)
    loaded = serialization.load_pem_private_key(key, None)

    assert isinstance(loaded, ed25519.Ed25519PrivateKey)
    assert base64.b64decode(public) == loaded.public_key().public_bytes_raw()
    assert dkim.value_for(dkim.ED25519, public) == f"v=DKIM1; k=ed25519; p={public}"


def test_a_key_of_another_algorithm_is_refused() -> None:
    with pytest.raises(ValueError, match="not of ed25519"):
        dkim.public_key_of(private_key(), dkim.ED25519)
    with pytest.raises(ValueError, match="not RSA"):
        dkim.public_key_of(dkim.generate(dkim.ED25519))
