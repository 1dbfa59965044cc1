# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What became of mail, from exim's log to the control plane: nothing lost, nothing twice."""
