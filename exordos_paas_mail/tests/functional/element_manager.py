# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Elements of an installation: installed, updated and removed as their owners do it."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import time
import typing as tp
import uuid

import yaml

from exordos_paas_mail.tests.functional import rest, stand_control

ELEMENTS: tp.Final = "/v1/em/elements/"
REPOSITORY: tp.Final = "/v1/repo/elements/"
PASSWORDS: tp.Final = "/v1/secret/passwords/"
_EXAMPLE: tp.Final = (
    pathlib.Path(__file__).resolve().parents[3] / "exordos" / "manifests" / "example_mail.yaml.j2"
)


def example(domain: str) -> dict[str, tp.Any]:
    """Return the example manifest as its build renders it, for another domain."""
    # A repository takes each version of an element once.
    version = f"0.1.0-dev+{time.strftime('%Y%m%d%H%M%S')}.{uuid.uuid4().hex[:8]}"
    text = re.sub(r"\{#.*?#\}", "", _EXAMPLE.read_text(), flags=re.DOTALL)
    text = text.replace("{{ version }}", version).replace("example.com", domain)
    assert not re.search(r"\{[{%]", text), "the example has a variable that is not rendered here"
    manifest: dict[str, tp.Any] = yaml.safe_load(text)
    return manifest


@dataclasses.dataclass(frozen=True)
class Elements:
    """The elements of the stand."""

    stand: stand_control.Stand
    core: rest.Api
    poll: tuple[float, float]

    def find(self, name: str) -> rest.Json | None:
        """Return the installed element of that name, None if there is none."""
        found = self.core.list(ELEMENTS, name=name)
        return found[0] if found else None

    def install(self, manifest: pathlib.Path) -> None:
        """Install an element and wait until it is ACTIVE."""
        self._bring("install", manifest)

    def update(self, manifest: pathlib.Path) -> None:
        """Bring an installed element to another version and wait until it is ACTIVE."""
        self._bring("update", manifest, "--yes")

    def _bring(self, verb: str, manifest: pathlib.Path, *options: str) -> None:
        wanted = yaml.safe_load(manifest.read_text())
        name, version = wanted["name"], wanted["version"]
        published = self.core.list(REPOSITORY, name=name, version=version)
        element = [name, "--version", version] if published else [str(manifest)]
        self.stand.exordos("em", "elements", verb, *options, *element)

        def state() -> tuple[str, str] | None:
            found = self.find(name)
            return (found["version"], found["status"]) if found else None

        rest.wait(
            state,
            lambda found: found == (version, "ACTIVE"),
            f"element {name} {version} ACTIVE",
            self.poll,
        )

    def uninstall(self, name: str) -> None:
        """Remove an element, if it is there, and wait until it is gone."""
        if self.find(name) is None:
            return
        self.stand.exordos("em", "elements", "uninstall", "--yes", name)
        rest.wait(
            lambda: self.find(name), lambda found: found is None, f"{name} is gone", self.poll
        )
        for published in self.core.list(REPOSITORY, name=name):
            self.core.expect(204, "DELETE", f"{REPOSITORY}{published['uuid']}")
