# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What the kernel tells of processes, sockets and networks, proc(5)."""

from __future__ import annotations

import ipaddress
import re
import typing as tp

# TCP_LISTEN of include/net/tcp_states.h.
_LISTEN = "0A"
# Stopped by a signal or a debugger, dead, or dead and not yet waited for.
_NOT_RUNNING = frozenset("tTXxZ")


# How proc_meminfo(5) tells of what may be asked for without another's being taken; exim reads the
# same (templates/exim4/acl/hold.j2).
AVAILABLE_PATTERN: tp.Final = r"MemAvailable: +(\d+) kB"


class Process(tp.NamedTuple):
    """A process as /proc/<pid>/stat has it."""

    started: str
    """Clock ticks from the boot to its start: no later process of its number has them."""
    runs: bool
    """Whether it does anything: it is neither dead nor stopped by a signal."""


def parse_process(text: str) -> Process:
    """Return the process that /proc/<pid>/stat tells of; ValueError for another text."""
    # The name is in parentheses and may have anything in it.
    _, parenthesis, rest = text.rpartition(")")
    fields = rest.split()
    if not parenthesis or len(fields) < 20:  # noqa: PLR2004 - the 22nd field, the third is the first here
        raise ValueError("not the status of a process")
    return Process(fields[19], runs=fields[0] not in _NOT_RUNNING)


def parse_available(text: str) -> int | None:
    """Return the octets of memory that may be asked for, of /proc/meminfo.

    None where it does not tell: what a container is shown may have fewer lines.
    """
    found = re.search(AVAILABLE_PATTERN, text)
    return None if found is None else int(found[1]) * 1024


def parse_listening(text: str) -> set[int]:
    """Return the ports somebody listens on, of /proc/net/tcp or tcp6."""
    ports = set()
    for line in text.splitlines()[1:]:
        fields = line.split(maxsplit=4)
        if len(fields) > 3 and fields[3] == _LISTEN:  # noqa: PLR2004 - local, remote, state
            ports.add(int(fields[1].rpartition(":")[2], 16))
    return ports


def parse_own_networks(text: str) -> set[ipaddress.IPv4Network]:
    """Return the IPv4 addresses of the machine, a network each, of /proc/net/fib_trie."""
    addresses = set()
    last = ""
    for line in text.splitlines():
        fields = line.split()
        if fields[:1] == ["|--"] and len(fields) == 2:  # noqa: PLR2004 - |-- 192.0.2.7
            last = fields[1]
        elif fields[:3] == ["/32", "host", "LOCAL"]:
            addresses.add(ipaddress.IPv4Network(last))
    return addresses


def parse_networks(text: str) -> set[ipaddress.IPv4Network]:
    """Return the IPv4 networks that the machine reaches without a gateway, of /proc/net/route."""
    networks = set()
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 7 and fields[2] == "00000000":  # noqa: PLR2004 - the eighth is the mask
            address, mask = (
                int.from_bytes(bytes.fromhex(fields[place]), "little") for place in (1, 7)
            )
            if mask:
                networks.add(ipaddress.IPv4Network((address, mask.bit_count())))
    return networks


def parse_networks_of_ipv6(text: str) -> set[ipaddress.IPv6Network]:
    """Return the IPv6 networks that the machine has addresses in, of /proc/net/if_inet6."""
    networks = set()
    for line in text.splitlines():
        fields = line.split()
        if len(fields) > 2:  # noqa: PLR2004 - the third is the length of the prefix
            address = ipaddress.IPv6Address(int(fields[0], 16))
            networks.add(ipaddress.IPv6Network((address, int(fields[2], 16)), strict=False))
    return networks
