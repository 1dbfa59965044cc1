# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The paths of the mail API."""

from __future__ import annotations

import typing as tp

if tp.TYPE_CHECKING:
    from clients import rest

ROOT: tp.Final = "/v1/types/mail/"
INSTANCES: tp.Final = f"{ROOT}instances/"
VERSIONS: tp.Final = f"{ROOT}versions/"


def instance_path(instance: rest.Json | str) -> str:
    """Return the path of an instance, by its body or its uuid."""
    identifier = instance if isinstance(instance, str) else instance["uuid"]
    return f"{INSTANCES}{identifier}"


def accounts_path(instance: rest.Json | str) -> str:
    """Return the path of an instance's accounts."""
    return f"{instance_path(instance)}/accounts/"


def domains_path(instance: rest.Json | str) -> str:
    """Return the path of an instance's domains."""
    return f"{instance_path(instance)}/domains/"
