# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Elements of an installation: installed, updated and removed as their owners do it."""

from __future__ import annotations

import dataclasses
import typing as tp

import yaml

if tp.TYPE_CHECKING:
    import pathlib

    from clients import exordos, rest, waiting

_INSTALLED: tp.Final = "/v1/em/elements/"
_PUBLISHED: tp.Final = "/v1/repo/elements/"


@dataclasses.dataclass(frozen=True)
class Elements:
    """The elements of one Core, through the CLI; *poll* is the patience for each."""

    core: rest.Api
    exordos: exordos.Exordos
    poll: waiting.Poll

    def find(self, name: str) -> rest.Json | None:
        """Return the installed element of that name, None if there is none."""
        found = self.core.list(_INSTALLED, name=name)
        return found[0] if found else None

    def ensure(self, manifest: pathlib.Path) -> str | None:
        """Install the element of *manifest*, or update it; wait until it is ACTIVE.

        Returns which of both was done, None where it was there in that version.
        Raises ExordosError with the CLI's words, TimeoutError.
        """
        target = yaml.safe_load(manifest.read_text())
        name, version = target["name"], target["version"]
        actual = self.find(name)
        done = None
        if actual is None or actual["version"] != version:
            verb = ["install"] if actual is None else ["update", "--yes"]
            # A repository takes each version once; what it has is named.
            known = self.core.list(_PUBLISHED, name=name, version=version)
            element = [name, "--version", version] if known else [str(manifest)]
            self.exordos.run("em", "elements", *verb, *element)
            done = "installed" if actual is None else "updated"
        self.wait_active(name, version)
        return done

    def wait_active(self, name: str, version: str | None = None) -> None:
        """Wait until the element, in *version* if one is given, is ACTIVE."""

        def state() -> tuple[str, str] | None:
            element = self.find(name)
            return (element["version"], element["status"]) if element else None

        self.poll.until(
            f"element {name} {version or ''} ACTIVE",
            state,
            lambda found: (
                found is not None and found[1] == "ACTIVE" and version in {None, found[0]}
            ),
        )

    def uninstall(self, name: str) -> None:
        """Remove an element, if it is there, and what is published of it; wait until it is gone."""
        if self.find(name) is None:
            return
        self.exordos.run("em", "elements", "uninstall", "--yes", name)
        self.poll.until(f"{name} is gone", lambda: self.find(name), lambda found: found is None)
        for published in self.core.list(_PUBLISHED, name=name):
            self.core.delete(f"{_PUBLISHED}{published['uuid']}")
