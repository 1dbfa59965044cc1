# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Why a server cannot be asked, in words for who named it."""

from __future__ import annotations


class DeliveryError(Exception):
    """An attempt has failed before there was an answer."""
