# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The README's blocks, as they are pasted: those of the agents are in test_satellites.py."""

from __future__ import annotations

import typing as tp

import pytest

from exordos_paas_mail.tests.mail_clients import arrivals, catalogue, readme

if tp.TYPE_CHECKING:
    from clients import internet as internet_client
    from exordos_paas_mail.tests.functional import provisioning
    from exordos_paas_mail.tests.mail_clients import machines

_HOME: tp.Final = "/root/readme"
# What the library's package calls what Composer calls vendor/autoload.php.
_AUTOLOAD: tp.Final = '<?php require "/usr/share/php/libphp-phpmailer/autoload.php";\n'
_SATELLITES: tp.Final = {"Postfix", "exim4", "msmtp"}
# No registry of packages that the project uses has it, and the README says so.
_UNTRIED: tp.Final = {"Grafana"}
# The block is a whole program, with a message in it: where it is kept, what runs it.
_PROGRAMS: tp.Final = {
    "curl": (f"{_HOME}/send.sh", ("bash", "-euo", "pipefail", f"{_HOME}/send.sh")),
    # Node looks for a package beside the program.
    "nodemailer": (
        f"{catalogue.LIBRARIES_HOME}/readme.mjs",
        ("node", f"{catalogue.LIBRARIES_HOME}/readme.mjs"),
    ),
    "PHPMailer": (f"{_HOME}/send.php", ("sh", "-c", f"cd {_HOME} && php send.php")),
}
# The block is settings: where they are kept, what sends by them, how that finds them.
_SETTINGS: tp.Final[dict[str, tuple[str, catalogue.Client, dict[str, str]]]] = {
    "Django": (
        f"{_HOME}/readme_settings.py",
        catalogue.DJANGO,
        {"PYTHONPATH": _HOME, "DJANGO_SETTINGS_MODULE": "readme_settings"},
    ),
    "Spring": (
        f"{_HOME}/application.properties",
        catalogue.JAVA,
        {"SPRING": f"{_HOME}/application.properties"},
    ),
}


def test_every_block_is_tried() -> None:
    assert {*readme.blocks()} == {*_PROGRAMS, *_SETTINGS, *_SATELLITES, *_UNTRIED}


@pytest.mark.parametrize("name", _PROGRAMS)
def test_a_program_of_the_readme_sends(
    machine: machines.Machine,
    account: provisioning.Account,
    internet: internet_client.Client,
    name: str,
) -> None:
    order = arrivals.Order(account, catalogue.STARTTLS)
    path, command = _PROGRAMS[name]
    machine.write(f"{_HOME}/vendor/autoload.php", _AUTOLOAD)
    machine.write(path, readme.filled_in(name, order))
    machine.run(*command)
    arrivals.verify(internet, order, readme.TEXT, readme.SUBJECT)


@pytest.mark.parametrize("name", _SETTINGS)
def test_a_library_sends_by_the_settings_of_the_readme(
    machine: machines.Machine,
    account: provisioning.Account,
    internet: internet_client.Client,
    name: str,
) -> None:
    order = arrivals.Order(account, catalogue.STARTTLS)
    path, client, variables = _SETTINGS[name]
    machine.write(path, readme.filled_in(name, order))
    environment = {**order.environment(), **variables}
    machine.run(*client.command, stdin=arrivals.TEXT, environment=environment)
    arrivals.verify(internet, order)
