# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The table of domains on the relay of the tests, with the keys it lists."""

from __future__ import annotations

import functools
import shutil
import typing as tp

import dkim as dkimpy

from exordos_paas_mail.codecs import dkim, domain_table
from exordos_paas_mail.tests.relay import relay as relay_

if tp.TYPE_CHECKING:
    import pathlib

TABLE: tp.Final = relay_.CONFIG.with_name("domains")
KEYS: tp.Final = relay_.DKIM / "domains"

# A selector's key is the same in each test: to make one takes a while.
make = functools.cache(lambda _name, algorithm: dkim.generate(algorithm))


def path(name: str, selector: str) -> pathlib.Path:
    return KEYS / name / f"{selector}.private"


def tell(text: str) -> None:
    """Make *text* the table, and the keys it lists, as the driver does."""
    for domain in domain_table.parse(text):
        for key in domain.keys:
            if (domain.name, key.selector) != (relay_.DOMAIN, "platform"):
                file = path(domain.name, key.selector)
                for folder in (KEYS, file.parent):
                    folder.mkdir(exist_ok=True)
                    shutil.chown(folder, "root", "Debian-exim")
                    folder.chmod(0o750)
                relay_.install(file, make(f"{domain.name} {key.selector}", key.algorithm))
    relay_.install(TABLE, text)


def forget() -> None:
    """Have the node never been told."""
    TABLE.unlink(missing_ok=True)
    if KEYS.exists():
        shutil.rmtree(KEYS)


def signatures(relay: relay_.Relay, data: bytes) -> list[tuple[str, str, str]]:
    """Return domain, selector and algorithm of each signature; asserts that all of them hold."""
    headers, _ = dkimpy.rfc822_parse(data)
    count = sum(name.lower() == b"dkim-signature" for name, _ in headers)
    return sorted(_verify(relay, data, index) for index in range(count))


def _verify(relay: relay_.Relay, data: bytes, index: int) -> tuple[str, str, str]:
    def published(name: bytes, timeout: int = 5) -> bytes:
        selector, _, domain = name.decode().removesuffix(".").partition("._domainkey.")
        if (domain, selector) == (relay_.DOMAIN, "platform"):
            return relay.dkim_record.encode()
        for algorithm in dkim.ALGORITHMS:
            try:
                public = dkim.public_key_of(path(domain, selector).read_bytes(), algorithm)
            except ValueError:
                continue
            return dkim.value_for(algorithm, public).encode()
        raise AssertionError(name)

    verifier = dkimpy.DKIM(data)
    assert verifier.verify(idx=index, dnsfunc=published)
    fields = {name: value.decode() for name, value in verifier.signature_fields.items()}
    return fields[b"d"], fields[b"s"], fields[b"a"]
