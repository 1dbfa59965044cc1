# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What recipients' domains publish about TLS (MTA-STS, RFC 8461): found out, kept, told to exim."""
