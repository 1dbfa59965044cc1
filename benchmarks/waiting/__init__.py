# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What a queue costs that waits for a server which refuses, and how fast it leaves."""
