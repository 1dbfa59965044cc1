# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The node's own resolver: whom it asks, whether it validates, and whether it is asked."""
