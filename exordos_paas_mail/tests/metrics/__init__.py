# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Metrics of nodes in a real Prometheus, by way of the real node exporter."""
