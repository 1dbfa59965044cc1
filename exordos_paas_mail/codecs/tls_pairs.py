# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A certificate and its private key that somebody gives a relay to serve: PEM, RFC 5280.

``check`` is the one rule of what is served: it is asked when a pair is stored, and
again on the node.
"""

from __future__ import annotations

import datetime
import functools
import ipaddress
import re
import typing as tp

from cryptography import exceptions, x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import oid

from exordos_paas_mail.codecs import rules

CHAIN_SIZE_MAX: tp.Final = 32 * 1024
"""Characters of a chain, PEM."""
KEY_SIZE_MAX: tp.Final = 16 * 1024

_CERTIFICATES_MAX: tp.Final = 10
_CERTIFICATE: tp.Final = "CERTIFICATE"
_RSA_BITS: tp.Final = (2048, 4096)
_CURVES: tp.Final = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_HASHES: tp.Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
# KeyError is one of a TLS feature (RFC 7633) that the library does not know.
_UNREADABLE: tp.Final = (
    ValueError,
    TypeError,
    KeyError,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    exceptions.UnsupportedAlgorithm,
)
_BEGIN: tp.Final = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----")
_ENCRYPTED: tp.Final = "ENCRYPTED"
_KINDS: tp.Final = (
    f"must be RSA of {_RSA_BITS[0]} to {_RSA_BITS[1]} bits, or EC on P-256, P-384 or P-521:"
    " mail clients know no others"
)

_SERVING: tp.Final = {
    oid.ExtendedKeyUsageOID.SERVER_AUTH,
    oid.ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
}
T = tp.TypeVar("T", bound=x509.ExtensionType)

Key: tp.TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Pair(tp.NamedTuple):
    """What is served: PEM of a chain, the server's certificate first, and its key in PKCS#8."""

    chain: str
    key: str


class Names(tp.NamedTuple):
    """What a certificate may be asked for, in lower case."""

    dns: tuple[str, ...]
    addresses: tuple[str, ...]

    def covers(self, hostname: str) -> bool:
        """Return whether a client that connects to *hostname* takes it (RFC 6125)."""
        _, _, parent = hostname.partition(".")
        return hostname in self.dns or f"*.{parent}" in self.dns


def check_chain(text: str) -> str:
    """Return the certificates of *text* as PEM and nothing else; RuleError if they are none.

    White space and line ends are as they come. A private key among them is refused: a
    certificate is shown.
    """
    if len(text) > CHAIN_SIZE_MAX:
        raise rules.RuleError(f"certificate must be {CHAIN_SIZE_MAX} characters at most")
    blocks = _blocks(text)
    if any(label.endswith("PRIVATE KEY") for label, _ in blocks):
        raise rules.RuleError(
            "certificate has a private key in it: give the key as private_key alone"
        )
    found = [body for label, body in blocks if label == _CERTIFICATE]
    if not found:
        raise rules.RuleError(
            "certificate must be PEM: one or more blocks of -----BEGIN CERTIFICATE-----,"
            " that of the server first"
        )
    if len(found) > _CERTIFICATES_MAX:
        raise rules.RuleError(f"certificate must have {_CERTIFICATES_MAX} blocks at most")
    return _pem(_load(body, number) for number, body in enumerate(found, start=1))


def check_key(text: str) -> str:
    """Return the private key of *text* in PKCS#8; RuleError, without a word of it, if it is none.

    It may be PKCS#8, PKCS#1 or SEC 1, and parameters of a curve may be before it.
    """
    return (
        _load_key(text)
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        .decode("ascii")
    )


def check(
    chain: str,
    key: str,
    hostname: str,
    now: datetime.datetime,
    early: datetime.timedelta = datetime.timedelta(),
) -> Pair:
    """Return the pair that a relay called *hostname* may serve at *now*, in its one spelling.

    It may be *early* by so much: the clock of whoever asks may be late.

    The chain is put into its order, from the server's certificate on, without what clients
    need not be told. RuleError says what
    is wrong with it: the key is another's, a certificate between is missing or does not
    fit, it does not name *hostname*, has ended or has not begun, or clients refuse it.
    """
    private_key = _load_key(key)
    certificates = _certificates(check_chain(chain))
    path = _path(certificates, private_key, now + early)
    for number, certificate in enumerate(path, start=1):
        _check_one(certificate, number, now, early)
    _check_use(path[0])
    for place in range(1, len(path)):
        _check_issuer(path, place)
    if not names(path[0]).covers(hostname):
        raise rules.RuleError(
            f"certificate does not name {hostname}: clients connect to that name and refuse it."
            " Its subjectAltName must have the name, or the wildcard of its domain"
        )
    return Pair(_pem(path), check_key(key))


class Served(tp.NamedTuple):
    """What clients find in a chain."""

    fingerprint_sha256: str
    """Of the first certificate, as openssl x509 prints it."""
    names: tuple[str, ...]
    """What that may be asked for, addresses last."""
    begins_at: datetime.datetime
    """When the first certificate begins."""
    expires_at: datetime.datetime
    """When the first of all its certificates ends."""


def chain_of(bundle: bytes) -> str:
    """Return the certificates of *bundle*, PEM of a key and a chain; ValueError if there is none.

    Nothing of the key is in it.
    """
    return _pem(x509.load_pem_x509_certificates(bundle))


def served(chain: str) -> Served:
    """Return what clients find in *chain*, PEM; raises ValueError where it is none."""
    certificates = _certificates(chain)
    first = certificates[0]
    return Served(
        first.fingerprint(hashes.SHA256()).hex(":").upper(),
        tuple(dict.fromkeys([*names(first).dns, *names(first).addresses])),
        first.not_valid_before_utc,
        min(certificate.not_valid_after_utc for certificate in certificates),
    )


def first_names(chain: str) -> Names:
    """Return what the first certificate of *chain*, PEM, may be asked for."""
    return names(_certificates(chain)[0])


def names(certificate: x509.Certificate) -> Names:
    """Return what *certificate* may be asked for; its common name is nothing to a client."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return Names((), ())
    return Names(
        tuple(name.lower() for name in extension.value.get_values_for_type(x509.DNSName)),
        tuple(str(address) for address in extension.value.get_values_for_type(x509.IPAddress)),
    )


def _blocks(text: str) -> list[tuple[str, str]]:
    r"""Return the labels and bodies of PEM; RuleError if line ends are spelled ``\n``."""
    blocks = []
    begin = _BEGIN.search(text)
    while begin:
        # One search for each: a pattern of both would look at the rest of a text without ends
        # for each of a thousand beginnings, a character at a time.
        mark = f"-----END {begin[1]}-----"
        end = text.find(mark, begin.end())
        if end >= 0:
            blocks.append((begin[1], text[begin.end() : end]))
        begin = _BEGIN.search(text, begin.start() + 1 if end < 0 else end + len(mark))
    if any("\\n" in body for _, body in blocks):
        raise rules.RuleError(
            "certificate and private_key must have line ends: there is a backslash and an n"
            " in their place, which was escaped twice"
        )
    return blocks


def _armoured(label: str, body: str) -> bytes:
    text = "".join(body.split())
    lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n".encode()


def _load(body: str, number: int) -> x509.Certificate:
    try:
        certificate = x509.load_pem_x509_certificate(_armoured(_CERTIFICATE, body))
        # Some of it is read only when it is asked for.
        names(certificate)
        certificate.public_key()
    except _UNREADABLE:
        raise rules.RuleError(
            f"certificate cannot be read: block {number} of it is damaged, or cut"
        ) from None
    return certificate


def _certificates(chain: str) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(chain.encode("ascii"))


def _pem(certificates: tp.Iterable[x509.Certificate]) -> str:
    return "".join(
        certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")
        for certificate in certificates
    )


def _load_key(text: str) -> Key:
    if len(text) > KEY_SIZE_MAX:
        raise rules.RuleError(f"private_key must be {KEY_SIZE_MAX} characters at most")
    found = [(label, body) for label, body in _blocks(text) if label.endswith("PRIVATE KEY")]
    if len(found) != 1:
        raise rules.RuleError(
            "private_key must be PEM: one block of -----BEGIN PRIVATE KEY-----,"
            " RSA PRIVATE KEY or EC PRIVATE KEY"
        )
    ((label, body),) = found
    if _ENCRYPTED in label or _ENCRYPTED in body:
        raise rules.RuleError(
            "private_key has a passphrase, and the relay starts without anybody to type it:"
            " give it without, as openssl pkey -in key.pem writes it"
        )
    damaged = rules.RuleError("private_key cannot be read: it is damaged, or cut")
    try:
        # Whether its factors are primes is looked at longer than everything else: a third of a
        # second at 4,096 bits, and minutes at 16,384, before it can be asked how many it has.
        key = serialization.load_pem_private_key(
            _armoured(label, body), password=None, unsafe_skip_rsa_key_validation=True
        )
    except (ValueError, TypeError, exceptions.UnsupportedAlgorithm):
        raise damaged from None
    if not _is_served(key.public_key()):
        raise rules.RuleError(f"private_key {_KINDS}")
    if isinstance(key, rsa.RSAPrivateKey) and not _is_whole(key):
        raise damaged
    return tp.cast("Key", key)


def _is_whole(key: rsa.RSAPrivateKey) -> bool:
    """Return whether the numbers of *key* fit each other (RFC 8017, 3.2), and what it signs it.

    With factors that are no primes they may fit, and no signature does.
    """
    own = key.private_numbers()
    n, e = own.public_numbers.n, own.public_numbers.e
    p, q, d = own.p, own.q, own.d
    if not (
        min(p, q) > 2  # noqa: PLR2004 - no odd prime is smaller
        and p % 2
        and q % 2
        and p * q == n
        and d < n
        and own.dmp1 == d % (p - 1)
        and own.dmq1 == d % (q - 1)
        and own.dmp1 * e % (p - 1) == 1
        and own.dmq1 * e % (q - 1) == 1
        and own.iqmp * q % p == 1
    ):
        return False
    signing = padding.PKCS1v15(), hashes.SHA256()
    try:
        key.public_key().verify(key.sign(b"", *signing), b"", *signing)
    except (ValueError, exceptions.InvalidSignature, exceptions.InternalError):
        return False
    return True


def _is_served(key: object) -> bool:
    if isinstance(key, rsa.RSAPublicKey):
        return _RSA_BITS[0] <= key.key_size <= _RSA_BITS[1]
    return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES)


def _path(
    certificates: tp.Sequence[x509.Certificate], key: Key, now: datetime.datetime
) -> list[x509.Certificate]:
    """Return those of *certificates* that are served, in their order, from that of *key* on.

    What is a second way from there, as a root beside a certificate of its key that another
    authority has issued, is left out: a client needs one, and finds the rest by itself. So is
    an issuer that has ended, or has not begun, after a whole one.
    """
    left = list(dict.fromkeys(certificates))
    own = [certificate for certificate in left if certificate.public_key() == key.public_key()]
    if not own:
        raise rules.RuleError(
            "private_key belongs to another certificate: give the key that this one was issued for"
        )
    path = [min(own, key=lambda each: not _is_valid(each, now))]
    while not _is_issued_by(path[-1], path[-1]):
        issuers = [each for each in left if each not in path and _is_issued_by(path[-1], each)]
        if not issuers:
            break
        # Those who trust its root alone do so also with one more before it.
        issuer = min(
            issuers, key=lambda each: (not _is_valid(each, now), _is_issued_by(each, each))
        )
        if len(path) > 1 and not _is_valid(issuer, now):
            break
        path.append(issuer)
    _check_rest(certificates, [*own, *path])
    if len(path) == 1 and not _is_issued_by(path[0], path[0]):
        raise rules.RuleError(
            "certificate lacks its issuer's, without which clients cannot verify it: append the"
            " intermediate certificates (the file is often called fullchain.pem or ca-bundle)"
        )
    return path


def _check_rest(
    certificates: tp.Sequence[x509.Certificate], known: tp.Sequence[x509.Certificate]
) -> None:
    """Refuse what no way leads to from *known*, those of the chain or of its key."""
    reached = list(dict.fromkeys(known))
    for certificate in reached:
        reached += [
            each
            for each in dict.fromkeys(certificates)
            if each not in reached and _is_issued_by(certificate, each)
        ]
    for place, certificate in enumerate(certificates, start=1):
        if certificate not in reached:
            raise rules.RuleError(
                f"certificate has a block that is not of its chain, block {place}: a certificate"
                " between is missing, or this one is another's. Leave it out, or give what is"
                " missing"
            )


def _is_valid(certificate: x509.Certificate, now: datetime.datetime) -> bool:
    return certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc


@functools.lru_cache(maxsize=2 * _CERTIFICATES_MAX**2)
def _is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, exceptions.InvalidSignature, exceptions.UnsupportedAlgorithm):
        return False
    return True


def _check_one(
    certificate: x509.Certificate,
    number: int,
    now: datetime.datetime,
    early: datetime.timedelta,
) -> None:
    """Refuse what no client takes, also of a certificate between; *number* is its place."""
    which = "certificate" if number == 1 else f"certificate {number} of the chain"
    if certificate.not_valid_after_utc <= now:
        end = f"{certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"
        raise rules.RuleError(f"{which} has expired at {end}: renew it")
    if certificate.not_valid_before_utc > now + early:
        begin = f"{certificate.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}"
        raise rules.RuleError(f"{which} is not valid before {begin}: give it then")
    if not _is_served(certificate.public_key()):
        raise rules.RuleError(f"the key of {which} {_KINDS}")
    if _is_issued_by(certificate, certificate):
        # Who trusts it does so for what it is, not for its signature.
        return
    if not isinstance(certificate.signature_hash_algorithm, _HASHES):
        raise rules.RuleError(f"{which} is signed with a hash that clients refuse: renew it")


def _check_issuer(path: tp.Sequence[x509.Certificate], place: int) -> None:
    """Refuse a certificate of *path* that may not issue what is before it (RFC 5280, 4.2.1).

    Clients look at all of them, but for a root.
    """
    certificate, which = path[place], f"certificate {place + 1} of the chain"
    constraints = _extension(certificate, x509.BasicConstraints)
    usage = _extension(certificate, x509.KeyUsage)
    if constraints is None or not constraints.ca or not (usage is None or usage.key_cert_sign):
        raise rules.RuleError(f"{which} is no authority's: it may not issue the one before it")
    # What is issued by itself does not count: it is another of the same authority.
    between = sum(each.subject != each.issuer for each in path[1:place])
    if constraints.path_length is not None and constraints.path_length < between:
        raise rules.RuleError(f"{which} may not issue authorities: the one before it is one")
    limits = _extension(certificate, x509.NameConstraints)
    refused = None if limits is None else _refused_name(names(path[0]), limits)
    if refused is not None:
        raise rules.RuleError(
            f"{which} may not issue certificates of {refused}, and clients refuse all of it:"
            " have one issued that names only what it may"
        )


def _refused_name(named: Names, limits: x509.NameConstraints) -> str | None:
    """Return a name of *named* that *limits* do not allow, if there is one."""
    permitted, excluded = (
        tuple(subtrees or ()) for subtrees in (limits.permitted_subtrees, limits.excluded_subtrees)
    )
    for found, kind in ((named.dns, x509.DNSName), (named.addresses, x509.IPAddress)):
        allowed = [each.value for each in permitted if isinstance(each, kind)]
        denied = [each.value for each in excluded if isinstance(each, kind)]
        for name in found:
            is_allowed = not allowed or any(_is_within(name, each) for each in allowed)
            if not is_allowed or any(_is_within(name, each) for each in denied):
                return name
    return None


def _is_within(name: str, limit: tp.Any) -> bool:
    if not isinstance(limit, str):
        return ipaddress.ip_address(name) in limit
    # A name of a constraint has itself and all below it, the empty one all (4.2.1.10).
    above = limit.lower().removeprefix(".")
    return not above or name.removeprefix("*.") == above or name.endswith(f".{above}")


def _extension(certificate: x509.Certificate, kind: type[T]) -> T | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _check_use(certificate: x509.Certificate) -> None:
    """Refuse a certificate that no client takes from a server, or not from this one."""
    purposes = _extension(certificate, x509.ExtendedKeyUsage)
    if purposes is not None and not set(purposes) & _SERVING:
        raise rules.RuleError(
            "certificate is not for servers: its extendedKeyUsage must have serverAuth"
        )
    usage = _extension(certificate, x509.KeyUsage)
    if usage is not None and not usage.digital_signature:
        raise rules.RuleError(
            "certificate is not for servers: its keyUsage must have digitalSignature"
        )
    features = _extension(certificate, x509.TLSFeature)
    if features is not None and x509.TLSFeatureType.status_request in features:
        raise rules.RuleError(
            "certificate has clients wait for an answer of OCSP beside it (must-staple, RFC 7633),"
            " which mail servers do not send, and refuse it: have it issued without"
        )
