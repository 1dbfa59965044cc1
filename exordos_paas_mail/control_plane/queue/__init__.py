# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The queues of the nodes, taken over as they tell them, and what they are told to do."""
