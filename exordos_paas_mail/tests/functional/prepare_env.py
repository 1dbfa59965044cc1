#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Prepare an installation for the end-to-end suite, and print the variables the suite reads.

Installs the metapaas and mailaas elements where they are missing, through the exordos command
line, and makes an ordinary user who owns the metapaas project. Progress goes to stderr, `export`
lines to stdout: eval "$(prepare_env.py ...)". A second run finds all as it is and changes nothing.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import shlex
import subprocess
import sys
import typing as tp

import requests
import yaml

from exordos_paas_mail.tests.functional import rest, settings

_ELEMENT_SECONDS: tp.Final = 900
_ENV_FILE: tp.Final = "functional.env"
_PROJECT: tp.Final = pathlib.Path(__file__).resolve().parents[3]


class PrepareError(Exception):
    """Something the person who runs this has to do; the message says what."""


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    result = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    result.add_argument(
        "--metapaas-dir",
        type=pathlib.Path,
        help="where the metapaas element was built; needed where it is not installed yet",
    )
    result.add_argument(
        "--project-dir", type=pathlib.Path, default=_PROJECT, help="this repository"
    )
    result.add_argument(
        "--output-dir",
        type=pathlib.Path,
        help="what `make build` wrote (PROJECT_DIR/output)",
    )
    result.add_argument("--endpoint", default=os.environ.get("EXORDOS_ENDPOINT"), help="Core's API")
    result.add_argument("--username", default=os.environ.get("EXORDOS_USERNAME", "admin"))
    result.add_argument("--password", default=os.environ.get("EXORDOS_PASSWORD"))
    return result


def say(text: str) -> None:
    """Tell the person who watches."""
    print(text, file=sys.stderr, flush=True)


def manifest_of(directory: pathlib.Path, name: str) -> pathlib.Path:
    """Return the manifest a build left in *directory*; raises PrepareError if there is none."""
    tried = [directory / "manifests", directory / "output" / "manifests"]
    for home in tried:
        if (home / f"{name}.yaml").is_file():
            return home / f"{name}.yaml"
    raise PrepareError(f"no {name}.yaml in {' or '.join(map(str, tried))}: build it first")


class Installer:
    """Brings elements to an installation."""

    def __init__(self, core: rest.Api, options: argparse.Namespace) -> None:
        """Use the command line's endpoint and administrator."""
        self._core = core
        self._exordos = [
            *("exordos", "--no-check-updates", "--endpoint", options.endpoint),
            *("--user", options.username, "--password", options.password),
        ]

    def installed(self, name: str) -> rest.Json | None:
        """Return the element as Core knows it."""
        found = self._core.list("/v1/em/elements/", name=name)
        return found[0] if found else None

    def ensure(self, name: str, find: tp.Callable[[], pathlib.Path | None]) -> None:
        """Install or update the element from the manifest found, and wait until it is ACTIVE."""
        present = self.installed(name)
        manifest = find()
        if manifest is None:
            if present is None:
                raise PrepareError(f"the {name} element is not installed: say where it was built")
        else:
            version = yaml.safe_load(manifest.read_text())["version"]
            # A repository takes each version once; what it has is named.
            published = self._core.list("/v1/repo/elements/", name=name, version=version)
            element = [name, "--version", version] if published else [str(manifest)]
            if present is None:
                self._run("install", *element)
            elif present["version"] != version:
                self._run("update", "--yes", *element)
        rest.wait(
            lambda: (self.installed(name) or {}).get("status"),
            lambda status: status == "ACTIVE",
            f"element {name} ACTIVE",
            (_ELEMENT_SECONDS, 2),
        )
        say(f"{name}: ACTIVE")

    def _run(self, verb: str, *arguments: str) -> None:
        say(f"exordos em elements {verb} {' '.join(arguments)}")
        command = [*self._exordos, "em", "elements", verb, *arguments]
        try:
            subprocess.run(command, check=True, stdout=sys.stderr)
        except FileNotFoundError as error:
            raise PrepareError("the exordos command line is not installed") from error
        except subprocess.CalledProcessError as error:
            raise PrepareError(f"exordos ended with status {error.returncode}") from error


def project_manifest(options: argparse.Namespace) -> pathlib.Path:
    """Return the mailaas manifest, built now if it is not there."""
    output = options.output_dir or options.project_dir / "output"
    if (output / "manifests" / "mailaas.yaml").is_file():
        return manifest_of(output, "mailaas")
    say(f"make -C {options.project_dir} build")
    built = subprocess.run(
        ["make", "-C", str(options.project_dir), "build"], check=False, stdout=sys.stderr
    )
    if built.returncode:
        raise PrepareError(f"make build ended with status {built.returncode}")
    return manifest_of(options.project_dir, "mailaas")


def control_plane(core: rest.Api) -> str:
    """Return the URL of the runtime's API: of the node Core calls metapaas-cp."""
    nodes = core.list("/v1/compute/nodes/", name="metapaas-cp")
    addresses = [node["default_network"].get("ipv4") for node in nodes]
    if len(addresses) != 1 or not addresses[0]:
        raise PrepareError(f"Core has no one metapaas-cp node with an address: {addresses}")
    return f"http://{addresses[0]}:8080"


def known_user(file: pathlib.Path, core_url: str) -> tuple[str, str] | None:
    """Return the user an earlier run made, if that run was here and the user still logs in."""
    if not file.exists():
        return None
    words = shlex.split(file.read_text())
    variables = dict(word.split("=", 1) for word in words if "=" in word)
    if variables.get("EXORDOS_ENDPOINT") != core_url:
        return None
    username, password = variables["METAPAAS_USERNAME"], variables["METAPAAS_PASSWORD"]
    try:
        rest.token(core_url, username, password, settings.METAPAAS_PROJECT_ID)
    except AssertionError:
        return None
    return username, password


def prepare(options: argparse.Namespace) -> dict[str, str]:
    """Bring the installation up to the suite's needs; return the suite's variables."""
    core_url = options.endpoint.rstrip("/")
    try:
        access = rest.token(core_url, options.username, options.password)
    except (AssertionError, requests.RequestException) as error:
        raise PrepareError(f"Core at {core_url} gives no token: {error}") from error
    core = rest.Api(core_url, access)
    installer = Installer(core, options)
    metapaas: pathlib.Path | None = options.metapaas_dir
    installer.ensure("metapaas", lambda: manifest_of(metapaas, "metapaas") if metapaas else None)
    wanted = options.output_dir is not None or installer.installed("mailaas") is None
    installer.ensure("mailaas", lambda: project_manifest(options) if wanted else None)

    output = options.output_dir or options.project_dir / "output"
    output.mkdir(parents=True, exist_ok=True)
    user = known_user(output / _ENV_FILE, core_url)
    if user is None:
        person = rest.Person(core, settings.METAPAAS_PROJECT_ID)
        user = person.username, person.password
        say(f"{person.username}: owner of {settings.METAPAAS_PROJECT_ID}")
    url = control_plane(core)
    owner = rest.Api(url, rest.token(core_url, *user, settings.METAPAAS_PROJECT_ID))
    rest.wait(
        lambda: _status(owner, rest.VERSIONS),
        lambda status: status == requests.codes.ok,
        f"{url}{rest.VERSIONS} answers",
        (_ELEMENT_SECONDS, 2),
    )
    return {
        "EXORDOS_ENDPOINT": core_url,
        "EXORDOS_USERNAME": options.username,
        "EXORDOS_PASSWORD": options.password,
        "METAPAAS_USERNAME": user[0],
        "METAPAAS_PASSWORD": user[1],
        "METAPAAS_PROJECT_ID": settings.METAPAAS_PROJECT_ID,
        "EXORDOS_MAIL_CP_URL": url,
    }


def _status(api: rest.Api, path: str) -> int | str:
    try:
        return api.call("GET", path).status_code
    except requests.ConnectionError as error:
        # The runtime restarts its API when it brings a plugin to life.
        return str(error)


def main(arguments: tp.Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    options = parser().parse_args(arguments)
    missing = [name for name in ("endpoint", "password") if not getattr(options, name)]
    if missing:
        say(f"missing: {', '.join(f'--{name}' for name in missing)}")
        return 2
    try:
        variables = prepare(options)
    except (PrepareError, AssertionError) as error:
        say(f"cannot prepare: {error}")
        return 1
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    file = (options.output_dir or options.project_dir / "output") / _ENV_FILE
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:  # noqa: PTH123 - the mode matters from the start
        stream.write("\n".join(lines) + "\n")
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
