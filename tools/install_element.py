# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Install an element, or update it, and wait until it is ACTIVE.

Environment: EXORDOS_ENDPOINT, EXORDOS_USERNAME, EXORDOS_PASSWORD of an administrator of Core.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import sys
import tempfile
import typing as tp

import requests
import yaml

from clients import elements, exordos, iam, waiting
from imaging import commands, exordos_cli

_VARIABLES: tp.Final = ("EXORDOS_ENDPOINT", "EXORDOS_USERNAME", "EXORDOS_PASSWORD")
_POLL: tp.Final = waiting.Poll(300, pause=1)


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    result = argparse.ArgumentParser(
        prog="python -m tools.install_element",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument("manifest", type=pathlib.Path, help="what make build or make image wrote")
    return result


def install(manifest: pathlib.Path, session: iam.Session) -> str:
    """Bring the element of *manifest* to the Core of *session*; say what came of it.

    Raises CommandError, ExordosError, requests.RequestException, TimeoutError.
    """
    target = yaml.safe_load(manifest.read_text())
    program = str(exordos_cli.ensure(print))
    with tempfile.TemporaryDirectory() as home:
        cli = exordos.logged_in(program, pathlib.Path(home), session)
        done = elements.Elements(session.api(), cli, _POLL).ensure(manifest)
    return f"{target['name']} {target['version']} is ACTIVE, {done or 'as it was'}"


def main(arguments: tp.Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    manifest: pathlib.Path = parser().parse_args(arguments).manifest
    if not manifest.is_file():
        print(f"There is no {manifest}: make build, or name one by MANIFEST=", file=sys.stderr)
        return 1
    missing = [name for name in _VARIABLES if not os.environ.get(name)]
    if missing:
        print(f"Not set: {', '.join(missing)}; an administrator of Core", file=sys.stderr)
        return 1
    url, username, password = (os.environ[name] for name in _VARIABLES)
    try:
        print(install(manifest, iam.Session(url.rstrip("/"), username, password)))
    except (
        commands.CommandError,
        exordos.ExordosError,
        requests.RequestException,
        TimeoutError,
    ) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
