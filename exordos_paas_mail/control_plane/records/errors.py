# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Errors the REST API answers with; each names the field, none carries its value."""

from __future__ import annotations

from restalchemy.common import exceptions
from restalchemy.storage import exceptions as storage_exceptions


class FieldError(exceptions.ValidationErrorException):
    """400: *field* holds a value that breaks a rule."""

    message = "%(field)s: %(reason)s"

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field=field, reason=reason)


# The name is the `type` of the answer, and clients of the platform know this one.
class ConflictRecords(storage_exceptions.ConflictRecords):
    """409: *field* would contradict another record."""

    message = "%(field)s: %(reason)s"

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field=field, reason=reason)


# The platform's own message is the query: models, their values, the caller's project.
class RecordNotFound(storage_exceptions.RecordNotFound):
    """404: there is no record *uuid* that the caller may see."""

    message = "uuid: there is no record %(uuid)s"

    def __init__(self, uuid: object) -> None:
        super().__init__(uuid=uuid)
