# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What a build takes over from this machine: package sources, CA bundle, settings.

A network may have a mirror, a proxy or a certificate authority of its own, and
only this machine's configuration knows.
"""

from __future__ import annotations

import functools
import os
import pathlib
import platform
import re
import typing as tp

from imaging import commands

MACHINE_CA_BUNDLE: tp.Final = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
_PIP_CONFIGS: tp.Final = tuple(
    pathlib.Path(path).expanduser()
    for path in ("~/.config/pip/pip.conf", "~/.pip/pip.conf", "/etc/pip.conf")
)
_PASSED: tp.Final = re.compile(
    r"EXORDOS_MAIL_EXIM|(PIP|UV)_(.*INDEX.*|TRUSTED_HOST|FIND_LINKS|DEFAULT_TIMEOUT)|(?i:.*_proxy)"
)
# Where the things taken over are inside a build.
CA_BUNDLE: tp.Final = "/run/build/ca.crt"
PIP_CONFIG: tp.Final = "/run/build/pip.conf"
CACHE: tp.Final = "/run/build/cache"


@functools.cache
def codename() -> str:
    """Return the release this machine runs: images are of the same."""
    return platform.freedesktop_os_release()["VERSION_CODENAME"]


@functools.cache
def apt_sources() -> list[str]:
    """Return the one-line sources of this machine's own distribution.

    What apt itself read of its configuration (``apt-get indextargets``);
    repositories of other vendors are left out.
    """
    shown = commands.run(
        *("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)"),
        "Created-By: Packages",
    )
    release = re.compile(rf"{re.escape(codename())}(-updates|-security)?")
    found: dict[tuple[str, str], list[str]] = {}
    for line in shown.stdout.splitlines():
        uri, suite, component = line.split(" ")
        if release.fullmatch(suite):
            components = found.setdefault((uri, suite), [])
            components.extend([component] if component not in components else [])
    if not found:
        raise RuntimeError("apt knows no source of this distribution; run apt-get update first")
    return [f"deb {uri} {suite} {' '.join(parts)}" for (uri, suite), parts in found.items()]


def apt_options() -> list[str]:
    """Return this machine's apt settings that decide how the sources are reached."""
    shown = commands.run("apt-config", "dump", "--no-empty", "Acquire::http", "Acquire::https")
    return [line for line in shown.stdout.splitlines() if '"' in line]


def environment() -> dict[str, str]:
    """Return the environment of a build."""
    taken = {name: value for name, value in os.environ.items() if _PASSED.fullmatch(name)}
    trusted = dict.fromkeys(
        ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT"), CA_BUNDLE
    )
    return {
        **taken,
        **trusted,
        "DEBIAN_FRONTEND": "noninteractive",
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PIP_CACHE_DIR": f"{CACHE}/pip",
        "PIP_CONFIG_FILE": PIP_CONFIG,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
        "UV_CACHE_DIR": f"{CACHE}/uv",
        "UV_LINK_MODE": "copy",
    }


def binds() -> dict[str, pathlib.Path]:
    """Return the files a build sees of this machine: path inside -> path here."""
    seen = {
        "/etc/resolv.conf": pathlib.Path("/etc/resolv.conf").resolve(),
        CA_BUNDLE: MACHINE_CA_BUNDLE,
    }
    for config in _PIP_CONFIGS:
        if config.exists():
            return {**seen, PIP_CONFIG: config}
    return seen
