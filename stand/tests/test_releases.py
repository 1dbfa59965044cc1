# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The release that an installation is upgraded to."""

from __future__ import annotations

import types
import typing as tp

import pytest

from imaging import paths, project
from stand import releases

MIGRATIONS: tp.Final = paths.PROJECT / "exordos_paas_mail" / "migrations"


@pytest.mark.parametrize(
    ("last", "following"),
    [
        pytest.param("0.1.0", "0.1.1", id="first"),
        pytest.param("1.2.9", "1.2.10", id="two digits"),
    ],
)
def test_the_next_release_follows_the_last(
    last: str, following: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project, "release", lambda: last)
    assert releases.version() == following


def test_its_migration_comes_after_all_others() -> None:
    (name,) = [name for name in releases.appended() if "/migrations/" in name]
    module = types.ModuleType("next_release")
    exec(compile(releases.appended()[name], "<release>", "exec"), module.__dict__)  # noqa: S102
    present = sorted(path.name for path in MIGRATIONS.glob("0*.py"))
    assert module.migration_step.depends == [present[-1]]
    assert module.migration_step.migration_id == releases.MIGRATION
    assert name.rpartition("/")[2] > present[-1]


def test_it_adds_to_files_of_the_package_and_replaces_none() -> None:
    added = [name for name in releases.appended() if not (paths.PROJECT / name).exists()]
    assert added == ["exordos_paas_mail/migrations/9999-next-release.py"]
