# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Send one message by the platform's own sender; the text is on the standard input."""

import os
import sys

from exordos_notification.dm import models

protocol = models.StartTlsSmtpProtocol(
    host=os.environ["SERVER"],
    port=int(os.environ["PORT"]),
    noreply_email_address=os.environ["LOGIN"],
    user=os.environ["LOGIN"],
    password=os.environ["PASSWORD"],
)
content = models.RenderedEmailContent(title=os.environ["SUBJECT"], bodies=[sys.stdin.read()])
protocol.send(content, {"user": {"email": os.environ["RECIPIENT"]}})
