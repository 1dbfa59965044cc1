# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What a node is told to serve TLS with (``node_documents``), one document."""

from __future__ import annotations

import ipaddress
import typing as tp

from exordos_paas_mail.codecs import bounded, tls_pairs

COLLECTION: tp.Final = "tls"
SHARD: tp.Final = "0"
"""The only one."""
_ADDRESSES_MAX: tp.Final = 64
_VERSION: tp.Final = 1


class Document(tp.NamedTuple):
    """The pair to be served, and the addresses that clients know the relay by."""

    pair: tls_pairs.Pair | None = None
    """None where the relay is to serve what it makes itself."""
    addresses: tuple[str, ...] = ()


def render(document: Document) -> bytes:
    """Return *document* as JSON; ``parse`` is the inverse."""
    pair = None if document.pair is None else document.pair._asdict()
    return bounded.dump(
        {"version": _VERSION, "pair": pair, "addresses": sorted(document.addresses)}
    )


def parse(content: bytes) -> Document:
    """Return the document of *content*; raises ValueError, without a word of it.

    Whether the pair is one that may be served is ``tls_pairs.check``'s to say.
    """
    value = bounded.load(content, "the certificate's document")
    fields = bounded.Fields(value, "the certificate's document")
    if fields.number("version") != _VERSION:
        raise ValueError("the certificate's document is of no version that is known")
    addresses = fields.texts("addresses", _ADDRESSES_MAX)
    if not all(map(_is_address, addresses)):
        raise fields.error("addresses")
    told = fields.object("pair") if value.get("pair") is not None else None
    return Document(None if told is None else _pair(told), addresses)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _pair(value: object) -> tls_pairs.Pair:
    if not isinstance(value, dict):
        raise ValueError("the certificate's document has no pair")  # noqa: TRY004
    bounds = {"chain": tls_pairs.CHAIN_SIZE_MAX, "key": tls_pairs.KEY_SIZE_MAX}
    for name, size in bounds.items():
        if not isinstance(value.get(name), str) or len(value[name]) > size:
            raise ValueError("the certificate's document has no pair, or too long a one")
    return tls_pairs.Pair(value["chain"], value["key"])
