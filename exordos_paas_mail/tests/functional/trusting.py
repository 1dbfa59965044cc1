# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""By what clients of a relay know it: the certificates that they trust, and the name they ask for.

They are told an address, so the name is none of smtplib's to find out.
"""

from __future__ import annotations

import dataclasses
import ssl
import typing as tp

from cryptography import x509

if tp.TYPE_CHECKING:
    from clients import rest


class Trust(tp.Protocol):
    """What a client goes by."""

    def context(self) -> ssl.SSLContext:
        """Return what to encrypt one connection with; OSError where nothing is known yet."""

    def check(self, session: ssl.SSLSocket) -> None:
        """Raise ssl.SSLCertVerificationError for a session with somebody else."""

    def is_renewed(self) -> bool:
        """Return whether what has just been refused may be right by now."""


class _Named(ssl.SSLContext):
    """A client's context that asks for *name*, and no less than Python's own default."""

    name: str

    def wrap_socket(self, *arguments: tp.Any, **named: tp.Any) -> ssl.SSLSocket:
        return super().wrap_socket(*arguments, **{**named, "server_hostname": self.name})


def _context(name: str, certificates: str, *, is_public: bool = False) -> ssl.SSLContext:
    context = _Named(ssl.PROTOCOL_TLS_CLIENT)
    context.name = name
    # A certificate that is known is trusted, whoever has issued it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if is_public:
        context.load_default_certs()
    context.load_verify_locations(cadata=certificates)
    return context


@dataclasses.dataclass
class Shown:
    """The certificate that the API shows, as who sets clients up hands it out.

    One of the relay's own is made anew with its name, or when it is lost. *read* returns the
    instance, and is called when a client is shown what it does not know.
    """

    read: tp.Callable[[], rest.Json]
    _known: tuple[str, str] = ("", "")

    def context(self) -> ssl.SSLContext:
        if not self._known[1]:
            self.is_renewed()
        if not self._known[1]:
            raise ssl.SSLCertVerificationError("the API shows no certificate")
        return _context(*self._known)

    def check(self, session: ssl.SSLSocket) -> None:
        """Do nothing: it is verified."""

    def is_renewed(self) -> bool:
        found, before = self.read(), self._known
        self._known = (found["hostname"] or found["domain"], found["tls_certificate"] or "")
        return self._known != before


@dataclasses.dataclass(frozen=True)
class Fixed:
    """Certificates that were known before, of all that a relay is to serve; PEM."""

    name: str
    certificates: str
    is_public: bool = False
    """Whether the authorities that the machine trusts are trusted too."""

    def context(self) -> ssl.SSLContext:
        return _context(self.name, self.certificates, is_public=self.is_public)

    def check(self, session: ssl.SSLSocket) -> None:
        """Do nothing: it is verified."""

    def is_renewed(self) -> bool:
        return False


@dataclasses.dataclass(frozen=True)
class SameKey:
    """The key of a certificate that is about to be made anew: the next one is not known yet."""

    certificate: str

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        # There is nothing to verify by; the key is compared below.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    def check(self, session: ssl.SSLSocket) -> None:
        shown = x509.load_der_x509_certificate(session.getpeercert(binary_form=True) or b"")
        known = x509.load_pem_x509_certificate(self.certificate.encode())
        if shown.public_key() != known.public_key():
            raise ssl.SSLCertVerificationError("the relay has another key")

    def is_renewed(self) -> bool:
        return False
