# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Where this repository is, and where it keeps what it built."""

from __future__ import annotations

import pathlib
import typing as tp

PROJECT: tp.Final = pathlib.Path(__file__).resolve().parent.parent
CACHE: tp.Final = PROJECT / ".cache" / "imaging"
