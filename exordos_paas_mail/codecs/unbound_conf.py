# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The configuration of the node's own resolver, unbound.conf(5)."""

from __future__ import annotations

import typing as tp

if tp.TYPE_CHECKING:
    from collections.abc import Sequence

# Of the network by their nature (RFC 6761, RFC 6762, RFC 8375) or by custom: the root proves
# that there are no such top-level domains, and who believes that refuses mail to them.
_ALWAYS_PRIVATE: tp.Final = (
    *("corp", "home", "home.arpa", "internal", "intranet", "invalid"),
    *("lan", "local", "localdomain", "private", "test"),
)
# Of private addresses (RFC 1918, RFC 4193) and those of a link (RFC 6303, 4.2, 4.4, 4.5); that
# they are not validated is of unbound's own list, insecure-lan-zones.
_PRIVATE_REVERSE: tp.Final = (
    *("10.in-addr.arpa", "168.192.in-addr.arpa", "254.169.in-addr.arpa"),
    *(f"{number}.172.in-addr.arpa" for number in range(16, 32)),
    *("d.f.ip6.arpa", *(f"{digit}.e.f.ip6.arpa" for digit in "89ab")),
)
# What unbound would answer by itself is the network's to answer.
_NOT_BUILT_IN: tp.Final = ("home.arpa", "invalid", "test")

_SERVER: tp.Final = """\
# Made by exordos-mail-keep-resolver, which writes it anew
server:
  username: ""
  chroot: ""
  pidfile: ""
  use-syslog: no
  logfile: ""
  verbosity: 0
  val-log-level: 1
  do-ip6: yes
  num-threads: 1
  outgoing-range: 256
  num-queries-per-thread: 256
  msg-cache-size: 4m
  rrset-cache-size: 8m
  key-cache-size: 2m
  neg-cache-size: 512k
  incoming-num-tcp: 16
  outgoing-num-tcp: 16
  stream-wait-size: 1m
  hide-identity: yes
  hide-version: yes
  trust-anchor-signaling: no
  # What a proof spans may be a name that only the network knows
  aggressive-nsec: no
  # A slow spell of the network's server, the only one there is, is nothing to remember it by
  infra-host-ttl: 10
  infra-keep-probing: yes
  infra-cache-min-rtt: 500
  infra-cache-max-rtt: 4000
  outbound-msg-retry: 8
  val-bogus-ttl: 10
  cache-max-negative-ttl: 300
  unblock-lan-zones: yes
  insecure-lan-zones: yes
"""


def render(
    server: str,
    private_servers: Sequence[str],
    private_zones: Sequence[str],
    anchors: Sequence[str],
    *,
    ipv6: bool,
) -> str:
    """Return unbound.conf for a resolver that asks *server*.

    *private_zones*, and what is private on every network, are asked of *private_servers*
    alone: another may be a public one, which would learn of them and know nothing. With
    *anchors*, keys of the root (``trust_anchors``), it validates; without it passes on what
    it hears. *ipv6*: whether this machine has ::1.
    """
    zones = sorted({*_ALWAYS_PRIVATE, *private_zones})
    lines = [
        *(f"  interface: {address}" for address in ("127.0.0.1", *(["::1"] if ipv6 else []))),
        f'  module-config: "{"validator iterator" if anchors else "iterator"}"',
        *(f'  trust-anchor: "{anchor}"' for anchor in anchors),
        *(f'  local-zone: "{zone}." nodefault' for zone in _NOT_BUILT_IN),
        *(f'  domain-insecure: "{zone}."' for zone in zones),
        "remote-control:",
        "  control-enable: no",
    ]
    forwards: list[tuple[str, Sequence[str]]] = [
        *((f"{zone}.", private_servers) for zone in sorted({*zones, *_PRIVATE_REVERSE})),
        (".", (server,)),
    ]
    for name, addresses in forwards:
        lines += ["forward-zone:", f'  name: "{name}"']
        lines += [f"  forward-addr: {address}" for address in addresses]
    return _SERVER + "".join(f"{line}\n" for line in lines)
