# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A query that cannot be decoded or an upload is a 400, a body that is too large a 413.

The application builds its RequestContext before it looks for a route, and
that reads the query, and a form if the body says it is one. What is not UTF-8
there is a UnicodeDecodeError, which the platform answers with 500. What is read
holds the one process that answers everybody: a form of a mebibyte for a second,
and a query by the square of its parameters. Nothing of a plugin runs before, so a
subclass takes the place of the platform's class. It changes the answers to
requests for this plugin, and no other's.
"""

from __future__ import annotations

import re
import typing as tp
import urllib.parse

from restalchemy.api import contexts

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import suppression_lists
from exordos_paas_mail.control_plane.records import errors

# The platform passes over a slash too many, and clients write such.
_PATH: tp.Final = re.compile(rf"/types/+{re.escape(constants.SLUG)}/")
BODY_SIZE_MAX: tp.Final = 1024 * 1024
"""Octets of a body."""
PARAMETERS_MAX: tp.Final = 100
"""Of a query."""
_UPLOAD: tp.Final = "multipart/form-data"
_JSON: tp.Final = frozenset({"", "application/x-www-form-urlencoded"})
"""Types of a body that is JSON all the same: none, and what curl -d says where nothing else is."""
_WITH_BODY: tp.Final = frozenset({"POST", "PUT", "PATCH"})
_LARGER: tp.Final = {"/actions/suppressions_import/invoke": suppression_lists.SIZE_MAX}


# Another wheel of this package may have put its own in the place.
_PLATFORM: tp.Any = next(
    base for base in contexts.RequestContext.__mro__ if base.__module__ == contexts.__name__
)


class RequestContext(_PLATFORM):
    """The platform's, with an error that names the parameter, and a bound of the body."""

    def __init__(self, request: tp.Any) -> None:
        if _PATH.search(request.environ.get("PATH_INFO", "")):
            _check_size(request)
            _check_form(request)
            if request.query_string.count("&") >= PARAMETERS_MAX:
                raise errors.FieldError("query", f"must have {PARAMETERS_MAX} parameters at most")
        try:
            super().__init__(request)
        # UnicodeDecodeError is one.
        except ValueError:
            if _PATH.search(request.path) is None:
                raise
            raise _error(request.environ.get("QUERY_STRING", "")) from None


def _check_size(request: tp.Any) -> None:
    most = next((size for end, size in _LARGER.items() if request.path.endswith(end)), 0)
    # Without a length the platform reads no body.
    if (request.content_length or 0) > (most or BODY_SIZE_MAX):
        raise errors.ContentTooLarge(size=most or BODY_SIZE_MAX)


def _check_form(request: tp.Any) -> None:
    # A form is read with any method, also where it says of none that it has a body.
    if request.content_type == _UPLOAD:
        raise errors.ParseBodyError
    if request.content_type in _JSON and (request.content_type or request.method in _WITH_BODY):
        # The platform reads it as JSON, and as a form before.
        request.content_type = "application/json"


def _error(query: str) -> Exception:
    for pair in query.split("&"):
        # As PEP 3333 has it: bytes, in a string of Latin-1.
        name, _, value = pair.encode("latin-1").partition(b"=")
        text = _decoded(name)
        if text is None:
            return errors.FieldError("query", "a parameter's name must be UTF-8")
        if _decoded(value) is None:
            return errors.FieldError(text, "must be UTF-8")
    return errors.ParseBodyError()


def _decoded(quoted: bytes) -> str | None:
    try:
        return urllib.parse.unquote_to_bytes(quoted.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        return None


def install() -> None:
    """Put the subclass in the place of the platform's class."""
    contexts.RequestContext = RequestContext
