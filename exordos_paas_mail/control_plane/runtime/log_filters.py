# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Keeps passwords, hashes and keys out of the runtime's log.

At DEBUG, which is the level of a runtime without a logging.yaml, restalchemy
logs the body of each request and the values of each statement.
"""

from __future__ import annotations

import logging
import typing as tp

from restalchemy.api.middlewares import logging as middleware
from restalchemy.storage.sql import sessions

from exordos_paas_mail import constants

NOT_LOGGED: tp.Final = "<not logged>"
_TABLES: tp.Final = ("mail_accounts", "ua_node_encryption_keys")
_KINDS: tp.Final = (
    constants.INSTANCE_NODE_KIND,
    f"em_{constants.ELEMENT_NAME}_types_{constants.SLUG}_",
)
_REQUEST: tp.Final = "API > "
_REQUEST_ARGUMENTS: tp.Final = 3


class NoBodies(logging.Filter):
    """Takes the body out of what is logged of a request to this plugin."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True; the body is replaced."""
        arguments = record.args
        if (
            str(record.msg).startswith(_REQUEST)
            and isinstance(arguments, tuple)
            and len(arguments) == _REQUEST_ARGUMENTS
            and f"/{constants.SLUG}/" in str(arguments[0])
        ):
            record.args = (*arguments[:-1], NOT_LOGGED)
        return True


class NoValues(logging.Filter):
    """Takes the values out of what is logged of a statement that writes or reads a secret."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True; the values are replaced."""
        if not isinstance(record.args, tuple) or not record.args[1:]:
            return True
        statement, values, *rest = record.args
        if any(table in str(statement) for table in _TABLES) or any(
            kind in str(values) for kind in _KINDS
        ):
            record.args = (statement, NOT_LOGGED, *rest)
        return True


def install() -> None:
    """Put the filters on the loggers of this process, once."""
    for logger, wanted in (
        (logging.getLogger(middleware.__name__), NoBodies),
        (logging.getLogger(sessions.__name__), NoValues),
    ):
        # By name: another wheel of this package may have put its own there.
        present = {type(known).__name__ for known in logger.filters}
        if wanted.__name__ not in present:
            logger.addFilter(wanted())
