# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import copy
import typing as tp

from clients import owners

if tp.TYPE_CHECKING:
    from clients import iam
    from clients.tests import fake_core

ROLE: tp.Final = "/v1/iam/roles/726f6c65-0000-0000-0000-000000000002"


def test_an_owner_has_the_role_in_the_project_and_logs_in(
    core: fake_core.Core, admin: iam.Session
) -> None:
    owner = owners.make(admin.api(), "suite", "a-project")
    (binding,) = [
        it for path, it in core.resources.items() if path.startswith("/v1/iam/role_bindings/")
    ]
    assert (binding["role"], binding["project"]) == (ROLE, "/v1/iam/projects/a-project")
    assert owner.username.startswith("suite-")
    assert owner.session(core.url).is_let_in()
    assert owner.password not in repr(owner)


def test_a_second_ensure_changes_nothing(core: fake_core.Core, admin: iam.Session) -> None:
    owner = owners.Owner("stand-owner", "secret", "a-project")
    owners.ensure(admin.api(), owner)
    before = copy.deepcopy(core.resources)
    owners.ensure(admin.api(), owner)
    assert core.resources == before


def test_an_owner_that_is_removed_takes_the_project_of_their_own_along(
    core: fake_core.Core, admin: iam.Session
) -> None:
    core.put("/v1/iam/projects/other", name="other")
    owner = owners.make(admin.api(), "demo")
    assert core.names("/v1/iam/projects/") == sorted([owner.username, "other"])
    assert core.names("/v1/iam/organizations/") == [owner.username]
    owners.remove(admin.api(), owner)
    assert core.names("/v1/iam/users/") == []
    assert core.names("/v1/iam/organizations/") == []
    assert core.names("/v1/iam/projects/") == ["other"]
