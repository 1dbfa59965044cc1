#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Prepare an installation for the end-to-end suite, and print the variables the suite reads.

Installs the metapaas and mailaas elements where they are missing, through the exordos command
line, and makes an ordinary user who owns the metapaas project. Progress goes to stderr, `export`
lines to stdout: eval "$(prepare_env.py ...)". A second run finds all as it is and changes nothing.

The administrator's password is best given as EXORDOS_PASSWORD: every user of the machine can read
a command line.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import typing as tp

import requests

from clients import elements, exordos, files, iam, mail, owners, rest, waiting

_POLL: tp.Final = waiting.Poll(900, pause=2)
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
    result.add_argument(
        "--password", default=os.environ.get("EXORDOS_PASSWORD"), help="rather EXORDOS_PASSWORD"
    )
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


def ensure(known: elements.Elements, name: str, find: tp.Callable[[], pathlib.Path | None]) -> None:
    """Install or update the element from the manifest found, and wait until it is ACTIVE."""
    manifest = find()
    if manifest is None:
        if known.find(name) is None:
            raise PrepareError(f"the {name} element is not installed: say where it was built")
        known.wait_active(name)
    else:
        known.ensure(manifest)
    say(f"{name}: ACTIVE")


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


def known_owner(file: pathlib.Path, core_url: str) -> owners.Owner | None:
    """Return the user an earlier run made, if that run was here and the user still logs in."""
    if not file.exists():
        return None
    words = shlex.split(file.read_text())
    variables = dict(word.split("=", 1) for word in words if "=" in word)
    if variables.get("EXORDOS_ENDPOINT") != core_url:
        return None
    owner = owners.Owner(
        variables["METAPAAS_USERNAME"], variables["METAPAAS_PASSWORD"], owners.METAPAAS_PROJECT
    )
    return owner if owner.session(core_url).is_let_in() else None


def ensure_elements(options: argparse.Namespace, session: iam.Session) -> None:
    """Bring both elements to the installation."""
    with tempfile.TemporaryDirectory() as home:
        program = exordos.logged_in("exordos", pathlib.Path(home), session)
        known = elements.Elements(session.api(), program, _POLL)
        metapaas: pathlib.Path | None = options.metapaas_dir
        ensure(known, "metapaas", lambda: manifest_of(metapaas, "metapaas") if metapaas else None)
        new = options.output_dir is not None or known.find("mailaas") is None
        ensure(known, "mailaas", lambda: project_manifest(options) if new else None)


def prepare(options: argparse.Namespace) -> dict[str, str]:
    """Bring the installation up to the suite's needs; return the suite's variables."""
    core_url = options.endpoint.rstrip("/")
    session = iam.Session(core_url, options.username, options.password)
    try:
        session.token()
    except requests.RequestException as error:
        raise PrepareError(f"Core at {core_url} gives no token: {error}") from error
    core = session.api()
    ensure_elements(options, session)

    output = options.output_dir or options.project_dir / "output"
    output.mkdir(parents=True, exist_ok=True)
    owner = known_owner(output / _ENV_FILE, core_url)
    if owner is None:
        owner = owners.make(core, "mail-suite", owners.METAPAAS_PROJECT)
        say(f"{owner.username}: owner of {owner.project}")
    url = control_plane(core)
    api = owner.session(core_url).api(url)
    _POLL.until(
        f"{url}{mail.VERSIONS} answers",
        lambda: _status(api, mail.VERSIONS),
        lambda status: status == requests.codes.ok,
    )
    return {
        "EXORDOS_ENDPOINT": core_url,
        "EXORDOS_USERNAME": options.username,
        "EXORDOS_PASSWORD": options.password,
        "METAPAAS_USERNAME": owner.username,
        "METAPAAS_PASSWORD": owner.password,
        "METAPAAS_PROJECT_ID": owner.project,
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
    except (
        PrepareError,
        exordos.ExordosError,
        requests.RequestException,
        TimeoutError,
    ) as error:
        say(f"cannot prepare: {error}")
        return 1
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    file = (options.output_dir or options.project_dir / "output") / _ENV_FILE
    files.write_private(file, "\n".join(lines) + "\n")
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
