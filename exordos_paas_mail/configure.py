# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""exordos-mail-configure: make the node the relay of the domain in mail.env.

Everything is read, planned and checked before anything is changed, so that a
broken input leaves the running relay as it was. Running it again changes nothing.

Exit status: 0 done or nothing to do; 1 the machine refused (a command failed, a
disk is full); 2 wrong usage; 78 an input is refused (EX_CONFIG of sysexits.h).
A failure is one line on standard error.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import functools
import pathlib
import sys
import typing as tp

from exordos_paas_mail import constants, dkim_keys, node
from exordos_paas_mail.codecs import (
    certificates,
    configure_state,
    exim_conf,
    hosts,
    mail_env,
    relay_env,
)

if tp.TYPE_CHECKING:
    from collections.abc import Sequence

EX_OK: tp.Final = 0
EX_MACHINE: tp.Final = 1
EX_CONFIG: tp.Final = 78

_LOCK_FILE = "/run/exordos-mail-configure.lock"
_HOSTS_FILE = "/etc/hosts"
_TLS_DIR = str(pathlib.PurePath(constants.TLS_PRIVATE_KEY_FILE).parent)
# HOST_NAME_MAX of Linux, hostname(7).
_HOST_NAME_SIZE_MAX = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What the node should hold."""

    domain: str
    configuration: bytes
    dkim: dkim_keys.Plan
    tls_key: bytes
    tls_chain: bytes
    tls_served: bytes
    host_name: str
    hosts: bytes
    remarks: list[str]

    @property
    def running(self) -> str:
        """What an exim that was started with it runs with, see constants.RELAY_FILES."""
        files = (self.configuration, self.tls_key, self.tls_chain, self.tls_served)
        return configure_state.running(map(configure_state.fingerprint, files))


def plan(machine: node.Node, now: datetime.datetime) -> Plan:
    """Return what *machine* should hold, by mail.env, relay.env and what it holds.

    Raises ValueError, naming the file, for an input that is refused.
    """
    domain = _parse(constants.MAIL_ENV_FILE, mail_env.parse, machine.read(constants.MAIL_ENV_FILE))
    settings = exim_conf.Settings(domain=domain)
    for name in (constants.RELAY_ENV_FILE, constants.RELAY_ENV_KEPT_FILE):
        settings = _parse(name, functools.partial(_override, settings), machine.read(name) or b"")
    kept = {
        name: machine.read(f"{constants.DKIM_KEYS_DIR}/{name}") or b""
        for name in machine.names(constants.DKIM_KEYS_DIR)
    }
    for name in (constants.TLS_PRIVATE_KEY_FILE, constants.TLS_CERTIFICATE_FILE):
        # What it leads to goes with the image, and a certificate made in its
        # place would then hide that.
        if machine.is_link(name):
            raise ValueError(f"{name}: a symbolic link; install the file itself")
    tls_key, tls_chain = certificates.plan(
        machine.read(constants.TLS_PRIVATE_KEY_FILE),
        machine.read(constants.TLS_CERTIFICATE_FILE),
        domain,
        now,
    )
    host_name = domain if len(domain) <= _HOST_NAME_SIZE_MAX else domain.partition(".")[0]
    own_hosts = (machine.read(_HOSTS_FILE) or b"").decode("utf-8", errors="surrogateescape")
    return Plan(
        domain=domain,
        configuration=exim_conf.render(settings).encode(),
        dkim=dkim_keys.plan(
            domain,
            machine.read(constants.DKIM_PRIVATE_KEY_FILE),
            machine.read(constants.DKIM_RECORD_FILE),
            kept,
        ),
        tls_key=tls_key,
        tls_chain=tls_chain,
        tls_served=certificates.bundle(tls_key, tls_chain),
        host_name=host_name,
        hosts=hosts.render(own_hosts, domain, host_name).encode("utf-8", errors="surrogateescape"),
        remarks=certificates.remarks(tls_chain, domain, now),
    )


def apply(machine: node.Node, wanted: Plan) -> list[str]:
    """Make *machine* hold *wanted*; returns what had to be changed, in plain words.

    Raises NodeError when exim refuses the configuration, before any change.
    """
    if machine.read(constants.EXIM_CONFIG_FILE) != wanted.configuration:
        with machine.candidate(constants.EXIM_CONFIG_FILE, wanted.configuration) as candidate:
            machine.check_relay(candidate)
    # The image's bootstrap gives whole directories to exim's group: so does this.
    changed = {
        "directories": [
            machine.ensure_directory(constants.DKIM_DIR, 0o750, exim=True),
            machine.ensure_directory(constants.DKIM_KEYS_DIR, 0o700, exim=True),
            machine.ensure_directory(_TLS_DIR, 0o750, exim=True),
        ],
        # Kept first: a crash never leaves exim with a key that nobody knows.
        "DKIM key": [
            *(
                machine.ensure_file(f"{constants.DKIM_KEYS_DIR}/{name}", key, 0o600, exim=True)
                for name, key in wanted.dkim.kept.items()
            ),
            machine.ensure_file(
                constants.DKIM_PRIVATE_KEY_FILE, wanted.dkim.private_key, 0o640, exim=True
            ),
            machine.ensure_file(
                constants.DKIM_RECORD_FILE, wanted.dkim.record.encode(), 0o644, exim=True
            ),
        ],
        "TLS certificate": [
            machine.ensure_file(constants.TLS_PRIVATE_KEY_FILE, wanted.tls_key, 0o640, exim=True),
            machine.ensure_file(constants.TLS_CERTIFICATE_FILE, wanted.tls_chain, 0o644, exim=True),
            machine.ensure_file(constants.TLS_SERVED_FILE, wanted.tls_served, 0o640, exim=True),
        ],
        _HOSTS_FILE: [machine.ensure_mounted_file(_HOSTS_FILE, wanted.hosts)],
        "exim4.conf": [
            machine.ensure_file(constants.EXIM_CONFIG_FILE, wanted.configuration, 0o644)
        ],
    }
    return [name for name, changes in changed.items() if any(changes)]


def run(machine: node.Node) -> str:
    """Configure *machine*; returns what was done, one line.

    Raises ValueError for an input that is refused, NodeError and OSError when
    the machine refuses. Either way the outcome is left for the agent.
    """
    with machine.lock(_LOCK_FILE):
        before = _read_state(machine)
        # Until the end: whoever kills this leaves a state that says so.
        _write_state(machine, dataclasses.replace(before, finished=False))
        try:
            wanted = plan(machine, datetime.datetime.now(datetime.timezone.utc))
            changed = apply(machine, wanted)
            if before.running != wanted.running:
                machine.restart_relay()
                changed.append("exim4 restarted")
            # systemd does not try again what an assert has kept from starting: it is
            # this that brings a relay back once the data disk is there.
            elif machine.relay_failure():
                machine.start_relay()
                changed.append("exim4 started")
            before = dataclasses.replace(before, domain=wanted.domain, running=wanted.running)
            # Last: exim takes its name from exim4.conf and serves without it.
            if _ensure_host_name(machine, wanted.host_name):
                changed.append("host name")
        except (ValueError, OSError, node.NodeError) as error:
            failed = dataclasses.replace(before, finished=True, error=_one_line(error))
            _write_state(machine, failed)
            raise
        _write_state(machine, dataclasses.replace(before, finished=True, error=""))
    done = f"changed: {', '.join(changed)}" if changed else "nothing to do"
    return "; ".join([f"{wanted.domain}: {done}", *wanted.remarks])


def main(arguments: Sequence[str] | None = None, machine: node.Node | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="exordos-mail-configure",
        description=f"Make this node the mail relay of the domain in {constants.MAIL_ENV_FILE}.",
        epilog="Exit status: 0 done or nothing to do, 1 the machine refused, 2 wrong usage, "
        "78 an input is refused.",
    )
    parser.parse_args(arguments)
    try:
        sys.stdout.write(f"{run(machine or node.Node())}\n")
    except ValueError as error:
        sys.stderr.write(f"{parser.prog}: {_one_line(error)}\n")
        return EX_CONFIG
    except (OSError, node.NodeError) as error:
        sys.stderr.write(f"{parser.prog}: {_one_line(error)}\n")
        return EX_MACHINE
    return EX_OK


T = tp.TypeVar("T")


def _parse(name: str, parse: tp.Callable[[str], T], data: bytes | None) -> T:
    if data is None:
        raise ValueError(f"{name}: there is no such file")
    try:
        return parse(data.decode("ascii"))
    except UnicodeDecodeError as error:
        raise ValueError(f"{name}: not plain ASCII") from error
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _override(settings: exim_conf.Settings, text: str) -> exim_conf.Settings:
    overrides = tp.cast("dict[str, tp.Any]", relay_env.parse(text, _kinds()))
    return dataclasses.replace(settings, **overrides)


def _kinds() -> dict[str, type[relay_env.Value]]:
    kinds = tp.get_type_hints(exim_conf.Settings)
    return {name: kind for name, kind in kinds.items() if name != "domain"}


def _ensure_host_name(machine: node.Node, name: str) -> bool:
    if machine.host_name() == name:
        return False
    machine.set_host_name(name)
    return True


def _read_state(machine: node.Node) -> configure_state.State:
    data = machine.read(constants.CONFIGURE_STATE_FILE)
    if data is None:
        return configure_state.State()
    try:
        return configure_state.parse(data.decode("utf-8", errors="replace"))
    except ValueError:
        # It holds nothing that this run does not find out again.
        return configure_state.State()


def _write_state(machine: node.Node, state: configure_state.State) -> None:
    content = configure_state.render(state).encode()
    machine.ensure_file(constants.CONFIGURE_STATE_FILE, content, 0o644)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
