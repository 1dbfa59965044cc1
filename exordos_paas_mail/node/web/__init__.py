# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Servers of strangers: names resolved once, addresses looked at, connections made to these."""
