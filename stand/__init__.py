# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A live installation of the platform, with this plugin in it, on one machine."""
