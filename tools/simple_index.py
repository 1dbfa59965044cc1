# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A Python package index of plain files (PEP 503): simple_index.py DIRECTORY WHEEL...

Any web server that serves DIRECTORY is such an index.
"""

from __future__ import annotations

import hashlib
import html
import pathlib
import re
import sys
import tempfile


def add(directory: pathlib.Path, wheel: pathlib.Path) -> str:
    """Add *wheel* to the index in *directory*; return its digest (SHA-256, in hex).

    Files are put in place by rename, so that a client never reads half of one.
    A wheel of the same name is replaced.
    """
    project = re.sub(r"[-_.]+", "-", wheel.name.split("-")[0]).lower()
    home = directory / project
    home.mkdir(parents=True, exist_ok=True)
    _write(home / wheel.name, wheel.read_bytes())
    digests = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(home.glob("*.whl"))
    }
    _write(
        home / "index.html",
        _page(project, {name: f"{name}#sha256={digest}" for name, digest in digests.items()}),
    )
    projects = sorted(child.name for child in directory.iterdir() if child.is_dir())
    _write(directory / "index.html", _page("Simple index", {name: f"{name}/" for name in projects}))
    return digests[wheel.name]


def _page(title: str, links: dict[str, str]) -> bytes:
    lines = "".join(
        f'<a href="{html.escape(target)}">{html.escape(name)}</a><br>\n'
        for name, target in links.items()
    )
    return f"<!DOCTYPE html>\n<title>{html.escape(title)}</title>\n{lines}".encode()


def _write(path: pathlib.Path, content: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
        file.write(content)
    partial = pathlib.Path(file.name)
    partial.chmod(0o644)
    partial.replace(path)


def main() -> None:
    """Add the wheels of the command line, and say their digests."""
    directory, *wheels = (pathlib.Path(argument) for argument in sys.argv[1:])
    for wheel in wheels:
        print(f"{add(directory, wheel)}  {wheel.name}")


if __name__ == "__main__":
    main()
