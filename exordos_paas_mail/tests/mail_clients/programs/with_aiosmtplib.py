# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Send one message by aiosmtplib; the text is on the standard input."""

import asyncio
import email.message
import os
import sys

import aiosmtplib

message = email.message.EmailMessage()
message["From"] = os.environ["LOGIN"]
message["To"] = os.environ["RECIPIENT"]
message["Subject"] = os.environ["SUBJECT"]
message.set_content(sys.stdin.read())
port = int(os.environ["PORT"])
asyncio.run(
    aiosmtplib.send(
        message,
        hostname=os.environ["SERVER"],
        port=port,
        username=os.environ["LOGIN"],
        password=os.environ["PASSWORD"],
        use_tls=port == 465,
        start_tls=port == 587,
    )
)
