# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Which installation the suite talks to: environment variables, and nothing else."""

from __future__ import annotations

import dataclasses
import shlex
import typing as tp

from clients import owners, waiting


@dataclasses.dataclass(frozen=True)
class Settings:
    """One installation; URLs have no trailing slash, times are in seconds."""

    core_url: str
    core_username: str
    core_password: str = dataclasses.field(repr=False)
    project: str
    owner: owners.Owner | None
    url: str | None
    poll: waiting.Poll
    internet_url: str | None
    cli: str | None
    stand: tuple[str, ...] | None

    @property
    def is_stand(self) -> bool:
        """Whether this is the stand, which has everything: nothing may be skipped."""
        return self.internet_url is not None or self.stand is not None


def from_environment(environment: tp.Mapping[str, str]) -> Settings:
    """Read the settings; raises ValueError that names what is missing or wrong."""
    required = ("EXORDOS_ENDPOINT", "EXORDOS_USERNAME", "EXORDOS_PASSWORD")
    missing = [name for name in required if not environment.get(name)]
    if missing:
        raise ValueError(
            f"the end-to-end suite needs an installation: set {', '.join(missing)} "
            "(the stand: make stand, then . .stand/env)"
        )
    username = environment.get("METAPAAS_USERNAME") or None
    password = environment.get("METAPAAS_PASSWORD") or None
    if (username is None) != (password is None):
        raise ValueError("METAPAAS_USERNAME and METAPAAS_PASSWORD are set together or not at all")
    project = environment.get("METAPAAS_PROJECT_ID") or owners.METAPAAS_PROJECT
    return Settings(
        core_url=environment["EXORDOS_ENDPOINT"].rstrip("/"),
        core_username=environment["EXORDOS_USERNAME"],
        core_password=environment["EXORDOS_PASSWORD"],
        project=project,
        owner=owners.Owner(username, password, project) if username and password else None,
        url=(environment.get("EXORDOS_MAIL_CP_URL") or "").rstrip("/") or None,
        poll=waiting.Poll(
            _seconds(environment, "EXORDOS_POLL_TIMEOUT", 600),
            _seconds(environment, "EXORDOS_POLL_INTERVAL", 1),
        ),
        cli=environment.get("EXORDOS_CLI") or None,
        internet_url=environment.get("EXORDOS_MAIL_INTERNET_URL") or None,
        stand=tuple(shlex.split(environment.get("EXORDOS_MAIL_STAND", ""))) or None,
    )


def _seconds(environment: tp.Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < float("inf"):
        raise ValueError(f"{name} is a number of seconds above zero, not {text!r}")
    return value
