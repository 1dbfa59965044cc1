# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""When exim tries again, as ``exim_dumpdb -z ... retry`` lists it (exim specification, 54.10).

exim keeps it by what has failed: ``R:`` and a domain or an address that could not be
routed or was refused, ``T:`` and a host, for a reason of one message with its id. How it names
the host is a matter of the transport (``tls_policies.RETRY_KEYS``, ``smarthosts.RETRY_KEY``).
"""

from __future__ import annotations

import datetime
import re
import typing as tp

from exordos_paas_mail.codecs import smarthosts, tls_policies

if tp.TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

# The key, which is a stranger's in part, goes before the first pair of numbers.
_WHAT = re.compile(r"  (?P<key>[RT]:.*?) -?\d+ -?\d+ .*")
_TIME = r"\d\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d"
# The one that exim does not tell in a key.
_PORT: tp.Final = 25
_WHEN = re.compile(rf"{_TIME}  {_TIME}  (?P<next>{_TIME}) \*?")


def parse(text: str) -> dict[str, int]:
    """Return when (in seconds since 1970) each key of *text* is due."""
    hints = {}
    key = ""
    for line in text.splitlines():
        if key and (when := _WHEN.fullmatch(line)):
            hints[key] = _seconds(when["next"])
            key = ""
        elif what := _WHAT.fullmatch(line):
            key = what["key"]
    return hints


class Attempt(tp.NamedTuple):
    """What is tried again."""

    queue_id: str
    sender: str
    recipient: str
    mx: str = ""
    """The server that it was tried at last, empty where there was none."""
    mx_address: str = ""
    mode: tls_policies.Mode = tls_policies.Mode.AUTO
    """How it leaves by MX records."""
    smarthost_port: int = 0
    """Of the smarthost that it goes by, 0 where it goes by MX records."""
    is_rerouted: bool = False
    """Whether it goes another way than that by which no server could be gone to."""


def due(hints: Mapping[str, int], attempt: Attempt) -> int:
    """Return when *attempt* is made again, 0 where nothing holds it back."""
    return max(hints.get(key, 0) for key in _keys(attempt))


def is_of(keys: Container[str], attempt: Attempt) -> bool:
    """Return whether one of *keys* is of *attempt*."""
    return any(key in keys for key in _keys(attempt))


def _keys(attempt: Attempt) -> Iterator[str]:
    local_part, _, domain = attempt.recipient.rpartition("@")
    of_address = f"R:{local_part}@{domain.lower()}"
    if not attempt.is_rerouted:
        yield f"R:{domain.lower()}"
        yield of_address
    yield f"{of_address}:<{attempt.sender}>"
    if attempt.mx:
        of_host = _of_host(attempt)
        yield of_host
        yield f"{of_host}:{attempt.queue_id}"


def _of_host(attempt: Attempt) -> str:
    key, port = tls_policies.RETRY_KEYS[attempt.mode], ""
    if attempt.smarthost_port:
        key = smarthosts.RETRY_KEY
        port = f":{attempt.smarthost_port}" if attempt.smarthost_port != _PORT else ""
    address = f":{attempt.mx_address}" if key.has_address else ""
    interface = tls_policies.INTERFACES[":" in attempt.mx_address]
    return f"T:{attempt.mx.lower()}{address}{port}" + f"/{interface}" * key.has_interface


def _seconds(time: str) -> int:
    at = datetime.datetime.strptime(time, "%d-%b-%Y %H:%M:%S").replace(tzinfo=datetime.timezone.utc)
    return int(at.timestamp())
