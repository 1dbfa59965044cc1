# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Units, configuration and scripts of the node name what the code names."""

import configparser
import logging.config
import pathlib
import re
import shlex

import pytest
import yaml

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import exim_conf

ROOT = pathlib.Path(__file__).parents[4]
SYSTEMD = ROOT / "etc/systemd"
VENV = "/opt/exordos_paas_mail"
MOUNTS = ["/var/spool/exim4", "/etc/exim4/dkim", "/etc/exim4/tls", "/var/log/exim4"]


def unit(name: str) -> dict[tuple[str, str], list[str]]:
    """Return the settings of a unit; a setting may be given more than once."""
    settings: dict[tuple[str, str], list[str]] = {}
    section = ""
    for line in (SYSTEMD / name).read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            settings.setdefault((section, key), []).append(value)
    return settings


def agent() -> configparser.ConfigParser:
    config = configparser.ConfigParser(interpolation=None)
    config.read_string((ROOT / "etc/exordos_metapaas/metapaas_mail_agent.conf").read_text())
    return config


@pytest.mark.parametrize(
    "name",
    [
        constants.CONFIGURE_UNIT,
        constants.AGENT_UNIT,
        constants.KEEPER_UNIT,
        constants.EVENTS_UNIT,
        constants.QUEUE_UNIT,
        constants.WEBHOOKS_UNIT,
        constants.POLICY_UNIT,
        constants.STS_UNIT,
        constants.RESOLVER_KEEPER_UNIT,
    ],
)
def test_a_unit_of_ours_runs_a_program_of_the_wheel(name: str) -> None:
    pyproject = (ROOT / "pyproject.toml").read_text()
    program = pathlib.Path(shlex.split(unit(f"{name}.service")["Service", "ExecStart"][0])[0])

    assert str(program.parent) == f"{VENV}/bin"
    # The SDK's own program comes with the dependencies.
    assert f'\n{program.name} = "' in pyproject or program.name == "exordos-universal-agent"


def test_the_relay_is_configured_on_the_data_disk_or_not_at_all() -> None:
    settings = unit(f"{constants.CONFIGURE_UNIT}.service")

    assert settings["Unit", "AssertPathIsMountPoint"] == MOUNTS
    assert settings["Unit", "ConditionPathExists"] == [constants.MAIL_ENV_FILE]


@pytest.mark.parametrize(
    "name",
    [
        "exim4.service",
        "exim4-queue.service",
        f"{constants.QUEUE_RUN_UNIT}.service",
        "exim4@.service",
        "exim4@.socket",
    ],
    ids=lambda name: name,
)
def test_no_part_of_the_relay_starts_without_configuration_and_data_disk(name: str) -> None:
    settings = unit(name)

    assert settings["Unit", "AssertPathIsMountPoint"] == MOUNTS
    assert settings["Unit", "ConditionPathExists"] == [constants.EXIM_CONFIG_FILE]


@pytest.mark.parametrize(
    "name",
    [
        "exim4-queue.service",
        "exim4@.service",
        f"{constants.AGENT_UNIT}.service",
        f"{constants.KEEPER_UNIT}.service",
    ],
    ids=lambda name: name,
)
def test_no_process_of_a_node_is_given_up(name: str) -> None:
    settings = unit(name)
    assert settings["Unit", "StartLimitIntervalSec"] == ["0"]
    assert settings["Service", "Restart"] == ["always"]
    assert settings["Service", "RestartSec"] == ["500ms"]


def test_events_are_told_for_as_long_as_a_node_lives_and_mail_never_waits_for_it() -> None:
    settings = unit(f"{constants.EVENTS_UNIT}.service")
    assert settings["Unit", "StartLimitIntervalSec"] == ["0"]
    assert settings["Service", "Restart"] == ["always"]
    assert settings["Unit", "AssertPathIsMountPoint"] == [constants.EVENTS_DIR, MOUNTS[3]]
    assert settings["Service", "ReadWritePaths"] == [constants.EVENTS_DIR]
    assert settings["Service", "User"] == [constants.EXIM_USER]
    others = [
        path
        for path in SYSTEMD.rglob("*.*")
        if path.is_file() and path.stem != constants.EVENTS_UNIT
    ]
    assert [path.name for path in others if constants.EVENTS_UNIT in path.read_text()] == []


def test_webhooks_are_sent_for_as_long_as_a_node_lives_and_nothing_waits_for_it() -> None:
    settings = unit(f"{constants.WEBHOOKS_UNIT}.service")
    events = unit(f"{constants.EVENTS_UNIT}.service")
    assert settings["Unit", "AssertPathIsMountPoint"] == [constants.EVENTS_DIR]
    assert pathlib.Path(constants.WEBHOOKS_FILE).is_relative_to(constants.EVENTS_DIR)
    # Of mail itself it sees nothing.
    assert settings["Service", "InaccessiblePaths"] == [f"{MOUNTS[0]} {MOUNTS[3]}"]
    own = {
        *("AssertPathIsMountPoint", "Description", "ExecStart", "InaccessiblePaths", "UMask"),
        *("RuntimeDirectory", "RuntimeDirectoryMode", "RuntimeDirectoryPreserve", "TasksMax"),
    }
    # It may what who tells of events may.
    assert {key: value for key, value in settings.items() if key[1] not in own} == {
        key: value for key, value in events.items() if key[1] not in own
    }
    others = [
        path
        for path in SYSTEMD.rglob("*.*")
        if path.is_file() and path.stem != constants.WEBHOOKS_UNIT
    ]
    assert [path.name for path in others if constants.WEBHOOKS_UNIT in path.read_text()] == []


def test_the_queue_is_told_with_the_rights_that_exims_queue_runner_has() -> None:
    settings, runner = unit(f"{constants.QUEUE_UNIT}.service"), unit("exim4-queue.service")
    assert settings["Unit", "StartLimitIntervalSec"] == ["0"]
    assert settings["Service", "Restart"] == ["always"]
    # What is begun goes on, and is not ended for the memory of who began it.
    assert settings["Service", "KillMode"] == runner["Service", "KillMode"] == ["process"]
    assert settings["Service", "OOMPolicy"] == ["continue"]
    mounts = settings["Unit", "AssertPathIsMountPoint"]
    assert sorted(settings["Service", "ReadWritePaths"][0].split()) == sorted(mounts)
    own = {"AssertPathIsMountPoint", "ReadWritePaths", "ExecStart", "RestartSec"}
    sandbox = {name: value for (part, name), value in runner.items() if part == "Service"}
    kept = {name: settings.get(("Service", name)) for name in sandbox if name not in own}
    del sandbox["TimeoutStopSec"], kept["TimeoutStopSec"]
    assert {name: value for name, value in kept.items() if value != sandbox[name]} == {}
    assert str(pathlib.PurePath(constants.SUSPENSIONS_FILE).parent) == constants.EVENTS_DIR


def test_a_queue_run_by_the_keeper_has_the_sandbox_of_exims_queue_runner() -> None:
    run, runner = unit(f"{constants.QUEUE_RUN_UNIT}.service"), unit("exim4-queue.service")
    # One that runs is not begun again, and takes its time.
    own = {"Type", "ExecStart", "Restart", "RestartSec", "TimeoutStartSec"}
    assert run["Service", "Type"] == ["oneshot"]
    assert {
        key: value for key, value in run.items() if key[1] not in own and key[0] == "Service"
    } == {key: value for key, value in runner.items() if key[1] not in own and key[0] == "Service"}
    assert ("Unit", "PartOf") not in run
    assert pathlib.PurePath(constants.QUEUE_SCHEDULED_FILE).parent == pathlib.PurePath(
        constants.EVENTS_DIR
    )


def test_who_counts_recipients_is_asked_by_a_socket_that_outlives_him() -> None:
    service = unit(f"{constants.POLICY_UNIT}.service")
    held = unit(f"{constants.POLICY_UNIT}.socket")
    asked = exim_conf.render(exim_conf.Settings(domain="mail.example.com"))
    assert f"${{readsocket{{{constants.POLICY_SOCKET}}}" in asked
    assert f"${{stat:{constants.POLICY_ALIVE_FILE}}}" in asked
    assert held["Socket", "ListenStream"] == [constants.POLICY_SOCKET]
    assert held["Socket", "SocketUser"] == service["Service", "User"] == [constants.EXIM_USER]
    # It goes where the data disk is not, and is started by the service alone.
    mounts = [constants.EVENTS_DIR]
    assert held["Unit", "AssertPathIsMountPoint"] == mounts
    assert service["Unit", "AssertPathIsMountPoint"] == mounts
    assert ("Install", "WantedBy") not in held
    assert service["Unit", "Requires"] == [f"{constants.POLICY_UNIT}.socket"]
    assert service["Service", "ReadWritePaths"] == mounts
    (directory,) = service["Service", "RuntimeDirectory"]
    assert f"/run/{directory}" == str(pathlib.PurePath(constants.POLICY_ALIVE_FILE).parent)
    # What it has counted is in its store: one that hangs is killed.
    assert service["Service", "WatchdogSec"] == ["30s"]
    assert service["Service", "WatchdogSignal"] == ["SIGKILL"]
    assert service["Service", "NotifyAccess"] == ["main"]
    assert service["Unit", "StartLimitIntervalSec"] == ["0"]
    assert service["Service", "Restart"] == ["always"]


def test_who_knows_of_policies_is_asked_as_who_counts_is_and_speaks_to_the_network() -> None:
    service, counts = (
        unit(f"{constants.STS_UNIT}.service"),
        unit(f"{constants.POLICY_UNIT}.service"),
    )
    held, other = unit(f"{constants.STS_UNIT}.socket"), unit(f"{constants.POLICY_UNIT}.socket")
    asked = exim_conf.render(exim_conf.Settings(domain="mail.example.com"))
    assert f"${{readsocket{{{constants.STS_SOCKET}}}" in asked
    assert f"${{stat:{constants.STS_ALIVE_FILE}}}" in asked
    assert f"lsearch{{{constants.STS_DIR}/" in asked
    assert held["Socket", "ListenStream"] == [constants.STS_SOCKET]
    own = {"Description", "ListenStream"}
    assert {key: value for key, value in held.items() if key[1] not in own} == {
        key: value for key, value in other.items() if key[1] not in own
    }
    assert service["Unit", "Requires"] == [f"{constants.STS_UNIT}.socket"]
    for file in (constants.STS_ALIVE_FILE, constants.STS_FIGURES_FILE):
        assert f"/run/{service['Service', 'RuntimeDirectory'][0]}" == str(
            pathlib.PurePath(file).parent
        )
    assert str(pathlib.PurePath(constants.STS_DIR).parent) == constants.EVENTS_DIR
    own = {
        *("Description", "Requires", "Wants", "After", "ExecStart", "RuntimeDirectory", "UMask"),
        *("MemoryMax", "TasksMax", "CPUWeight", "PrivateNetwork", "RestrictAddressFamilies"),
    }
    assert {key: value for key, value in service.items() if key[1] not in own} == {
        key: value for key, value in counts.items() if key[1] not in own
    }
    assert service["Service", "RestrictAddressFamilies"] == ["AF_UNIX AF_INET AF_INET6"]


def test_the_resolver_starts_once_it_has_a_configuration_and_is_kept_small() -> None:
    resolver = unit(f"{constants.RESOLVER_UNIT}.service")
    keeper = unit(f"{constants.RESOLVER_KEEPER_UNIT}.service")
    assert resolver["Unit", "ConditionPathExists"] == [constants.UNBOUND_CONF_FILE]
    (command,) = resolver["Service", "ExecStart"]
    assert shlex.split(command)[-2:] == ["-c", constants.UNBOUND_CONF_FILE]
    # What unbound's profile of AppArmor lets it read
    assert constants.UNBOUND_CONF_FILE.startswith("/etc/unbound/")
    assert resolver["Service", "MemoryMax"] == ["64M"]
    # After a boot resolv.conf names it before its keeper has looked.
    assert resolver["Install", "WantedBy"] == ["multi-user.target"]
    for settings in (resolver, keeper):
        assert settings["Unit", "StartLimitIntervalSec"] == ["0"]
        assert settings["Service", "Restart"] == ["always"]
    (runtime,) = keeper["Service", "RuntimeDirectory"]
    for file in (constants.RESOLVER_STATUS_FILE, constants.UNBOUND_APPLIED_FILE):
        assert str(pathlib.PurePath(file).parent) == f"/run/{runtime}"
    (state,) = keeper["Service", "StateDirectory"]
    kept = pathlib.PurePath(constants.NETWORK_RESOLV_CONF_FILE)
    assert str(kept.parent) == f"/var/lib/{state}"
    assert keeper["Service", "ReadWritePaths"] == ["/etc"]
    install = (ROOT / "exordos/images/dp_install.sh").read_text()
    assert "systemctl mask --quiet unbound.service" in install


def test_the_daemon_of_events_reads_where_others_write() -> None:
    config = f"/{(ROOT / 'etc/exordos_metapaas/metapaas_mail_agent.conf').relative_to(ROOT)}"
    rotation = (ROOT / "etc/logrotate.d/exim4-base").read_text()
    assert config == constants.AGENT_CONFIG_FILE
    assert re.findall(r"^/\S+", rotation, re.MULTILINE) == [constants.EXIM_MAIN_LOG]
    assert agent()["universal_agent"]["status_endpoint"].startswith("http://")


def test_metrics_are_written_where_the_units_may_and_the_image_has_a_place() -> None:
    events = unit(f"{constants.EVENTS_UNIT}.service")
    (directory,) = events["Service", "RuntimeDirectory"]
    assert f"/run/{directory}" == str(pathlib.PurePath(constants.EVENT_FIGURES_FILE).parent)
    hooks = unit(f"{constants.WEBHOOKS_UNIT}.service")
    (directory,) = hooks["Service", "RuntimeDirectory"]
    assert f"/run/{directory}" == str(pathlib.PurePath(constants.WEBHOOK_FIGURES_FILE).parent)
    # A name that a node exporter reads, in the folder that the keeper may write to.
    assert pathlib.PurePath(constants.METRICS_FILE).match(f"{constants.METRICS_DIR}/*.prom")
    (writable,) = unit(f"{constants.KEEPER_UNIT}.service")["Service", "ReadWritePaths"]
    assert any(constants.METRICS_DIR.startswith(f"{path}/") for path in writable.split())
    install = (ROOT / "exordos/images/dp_install.sh").read_text()
    assert f"|| install -d -m 0755 {constants.METRICS_DIR}\n" in install


def test_repairs_are_not_refused_for_coming_too_often() -> None:
    for name in (constants.CONFIGURE_UNIT, constants.EXIM_UNIT):
        assert unit(f"{name}.service")["Unit", "StartLimitIntervalSec"] == ["0"]


def test_no_process_takes_another_with_it_when_it_ends() -> None:
    """What these name is stopped, or restarted, as their own process ends."""
    tied = ("BindsTo", "PartOf", "StopPropagatedFrom", "Requires")
    processes = {path.name for path in SYSTEMD.glob("*.service") if "Restart" in path.read_text()}
    named = {
        name
        for path in SYSTEMD.glob("*.*")
        if path.is_file()
        for key in tied
        for name in " ".join(unit(path.name).get(("Unit", key), [])).split()
    }

    assert "exim4-queue.service" in processes
    assert named & processes == set()


def test_a_start_joins_a_run_of_configure_and_one_that_is_over_is_run_again() -> None:
    assert ("Service", "RemainAfterExit") not in unit(f"{constants.CONFIGURE_UNIT}.service")


def test_nothing_that_configure_restarts_waits_for_configure() -> None:
    waiting = [
        path.name
        for path in SYSTEMD.glob("exim4*.*")
        if path.is_file()
        and any(constants.CONFIGURE_UNIT in after for after in unit(path.name)["Unit", "After"])
    ]

    assert waiting == []


def test_the_agent_is_only_ordered_after_bootstrap() -> None:
    settings = unit(f"{constants.AGENT_UNIT}.service")
    needed = [
        unit
        for key in ("Wants", "Requires", "Requisite", "BindsTo", "PartOf")
        for units in settings.get(("Unit", key), [])
        for unit in units.split()
    ]

    assert needed == ["network-online.target"]
    assert "exordos-bootstrap.service" in settings["Unit", "After"][0].split()


def test_the_agent_has_the_uuid_and_the_driver_the_control_plane_counts_on() -> None:
    config = agent()["universal_agent"]
    drivers = re.findall(
        r'^(\w+) = "exordos_paas_mail\.driver:', (ROOT / "pyproject.toml").read_text(), re.MULTILINE
    )

    assert config["uuid5_name"] == constants.ELEMENT_NAME
    assert config["caps_drivers"].split(",") == drivers
    assert pathlib.Path(config["payload_path"]).parent == pathlib.Path(constants.AGENT_STATE_DIR)


def test_no_logger_of_the_agent_writes_what_the_sdk_says_at_debug() -> None:
    config = yaml.safe_load((ROOT / "etc/exordos_metapaas/logging.yaml").read_text())
    levels = {config["root"]["level"], *(part["level"] for part in config["loggers"].values())}

    logging.config.DictConfigurator(config)
    assert levels == {"INFO", "WARNING"}
    assert config["disable_existing_loggers"] is False


def test_the_image_is_named_as_the_code_names_it() -> None:
    build = yaml.safe_load((ROOT / "exordos/exordos.yaml").read_text())["build"]
    (image,) = (image for element in build["elements"] for image in element.get("images", []))

    assert (image["name"], image["override"]["disk_size"]) == (
        constants.IMAGE_NAME,
        f"{constants.ROOT_DISK_SIZE}G",
    )


def test_what_goes_to_the_data_disk_is_what_the_relay_asserts() -> None:
    script = (ROOT / "exordos/images/dp_bootstrap.sh").read_text()
    kept = re.findall(r"^  '(/[^|]+)\|", script, re.MULTILINE)

    assert kept == [*MOUNTS[:3], constants.AGENT_STATE_DIR, MOUNTS[3], constants.EVENTS_DIR]


def test_every_dependency_of_the_image_is_locked_with_hashes() -> None:
    lock = (ROOT / "exordos/images/requirements.txt").read_text()
    pyproject = (ROOT / "pyproject.toml").read_text()
    locked = {name.replace("-", "_") for name in re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE)}
    wanted = re.search(r"^dependencies = \[(.*?)^\]", pyproject, re.MULTILINE | re.DOTALL)
    assert wanted is not None
    names = {re.sub("[-.]", "_", name) for name in re.findall(r'"([A-Za-z0-9._-]+)', wanted[1])}

    assert names <= locked
    requirements = re.split(r"^(?=[a-z0-9-]+==)", lock, flags=re.MULTILINE)[1:]
    assert [part for part in requirements if "--hash=sha256:" not in part] == []
