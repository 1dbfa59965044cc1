# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Encrypted envelopes of what the control plane keeps; the key is a file, not in the database.

A secret that has to be told again, a password to the element manager or a private key
to a node, is kept, but not where everything else is: a dump of the database has
envelopes alone.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import fcntl
import os
import pathlib
import typing as tp

from cryptography import exceptions
from cryptography.hazmat.primitives.ciphers import aead
from exordos_metapaas.common import constants as runtime

from exordos_paas_mail import atomic_files

# Where the key is; a test or an operator may say another place.
KEY_FILE_VARIABLE: tp.Final = "EXORDOS_MAIL_DECLARED_KEY_FILE"
KEY_FILE: tp.Final = f"{runtime.WORK_DIR}/mail_declared.key"
_KEY_SIZE: tp.Final = 32
_NONCE_SIZE: tp.Final = 12
_VERSION: tp.Final = "v1"


def seal(plaintext: str, bound_to: str) -> str:
    """Return an envelope of *plaintext* that opens only together with *bound_to*.

    The key is made at the first use, and again when the file has no whole one.
    Raises OSError, which names the file, if it cannot be kept.
    """
    nonce = os.urandom(_NONCE_SIZE)
    box = aead.ChaCha20Poly1305(_ensure_key()).encrypt(nonce, plaintext.encode(), bound_to.encode())
    return f"{_VERSION}:{base64.b64encode(nonce + box).decode()}"


def unseal(envelope: str, bound_to: str) -> str | None:
    """Return the plaintext of *envelope*.

    None if it was sealed with another key, or one that is lost or damaged, or
    bound to something else: the caller then has no plaintext, which is a
    difference the platform repairs.
    """
    key = _read_key()
    version, _, body = envelope.partition(":")
    if key is None or version != _VERSION:
        return None
    try:
        box = base64.b64decode(body, validate=True)
        opened = aead.ChaCha20Poly1305(key).decrypt(
            box[:_NONCE_SIZE], box[_NONCE_SIZE:], bound_to.encode()
        )
    except (ValueError, exceptions.InvalidTag):
        return None
    return opened.decode()


def _key_path() -> pathlib.Path:
    return pathlib.Path(os.environ.get(KEY_FILE_VARIABLE, KEY_FILE))


def _read_key() -> bytes | None:
    """Return the key; None if there is no whole one."""
    try:
        key = base64.b64decode(_key_path().read_bytes())
    except (FileNotFoundError, binascii.Error):
        return None
    return key if len(key) == _KEY_SIZE else None


def _ensure_key() -> bytes:
    key = _read_key()
    if key is not None:
        return key
    path = _key_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path.parent):
            # Another process may have made it meanwhile.
            key = _read_key()
            if key is None:
                key = aead.ChaCha20Poly1305.generate_key()
                atomic_files.replace(path, base64.b64encode(key), 0o600)
    except OSError as error:
        # A full disk's error names no file.
        raise OSError(error.errno, error.strerror, str(path)) from error
    return key


@contextlib.contextmanager
def _locked(directory: pathlib.Path) -> tp.Iterator[None]:
    """Keep other processes and threads out for as long as it is open."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
