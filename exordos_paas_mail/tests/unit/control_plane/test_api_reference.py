# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""docs/api.md says what the running application says of itself."""

from __future__ import annotations

import os
import pathlib
import typing as tp

from tools import api_reference

if tp.TYPE_CHECKING:
    from exordos_paas_mail.tests.unit.control_plane import api_client

REFERENCE = pathlib.Path(__file__).parents[4] / "docs" / "api.md"
WRITE = "MAILAAS_WRITE_API_REFERENCE"


def test_the_api_reference_is_the_applications_own(api: api_client.Client) -> None:
    rendered = api_reference.render(api.admin().get("/specifications/3.0.3"))
    if os.environ.get(WRITE):
        REFERENCE.write_text(rendered)
    assert REFERENCE.read_text() == rendered, "run make api-reference"
