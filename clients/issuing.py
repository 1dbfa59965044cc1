# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A certificate authority with an intermediate, for certificates that a relay is given."""

from __future__ import annotations

import datetime
import ipaddress
import typing as tp

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509 import oid

DAY: tp.Final = datetime.timedelta(days=1)
_CA_ENDS: tp.Final = 825 * DAY
Key: tp.TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def now() -> datetime.datetime:
    """Return the time, in UTC."""
    return datetime.datetime.now(datetime.timezone.utc)


class Issued(tp.NamedTuple):
    """A key, its certificate alone, and its chain without the root; PEM."""

    key: str
    leaf: str
    chain: str


class Authority:
    """Issues certificates under an intermediate of its own root, which has *extensions*."""

    def __init__(
        self, name: str = "Test CA", extensions: tp.Sequence[x509.ExtensionType] = ()
    ) -> None:
        root_key, self._key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        root_name, self._name = _name(f"{name} root"), _name(f"{name} R1")
        self.root, self.intermediate = (
            _pem(
                _sign(
                    *(name, key.public_key(), root_name, root_key),
                    is_ca=True,
                    ends=_CA_ENDS,
                    extensions=own,
                )
            )
            for name, key, own in (
                (root_name, root_key, ()),
                (self._name, self._key, extensions),
            )
        )

    def dump(self) -> str:
        """Return all that issues: the key, the intermediate and the root, as PEM."""
        return pem(self._key) + self.intermediate + self.root

    @classmethod
    def load(cls, text: str) -> Authority:
        """Return the authority that was dumped."""
        loaded = cls.__new__(cls)
        loaded._take(text)  # noqa: SLF001 - it is one of these
        return loaded

    def _take(self, text: str) -> None:
        key = serialization.load_pem_private_key(text.encode(), None)
        intermediate, root = x509.load_pem_x509_certificates(text.encode())
        self._key = tp.cast("ec.EllipticCurvePrivateKey", key)
        self._name = intermediate.subject
        self.root, self.intermediate = _pem(root), _pem(intermediate)

    def certify(self, other: Authority) -> str:
        """Return a certificate of *other*, an authority below this one, as PEM."""
        public = other._key.public_key()
        name = other._name
        return _pem(_sign(name, public, self._name, self._key, is_ca=True))

    def issue(  # noqa: PLR0913 - what differs is said by name
        self,
        *names: str,
        key: Key | None = None,
        begins: datetime.timedelta = -DAY,
        ends: datetime.timedelta = 90 * DAY,
        hash_: tp.Any = None,
        usage: x509.ObjectIdentifier = oid.ExtendedKeyUsageOID.SERVER_AUTH,
        extensions: tp.Sequence[x509.ExtensionType] = (),
    ) -> Issued:
        """Return a pair for *names*; an EC key where none is given."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        leaf = _pem(
            _sign(
                *(_name(names[0]), key.public_key(), self._name, self._key),
                names=names,
                begins=begins,
                ends=ends,
                hash_=hash_,
                usage=usage,
                extensions=extensions,
            )
        )
        return Issued(pem(key), leaf, leaf + self.intermediate)


def pem(
    key: Key,
    form: serialization.PrivateFormat = serialization.PrivateFormat.PKCS8,
    passphrase: bytes = b"",
) -> str:
    """Return *key* as PEM."""
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase)
    return key.private_bytes(serialization.Encoding.PEM, form, encryption).decode()


def self_signed(*names: str) -> Issued:
    """Return a pair that is its own authority's."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(names[0])
    leaf = _pem(_sign(name, key.public_key(), name, key, names=names))
    return Issued(pem(key), leaf, leaf)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid.NameOID.COMMON_NAME, common[:64])])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _sign(  # noqa: PLR0913 - what differs is said by name
    name: x509.Name,
    public: tp.Any,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    *,
    names: tp.Sequence[str] = (),
    is_ca: bool = False,
    begins: datetime.timedelta = -DAY,
    ends: datetime.timedelta = 90 * DAY,
    hash_: tp.Any = None,
    usage: x509.ObjectIdentifier = oid.ExtendedKeyUsageOID.SERVER_AUTH,
    extensions: tp.Sequence[x509.ExtensionType] = (),
) -> x509.Certificate:
    at = now()
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(at + begins)
        .not_valid_after(at + ends)
    )
    if not any(isinstance(each, x509.BasicConstraints) for each in extensions):
        extensions = [x509.BasicConstraints(ca=is_ca, path_length=None), *extensions]
    for each in extensions:
        critical = isinstance(each, x509.BasicConstraints)
        builder = builder.add_extension(each, critical=critical)
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_general_name(each) for each in names]), critical=False
        ).add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return builder.sign(key, hash_ or hashes.SHA256())
