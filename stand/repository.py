# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What a site's nodes may download: a Python index, node images, elements.

Plain files behind a plain web server on the bridge. An image is a small JSON
document that names the layers: what stands for flashing it is reading it.
"""

from __future__ import annotations

import json
import sys
import typing as tp

import requests

from stand import answering, processes
from tools import simple_index

if tp.TYPE_CHECKING:
    import pathlib

    from imaging.containers import sites

PORT: tp.Final = 8081
_FETCH_SECONDS: tp.Final = 60
_ELEMENTS: tp.Final = "exordos-elements"


def url(site: sites.Site) -> str:
    """Return where the repository of *site* answers."""
    return f"http://{site.address.ip}:{PORT}"


def process(site: sites.Site) -> processes.Process:
    """Return the web server."""
    command = (
        *(sys.executable, "-m", "http.server", "--bind", str(site.address.ip)),
        *("--directory", str(_home(site)), str(PORT)),
    )
    return processes.Process(site, "repository", command)


def ensure(site: sites.Site) -> None:
    """Start the repository and wait for it to answer."""
    _home(site).mkdir(parents=True, exist_ok=True)
    process(site).ensure()
    answering.wait("the repository", f"{url(site)}/")


def publish_wheel(site: sites.Site, wheel: pathlib.Path) -> str:
    """Add *wheel* to the index; return its digest (SHA-256, in hex)."""
    return simple_index.add(_home(site) / "simple", wheel)


def publish_image(
    site: sites.Site, element: str, version: str, name: str, layers: tp.Sequence[pathlib.Path]
) -> str:
    """Publish *layers* as the image *name* of an element's version; return its URL."""
    file = f"{_ELEMENTS}/{element}/{version}/images/{name}.raw.zst"
    home = _home(site) / file
    home.parent.mkdir(parents=True, exist_ok=True)
    home.write_text(json.dumps({"layers": [str(layer) for layer in layers]}))
    return f"{url(site)}/{file}"


def fetch_image(address: str) -> list[str]:
    """Return the layers of the image at *address*; raises requests.RequestException."""
    answer = requests.get(address, timeout=_FETCH_SECONDS)
    answer.raise_for_status()
    return [str(layer) for layer in answer.json()["layers"]]


def _home(site: sites.Site) -> pathlib.Path:
    return site.directory / "repository"
