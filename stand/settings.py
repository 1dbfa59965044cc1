# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What a stand is made with once and keeps: its place, identities, passwords, keys."""

from __future__ import annotations

import base64
import dataclasses
import ipaddress
import json
import secrets
import typing as tp
import uuid as sys_uuid

from clients import files
from imaging import paths
from imaging.containers import sites

if tp.TYPE_CHECKING:
    import pathlib

SITE: tp.Final = sites.Site(
    "stand",
    paths.PROJECT / ".stand",
    ipaddress.IPv4Network("10.77.0.0/22"),
    # Nobody is known to have them, and they are of no special purpose: a node takes them for those
    # of public servers (exordos_paas_mail.codecs.public_addresses).
    ipaddress.IPv4Network("192.0.1.0/29"),
)
_FILE: tp.Final = "settings.json"
# gcl_sdk encrypts with ChaCha20-Poly1305: a key of 32 bytes.
_KEY_BYTES: tp.Final = 32


@dataclasses.dataclass(frozen=True)
class Settings:
    """The stand's own values; keys are in base64."""

    core_uuid: str
    hypervisor_uuid: str
    hypervisor_key: str
    admin_password: str
    client_secret: str
    owner_password: str


def ensure(directory: pathlib.Path) -> Settings:
    """Return the settings of the stand in *directory*, made up if it has none."""
    file = directory / _FILE
    if not file.exists():
        made = Settings(
            core_uuid=str(sys_uuid.uuid4()),
            hypervisor_uuid=str(sys_uuid.uuid4()),
            hypervisor_key=base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode(),
            admin_password=secrets.token_hex(8),
            client_secret=secrets.token_urlsafe(32),
            owner_password=secrets.token_hex(8),
        )
        directory.mkdir(parents=True, exist_ok=True)
        files.write_private(file, json.dumps(dataclasses.asdict(made), indent=2))
    return Settings(**json.loads(file.read_text()))
