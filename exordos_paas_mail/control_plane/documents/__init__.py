# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What the documents of a node hold, a file a collection."""

from __future__ import annotations
