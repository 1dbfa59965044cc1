# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The records behind the REST API."""

from __future__ import annotations

from exordos_paas_mail.control_plane.records import (
    accounts,
    credentials,
    dkim_keys,
    dns_records,
    domains,
    events,
    instances,
    messages,
    operations,
    queues,
    stats,
    suppressions,
    tls_policies,
    usage,
    versions,
    webhooks,
)

MailVersion = versions.MailVersion
MailInstance = instances.MailInstance
MailAccount = accounts.MailAccount
MailCredential = credentials.MailCredential
MailDomain = domains.MailDomain
MailDkimKey = dkim_keys.MailDkimKey
MailDnsRecord = dns_records.MailDnsRecord
MailMessage = messages.MailMessage
MailEvent = events.MailEvent
MailStat = stats.MailStat
MailQueueItem = queues.MailQueueItem
MailQueueDomain = queues.MailQueueDomain
MailOperation = operations.MailOperation
MailUsage = usage.MailUsage
MailWebhook = webhooks.MailWebhook
MailWebhookDelivery = webhooks.MailWebhookDelivery
MailSuppression = suppressions.MailSuppression
MailTlsPolicy = tls_policies.MailTlsPolicy
