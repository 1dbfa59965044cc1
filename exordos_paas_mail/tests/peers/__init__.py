# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Servers of others that a relay works with, as a distribution has them, on the stand."""
