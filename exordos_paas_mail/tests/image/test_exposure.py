# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What the node's services may do to the node, and what a client may make them use."""

from __future__ import annotations

import json
import re
import typing as tp

import pytest

from exordos_paas_mail import constants
from exordos_paas_mail.tests.image import guests

if tp.TYPE_CHECKING:
    from exordos_paas_mail.tests.image import containers

# The first test waits for the image to be built.
pytestmark = pytest.mark.timeout(900)

EXPOSURE_MAX = 4.0
REPORT = "/run/image-test/report.json"
# What the agent gives the driver, and what it gets back, in place of its loop.
DRIVER_ONLY = f"""[Service]
Type=oneshot
Restart=no
ExecStart=
ExecStart=/opt/exordos_paas_mail/bin/python /run/image-test/run.py
StandardInput=file:/run/image-test/target.json
StandardOutput=file:{REPORT}
"""


def exposure(guest: guests.Guest, unit: str) -> float:
    shown = guest.run("systemd-analyze", "security", "--no-pager", unit)
    (level,) = re.findall(r"Overall exposure level for \S+: ([0-9.]+)", shown)
    return float(level)


@pytest.fixture
def relay(container: containers.Container) -> containers.Container:
    guests.deliver_mail_env(container)
    guests.set_account(container)
    return container


def test_no_unit_of_ours_is_exposed_by_more_than_four(container: containers.Container) -> None:
    units = [
        f"{constants.AGENT_UNIT}.service",
        f"{constants.CONFIGURE_UNIT}.service",
        f"{constants.KEEPER_UNIT}.service",
        f"{constants.EVENTS_UNIT}.service",
        f"{constants.QUEUE_UNIT}.service",
        f"{constants.POLICY_UNIT}.service",
        f"{constants.STS_UNIT}.service",
        f"{constants.WEBHOOKS_UNIT}.service",
        f"{constants.RESOLVER_UNIT}.service",
        f"{constants.RESOLVER_KEEPER_UNIT}.service",
        "exim4-queue.service",
        "exim4@587.service",
    ]
    found = {unit: exposure(container, unit) for unit in units}

    assert {unit: level for unit, level in found.items() if level > EXPOSURE_MAX} == {}, found


def test_the_driver_does_all_its_work_within_the_agents_unit(
    container: containers.Container,
) -> None:
    guests.deliver_mail_env(container)
    drop_in = f"/run/systemd/system/{constants.AGENT_UNIT}.service.d/driver.conf"
    container.run("systemctl", "stop", constants.AGENT_UNIT)
    container.run("install", "-D", "-m", "0644", "/dev/stdin", drop_in, stdin=DRIVER_ONLY)
    container.run("systemctl", "daemon-reload")
    guests.stage_driver(container)

    container.run("systemctl", "start", constants.AGENT_UNIT)

    reported = json.loads(container.run("cat", REPORT))
    assert (reported["status"], reported["error"]) == ("ACTIVE", "")
    assert {guests.log_in(container, port) for port in (25, 465, 587)} == {235}


def test_exim_is_ours_held_and_makes_nobody_root(container: containers.Container) -> None:
    version = container.run("dpkg-query", "--show", "--showformat=${Version}", "exim4-daemon-light")
    held = container.run("apt-mark", "showhold").split()
    mode = container.run("stat", "--format=%a %U", "/usr/sbin/exim4").split()

    assert re.fullmatch(r".*\+mailaas\d+", version)
    assert (held, mode) == (["exim4-daemon-light"], ["755", "root"])


def test_no_file_of_a_node_can_be_written_by_anybody(relay: containers.Container) -> None:
    found = relay.run(
        *("find", "/etc", "/opt", "/persist", "/run", "/usr", "/var", "-xdev"),
        *("-type", "f", "-perm", "/o+w", "-not", "-path", "/run/host/*"),
        # The base image's own
        *("-not", "-path", "/opt/exordos_universal_agent/*"),
    )

    assert found == ""


def test_the_status_command_reads_the_spool_as_exims_user(relay: containers.Container) -> None:
    stub = '#!/bin/sh\nid --user --name >>/tmp/users\nexec /usr/sbin/exim4 "$@"\n'
    relay.run("install", "/dev/stdin", "/usr/local/sbin/exim4", stdin=stub)

    said = relay.run("exordos-mail-status")

    assert '"queue_messages": 0' in said
    assert set(relay.run("cat", "/tmp/users").split()) == {constants.EXIM_USER}


def test_a_certificate_an_operator_installs_is_taken_over_by_the_unit(
    relay: containers.Container,
) -> None:
    """Whatever configure has to write, its unit may write."""
    before = guests.certificate(relay)
    relay.run("rm", constants.TLS_PRIVATE_KEY_FILE, constants.TLS_CERTIFICATE_FILE)
    relay.run("sh", "-c", "echo 127.0.0.1 localhost >/etc/hosts")

    relay.run("systemctl", "restart", constants.CONFIGURE_UNIT)

    assert guests.certificate(relay) != before
    assert guests.DOMAIN in relay.run("cat", "/etc/hosts")
