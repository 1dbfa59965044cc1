# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Real mail clients, in their own defaults, on a machine of the account owner."""
