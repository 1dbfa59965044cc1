# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Keeps passwords, hashes, keys and the addresses of mail out of the runtime's log.

At DEBUG, which is the level of a runtime without a logging.yaml, restalchemy
logs the body of each request and the values of each statement; at INFO, the
query of each request and the body of each answer that is an error. A secret
ends up in a query, or in place of a field's name, by a client's mistake.
"""

from __future__ import annotations

import logging
import re
import typing as tp

from restalchemy.api.middlewares import errors as errors_middleware
from restalchemy.api.middlewares import logging as middleware
from restalchemy.storage.sql import sessions

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import credentials

NOT_LOGGED: tp.Final = "<not logged>"
_TABLES: tp.Final = (
    *("mail_accounts", "mail_credentials", "ua_node_encryption_keys"),
    *("mail_messages", "mail_events", "mail_erasures", "mail_erased", "mail_stats"),
    *("mail_queue_items", "mail_queue_domains", "mail_operations"),
    "mail_webhooks",
    "mail_webhook_deliveries",
    "mail_tls_pairs",
    *("mail_suppressions", "mail_suppression_history", "mail_suppression_imports"),
    "mail_smarthosts",
)
_DECLARED: tp.Final = f"em_{constants.ELEMENT_NAME}_types_{constants.SLUG}_"
_KINDS: tp.Final = (constants.INSTANCE_NODE_KIND, _DECLARED)
# Kind, uuid and value of a resource that an agent failed to create.
_CREATION_ARGUMENTS: tp.Final = 3
# The platform passes over a slash too many, and clients write such.
_PATH: tp.Final = re.compile(rf"/types/+{re.escape(constants.SLUG)}/")
_QUERY: tp.Final = re.compile(rf"({_PATH.pattern}[^\s?\"]*)\?[^\s\"]*")
_BODY: tp.Final = re.compile(r"(?<= body=).*\Z", re.DOTALL)
_REQUEST: tp.Final = "API > "
_SECRET: tp.Final = re.compile(credentials.PATTERN)
# An answer that repeats a name, or a part of an expression, that a client sent; or that shows a
# secret, once.
_REPEATS: tp.Final = re.compile(r"no such field|\"message\": ?\"q: |\"secret_key\": ?\"")


class NoBodies(logging.Filter):
    """Takes queries, and bodies with what a client sent, out of what is logged of this plugin."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True; bodies and queries are replaced, and secrets of credentials."""
        # One that a client put into a path is repeated by each line about the request.
        if _is_told(record.msg):
            record.msg = _SECRET.sub(NOT_LOGGED, str(record.msg))
        if isinstance(record.args, tuple) and any(map(_is_told, record.args)):
            record.args = tuple(
                _SECRET.sub(NOT_LOGGED, str(each)) if _is_told(each) else each
                for each in record.args
            )
        message = str(record.msg)
        if not record.args:
            if _PATH.search(message):
                record.msg = _without_secrets(message)
            return True
        if isinstance(record.args, tuple) and any(_PATH.search(str(each)) for each in record.args):
            shown = tuple(
                _QUERY.sub(rf"\1?{NOT_LOGGED}", each) if isinstance(each, str) else each
                for each in record.args
            )
            if message.startswith(_REQUEST) or _REPEATS.search(str(shown[-1])):
                shown = (*shown[:-1], NOT_LOGGED)
            record.args = shown
        return True


def _is_told(value: object) -> bool:
    """Return whether there is a secret of a credential in *value*."""
    return isinstance(value, str | bytes) and _SECRET.search(str(value)) is not None


def _without_secrets(line: str) -> str:
    line = _QUERY.sub(rf"\1?{NOT_LOGGED}", line)
    return _BODY.sub(NOT_LOGGED, line) if _REPEATS.search(line) else line


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


class NoDeclaredValues(logging.Filter):
    """Keeps declared values out of the log of an agent.

    It logs the whole value of a resource that it failed to create, and an account that comes
    before its instance fails with its password in it.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True; the last argument of the record is replaced."""
        if isinstance(record.args, tuple) and len(record.args) == _CREATION_ARGUMENTS:
            kind, uuid, _value = record.args
            if str(kind).startswith(_DECLARED):
                record.args = (kind, uuid, NOT_LOGGED)
        return True


def install() -> None:
    """Put the filters on the loggers of this process, once."""
    _put(middleware.__name__, NoBodies)
    _put(errors_middleware.__name__, NoBodies)
    _put(sessions.__name__, NoValues)


def install_for_agent(logger: str) -> None:
    """Put the filter on the *logger* of the agent that applies manifests, once."""
    _put(logger, NoDeclaredValues)


def _put(name: str, wanted: type[logging.Filter]) -> None:
    logger = logging.getLogger(name)
    # By name: another wheel of this package may have put its own there.
    if wanted.__name__ not in {type(known).__name__ for known in logger.filters}:
        logger.addFilter(wanted())
