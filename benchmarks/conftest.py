# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The fixtures of the tests of the control plane, where they are not what is measured."""

from __future__ import annotations

import typing as tp

import pytest

from exordos_paas_mail.tests.unit.control_plane import api_client

if tp.TYPE_CHECKING:
    from exordos_paas_mail.tests.unit.control_plane import fake_core


@pytest.fixture(scope="session")
def _application(_core: fake_core.FakeCore, _schema: None) -> tp.Any:
    return api_client.application(_core, is_measured=True)
