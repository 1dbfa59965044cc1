# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Lists that were given as a text, taken in."""

from __future__ import annotations
