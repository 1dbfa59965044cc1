# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The relay's TLS keys and certificate chains: PEM, RFC 5280.

What it makes itself is two pairs, RSA and EC, because some clients know only one of them.
"""

from __future__ import annotations

import datetime
import ipaddress
import typing as tp

from cryptography import exceptions, x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import oid

# By which a certificate of ours is told from an installed one.
_ORGANIZATION: tp.Final = "Self-signed by mailaas"
_LIFETIME = datetime.timedelta(days=3650)
_RENEW_BEFORE = datetime.timedelta(days=30)
# A machine may make it before its clock is set right, some days back.
_VALID_BEFORE = datetime.timedelta(days=7)
# RFC 5280, appendix A.1: ub-common-name.
_COMMON_NAME_SIZE_MAX = 64

# Those of TLS that exim's GnuTLS speaks as well: it loads no key on another one.
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
# As strong as P-256, as long as the certificate is valid (NIST SP 800-57 part 1, tables 2 and 4).
_RSA_BITS = 3072

if tp.TYPE_CHECKING:
    from collections.abc import Sequence

PrivateKey: tp.TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def plan(
    key: bytes | None,
    chain: bytes | None,
    names: Sequence[str],
    now: datetime.datetime,
    addresses: Sequence[str] = (),
) -> tuple[bytes, bytes]:
    """Return the key and the chain of a relay which clients know by *names* and *addresses*.

    An installed chain is kept, and so is a key that can be used. Where there is
    no chain, or one of ours that is not of these names, lacks one of the addresses, is
    not the key's, or is about to expire, the chain is a new self-signed one, valid for ten years.

    Raises ValueError for an installed chain that is unreadable or belongs to
    another key.
    """
    private_key = None if key is None else _load_key(key)
    certificate = None if chain is None else _load_certificate(chain)
    if certificate is not None and not _is_ours(certificate):
        if key is None or private_key is None:
            raise ValueError("the installed TLS certificate has no usable private key beside it")
        if not _belongs(certificate, private_key):
            raise ValueError("the installed TLS certificate belongs to another private key")
        return key, tp.cast("bytes", chain)
    if key is None or private_key is None:
        private_key = ec.generate_private_key(ec.SECP256R1())
        key = _pem(private_key)
    if (
        certificate is None
        or chain is None
        or not _is_fit(certificate, private_key, names, addresses, now)
    ):
        chain = _self_sign(private_key, names, addresses, now)
    return key, chain


def plan_other(
    first: tuple[bytes, bytes],
    kept: bytes | None,
    names: Sequence[str],
    now: datetime.datetime,
    addresses: Sequence[str] = (),
) -> bytes:
    """Return the bundle of the pair that the relay makes itself beside *first*, of ``plan``.

    Its key is of the other kind, RSA beside EC and EC beside RSA. What was *kept* of it stays
    as long as ``plan`` would keep it. Beside an installed chain it is not served, and its key
    is of the kind that it was.
    """
    first_key = _load_key(first[0])
    key = None if kept is None else _load_key(kept)
    is_other = isinstance(key, rsa.RSAPrivateKey) != isinstance(first_key, rsa.RSAPrivateKey)
    if key is None or not (is_other or not _is_ours(_load_certificate(first[1]))):
        if isinstance(first_key, rsa.RSAPrivateKey):
            key = ec.generate_private_key(ec.SECP256R1())
        else:
            key = rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
    try:
        certificate = None if kept is None else _load_certificate(kept)
    except ValueError:
        # It is lost from the file, whose key is what clients may know.
        certificate = None
    if (
        certificate is not None
        and _is_ours(certificate)
        and _is_fit(certificate, key, names, addresses, now)
    ):
        return _pem(key) + certificate.public_bytes(serialization.Encoding.PEM)
    return _pem(key) + _self_sign(key, names, addresses, now)


def bundle(key: bytes, chain: bytes) -> bytes:
    """Return one PEM file of a key and a chain that ``plan`` returned.

    It holds the pair and nothing else. An installed file may bring more, such
    as the certificates of an older pair, and GnuTLS would take the first there is.
    """
    private_key = tp.cast("PrivateKey", serialization.load_pem_private_key(key, password=None))
    return b"".join(
        [
            _pem(private_key),
            *(
                certificate.public_bytes(serialization.Encoding.PEM)
                for certificate in x509.load_pem_x509_certificates(chain)
            ),
        ]
    )


class Served(tp.NamedTuple):
    """What clients find in a certificate."""

    not_before: datetime.datetime
    not_after: datetime.datetime
    self_signed: bool
    """One of ours; clients take it if they do not verify."""
    names: frozenset[str]

    def remarks(self, hostname: str, now: datetime.datetime) -> list[str]:
        """Return what clients will not like about it; nothing about one of ours."""
        found: list[str] = []
        if self.self_signed:
            return found
        if self.not_after < now:
            found.append("the installed TLS certificate has expired")
        wildcard = f"*.{hostname.partition('.')[2]}"
        if not {hostname, wildcard} & self.names:
            found.append(f"the installed TLS certificate does not name {hostname}")
        return found


class Period(tp.NamedTuple):
    """From when to when one of ours need not be made anew."""

    begins: datetime.datetime
    renew_at: datetime.datetime


def period(chain: bytes | None) -> Period | None:
    """Return the period of the first certificate of *chain*, PEM; None unless it is one of ours."""
    try:
        certificate = None if chain is None else _load_certificate(chain)
    except ValueError:
        return None
    return None if certificate is None or not _is_ours(certificate) else _period(certificate)


def served(chain: bytes) -> Served:
    """Return what clients find in the first certificate of *chain*, PEM.

    Raises ValueError where there is none.
    """
    certificate = _load_certificate(chain)
    names = frozenset(name.lower() for name in _names(certificate))
    return Served(
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
        _is_ours(certificate),
        names,
    )


def remarks(chain: bytes, hostname: str, now: datetime.datetime) -> list[str]:
    """Return what clients will not like about an installed chain; nothing about one of ours."""
    return served(chain).remarks(hostname, now)


def _pem(key: PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _is_fit(
    certificate: x509.Certificate,
    key: PrivateKey,
    names: Sequence[str],
    addresses: Sequence[str],
    now: datetime.datetime,
) -> bool:
    """Return whether *certificate*, one of ours, need not be made anew."""
    return (
        _belongs(certificate, key)
        and _names(certificate) == list(names)
        and not set(addresses) - _addresses(certificate)
        and _period(certificate).begins <= now <= _period(certificate).renew_at
    )


def _period(certificate: x509.Certificate) -> Period:
    return Period(certificate.not_valid_before_utc, certificate.not_valid_after_utc - _RENEW_BEFORE)


def _load_key(pem: bytes) -> PrivateKey | None:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, exceptions.UnsupportedAlgorithm):
        return None
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key if isinstance(key.curve, _CURVES) else None
    return key if isinstance(key, rsa.RSAPrivateKey) else None


def _load_certificate(chain: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(chain)[0]
    except ValueError as error:
        raise ValueError("the installed TLS certificate chain is not PEM") from error


def _is_ours(certificate: x509.Certificate) -> bool:
    organizations = certificate.issuer.get_attributes_for_oid(oid.NameOID.ORGANIZATION_NAME)
    return [name.value for name in organizations] == [_ORGANIZATION]


def _belongs(certificate: x509.Certificate, key: PrivateKey) -> bool:
    return certificate.public_key() == key.public_key()


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return extension.value.get_values_for_type(x509.DNSName)


def _addresses(certificate: x509.Certificate) -> set[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return set()
    return set(map(str, extension.value.get_values_for_type(x509.IPAddress)))


def _self_sign(
    key: PrivateKey, names: Sequence[str], addresses: Sequence[str], now: datetime.datetime
) -> bytes:
    first = names[0]
    common_name = first if len(first) <= _COMMON_NAME_SIZE_MAX else first.partition(".")[0]
    name = x509.Name(
        [
            x509.NameAttribute(oid.NameOID.ORGANIZATION_NAME, _ORGANIZATION),
            x509.NameAttribute(oid.NameOID.COMMON_NAME, common_name),
        ]
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _VALID_BEFORE)
        .not_valid_after(now + _LIFETIME)
        .add_extension(
            x509.SubjectAlternativeName(
                [
                    *map(x509.DNSName, names),
                    *(x509.IPAddress(ipaddress.ip_address(address)) for address in addresses),
                ]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)
