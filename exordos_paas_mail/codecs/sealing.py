# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What a node and the control plane say to each other in rows that anybody may read and write.

The Status API takes any row from any node and lets any node read it. So what a row
holds is sealed with a key that only its node and the control plane have, and bound
to its place: it opens as what it was sealed as, or not at all.
"""

from __future__ import annotations

import base64
import dataclasses
import os
import typing as tp
import zlib

from cryptography import exceptions
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import aead
from cryptography.hazmat.primitives.kdf import hkdf

_KEY_SIZE: tp.Final = 32
_NONCE_SIZE: tp.Final = 12


@dataclasses.dataclass(frozen=True)
class Seal:
    """One use of the node's key; *info* makes it another key than any other use's."""

    name: str
    """What is sealed, for errors: ``the batch``."""
    info: bytes
    raw_size_max: int
    """Octets that one of them may hold."""

    @property
    def sealed_size_max(self) -> int:
        """Characters of what is sealed."""
        # What deflate cannot shorten grows by far less than this, and base64 is longer by a third.
        return (self.raw_size_max + 1024) * 4 // 3

    def seal(self, key: bytes, bound_to: str, raw: bytes) -> str:
        """Return *raw*, of at most ``raw_size_max`` octets, sealed, in base64.

        *key* is the node's own; each call gives another text.
        """
        nonce = os.urandom(_NONCE_SIZE)
        cipher = aead.ChaCha20Poly1305(self._derived(key))
        box = cipher.encrypt(nonce, zlib.compress(raw), bound_to.encode("ascii"))
        return base64.b64encode(nonce + box).decode()

    def unseal(self, key: bytes, bound_to: str, text: str) -> bytes:
        """Return what *text* was made of; raises ValueError, without a word of it, if it cannot.

        It cannot where *text* was sealed with another key or bound to something
        else, or is larger than it may be.
        """
        try:
            sealed = base64.b64decode(text, validate=True)
        except ValueError as error:
            raise ValueError(f"{self.name} is not in base64") from error
        nonce, box = sealed[:_NONCE_SIZE], sealed[_NONCE_SIZE:]
        cipher = aead.ChaCha20Poly1305(self._derived(key))
        try:
            packed = cipher.decrypt(nonce, box, bound_to.encode("ascii"))
        except (exceptions.InvalidTag, ValueError) as error:
            raise ValueError(f"{self.name} does not open") from error
        inflater = zlib.decompressobj()
        try:
            raw = inflater.decompress(packed, self.raw_size_max + 1)
        except zlib.error as error:
            raise ValueError(f"{self.name} cannot be unpacked") from error
        if len(raw) > self.raw_size_max or not inflater.eof or inflater.unused_data:
            raise ValueError(f"{self.name} is too large, or not whole")
        return raw

    def _derived(self, key: bytes) -> bytes:
        return hkdf.HKDF(hashes.SHA256(), _KEY_SIZE, salt=None, info=self.info).derive(key)
