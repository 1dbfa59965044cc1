# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What many faults in a row cost, counted: on the stand, by a command of its own."""
