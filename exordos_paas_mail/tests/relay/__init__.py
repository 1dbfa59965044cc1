# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The rendered configuration and the units' commands on Debian's real exim4."""
