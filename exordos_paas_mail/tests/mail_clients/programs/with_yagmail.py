# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Send one message by yagmail; the text is on the standard input."""

import os
import sys

import yagmail

port = int(os.environ["PORT"])
with yagmail.SMTP(
    os.environ["LOGIN"],
    os.environ["PASSWORD"],
    host=os.environ["SERVER"],
    port=port,
    smtp_starttls=port == 587,
    smtp_ssl=port == 465,
) as client:
    client.send(os.environ["RECIPIENT"], os.environ["SUBJECT"], sys.stdin.read())
