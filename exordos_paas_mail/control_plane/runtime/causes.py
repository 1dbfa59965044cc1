# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What a log may say of an error that nobody foresaw."""

from __future__ import annotations

import traceback


def cause_of(error: BaseException) -> str:
    """Return the type of *error*, which was raised, and where.

    Without the error's words: they may be a tenant's, or a key's.
    """
    (*_, last) = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} in line {last.lineno} of {last.filename}"
