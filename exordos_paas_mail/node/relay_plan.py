# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What a node should hold to be the relay of its domain, planned as a whole and then applied.

Everything is read and checked before anything is changed, so that a broken input
leaves the running relay as it was. Applying a plan again changes nothing.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import typing as tp

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import (
    certificates,
    configure_state,
    exim_conf,
    hosts,
    mail_env,
    relay_env,
    resolver_settings,
    tls_document,
    tls_serving,
)
from exordos_paas_mail.node import dkim_keys, relay_files

if tp.TYPE_CHECKING:
    import datetime

    from exordos_paas_mail.node import machine

T = tp.TypeVar("T")

_HOSTS_FILE = "/etc/hosts"
# Of the files of ``Plan.running``, how many come before the pairs that are served.
_BEFORE_SERVED = 3
_TLS_DIR = str(pathlib.PurePath(constants.TLS_PRIVATE_KEY_FILE).parent)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What the node should hold."""

    domain: str
    hostname: str
    configuration: bytes
    dkim: dkim_keys.KeyFiles
    tls_key: bytes
    tls_chain: bytes
    tls_other: bytes
    serving: tls_serving.Serving
    tls_told: bytes | None
    hosts: bytes
    remarks: list[str]

    @property
    def running(self) -> str:
        """What an exim that was started with it runs with, see constants.RELAY_FILES."""
        files = (
            *(self.configuration, self.tls_key, self.tls_chain),
            *(self.serving.bundle, self.tls_other, self.serving.other),
            *([] if self.tls_told is None else [self.tls_told]),
        )
        return configure_state.running(map(configure_state.fingerprint, files))

    def is_reloaded(self, running: str) -> bool:
        """Return whether an exim that runs with *running* needs a reload alone.

        So it is where what it serves is what differs, and no client loses its connection.
        """
        return self.running.split(",")[:_BEFORE_SERVED] == running.split(",")[:_BEFORE_SERVED]


def plan(node: machine.Machine, now: datetime.datetime) -> Plan:
    """Return what *node* should hold, by mail.env, relay.env and what it holds.

    Raises ValueError, naming the file, for an input that is refused.
    """
    domain, hostname = _parse(
        constants.MAIL_ENV_FILE, mail_env.parse, node.read(constants.MAIL_ENV_FILE)
    )
    settings = exim_conf.Settings(domain=domain, hostname=hostname)
    remarks = []
    for name in (constants.RELAY_ENV_FILE, constants.RELAY_ENV_KEPT_FILE):
        overrides = node.read(name) or b""
        settings = _parse(name, functools.partial(_override, settings), overrides)
        remarks += _remarks(name, overrides.decode("ascii"))
    kept = {
        name: node.read(f"{constants.DKIM_KEYS_DIR}/{name}") or b""
        for name in node.names(constants.DKIM_KEYS_DIR)
    }
    told = node.read(constants.TLS_TOLD_FILE)
    document = tls_document.Document() if told is None else tls_document.parse(told)
    # Clients that were set up before the relay got a name of its own know the domain.
    names = list(dict.fromkeys((hostname, domain)))
    tls_key, tls_chain, tls_other = _own_pairs(node, names, document.addresses, now)
    bundle = certificates.bundle(tls_key, tls_chain)
    is_installed = not certificates.served(tls_chain).self_signed
    serving = tls_serving.plan(
        document.pair,
        tls_serving.Own(bundle, bundle if is_installed else tls_other),
        node.read(constants.TLS_SERVED_FILE),
        hostname,
        now,
    )
    remarks += [f"the certificate that was told: {serving.refused}"] if serving.refused else []
    own_hosts = (node.read(_HOSTS_FILE) or b"").decode("utf-8", errors="surrogateescape")
    return Plan(
        domain=domain,
        hostname=hostname,
        configuration=exim_conf.render(settings).encode(),
        dkim=dkim_keys.plan(
            domain,
            node.read(constants.DKIM_PRIVATE_KEY_FILE),
            node.read(constants.DKIM_RECORD_FILE),
            kept,
        ),
        tls_key=tls_key,
        tls_chain=tls_chain,
        tls_other=tls_other,
        serving=serving,
        tls_told=told,
        hosts=hosts.render(own_hosts, hostname).encode("utf-8", errors="surrogateescape"),
        remarks=[*remarks, *certificates.remarks(tls_chain, hostname, now)],
    )


def apply(node: machine.Machine, target: Plan) -> list[str]:
    """Make *node* hold *target*; returns what had to be changed, in plain words.

    Raises MachineError when exim refuses the configuration, before any change.
    """
    if node.read(constants.EXIM_CONFIG_FILE) != target.configuration:
        with node.candidate(constants.EXIM_CONFIG_FILE, target.configuration) as candidate:
            node.check_relay(candidate)
    # The image's bootstrap gives whole directories to exim's group: so does this.
    changed = {
        "directories": [
            node.ensure_directory(constants.DKIM_DIR, 0o750, exim=True),
            node.ensure_directory(constants.DKIM_KEYS_DIR, 0o700, exim=True),
            node.ensure_directory(_TLS_DIR, 0o750, exim=True),
        ],
        # Kept first: a crash never leaves exim with a key that nobody knows.
        "DKIM key": [
            *(
                node.ensure_file(f"{constants.DKIM_KEYS_DIR}/{name}", key, 0o600, exim=True)
                for name, key in target.dkim.kept.items()
            ),
            relay_files.ensure(node, constants.DKIM_PRIVATE_KEY_FILE, target.dkim.private_key),
            relay_files.ensure(node, constants.DKIM_RECORD_FILE, target.dkim.record.encode()),
        ],
        "TLS certificate": [
            relay_files.ensure(node, constants.TLS_PRIVATE_KEY_FILE, target.tls_key),
            relay_files.ensure(node, constants.TLS_CERTIFICATE_FILE, target.tls_chain),
            relay_files.ensure(node, constants.TLS_OTHER_FILE, target.tls_other),
            # Between the two a client gets what was served before, or what is from now on.
            relay_files.ensure(node, constants.TLS_SERVED_FILE, target.serving.bundle),
            relay_files.ensure(node, constants.TLS_OTHER_SERVED_FILE, target.serving.other),
        ],
        _HOSTS_FILE: [node.ensure_mounted_file(_HOSTS_FILE, target.hosts)],
        "exim4.conf": [relay_files.ensure(node, constants.EXIM_CONFIG_FILE, target.configuration)],
    }
    return [name for name, changes in changed.items() if any(changes)]


def _own_pairs(
    node: machine.Machine, names: list[str], addresses: tuple[str, ...], now: datetime.datetime
) -> tuple[bytes, bytes, bytes]:
    """Return the key and the chain that the relay has, and the bundle of the pair beside them."""
    for name in (constants.TLS_PRIVATE_KEY_FILE, constants.TLS_CERTIFICATE_FILE):
        # What it leads to goes with the image, and a certificate made in its
        # place would then hide that.
        if node.is_link(name):
            raise ValueError(f"{name}: a symbolic link; install the file itself")
    first = certificates.plan(
        node.read(constants.TLS_PRIVATE_KEY_FILE),
        node.read(constants.TLS_CERTIFICATE_FILE),
        names,
        now,
        addresses,
    )
    kept = node.read(constants.TLS_OTHER_FILE)
    return (*first, certificates.plan_other(first, kept, names, now, addresses))


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


def _remarks(name: str, text: str) -> list[str]:
    """Return what is wrong with settings that are not exim's; it refuses none of exim's."""
    remarks = [
        f"{name}: {key} is not a setting of this release"
        for key in relay_env.unknown(text, _kinds())
        if key not in resolver_settings.KEYS
    ]
    try:
        resolver_settings.parse(text)
    except ValueError as error:
        remarks.append(f"{name}: {error}")
    return remarks


def _kinds() -> dict[str, type[relay_env.Value]]:
    kinds = tp.get_type_hints(exim_conf.Settings)
    return {name: kind for name, kind in kinds.items() if name not in {"domain", "hostname"}}
