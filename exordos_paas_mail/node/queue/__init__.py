# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The queue of a node: what waits and why, told to the control plane, and what that has done."""
