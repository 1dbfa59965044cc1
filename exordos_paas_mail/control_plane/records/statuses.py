# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The life of an instance in a word."""

from __future__ import annotations

import typing as tp

from gcl_sdk.infra import constants as platform

NEW: tp.Final[str] = platform.InstanceStatus.NEW.value
IN_PROGRESS: tp.Final[str] = platform.InstanceStatus.IN_PROGRESS.value
ACTIVE: tp.Final[str] = platform.InstanceStatus.ACTIVE.value
ERROR: tp.Final[str] = platform.InstanceStatus.ERROR.value
ALL: tp.Final = (NEW, IN_PROGRESS, ACTIVE, ERROR)
