# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Documents: what a node holds for the control plane that is large, or secret.

A new collection is a codec of its shards, a module here that keeps to
``base.Collection``, and a key in the mapping of ``holder``.
"""
