#!/bin/sh
# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
#
# Present during an image build only. 101 = action forbidden by policy.
exit 101
