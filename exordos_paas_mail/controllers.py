# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The controllers of /v1/types/mail/: one line a resource."""

from __future__ import annotations

import typing as tp

from restalchemy.api import controllers

from exordos_paas_mail import constants
from exordos_paas_mail.control_plane.api import (
    accounts,
    credentials,
    dkim_keys,
    dns_records,
    domains,
    events,
    instances,
    messages,
    operations,
    queue,
    queue_domains,
    stats,
    suppressions,
    tls_policies,
    usage,
    versions,
    webhook_deliveries,
    webhooks,
)

MailVersionController = versions.MailVersionController
MailInstanceController = instances.MailInstanceController
MailAccountController = accounts.MailAccountController
MailCredentialController = credentials.MailCredentialController
MailDomainController = domains.MailDomainController
MailDkimKeyController = dkim_keys.MailDkimKeyController
MailDnsRecordController = dns_records.MailDnsRecordController
MailMessageController = messages.MailMessageController
MailEventController = events.MailEventController
MailMessageEventController = events.MailMessageEventController
MailStatController = stats.MailStatController
MailQueueItemController = queue.MailQueueItemController
MailQueueDomainController = queue_domains.MailQueueDomainController
MailOperationController = operations.MailOperationController
MailInstanceUsageController = usage.MailInstanceUsageController
MailAccountUsageController = usage.MailAccountUsageController
MailWebhookController = webhooks.MailWebhookController
MailWebhookDeliveryController = webhook_deliveries.MailWebhookDeliveryController
MailSuppressionController = suppressions.MailSuppressionController
MailTlsPolicyController = tls_policies.MailTlsPolicyController


class MailController(controllers.RoutesListController):
    """The routes under /v1/types/mail/."""

    __TARGET_PATH__ = f"/v1/types/{constants.SLUG}/"

    def filter(self, filters: tp.Any, order_by: tp.Any = None) -> tp.Any:
        """List the resources"""  # noqa: D400 - a summary of the API document
        return super().filter(filters, order_by=order_by)
