# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

import pytest

from clients import iam
from clients.tests import fake_core


@pytest.fixture
def core() -> tp.Iterator[fake_core.Core]:
    with fake_core.running() as found:
        yield found


@pytest.fixture
def admin(core: fake_core.Core) -> iam.Session:
    return iam.Session(core.url, "admin", fake_core.PASSWORDS["admin"])
