# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""SMTP relay as a service: a plugin of the Exordos MetaPaaS runtime."""
