# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""codecs.tls_pairs: what a relay may be given to serve, and what its owner is told if not."""

from __future__ import annotations

import functools
import ipaddress
import math
import ssl
import subprocess
import typing as tp

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509 import oid

from clients import issuing
from exordos_paas_mail.codecs import rules, tls_document, tls_pairs, tls_reports, tls_serving

if tp.TYPE_CHECKING:
    import datetime

HOSTNAME = "smtp.example.com"
CA = issuing.Authority()
RSA = rsa.generate_private_key(65537, 2048)
GIVEN = CA.issue(HOSTNAME)
DAY = issuing.DAY
NOW = issuing.now()


def check(chain: str, key: str, hostname: str = HOSTNAME) -> tls_pairs.Pair:
    return tls_pairs.check(chain, key, hostname, NOW)


def usage(*names: str) -> x509.KeyUsage:
    every = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
        *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**{each: each in names for each in every})


def refusal(chain: str, key: str, hostname: str = HOSTNAME) -> str:
    with pytest.raises(rules.RuleError) as caught:
        check(chain, key, hostname)
    return str(caught.value)


def test_a_pair_that_fits_is_taken_as_it_is() -> None:
    assert check(GIVEN.chain, GIVEN.key) == (GIVEN.chain, GIVEN.key)


@pytest.mark.parametrize(
    "names",
    [(HOSTNAME,), ("SMTP.Example.COM",), ("*.example.com",), ("other.example", HOSTNAME)],
    ids=["name", "case", "wildcard", "second"],
)
def test_a_certificate_names_the_relay(names: tuple[str, ...]) -> None:
    pair = CA.issue(*names)
    assert check(pair.chain, pair.key).chain == pair.chain


@pytest.mark.parametrize(
    "name", ["example.com", "*.smtp.example.com", "*.com", "mtp.example.com", "*.example.org"]
)
def test_a_certificate_of_another_name_is_refused(name: str) -> None:
    pair = CA.issue(name)
    assert refusal(pair.chain, pair.key).startswith(f"certificate does not name {HOSTNAME}: ")


@pytest.mark.parametrize(
    ("extension", "value"),
    [
        # A TLS feature (RFC 7633), 99, and an x400Address in the issuer's other names.
        ("1.3.6.1.5.5.7.1.24", "3003020163"),
        ("2.5.29.18", "3004a3023000"),
    ],
)
def test_a_certificate_that_the_library_cannot_read_is_refused(extension: str, value: str) -> None:
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier(extension), bytes.fromhex(value))
    issued = CA.issue(HOSTNAME, extensions=[unknown])
    assert refusal(issued.chain, issued.key).startswith("certificate cannot be read: block 1")


def test_a_certificate_with_an_extension_twice_is_refused() -> None:
    issued = CA.issue(HOSTNAME)
    data = ssl.PEM_cert_to_DER_cert(issued.leaf)
    # Extended key usage (2.5.29.37) becomes another subject alternative name (2.5.29.17).
    name, other = bytes.fromhex("0603551d25"), bytes.fromhex("0603551d11")
    assert data.count(name) == data.count(other) == 1
    twice = ssl.DER_cert_to_PEM_cert(data.replace(name, other))
    assert refusal(twice, issued.key).startswith("certificate cannot be read: block 1")


@pytest.mark.parametrize(
    "form", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL]
)
@pytest.mark.parametrize("key", [RSA, ec.generate_private_key(ec.SECP384R1())], ids=["rsa", "ec"])
def test_every_form_of_a_key_is_taken(key: issuing.Key, form: tp.Any) -> None:
    pair = CA.issue(HOSTNAME, key=key)
    assert check(pair.chain, issuing.pem(key, form)).key == issuing.pem(key)


def test_what_openssl_writes_before_a_key_is_passed_over() -> None:
    command = ["openssl", "ecparam", "-name", "prime256v1", "-genkey"]
    written = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "EC PARAMETERS" in written
    assert "BEGIN PRIVATE KEY" in tls_pairs.check_key(written)


@pytest.mark.parametrize(
    "spell",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "".join(f"    {line}  \n" for line in text.splitlines()),
        lambda text: f"Bag Attributes\n  friendlyName: C:\\new\n\n{text}\n\n",
        lambda text: text.replace("\n", "\n\n"),
        lambda text: text.strip(),
    ],
    ids=["crlf", "indented", "remarks", "blank lines", "no last line end"],
)
def test_white_space_and_what_is_around_the_blocks_is_nothing(
    spell: tp.Callable[[str], str],
) -> None:
    assert check(spell(GIVEN.chain), spell(GIVEN.key)) == (GIVEN.chain, GIVEN.key)


def test_a_chain_is_put_in_order_and_may_have_its_root() -> None:
    backwards = CA.root + CA.intermediate + GIVEN.leaf
    assert check(backwards, GIVEN.key).chain == GIVEN.leaf + CA.intermediate + CA.root
    assert check(GIVEN.leaf + GIVEN.chain, GIVEN.key).chain == GIVEN.chain


def _issuers() -> tuple[issuing.Authority, dict[str, str]]:
    """Return an authority, and its root, that of another's, and a sibling that has ended."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [issuing._name(name) for name in ("Root X1", "Root X3")]

    def issue(by: int, of: int = 0, ends: datetime.timedelta = 800 * DAY) -> str:
        return issuing._pem(
            issuing._sign(
                *(names[of], keys[of].public_key(), names[by], keys[by]),
                is_ca=True,
                begins=-900 * DAY,
                ends=ends,
            )
        )

    # What is called its intermediate is issued by the root that both have the key of.
    authority = issuing.Authority("R3")
    authority.intermediate = issuing._pem(
        issuing._sign(
            *(authority._name, authority._key.public_key(), names[0], keys[0]),
            is_ca=True,
            ends=800 * DAY,
        )
    )
    blocks = {
        "root": issue(0),
        "cross": issue(1),
        "ended cross": issue(1, ends=-DAY),
        "other root": issue(1, of=1),
        "ended root": issue(1, of=1, ends=-DAY),
    }
    return authority, blocks


@pytest.mark.parametrize(
    ("given", "served"),
    [
        pytest.param(["cross"], ["cross"], id="cross-signed"),
        pytest.param(["cross", "root"], ["cross"], id="and its root"),
        pytest.param(["root", "cross"], ["cross"], id="the root first"),
        pytest.param(["cross", "other root", "root"], ["cross", "other root"], id="both roots"),
        pytest.param(["ended cross"], [], id="ended"),
        pytest.param(["ended cross", "root"], ["root"], id="ended, and its root"),
        pytest.param(["ended cross", "other root"], [], id="ended, and its issuer"),
        pytest.param(["cross", "ended root"], ["cross"], id="of a root that has ended"),
    ],
)
def test_what_clients_need_not_be_told_is_left_out(given: list[str], served: list[str]) -> None:
    authority, blocks = _issuers()
    pair = authority.issue(HOSTNAME)
    for chain in (
        pair.chain + "".join(blocks[each] for each in given),
        "".join(blocks[each] for each in reversed(given)) + pair.chain,
    ):
        taken = check(chain, pair.key)
        assert taken.chain == pair.chain + "".join(blocks[each] for each in served)
        assert check(*taken) == taken


def test_a_pair_is_served_and_told_of_without_an_issuer_that_has_ended_since_it_was_told() -> None:
    authority, blocks = _issuers()
    pair, own = authority.issue(HOSTNAME), tls_serving.Own(b"own", b"own")
    told = tls_pairs.Pair(pair.chain + blocks["ended cross"], pair.key)
    serving = tls_serving.plan(told, own, None, HOSTNAME, NOW)
    assert serving.bundle == (pair.key + pair.chain).encode()
    served = tls_serving.Own(serving.bundle, serving.other)
    # It is valid, has ended, and is another name's.
    for hostname, at in ((HOSTNAME, NOW), (HOSTNAME, NOW + 100 * DAY), ("other.example", NOW)):
        assert tls_serving.plan(told, own, serving.bundle, hostname, at) == serving
        report = tls_serving.report(told, served, hostname, at)
        assert report == tls_reports.Report(pair.chain, is_told=True)
    # One that has not ended is to be served, too; and another certificate is not this one.
    whole = told._replace(chain=pair.chain + blocks["cross"])
    assert tls_serving.report(whole, served, HOSTNAME, NOW) == tls_reports.Report(pair.chain)
    other = tls_pairs.Pair(authority.issue(HOSTNAME, ends=-DAY / 2).chain, pair.key)
    assert tls_serving.plan(other, own, serving.bundle, HOSTNAME, NOW).bundle == own.bundle
    assert "belongs to another" in tls_serving.report(other, served, HOSTNAME, NOW).refused


def test_of_two_certificates_of_a_key_the_one_that_has_not_ended_is_served() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    ended, renewed = (CA.issue(HOSTNAME, key=key, ends=days * DAY) for days in (-0.5, 90))
    assert check(ended.leaf + renewed.chain, renewed.key).chain == renewed.chain


def test_a_certificate_may_be_its_own_authority() -> None:
    own = issuing.self_signed(HOSTNAME)
    assert check(own.chain, own.key).chain == own.chain


OTHER = issuing.Authority("Other")
CURVE = ec.generate_private_key(ec.SECP256K1())
ED25519 = ed25519.Ed25519PrivateKey.generate()
SMALL = rsa.generate_private_key(65537, 1024)  # noqa: S505 - it is refused


@pytest.mark.parametrize(
    ("chain", "key", "said"),
    [
        (GIVEN.chain, CA.issue(HOSTNAME).key, "private_key belongs to another certificate"),
        (GIVEN.leaf, GIVEN.key, "certificate lacks its issuer's"),
        (GIVEN.leaf + OTHER.intermediate, GIVEN.key, "certificate has a block that is not of"),
        (
            GIVEN.leaf + CA.root,
            GIVEN.key,
            "certificate has a block that is not of its chain, block 2",
        ),
        ("", GIVEN.key, "certificate must be PEM"),
        (GIVEN.key, GIVEN.key, "certificate has a private key in it"),
        (GIVEN.chain + GIVEN.key, GIVEN.key, "certificate has a private key in it"),
        (GIVEN.chain.replace("\n", "\\n"), GIVEN.key, "certificate and private_key must have line"),
        (GIVEN.leaf[:200] + GIVEN.leaf[300:], GIVEN.key, "certificate cannot be read: block 1"),
        (
            GIVEN.leaf + CA.intermediate[:99] + CA.intermediate[199:],
            GIVEN.key,
            "certificate cannot",
        ),
        (GIVEN.chain * 6, GIVEN.key, "certificate must have 10 blocks at most"),
        (" " * 40_000, GIVEN.key, "certificate must be 32768 characters at most"),
        (GIVEN.chain, "", "private_key must be PEM"),
        (GIVEN.chain, GIVEN.chain, "private_key must be PEM"),
        (GIVEN.chain, GIVEN.key * 2, "private_key must be PEM: one block"),
        (GIVEN.chain, GIVEN.key[:80] + GIVEN.key[120:], "private_key cannot be read"),
        (GIVEN.chain, " " * 20_000, "private_key must be 16384 characters at most"),
    ],
)
def test_what_is_wrong_with_a_pair_is_said(chain: str, key: str, said: str) -> None:
    assert refusal(chain, key).startswith(said)


@pytest.mark.parametrize(
    "form", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL]
)
def test_a_key_with_a_passphrase_is_refused_with_what_to_do(form: tp.Any) -> None:
    key = issuing.pem(RSA, form, b"secret")
    said = refusal(CA.issue(HOSTNAME, key=RSA).chain, key)
    assert said.startswith("private_key has a passphrase")
    assert "openssl pkey" in said


@pytest.mark.parametrize("key", [SMALL, CURVE, ED25519], ids=["rsa 1024", "secp256k1", "ed25519"])
def test_a_key_that_clients_do_not_know_is_refused(key: issuing.Key) -> None:
    pair = CA.issue(HOSTNAME, key=key)
    assert refusal(pair.chain, pair.key).startswith("private_key must be RSA of 2048 to 4096 bits")


@pytest.mark.parametrize(
    ("issued", "said"),
    [
        (CA.issue(HOSTNAME, begins=-90 * DAY, ends=-DAY), "certificate has expired at "),
        (CA.issue(HOSTNAME, begins=DAY), "certificate is not valid before "),
        (CA.issue(HOSTNAME, hash_=hashes.SHA224()), "certificate is signed with a hash"),
        (
            CA.issue(HOSTNAME, usage=oid.ExtendedKeyUsageOID.CLIENT_AUTH),
            "certificate is not for servers: its extendedKeyUsage",
        ),
        (
            CA.issue(HOSTNAME, extensions=[usage("key_encipherment")]),
            "certificate is not for servers: its keyUsage",
        ),
        (
            CA.issue(HOSTNAME, extensions=[x509.TLSFeature([x509.TLSFeatureType.status_request])]),
            "certificate has clients wait for an answer of OCSP",
        ),
    ],
    ids=["expired", "not yet", "sha-224", "for clients", "for no signature", "must-staple"],
)
def test_what_every_client_refuses_is_refused(issued: issuing.Issued, said: str) -> None:
    assert refusal(issued.chain, issued.key).startswith(said)


def limits(
    permitted: tp.Sequence[x509.GeneralName] = (), excluded: tp.Sequence[x509.GeneralName] = ()
) -> x509.NameConstraints:
    return x509.NameConstraints(permitted or None, excluded or None)


def name(text: str) -> x509.DNSName:
    return x509.DNSName(text)


OF_ADDRESSES = x509.IPAddress(ipaddress.ip_network("192.0.2.0/24"))


@pytest.mark.parametrize(
    "allowing",
    [
        usage("digital_signature", "key_cert_sign"),
        x509.BasicConstraints(ca=True, path_length=0),
        limits([name("example.com")], [name("example.org")]),
        limits([name("EXAMPLE.com"), name("example.net"), OF_ADDRESSES]),
        limits([name(".com")]),
        limits([name("")]),
        limits([x509.RFC822Name("example.net")]),
        limits([], [name("mtp.example.com")]),
    ],
)
def test_an_issuer_may_say_what_it_issues(allowing: x509.ExtensionType) -> None:
    issued = issuing.Authority(extensions=[allowing]).issue(HOSTNAME, "*.example.com")
    assert check(issued.chain, issued.key).chain == issued.chain


@pytest.mark.parametrize(
    ("refusing", "said"),
    [
        (usage("crl_sign"), "is no authority's"),
        (limits([name("example.net")]), f"may not issue certificates of {HOSTNAME}"),
        (limits([name(HOSTNAME)]), "may not issue certificates of *.example.com"),
        (limits([], [name("com")]), f"may not issue certificates of {HOSTNAME}"),
        (limits([], [name("smtp.EXAMPLE.com")]), f"may not issue certificates of {HOSTNAME}"),
    ],
)
def test_what_an_issuer_may_not_issue_is_refused(refusing: x509.ExtensionType, said: str) -> None:
    issued = issuing.Authority(extensions=[refusing]).issue(HOSTNAME, "*.example.com")
    assert refusal(issued.chain, issued.key).startswith(f"certificate 2 of the chain {said}")


def test_an_address_that_an_issuer_may_not_name_is_refused() -> None:
    authority = issuing.Authority(extensions=[limits([OF_ADDRESSES])])
    for address, is_taken in (("192.0.2.1", True), ("198.51.100.1", False), ("2001:db8::1", False)):
        issued = authority.issue(HOSTNAME, address)
        if is_taken:
            assert check(issued.chain, issued.key).chain == issued.chain
        else:
            assert f"may not issue certificates of {address}" in refusal(issued.chain, issued.key)


def test_an_authority_of_leaves_alone_issues_no_authority() -> None:
    above = issuing.Authority(extensions=[x509.BasicConstraints(ca=True, path_length=0)])
    between = issuing.Authority("Between")
    between.intermediate = above.certify(between)
    issued = between.issue(HOSTNAME)
    assert refusal(issued.chain + above.intermediate, issued.key) == (
        "certificate 3 of the chain may not issue authorities: the one before it is one"
    )


def test_who_is_no_authority_issues_nothing() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    between = CA.issue("between.example", key=key)
    impostor = issuing.Authority()
    impostor._key, impostor._name = key, issuing._name("between.example")
    leaf = impostor.issue(HOSTNAME)
    assert refusal(leaf.leaf + between.chain, leaf.key) == (
        "certificate 2 of the chain is no authority's: it may not issue the one before it"
    )


def _numbers(**changed: int) -> str:
    """Return the key RSA with some of its numbers changed, as PEM."""
    own = RSA.private_numbers()
    names = ("p", "q", "d", "dmp1", "dmq1", "iqmp")
    numbers = {**{name: getattr(own, name) for name in names}, **changed}
    public = rsa.RSAPublicNumbers(changed.get("e", 65537), numbers["p"] * numbers["q"])
    numbers.pop("e", None)
    made = rsa.RSAPrivateNumbers(**numbers, public_numbers=public)
    return issuing.pem(made.private_key(unsafe_skip_rsa_key_validation=True))


def _composite() -> str:
    """Return a key of 2,048 bits whose numbers fit, and whose first factor is no prime."""
    q = RSA.private_numbers().q
    p = 3 * (1 << 1022) + 1
    while p % 7 or not (p - 1) % 65537:
        p += 2
    d = pow(65537, -1, math.lcm(p - 1, q - 1))
    return _numbers(p=p, d=d, dmp1=d % (p - 1), dmq1=d % (q - 1), iqmp=pow(q, -1, p))


@pytest.mark.parametrize(
    "make",
    [
        *(
            functools.partial(_numbers, **{name: getattr(RSA.private_numbers(), name) + 2})
            for name in ("p", "d", "dmp1", "dmq1", "iqmp")
        ),
        functools.partial(_numbers, e=3),
        _composite,
    ],
    ids=["p", "d", "dmp1", "dmq1", "iqmp", "e", "composite"],
)
def test_an_rsa_key_that_signs_nothing_is_refused(make: tp.Callable[[], str]) -> None:
    pair = CA.issue(HOSTNAME, key=RSA)
    assert refusal(pair.chain, make()).startswith("private_key cannot be read")


def test_a_key_of_too_many_bits_is_refused_before_it_is_looked_into() -> None:
    p, q = (1 << 8191) + 3, (1 << 8191) + 5
    assert len(_numbers(p=p, q=q)) < tls_pairs.KEY_SIZE_MAX
    assert refusal(GIVEN.chain, _numbers(p=p, q=q)).startswith("private_key must be RSA of 2048")


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN CERTIFICATE-----" * 1_200,
        "-----BEGIN A-----" * 1_900,
        "".join(f"-----BEGIN {n}-----" for n in range(1_600)),
    ],
    ids=["certificates", "others", "each its own"],
)
def test_blocks_without_an_end_are_none(text: str) -> None:
    assert refusal(text, GIVEN.key).startswith("certificate must be PEM")


def test_a_block_without_an_end_hides_none_behind_it() -> None:
    text = f"-----BEGIN A-----\n{GIVEN.chain}"
    assert check(text, GIVEN.key).chain == GIVEN.chain


@pytest.mark.parametrize("secret", [GIVEN.key, issuing.pem(RSA)])
def test_no_refusal_has_a_word_of_the_key(secret: str) -> None:
    lines = [line for line in secret.splitlines() if not line.startswith("---")]
    for chain, key in ((secret, secret), (GIVEN.leaf, secret), (GIVEN.chain, secret + secret)):
        said = refusal(chain, key)
        assert not any(line in said for line in lines)


def test_what_clients_find_is_told() -> None:
    served = tls_pairs.served(CA.issue(HOSTNAME, "Example.com", ends=3 * DAY).chain)
    assert served.names == (HOSTNAME, "example.com")
    assert NOW < served.expires_at < NOW + 4 * DAY
    assert len(served.fingerprint_sha256) == 95


@pytest.mark.parametrize(
    "document",
    [
        tls_document.Document(),
        tls_document.Document(None, ("192.0.2.1", "2001:db8::1")),
        tls_document.Document(tls_pairs.Pair(GIVEN.chain, GIVEN.key), ("192.0.2.1",)),
    ],
)
def test_a_document_is_what_was_rendered(document: tls_document.Document) -> None:
    assert tls_document.parse(tls_document.render(document)) == document


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"version":2}',
        b'{"version":1,"pair":[]}',
        b'{"version":1,"pair":{"chain":1,"key":"x"}}',
        b'{"version":1,"addresses":["hostname"]}',
    ],
)
def test_what_is_no_document_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="certificate's document"):
        tls_document.parse(content)


def test_a_report_is_what_was_rendered() -> None:
    report = tls_reports.Report(GIVEN.chain, is_told=True, refused="for a reason")
    assert tls_reports.parse(tls_reports.render(report)) == report
    with pytest.raises(ValueError, match="the certificate's report"):
        tls_reports.parse('{"chain": 1}')
