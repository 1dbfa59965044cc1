# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The example element, which declares an instance and what belongs to one."""

from __future__ import annotations

import pathlib
import re
import time
import typing as tp
import uuid

import yaml

NAME: tp.Final = "example_mail"
PASSWORDS: tp.Final = "/v1/secret/passwords/"
_TEMPLATE: tp.Final = (
    pathlib.Path(__file__).resolve().parents[3] / "exordos" / "manifests" / f"{NAME}.yaml.j2"
)


def manifest(domain: str) -> dict[str, tp.Any]:
    """Return the example manifest as its build renders it, for another domain."""
    # A repository takes each version of an element once.
    version = f"0.1.0-dev+{time.strftime('%Y%m%d%H%M%S')}.{uuid.uuid4().hex[:8]}"
    text = re.sub(r"\{#.*?#\}", "", _TEMPLATE.read_text(), flags=re.DOTALL)
    text = text.replace("{{ version }}", version).replace("example.com", domain)
    assert not re.search(r"\{[{%]", text), "the example has a variable that is not rendered here"
    rendered: dict[str, tp.Any] = yaml.safe_load(text)
    return rendered
