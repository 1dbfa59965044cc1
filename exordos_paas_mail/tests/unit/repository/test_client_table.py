# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""docs/clients.md is of a run that tried every client, and every one of them passed."""

import pathlib
import re

from exordos_paas_mail.tests.mail_clients import catalogue, table

ROOT = pathlib.Path(__file__).parents[4]


def test_the_table_is_that_of_a_run_in_which_all_passed() -> None:
    written = (ROOT / catalogue.TABLE).read_text()
    results = table.Results()
    for client in (*catalogue.COMMAND_LINE, *catalogue.LIBRARIES, *catalogue.PLATFORM):
        for port in client.ports:
            results.add(client.name, port)
        results.add(client.name, table.VERIFIES)
    for satellite in catalogue.SATELLITES:
        for what in (*catalogue.BOTH, "cron", table.VERIFIES):
            results.add(satellite.name, what)

    assert _without_versions(written) == _without_versions(table.render(results))


def test_a_client_that_did_not_pass_is_not_in_the_table_as_one_that_did() -> None:
    results = table.Results({"curl": "7.88.1"}, {("curl", "587")})

    assert "| curl | `curl`, Debian | 7.88.1 | yes |  |  |\n" in table.render(results)


def _without_versions(text: str) -> list[str]:
    """Return the lines, but for the versions and the release they are of."""
    lines = [re.sub(r"\| [0-9][^|]*\|", "|  |", line) for line in text.splitlines()]
    return [line for line in lines if not line.startswith("Debian's packages are those of")]
