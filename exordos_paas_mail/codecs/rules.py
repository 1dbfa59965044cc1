# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The error of a value that breaks a rule."""

from __future__ import annotations


class RuleError(ValueError):
    """A value breaks a rule.

    The message states the rule and reads well after a field's name and a colon
    ("must be true or false"). It never repeats the value, which may be a secret.
    """
