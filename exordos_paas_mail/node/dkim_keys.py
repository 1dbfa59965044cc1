# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Which DKIM key a node signs with.

No part in the sense of ``parts.base``: nobody sends the key, the node makes it.
Its files are planned with everything else that configure writes, and change
with all of that or not at all.

The key of each domain the node has served is kept in a file of the domain's
name, and written there before exim's copy of it. So a key is made once and kept
for ever, a data disk that gets a new domain never signs with the old one's key,
and coming back to a domain finds its key.
"""

from __future__ import annotations

import dataclasses
import hashlib
import typing as tp

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import dkim, mail_env

if tp.TYPE_CHECKING:
    from collections.abc import Mapping

_SUFFIX = ".private"
_RETIRED = ".retired"


@dataclasses.dataclass(frozen=True)
class KeyFiles:
    """The files of a domain's DKIM key."""

    kept: dict[str, bytes]
    """Files to write in the directory of kept keys, by name."""
    private_key: bytes
    """What exim signs with."""
    record: str
    """The record to publish, for a zone file."""


def plan(
    domain: str, private_key: bytes | None, record: bytes | None, kept: Mapping[str, bytes]
) -> KeyFiles:
    """Return the key files for *domain*, given what is on the disk.

    *private_key* and *record* are exim's copy and the record beside it, *kept*
    the files in the directory of kept keys. A usable key that is not among the
    kept ones was put there by hand, for the domain its record names (without
    one, for *domain*): it is taken over, and a kept one that it replaces is
    renamed, not removed.

    Raises ValueError when the kept key of *domain* cannot be used: a new one
    would have to be published, which is not decided here.
    """
    files: dict[str, bytes] = {}
    current = [key for name, key in kept.items() if name.endswith(_SUFFIX)]
    if private_key is not None and private_key not in current and _is_usable(private_key):
        name = f"{_owner(record) or domain}{_SUFFIX}"
        if name in kept:
            files[_retired(name, kept[name])] = kept[name]
        files[name] = private_key
    name = f"{domain}{_SUFFIX}"
    key = files.get(name, kept.get(name))
    if key is None:
        key = files[name] = dkim.generate()
    try:
        value = dkim.value_of(key)
    except ValueError as error:
        raise ValueError(f"{constants.DKIM_KEYS_DIR}/{name}: {error}") from error
    return KeyFiles(files, key, dkim.render(value, constants.DKIM_SELECTOR, domain))


def _is_usable(private_key: bytes) -> bool:
    try:
        dkim.value_of(private_key)
    except ValueError:
        return False
    return True


def _owner(record: bytes | None) -> str:
    if record is None:
        return ""
    try:
        domain, _ = dkim.parse(record.decode("utf-8", errors="replace"))
        mail_env.render(domain)
    except ValueError:
        # Not a record of ours, or one with a relative name.
        return ""
    return domain


def _retired(name: str, private_key: bytes) -> str:
    digest = hashlib.sha256(private_key).hexdigest()[:16]
    return f"{name.removesuffix(_SUFFIX)}.{digest}{_RETIRED}"
