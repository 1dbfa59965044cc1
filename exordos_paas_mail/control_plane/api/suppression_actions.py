# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Actions on suppressions: /v1/types/mail/instances/<uuid>/actions/suppressions_.../invoke."""

from __future__ import annotations

import typing as tp
import uuid as sys_uuid

from restalchemy.api import actions, routes
from restalchemy.dm import types

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import rules, suppression_lists
from exordos_paas_mail.codecs import suppressions as suppressions_
from exordos_paas_mail.control_plane.api import base, operating, routing
from exordos_paas_mail.control_plane.records import operations, suppression_imports
from exordos_paas_mail.control_plane.records import suppressions as records

if tp.TYPE_CHECKING:
    from exordos_paas_mail.control_plane.records import instances

SUMMARIES: tp.Final[tp.Mapping[str, str]] = {
    "suppressions_import": "Add suppressions, a line each",
    "suppressions_export": "Get suppressions as a text, a line each",
}
TEXTS: tp.Final = ("suppressions_export",)


class _Lines(types.String):
    """A text of lines. Here is no more looked at than has to be: this process serves everybody."""

    def __init__(self) -> None:
        super().__init__(min_length=1, max_length=suppression_lists.SIZE_MAX)

    def check(self, value: tp.Any) -> bytes:
        """Return the text in UTF-8; RuleError if it cannot be one."""
        if not isinstance(value, str) or not value or "\x00" in value:
            raise rules.RuleError(f"must be a text of 1 to {suppression_lists.SIZE_MAX} octets")
        return value.encode()


class _Reason(types.Enum):
    """Why."""

    def check(self, value: tp.Any) -> str:
        """Return *value*; RuleError names the reasons."""
        if value not in records.REASONS:
            raise rules.RuleError(f"must be one of {', '.join(records.REASONS)}")
        return tp.cast("str", value)


class _Uuid(types.UUID):
    """A uuid."""

    def check(self, value: tp.Any) -> sys_uuid.UUID:
        """Return the uuid that *value* is; RuleError if it is none."""
        try:
            return sys_uuid.UUID(value)
        except (ValueError, TypeError, AttributeError):
            raise rules.RuleError("must be a UUID") from None


class SuppressionActions(operating.Operating):
    """What may be done with many suppressions of an instance."""

    __policy_name__ = constants.SUPPRESSION_POLICY

    @actions.post
    def suppressions_import(
        self,
        resource: instances.MailInstance,
        text: bytes = b"",
        reason: str = suppressions_.Reason.MANUAL.value,
        account: sys_uuid.UUID | None = None,
    ) -> operations.MailOperation:
        self.require("create")
        return suppression_imports.ask(resource.uuid, text, reason, account)

    @actions.post
    def suppressions_export(
        self, resource: instances.MailInstance, after: sys_uuid.UUID | None = None
    ) -> base.PlainText:
        self.require("read")
        return base.PlainText(suppression_imports.tell(resource.uuid, after))


class ImportAction(operating.OperatingAction):
    """Action /v1/types/mail/instances/<uuid>/actions/suppressions_import/invoke."""

    __controller__ = SuppressionActions
    __fields__: tp.ClassVar[tp.Mapping[str, tp.Any]] = {
        "text": _Lines(),
        "reason": _Reason(list(records.REASONS)),
        "account": _Uuid(),
    }
    __optional__: tp.ClassVar[tp.Collection[str]] = ("reason", "account")


class ExportAction(routing.Action):
    """Action /v1/types/mail/instances/<uuid>/actions/suppressions_export/invoke."""

    __controller__ = SuppressionActions
    __allow_methods__: tp.ClassVar[list[str]] = [routes.POST]
    __fields__: tp.ClassVar[tp.Mapping[str, tp.Any]] = {"after": _Uuid()}
    __optional__: tp.ClassVar[tp.Collection[str]] = ("after",)
