# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What became of mail: batches of the nodes' events, taken in and kept."""
