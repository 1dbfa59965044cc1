# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The image's scripts, units and package, booted for real."""

from __future__ import annotations

import base64
import json
import pathlib
import typing as tp
import uuid

import pytest
from prometheus_client import parser

from clients import waiting
from exordos_paas_mail import constants
from exordos_paas_mail.codecs import resolv_conf, webhook_config
from exordos_paas_mail.tests.image import guests

if tp.TYPE_CHECKING:
    from exordos_paas_mail.tests.image import containers

# The first test waits for the image to be built.
pytestmark = pytest.mark.timeout(900)

ACCOUNT = {
    "exordos_mail_instance": str(guests.OWNER.instance),
    "exordos_project": str(guests.OWNER.project),
    "source": "account",
}
BOOTSTRAP = "exordos-bootstrap"
SCRIPT = "/var/lib/exordos/bootstrap/scripts/0100-metapaas-mail-dp-bootstrap.sh"
DATA_DIRECTORIES = [
    "/var/spool/exim4",
    "/etc/exim4/dkim",
    "/etc/exim4/tls",
    "/var/lib/exordos/exordos_paas_mail",
    "/var/log/exim4",
    "/var/lib/exordos/mail_events",
]


def listening(guest: guests.Guest) -> set[int]:
    shown = guest.run("ss", "--no-header", "--listening", "--tcp", "--numeric")
    return {int(line.split()[3].rpartition(":")[2]) for line in shown.splitlines()}


def data_disk(container: containers.Container) -> pathlib.Path:
    """Return where this machine has the node's data disk."""
    assert container.node.spec.data is not None
    return pathlib.Path(container.node.spec.data)


def main_process(guest: guests.Guest, unit: str = constants.EXIM_PROCESS_UNITS[0]) -> str:
    return guest.run("systemctl", "show", "--property=MainPID", "--value", unit).strip()


def wait_for_relay(guest: guests.Guest) -> None:
    """Wait until all processes of the relay run."""
    units = constants.EXIM_PROCESS_UNITS
    waiting.until(
        "the relay runs",
        lambda: set(guests.unit_states(guest, *units).values()) == {"active"} or None,
        30,
    )


def test_the_image_holds_no_key_no_compiler_and_no_configuration(
    container: containers.Container,
) -> None:
    kept = container.run("find", "/etc/exim4/dkim", "/etc/exim4/tls", "-type", "f")
    there = container.run(
        "sh",
        "-c",
        "command -v cc gcc make; ls /etc/exim4/exim4.conf /usr/sbin/policy-rc.d 2>/dev/null",
        check=False,
    )

    assert (kept, there) == ("", "")


def test_a_node_that_was_told_nothing_waits(container: containers.Container) -> None:
    states = guests.unit_states(
        container,
        BOOTSTRAP,
        constants.AGENT_UNIT,
        constants.CONFIGURE_UNIT,
        constants.EXIM_UNIT,
    )

    assert states == {
        BOOTSTRAP: "active",
        constants.AGENT_UNIT: "active",
        constants.CONFIGURE_UNIT: "inactive",
        constants.EXIM_UNIT: "inactive",
    }
    assert listening(container) & {25, 465, 587} == set()


def test_mail_env_makes_it_a_relay_and_a_new_image_keeps_it_one(
    container: containers.Container, renumbered: tuple[str, ...]
) -> None:
    guests.deliver_mail_env(container)
    reported = guests.set_account(container)
    assert (reported["status"], reported["error"]) == ("ACTIVE", "")
    codes = {port: guests.log_in(container, port) for port in (25, 465, 587)}
    assert codes == {25: 235, 465: 235, 587: 235}
    guests.send(container)
    guests.wait_for_queue(container, 1)
    before = guests.facts(container)
    # As on the data disk of an image that served the installed files themselves.
    container.run("rm", constants.TLS_SERVED_FILE)

    container.node.reimage(renumbered)
    container.node.wait_booted()
    guests.deliver_mail_env(container)
    reported_again = guests.set_account(container)

    assert guests.facts(container) == before
    assert reported_again == reported
    assert guests.log_in(container, 587) == 235
    assert guests.log_in(container, 587, password="another") == 535
    foreign = container.run("find", *DATA_DIRECTORIES, "(", "-nouser", "-o", "-nogroup", ")")
    assert foreign == ""
    container.run("exim4", "-qff")
    guests.wait_for_queue(container, 1)
    assert container.run("find", "/var/log/exim4", "-name", "paniclog", "-size", "+0") == ""


def said_unheard(container: containers.Container, unit: str) -> str:
    """Return what a daemon has said once it has tried to reach a control plane."""
    return waiting.until(
        f"{unit} has tried to reach the control plane",
        lambda: container.run("journalctl", "--output=cat", "--unit", unit),
        60,
        lambda said: "does not answer" in said,
    )


def test_what_became_of_mail_is_kept_while_nobody_takes_it(
    container: containers.Container,
) -> None:
    guests.deliver_mail_env(container)
    guests.set_account(container)
    guests.send(container)
    guests.wait_for_queue(container, 1)
    unit = f"{constants.EVENTS_UNIT}.service"
    # It tries to send what it has kept, as the node and with its key: it has read all of it.
    said = said_unheard(container, unit)
    store = container.run("stat", "--format=%U %a", f"{constants.EVENTS_DIR}/events.sqlite")

    assert guests.unit_states(container, unit) == {unit: "active"}
    assert [line for line in said.splitlines() if "cannot" in line] == []
    assert store.split() == [constants.EXIM_USER, "640"]


def submissions(container: containers.Container) -> float | None:
    """Return how many messages of accounts the metrics of a node tell, None while they do not."""
    text = container.run("cat", constants.METRICS_FILE, check=False)
    found = [
        sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "mailaas_submissions_total" and sample.labels == ACCOUNT
    ]
    return found[0] if found else None


def test_metrics_are_where_the_node_exporter_reads_and_go_on_after_a_new_image(
    container: containers.Container, renumbered: tuple[str, ...]
) -> None:
    def wait_for(count: int) -> None:
        waiting.until(
            f"{count} submissions are told", lambda: submissions(container) == count or None, 60
        )

    guests.deliver_mail_env(container)
    guests.set_account(container)
    guests.send(container)
    wait_for(1)
    container.run(
        "systemctl", "kill", "--signal=KILL", constants.EVENTS_UNIT, constants.KEEPER_UNIT
    )
    guests.send(container)
    wait_for(2)
    container.node.reimage(renumbered)
    container.node.wait_booted()
    guests.deliver_mail_env(container)
    wait_for(2)

    owners = [
        container.run("stat", "--format=%U %a", path).split()
        for path in (
            constants.METRICS_FILE,
            constants.EVENT_FIGURES_FILE,
            str(pathlib.PurePath(constants.EVENT_FIGURES_FILE).parent),
        )
    ]
    assert owners == [["root", "644"], [constants.EXIM_USER, "640"], [constants.EXIM_USER, "700"]]
    said = {
        unit: container.run("journalctl", "--output=cat", "--unit", unit)
        for unit in (constants.KEEPER_UNIT, constants.EVENTS_UNIT)
    }
    # The keeper tells what the system says, and a control plane is not there.
    assert "Errno" not in said[constants.KEEPER_UNIT]
    assert "cannot" not in said[constants.EVENTS_UNIT]


def test_the_queue_is_looked_at_while_nobody_hears_of_it(
    container: containers.Container,
) -> None:
    guests.deliver_mail_env(container)
    guests.set_account(container)
    guests.send(container)
    guests.wait_for_queue(container, 1)
    unit = f"{constants.QUEUE_UNIT}.service"
    # It looks at the queue before it asks the control plane.
    said = said_unheard(container, unit)
    own = [line for line in said.splitlines() if line.startswith("exordos-mail-queue: ")]

    assert guests.unit_states(container, unit) == {unit: "active"}
    assert [line for line in own if "does not answer" not in line] == []
    assert container.run("stat", "--format=%U", f"{constants.EVENTS_DIR}/queue.sqlite").split() == [
        constants.EXIM_USER
    ]


# Why the last attempt of a webhook has failed.
LAST_ERROR = """
import json, sqlite3, sys
for (standing,) in sqlite3.connect(sys.argv[1]).execute("SELECT standing FROM hooks"):
    print(json.loads(standing)["last_error"])
"""


def test_events_are_sent_to_webhooks_within_the_rights_of_their_unit(
    container: containers.Container,
) -> None:
    """As far as to the resolver, which nobody is here."""
    guests.deliver_mail_env(container)
    hook = webhook_config.Hook(
        uuid.UUID(int=1),
        "https://hooks.example.org/",
        ("message.accepted",),
        (webhook_config.new_secret(),),
    )
    document = webhook_config.render(webhook_config.Config(uuid.UUID(int=2), (hook,)))
    owner = ("-o", constants.EXIM_USER, "-g", constants.EXIM_GROUP)
    folders = [f"{constants.EVENTS_DIR}/documents", f"{constants.EVENTS_DIR}/documents/webhooks"]
    container.run("install", "-d", "-m", "0700", *owner, *folders)
    container.run(
        *("install", "-m", "0600", *owner, "/dev/stdin", constants.WEBHOOKS_FILE),
        stdin=document.decode(),
    )
    guests.set_account(container)
    guests.send(container)
    outbox = f"{constants.EVENTS_DIR}/webhooks.sqlite"
    program = ("/opt/exordos_paas_mail/bin/python", "-c", LAST_ERROR, outbox)
    error = waiting.until(
        "an attempt has failed", lambda: container.run(*program, check=False).strip(), 60
    )
    unit = f"{constants.WEBHOOKS_UNIT}.service"

    assert error == "its name cannot be resolved"
    assert guests.unit_states(container, unit) == {unit: "active"}
    assert container.run("stat", "--format=%U %a", outbox).split() == [constants.EXIM_USER, "600"]


# A server of the network that knows no signatures.
PLAIN_SERVER = """
import socketserver, sys
import dns.message

class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        data, sock = self.request
        answer = dns.message.make_response(dns.message.from_wire(data), recursion_available=True)
        sock.sendto(answer.to_wire(), self.client_address)

socketserver.ThreadingUDPServer((sys.argv[1], 53), Handler).serve_forever()
"""


def wait_for_resolver(container: containers.Container, mode: str, detail: str) -> None:
    """Wait until the resolver's keeper tells that mode, and why."""

    def told() -> tuple[str, str]:
        text = container.run("cat", constants.RESOLVER_STATUS_FILE, check=False)
        status = json.loads(text or "{}")
        return status.get("mode"), status.get("detail")

    waiting.until(mode, told, 120, lambda found: found == (mode, detail))


def test_a_node_asks_its_own_resolver_once_the_network_has_a_server(
    container: containers.Container,
) -> None:
    nobody = container.run("cat", constants.RESOLV_CONF_FILE)
    wait_for_resolver(container, "away", "the network gives no server on another machine")
    server = ("/opt/exordos_paas_mail/bin/python", "-c", PLAIN_SERVER, container.host)
    container.run("systemd-run", "--unit=plain-server", *server)
    network = f"nameserver {container.host}\n"
    container.run("cp", "/dev/stdin", constants.RESOLV_CONF_FILE, stdin=network)

    wait_for_resolver(container, "plain", f"{container.host} hands no signatures on (DNSSEC)")

    unit = f"{constants.RESOLVER_UNIT}.service"
    ours = container.run("cat", constants.RESOLV_CONF_FILE)
    assert ours == resolv_conf.render((), validates=False)
    assert guests.unit_states(container, unit) == {unit: "active"}
    shown = container.run("ss", "--no-header", "--listening", "--udp", "--numeric")
    own = {line.split()[3] for line in shown.splitlines() if line.split()[3].endswith(":53")}
    assert own == {"127.0.0.1:53", "[::1]:53", f"{container.host}:53"}
    assert container.run("systemctl", "is-enabled", "unbound", check=False).strip() == "masked"
    # One that dies is started anew, and what the network says is put back by a setting.
    died = main_process(container, unit)
    container.run("systemctl", "kill", "--signal=KILL", unit)
    waiting.until("unbound runs", lambda: main_process(container, unit) not in {"0", died}, 60)
    setting = "RELAY_RESOLVER=no\n"
    container.run("cp", "/dev/stdin", constants.RELAY_ENV_FILE, stdin=setting)
    wait_for_resolver(container, "off", "RELAY_RESOLVER=no")
    assert container.run("cat", constants.RESOLV_CONF_FILE) == network != nobody
    assert guests.unit_states(container, unit) == {unit: "inactive"}


def test_a_power_cut_costs_nothing(container: containers.Container) -> None:
    guests.deliver_mail_env(container)
    guests.set_account(container)
    guests.send(container)
    guests.wait_for_queue(container, 1)
    before = guests.facts(container)
    # Hints that are in use: of failed logins, and of the message that waits.
    hints = "/var/spool/exim4/db"
    container.run("exim4", "-qff")
    for name in ("ratelimit", "retry"):
        container.run("cp", "/dev/stdin", f"{hints}/{name}", stdin="harmed by a power cut")

    container.node.cut_power()
    container.node.up()
    container.node.wait_booted()

    assert container.run("grep", "--recursive", "harmed", hints, check=False) == ""
    assert guests.facts(container) == before
    assert guests.log_in(container, 465) == 235


def test_a_relay_that_a_broken_data_disk_kept_down_serves_once_it_is_mended(
    container: containers.Container,
) -> None:
    guests.deliver_mail_env(container)
    guests.set_account(container)
    before = guests.facts(container)
    container.node.stop()
    spool = data_disk(container) / "mail/spool"
    away = spool.rename(spool.with_name("away"))
    spool.touch()  # no directory: it cannot be mounted over one
    container.node.up()
    container.node.wait_booted()
    assert guests.unit_states(container, BOOTSTRAP, constants.EXIM_UNIT) == {
        BOOTSTRAP: "failed",
        constants.EXIM_UNIT: "inactive",
    }
    assert listening(container) & {25, 465, 587} == set()

    spool.unlink()
    away.rename(spool)
    container.run("systemctl", "restart", BOOTSTRAP)

    wait_for_relay(container)
    assert guests.facts(container) == before
    assert guests.log_in(container, 587) == 235
    # The agent, which was started without the disk and in a mount name space of
    # its own, sees and can write what is there now.
    agent = main_process(container, constants.AGENT_UNIT)
    look = ("stat", "--format=%d %i", constants.EXIM_SPOOL_DIR)
    inside = ("nsenter", "--target", agent, "--mount", "--")
    assert container.run(*inside, *look) == container.run(*look)
    container.run(*inside, "test", "-w", constants.EXIM_SPOOL_DIR)


def test_a_relay_that_dies_time_and_again_is_started_each_time(
    container: containers.Container,
) -> None:
    guests.deliver_mail_env(container)
    unit = constants.EXIM_PROCESS_UNITS[0]
    died = {"0"}
    # systemd's own limit is five starts in ten seconds.
    for _ in range(6):
        waiting.until("exim runs", lambda: main_process(container) not in died, 20)
        died.add(main_process(container))
        container.run("systemctl", "kill", "--signal=KILL", "--kill-whom=main", unit)

    waiting.until("exim runs", lambda: main_process(container) not in died, 20)


def test_what_of_the_relay_does_not_run_is_started_and_the_rest_goes_on(
    container: containers.Container,
) -> None:
    guests.deliver_mail_env(container)
    guests.set_account(container)
    running = main_process(container)
    container.run("systemctl", "stop", "exim4@465.socket", "exim4@465.service")

    container.run("systemctl", "restart", constants.CONFIGURE_UNIT)

    assert guests.log_in(container, 465) == 235
    assert main_process(container) == running


def test_exims_user_runs_the_repair_where_exim_looks_for_it(
    container: containers.Container,
) -> None:
    header = base64.b64encode(b"From: A, B <a@b.example>\n").decode()
    command = ["exordos-mail-repair", "1xWNcv-00000a-1c", "b.example", "a@b.example", "80"]
    as_exim = ["runuser", "--user", "Debian-exim", "--", "env", "--ignore-environment"]
    assert container.run(*as_exim, f"/usr/local/sbin/{command[0]}", *command[1:], header, "") == (
        'written_removed="from" written_resent="" written_from=" \\"A, B\\" <a@b.example>" '
        'written_sender="" written_others=""'
    )


def test_a_data_disk_that_cannot_be_written_is_reported_until_it_can(
    container: containers.Container,
) -> None:
    guests.deliver_mail_env(container)
    guests.set_account(container)
    container.run("mount", "-o", "remount,bind,ro", constants.EXIM_SPOOL_DIR)
    error = "the data disk cannot be written: Read-only file system"

    said = json.loads(container.run("exordos-mail-status", check=False))
    reported = guests.set_account(container)

    assert (said["error"], reported["status"], reported["error"]) == (error, "ERROR", error)
    container.run("mount", "-o", "remount,bind,rw", constants.EXIM_SPOOL_DIR)
    assert json.loads(container.run("exordos-mail-status"))["error"] == ""
    assert guests.set_account(container)["status"] == "ACTIVE"


def test_a_data_disk_that_cannot_be_grown_is_served_and_bootstrap_fails(
    container: containers.Container,
) -> None:
    guests.deliver_mail_env(container)
    guests.set_account(container)
    # Taken for the data disk's partition, which no command knows.
    container.run("mknod", "/dev/data1", "b", "240", "1")
    stub = "/usr/local/sbin/findmnt"
    container.run("install", "/dev/stdin", stub, stdin="#!/bin/sh\necho /dev/data1\n")
    container.run("systemctl", "stop", constants.KEEPER_UNIT, constants.EXIM_UNIT, "exim4@*")

    container.run("systemctl", "restart", BOOTSTRAP, check=False)

    wait_for_relay(container)
    assert guests.unit_states(container, BOOTSTRAP) == {BOOTSTRAP: "failed"}
    said = container.run("journalctl", "--unit", BOOTSTRAP, "--output=cat")
    assert "[mail-bootstrap] data disk in place, but it could not be grown" in said.splitlines()
    assert guests.log_in(container, 587) == 235


def test_bootstrap_run_again_by_hand_changes_nothing(container: containers.Container) -> None:
    guests.deliver_mail_env(container)
    guests.set_account(container)
    mounts = container.run("findmnt", "--raw", "--noheadings")
    started = main_process(container)

    container.run("bash", SCRIPT)
    container.run("systemctl", "start", constants.CONFIGURE_UNIT)

    assert container.run("findmnt", "--raw", "--noheadings") == mounts
    assert main_process(container) == started
    assert guests.log_in(container, 587) == 235


def test_the_daily_housekeeping_removes_halves_of_messages(container: containers.Container) -> None:
    guests.deliver_mail_env(container)
    half = "/var/spool/exim4/input/1vM0sq-000000001JR-2Zqu-D"
    container.run("runuser", "-u", "Debian-exim", "--", "touch", "--date=2 days ago", half)

    container.run("systemctl", "start", "exim4-base.service")

    assert container.run("find", "/var/spool/exim4/input", "-type", "f") == ""
    timers = container.run("systemctl", "is-active", "exim4-base.timer", "logrotate.timer").split()
    hourly = container.run("systemctl", "show", "--property=TimersCalendar", "logrotate.timer")
    assert timers == ["active", "active"]
    assert hourly.count("OnCalendar=") == 1
    assert "OnCalendar=*-*-* *:00:00" in hourly


def test_a_log_is_rotated_by_its_size(container: containers.Container) -> None:
    log = "/var/log/exim4/mainlog"
    container.run("runuser", "-u", "Debian-exim", "--", "truncate", "--size=201M", log)

    container.run("logrotate", "/etc/logrotate.conf")

    kept = container.run("find", "/var/log/exim4", "-name", "mainlog*", "-printf", "%f %u\n")
    assert kept.splitlines() == ["mainlog.1 Debian-exim"]


def test_without_a_data_disk_no_mail_is_accepted_and_the_agent_runs(
    diskless: containers.Container,
) -> None:
    path = constants.MAIL_ENV_FILE
    diskless.run("install", "-m", "0640", "/dev/stdin", path, stdin="MAIL_DOMAIN=a.example.com\n")
    diskless.run("systemctl", "restart", constants.CONFIGURE_UNIT, check=False)
    diskless.run("touch", constants.EXIM_CONFIG_FILE)
    diskless.run("systemctl", "restart", constants.EXIM_UNIT, check=False)

    states = guests.unit_states(diskless, BOOTSTRAP, constants.AGENT_UNIT, constants.EXIM_UNIT)
    assert states == {
        BOOTSTRAP: "failed",
        constants.AGENT_UNIT: "active",
        constants.EXIM_UNIT: "inactive",
    }
    assert listening(diskless) & {25, 465, 587} == set()
    assert diskless.run("find", "/etc/exim4/dkim", "/etc/exim4/tls", "-type", "f") == ""
