# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Why an event cannot be handed over, in words for who owns the webhook."""

from __future__ import annotations


class DeliveryError(Exception):
    """An attempt has failed before there was an answer."""
