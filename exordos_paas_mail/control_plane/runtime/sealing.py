# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Encrypted envelopes of what the control plane keeps; a key is a file, not in the database.

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
import pwd
import stat
import typing as tp

from cryptography import exceptions
from cryptography.hazmat.primitives.ciphers import aead
from exordos_metapaas.common import constants as runtime

from exordos_paas_mail import atomic_files

# Where the keys are; a test or an operator may say another place.
KEY_FILE_VARIABLE: tp.Final = "EXORDOS_MAIL_DECLARED_KEY_FILE"
KEY_FILE: tp.Final = f"{runtime.WORK_DIR}/mail_declared.key"
_USER_API: tp.Final = "nobody"
"""The user that the platform has the user API run as."""
_KEY_SIZE: tp.Final = 32
_NONCE_SIZE: tp.Final = 12
_VERSION: tp.Final = "v1"


class Key(tp.NamedTuple):
    """The file of a key, made by whoever of root's processes needs it first."""

    variable: str
    path: str
    mode: int = 0o600

    @property
    def file(self) -> pathlib.Path:
        """Where it is."""
        return pathlib.Path(os.environ.get(self.variable, self.path))


DECLARED: tp.Final = Key(KEY_FILE_VARIABLE, KEY_FILE)
"""Of what manifests declare; root's processes read these alone."""
USER_API: tp.Final = Key(
    "EXORDOS_MAIL_USER_API_KEY_FILE", f"{runtime.WORK_DIR}/mail_user_api.key", 0o640
)
"""Of what users give; the user API reads it too, and cannot make it (``share``)."""


def share() -> None:
    """Have there be a key that the user API can read; it is root's to see to that.

    Raises OSError, which names the file, if it cannot be kept.
    """
    _ensure_key(USER_API)
    file = USER_API.file
    found = file.stat()
    owner = _owner(USER_API)
    if owner and (found.st_gid, stat.S_IMODE(found.st_mode)) != (owner[1], USER_API.mode):
        os.chown(file, *owner)
        file.chmod(USER_API.mode)


def seal(plaintext: str, bound_to: str, key: Key = DECLARED) -> str:
    """Return an envelope of *plaintext* that opens only together with *bound_to*.

    The key is made at the first use, and again when the file has no whole one.
    Raises OSError, which names the file, if it cannot be kept.
    """
    nonce = os.urandom(_NONCE_SIZE)
    cipher = aead.ChaCha20Poly1305(_ensure_key(key))
    box = cipher.encrypt(nonce, plaintext.encode(), bound_to.encode())
    return f"{_VERSION}:{base64.b64encode(nonce + box).decode()}"


def unseal(envelope: str, bound_to: str, key: Key = DECLARED) -> str | None:
    """Return the plaintext of *envelope*.

    None if it was sealed with another key, or one that is lost or damaged, or
    bound to something else: the caller then has no plaintext, which is a
    difference the platform repairs.
    """
    secret = _read_key(key)
    version, _, body = envelope.partition(":")
    if secret is None or version != _VERSION:
        return None
    try:
        box = base64.b64decode(body, validate=True)
        opened = aead.ChaCha20Poly1305(secret).decrypt(
            box[:_NONCE_SIZE], box[_NONCE_SIZE:], bound_to.encode()
        )
    except (ValueError, exceptions.InvalidTag):
        return None
    return opened.decode()


def _owner(key: Key) -> tuple[int, int] | None:
    """Return whose the file is to be; None where that is whoever makes it, or not to be had."""
    if key.mode == DECLARED.mode or os.geteuid() != 0:
        return None
    return 0, pwd.getpwnam(_USER_API).pw_gid


def _read_key(key: Key) -> bytes | None:
    """Return the key; None if there is no whole one."""
    try:
        secret = base64.b64decode(key.file.read_bytes())
    except (FileNotFoundError, binascii.Error):
        return None
    return secret if len(secret) == _KEY_SIZE else None


def _ensure_key(key: Key) -> bytes:
    secret = _read_key(key)
    if secret is not None:
        return secret
    path = key.file
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path.parent):
            # Another process may have made it meanwhile.
            secret = _read_key(key)
            if secret is None:
                secret = aead.ChaCha20Poly1305.generate_key()
                atomic_files.replace(path, base64.b64encode(secret), key.mode, _owner(key))
    except OSError as error:
        # A full disk's error names no file.
        raise OSError(error.errno, error.strerror, str(path)) from error
    return secret


@contextlib.contextmanager
def _locked(directory: pathlib.Path) -> tp.Iterator[None]:
    """Keep other processes and threads out for as long as it is open."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
