# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The certificate that the authority's web server shows, of a root of its own.

What pebble issues has another root, a new one each time it starts.
"""

from __future__ import annotations

import dataclasses
import datetime
import ipaddress
import typing as tp

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import oid

from clients import files

if tp.TYPE_CHECKING:
    import pathlib

_ROOT: tp.Final = "Web root of the stand"
_DAYS: tp.Final = 825
# Where pebble answers whoever runs it.
_HERE: tp.Final = ipaddress.IPv4Address("127.0.0.1")


@dataclasses.dataclass(frozen=True)
class Files:
    """Where the parts are."""

    directory: pathlib.Path

    @property
    def root(self) -> pathlib.Path:
        """The certificate to trust."""
        return self.directory / "web_root.pem"

    @property
    def certificate(self) -> pathlib.Path:
        """The server's certificate."""
        return self.directory / "web.pem"

    @property
    def key(self) -> pathlib.Path:
        """Its key."""
        return self.directory / "web.key"


def ensure(directory: pathlib.Path, name: str) -> Files:
    """Return the files of a server called *name* in *directory*, made once."""
    made = Files(directory)
    if made.root.exists():
        return made
    directory.mkdir(parents=True, exist_ok=True)
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = _builder(_ROOT, root_key).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    leaf = _builder(name, key).add_extension(
        x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(_HERE)]), critical=False
    )
    encoding = serialization.Encoding.PEM
    files.write_private(
        made.key,
        key.private_bytes(
            encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
    )
    for path, builder in ((made.certificate, leaf), (made.root, root)):
        path.write_bytes(builder.sign(root_key, hashes.SHA256()).public_bytes(encoding))
    return made


def _builder(name: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named(_ROOT))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=_DAYS))
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid.NameOID.COMMON_NAME, name)])
