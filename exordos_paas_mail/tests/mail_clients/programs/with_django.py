# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Send one message by Django's mail; the text is on the standard input.

The settings are those of a module that DJANGO_SETTINGS_MODULE names, or made
from the environment.
"""

import os
import sys

from django import conf
from django.core import mail

if "DJANGO_SETTINGS_MODULE" not in os.environ:
    port = int(os.environ["PORT"])
    conf.settings.configure(
        EMAIL_HOST=os.environ["SERVER"],
        EMAIL_PORT=port,
        EMAIL_USE_TLS=port == 587,
        EMAIL_USE_SSL=port == 465,
        EMAIL_HOST_USER=os.environ["LOGIN"],
        EMAIL_HOST_PASSWORD=os.environ["PASSWORD"],
        DEFAULT_FROM_EMAIL=os.environ["LOGIN"],
    )
mail.send_mail(os.environ["SUBJECT"], sys.stdin.read(), None, [os.environ["RECIPIENT"]])
