# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""docs/clients.md: what was tried, made by the run."""

from __future__ import annotations

import dataclasses
import platform
import typing as tp

from exordos_paas_mail.tests.mail_clients import catalogue

if tp.TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_YES: tp.Final = "yes"
_NO: tp.Final = "no"
VERIFIES: tp.Final = "verifies"
"""What is noted of a client that verifies, or does not, as the catalogue says."""
_HEAD: tp.Final = """\
<!--
SPDX-FileCopyrightText: 2026 The mailaas authors
SPDX-License-Identifier: Apache-2.0
-->

# Clients

`make client-table` makes this page. Each client below ran on a machine of its owner's on the
[stand](stand.md), with its own defaults, and sent a message through a relay whose accounts send as
themselves alone (`sender_policy` is `account`) and whose certificate is an authority's that its
machine trusts as a public one: no client is told of it. *yes* means that the message arrived as the
account's, that SPF, DKIM and DMARC passed at the receiver, and that its text was the one sent.

*verifies* is what the client did by itself where its machine did not know that authority: *yes*
means that it sent nothing, *no* that it sent all the same, with the password. Such a client is not
safe from whoever is between it and the relay.
"""
_SATELLITES: tp.Final = """\

## Mail transport agents

All mail of the machine goes to the relay: what programs hand to `sendmail`, and what cron reports.
"""


@dataclasses.dataclass
class Results:
    """What a run found: versions by package, and what passed, by client."""

    versions: dict[str, str] = dataclasses.field(default_factory=dict)
    passed: set[tuple[str, str]] = dataclasses.field(default_factory=set)

    def add(self, client: str, what: object) -> None:
        """Note that *what* passed: a port, ``cron``, or VERIFIES."""
        self.passed.add((client, str(what)))

    def cell(self, client: str, what: object) -> str:
        """Return what the table says of it."""
        return _YES if (client, str(what)) in self.passed else ""

    def verification(self, client: catalogue.Client | catalogue.Satellite) -> str:
        """Return what the table says of whether it verifies, empty where that was not found."""
        return (_YES if client.verifies else _NO) if self.cell(client.name, VERIFIES) else ""


def _rows(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"\n| {' | '.join(header)} |\n| {' | '.join('--' for _ in header)} |\n"
    for row in rows:
        yield f"| {' | '.join(row)} |\n"


def _clients(title: str, clients: Sequence[catalogue.Client], results: Results) -> Iterator[str]:
    yield f"\n## {title}\n"
    yield from _rows(
        ("client", "from", "version", "587", "465", VERIFIES),
        [
            (
                client.name,
                f"`{client.source}`, {client.registry}",
                results.versions.get(client.source, ""),
                *(results.cell(client.name, port) for port in catalogue.BOTH),
                results.verification(client),
            )
            for client in clients
        ],
    )


def render(results: Results) -> str:
    """Return the document."""
    release = platform.freedesktop_os_release()["PRETTY_NAME"]
    satellites = [
        (
            satellite.name,
            results.versions.get(satellite.packages[0], ""),
            *(results.cell(satellite.name, what) for what in (*catalogue.BOTH, "cron")),
            results.verification(satellite),
        )
        for satellite in catalogue.SATELLITES
    ]
    return "".join(
        [
            _HEAD,
            f"\nDebian's packages are those of {release}.\n",
            *_clients("Programs", catalogue.COMMAND_LINE, results),
            *_clients("Libraries", catalogue.LIBRARIES, results),
            *_clients("The platform's own sender, and monitoring", catalogue.PLATFORM, results),
            _SATELLITES,
            *_rows(("agent", "version", "587", "465", "cron's mail", VERIFIES), satellites),
        ]
    )
