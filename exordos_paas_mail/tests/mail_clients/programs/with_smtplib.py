# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Send one message by Python's smtplib; the text is on the standard input."""

import email.message
import os
import smtplib
import ssl
import sys

message = email.message.EmailMessage()
message["From"] = os.environ["LOGIN"]
message["To"] = os.environ["RECIPIENT"]
message["Subject"] = os.environ["SUBJECT"]
message.set_content(sys.stdin.read())
server, port = os.environ["SERVER"], int(os.environ["PORT"])
context = ssl.create_default_context()
if port == 587:
    client = smtplib.SMTP(server, port)
    client.starttls(context=context)
else:
    client = smtplib.SMTP_SSL(server, port, context=context)
with client:
    client.login(os.environ["LOGIN"], os.environ["PASSWORD"])
    client.send_message(message)
