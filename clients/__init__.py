# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Clients of an installation: what tools, the stand and the end-to-end suite call.

They import nothing else of this repository.
"""
