# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Errors the REST API answers with; each names the field, none carries its value."""

from __future__ import annotations

import typing as tp

from restalchemy.common import exceptions
from restalchemy.storage import exceptions as storage_exceptions

if tp.TYPE_CHECKING:
    import datetime


class FieldError(exceptions.ValidationErrorException):
    """400: *field*, of a body or a query, holds a value that breaks a rule."""

    message = "%(field)s: %(reason)s"

    def __init__(self, field: str, reason: str, *, is_repeated: bool = False) -> None:
        """Take *is_repeated* for a field or a reason with text of the client's in it.

        The answer has it, by the attribute ``msg``. A log, which has ``str``, does not:
        the text may be a secret in the wrong place.
        """
        super().__init__(field=field, reason=reason)
        self.field = field
        self._logged = "the request has something unknown in it" if is_repeated else self.msg

    def __str__(self) -> str:
        return str(self._logged)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._logged!r})"


# The names of these are the `type` of the answer, and clients of the platform know them.
class FieldPermissionError(exceptions.FieldPermissionError):
    """403: a client may not write *field*."""

    message = "%(field)s: is read-only"


class ParseBodyError(exceptions.ParseBodyError):
    """400: the body is not what every body is."""

    message = "The body must be a JSON object."


class ContentTooLarge(exceptions.RestAlchemyException):
    """413: a body has more octets than one may have."""

    message = "The body must have at most %(size)s octets."
    code = 413


class ConflictRecords(storage_exceptions.ConflictRecords):
    """409: *field* would conflict with another record."""

    message = "%(field)s: %(reason)s"

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field=field, reason=reason)


# The platform's own message is the query: models, their values, the caller's project.
class RecordNotFound(storage_exceptions.RecordNotFound):
    """404: there is no record *uuid* that the caller may see."""

    message = "uuid: there is no record %(uuid)s"

    def __init__(self, uuid: object) -> None:
        super().__init__(uuid=uuid)


class Forbidden(exceptions.RestAlchemyException):
    """403: *field* names what is another project's."""

    message = "%(field)s: %(reason)s"
    code = 403

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field=field, reason=reason)


class Unavailable(exceptions.RestAlchemyException):
    """503: *field* cannot be kept now."""

    message = "%(field)s: cannot be kept at the moment: try again in a minute"
    code = 503

    def __init__(self, field: str) -> None:
        super().__init__(field=field)


class TooManyRequests(exceptions.RestAlchemyException):
    """429: *action* may be asked for again at *moment*, *reason* says why not before.

    *reason* ends in what there is to wait for.
    """

    message = "%(action)s: %(reason)s at %(moment)s"
    code = 429

    def __init__(
        self, action: str, moment: datetime.datetime, reason: str = "may be asked for again"
    ) -> None:
        super().__init__(action=action, reason=reason, moment=f"{moment:%Y-%m-%dT%H:%M:%SZ}")
