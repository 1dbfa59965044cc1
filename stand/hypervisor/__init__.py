# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The stand's hypervisor: the platform's own agent with a pool driver for containers."""
