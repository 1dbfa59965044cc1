# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""codecs.certificates: which TLS key and certificate a relay serves."""

from __future__ import annotations

import contextlib
import ssl
import typing as tp

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from exordos_paas_mail.codecs import certificates, tls_pairs
from exordos_paas_mail.tests.unit.node import authority

if tp.TYPE_CHECKING:
    import pathlib

DOMAIN = "mail.example.com"
HOSTNAME = "smtp.example.net"
NAMES = [DOMAIN]
NOW = authority.now()
DAY = authority.DAY


def names(chain: bytes) -> list[str]:
    certificate = x509.load_pem_x509_certificate(chain)
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return extension.value.get_values_for_type(x509.DNSName)


def test_a_self_signed_certificate_is_one_a_client_can_pin(tmp_path: pathlib.Path) -> None:
    key, chain = certificates.plan(None, None, NAMES, NOW)
    (tmp_path / "key").write_bytes(key)
    (tmp_path / "chain").write_bytes(chain)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "chain", tmp_path / "key")
    client = ssl.create_default_context(cafile=str(tmp_path / "chain"))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=DOMAIN),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]

    for turn in range(8):
        with contextlib.suppress(ssl.SSLWantReadError):
            ends[turn % 2].do_handshake()

    assert ends[0].version() == "TLSv1.3"
    assert names(chain) == [DOMAIN]


@pytest.mark.parametrize("domain", [DOMAIN, ".".join(["a" * 60] * 4)], ids=["short", "long"])
def test_what_was_made_once_is_kept(domain: str) -> None:
    first = certificates.plan(None, None, [domain], NOW)

    assert certificates.plan(*first, [domain], NOW + 3600 * DAY) == first
    # A clock that was two days ahead made it: it counts at once.
    assert certificates.plan(*first, [domain], NOW - 2 * DAY) == first
    assert certificates.remarks(first[1], domain, NOW) == []


@pytest.mark.parametrize(
    ("asked", "later"),
    [
        pytest.param(["other.example"], 0 * DAY, id="another domain"),
        pytest.param([HOSTNAME, DOMAIN], 0 * DAY, id="a name of its own"),
        pytest.param(NAMES, 3630 * DAY, id="a month before it expires"),
        pytest.param(NAMES, -8 * DAY, id="a clock that was far ahead"),
    ],
)
def test_a_certificate_of_ours_is_made_anew_for_the_same_key(
    asked: list[str], later: tp.Any
) -> None:
    key, chain = certificates.plan(None, None, NAMES, NOW)

    new_key, new_chain = certificates.plan(key, chain, asked, NOW + later)

    assert new_key == key
    assert new_chain != chain
    assert names(new_chain) == asked
    assert certificates.plan(new_key, new_chain, asked, NOW + later) == (new_key, new_chain)


@pytest.mark.parametrize("lost", [None, b"", b"harmed"], ids=["lost", "empty", "harmed"])
def test_a_key_that_cannot_be_used_is_made_anew_with_its_certificate(lost: bytes | None) -> None:
    _, chain = certificates.plan(None, None, NAMES, NOW)

    key, new_chain = certificates.plan(lost, chain, NAMES, NOW)

    private_key = serialization.load_pem_private_key(key, None)
    assert x509.load_pem_x509_certificate(new_chain).public_key() == private_key.public_key()


def test_a_key_put_there_before_its_certificate_is_kept() -> None:
    installed, _ = authority.issue(DOMAIN)

    key, chain = certificates.plan(installed, None, NAMES, NOW)

    assert key == installed
    assert names(chain) == [DOMAIN]


@pytest.mark.parametrize(
    ("name", "lifetime", "remarks"),
    [
        pytest.param(DOMAIN, 90 * DAY, [], id="sound"),
        pytest.param("*.example.com", 90 * DAY, [], id="wildcard"),
        pytest.param(DOMAIN, -1 * DAY, ["the installed TLS certificate has expired"], id="expired"),
        pytest.param(
            "example.com",
            90 * DAY,
            [f"the installed TLS certificate does not name {DOMAIN}"],
            id="another name",
        ),
    ],
)
def test_an_installed_certificate_is_kept_whatever_it_says(
    name: str, lifetime: tp.Any, remarks: list[str]
) -> None:
    installed = authority.issue(name, lifetime)

    assert certificates.plan(*installed, NAMES, NOW) == installed
    assert certificates.remarks(installed[1], DOMAIN, NOW) == remarks


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        pytest.param(None, "no usable private key", id="no key"),
        pytest.param(b"harmed", "no usable private key", id="harmed key"),
        pytest.param(authority.issue(DOMAIN)[0], "another private key", id="other key"),
    ],
)
def test_an_installed_certificate_without_its_key_is_refused(
    key: bytes | None, reason: str
) -> None:
    _, chain = authority.issue(DOMAIN)

    with pytest.raises(ValueError, match=reason):
        certificates.plan(key, chain, NAMES, NOW)


def pem(key: tp.Any) -> bytes:
    return tp.cast(
        "bytes",
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


EC = pem(ec.generate_private_key(ec.SECP256R1()))
RSA = pem(rsa.generate_private_key(65537, 2048))
OWN = certificates.plan(EC, None, NAMES, NOW)
OTHER = certificates.plan_other(OWN, None, NAMES, NOW)


def public(bundle: bytes) -> tp.Any:
    """Return the public key of a bundle, that of its certificate and of its private key."""
    key = serialization.load_pem_private_key(bundle, None).public_key()
    assert x509.load_pem_x509_certificate(bundle).public_key() == key
    return key


def test_beside_a_key_there_is_one_of_the_other_kind() -> None:
    beside_rsa = certificates.plan_other(
        certificates.plan(RSA, None, NAMES, NOW), None, NAMES, NOW, ["192.0.2.7"]
    )

    assert public(OTHER).key_size == 3072
    assert isinstance(public(OTHER), rsa.RSAPublicKey)
    assert isinstance(public(beside_rsa).curve, ec.SECP256R1)
    assert names(OTHER) == names(beside_rsa) == NAMES
    served = tls_pairs.served(tls_pairs.chain_of(beside_rsa))
    assert served.names == (DOMAIN, "192.0.2.7")


@pytest.mark.parametrize(
    ("asked", "later", "addresses"),
    [
        pytest.param(["other.example"], 0 * DAY, [], id="another domain"),
        pytest.param(NAMES, 0 * DAY, ["192.0.2.7"], id="another address"),
        pytest.param(NAMES, 3630 * DAY, [], id="a month before it expires"),
    ],
)
def test_a_certificate_beside_the_first_is_made_anew_for_the_same_key(
    asked: list[str], later: tp.Any, addresses: list[str]
) -> None:
    anew = certificates.plan_other(OWN, OTHER, asked, NOW + later, addresses)

    assert public(anew) == public(OTHER)
    assert anew != OTHER
    assert names(anew) == asked
    assert certificates.plan_other(OWN, anew, asked, NOW + later, addresses) == anew


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(OWN, id="its own"),
        pytest.param(authority.issue(DOMAIN), id="an installed one of the same kind"),
    ],
)
def test_what_was_made_beside_the_first_is_kept(first: tuple[bytes, bytes]) -> None:
    assert certificates.plan_other(first, OTHER, NAMES, NOW + 3600 * DAY) == OTHER


def test_a_certificate_that_is_lost_from_beside_the_first_comes_back_for_its_key() -> None:
    key = OTHER[: OTHER.index(b"-----BEGIN CERTIFICATE-----")]

    assert public(certificates.plan_other(OWN, key, NAMES, NOW)) == public(OTHER)


@pytest.mark.parametrize(
    "kept",
    [
        pytest.param(b"", id="empty"),
        pytest.param(OTHER[:100], id="cut short"),
        pytest.param(OTHER[OTHER.index(b"-----BEGIN CERTIFICATE-----") :], id="without its key"),
        pytest.param(certificates.bundle(*OWN), id="of the first's kind"),
    ],
)
def test_what_cannot_be_served_beside_the_first_is_made_anew(kept: bytes) -> None:
    anew = certificates.plan_other(OWN, kept, NAMES, NOW)

    assert isinstance(public(anew), rsa.RSAPublicKey)
    assert public(anew) != public(OTHER)


def test_a_bundle_holds_the_pair_and_nothing_else(tmp_path: pathlib.Path) -> None:
    key, chain = authority.issue(DOMAIN)
    _, older = authority.issue(DOMAIN)
    _, intermediate = authority.issue("a CA")
    files = (older + key.rstrip(b"\n"), b"subject=/CN=mail\n" + chain + intermediate + key)

    assert certificates.plan(*files, NAMES, NOW) == files
    assert certificates.bundle(*files) == key + chain + intermediate
    (tmp_path / "bundle").write_bytes(certificates.bundle(*files))
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tmp_path / "bundle")


@pytest.mark.parametrize("curve", [ec.SECP256K1(), ec.BrainpoolP256R1()], ids=lambda it: it.name)
def test_a_key_that_exim_cannot_load_is_refused(curve: ec.EllipticCurve) -> None:
    _, chain = authority.issue(DOMAIN)
    key = ec.generate_private_key(curve).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )

    with pytest.raises(ValueError, match="no usable private key"):
        certificates.plan(key, chain, NAMES, NOW)


@pytest.mark.parametrize("chain", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_a_chain_that_is_none_is_refused(chain: bytes) -> None:
    key, _ = authority.issue(DOMAIN)

    with pytest.raises(ValueError, match="not PEM"):
        certificates.plan(key, chain, NAMES, NOW)
