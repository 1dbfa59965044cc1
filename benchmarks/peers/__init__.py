# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The relay beside Postfix with Dovecot and OpenDKIM: make benchmark-peers."""
