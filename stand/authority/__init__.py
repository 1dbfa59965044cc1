# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The certificate authority of the stand's internet: pebble, under the name Core asks for.

Core's certificate agent has the directory of Let's Encrypt hard-wired. On the stand that name
leads here. ``python -m stand.authority --help`` starts it; :mod:`stand.trust` does for a site.
"""
