# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The route of /v1/types/mail/, mounted by the runtime: one line a resource."""

from __future__ import annotations

import typing as tp

from restalchemy.api import routes

from exordos_paas_mail import controllers
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
    queue_actions,
    queue_domains,
    stats,
    suppression_actions,
    suppressions,
    tls_policies,
    usage,
    versions,
    webhook_deliveries,
    webhooks,
)


class MailAccountRoute(accounts.MailAccountRoute):
    """Route /v1/types/mail/instances/<uuid>/accounts/[<uuid>], with what belongs to an account."""

    credentials = routes.route(credentials.MailCredentialRoute, resource_route=True)
    usage = routes.route(usage.MailAccountUsageRoute, resource_route=True)


class MailDomainRoute(domains.MailDomainRoute):
    """Route /v1/types/mail/instances/<uuid>/domains/[<uuid>], with what belongs to a domain."""

    dkim_keys = routes.route(dkim_keys.MailDkimKeyRoute, resource_route=True)
    records = routes.route(dns_records.MailDnsRecordRoute, resource_route=True)


class MailMessageRoute(messages.MailMessageRoute):
    """Route /v1/types/mail/instances/<uuid>/messages/[<uuid>], with what happened to one."""

    events = routes.route(events.MailMessageEventRoute, resource_route=True)


class MailWebhookRoute(webhooks.MailWebhookRoute):
    """Route /v1/types/mail/instances/<uuid>/webhooks/[<uuid>], with what it was sent."""

    deliveries = routes.route(webhook_deliveries.MailWebhookDeliveryRoute, resource_route=True)


class MailInstanceRoute(instances.MailInstanceRoute):
    """Route /v1/types/mail/instances/[<uuid>], with what belongs to an instance."""

    __actions__: tp.ClassVar[tp.Mapping[str, str]] = {
        **instances.MailInstanceRoute.__actions__,
        **queue_actions.SUMMARIES,
        **suppression_actions.SUMMARIES,
    }
    __texts__: tp.ClassVar[tp.Collection[str]] = suppression_actions.TEXTS

    accounts = routes.route(MailAccountRoute, resource_route=True)
    usage = routes.route(usage.MailInstanceUsageRoute, resource_route=True)
    domains = routes.route(MailDomainRoute, resource_route=True)
    messages = routes.route(MailMessageRoute, resource_route=True)
    events = routes.route(events.MailEventRoute, resource_route=True)
    stats = routes.route(stats.MailStatRoute, resource_route=True)
    queue = routes.route(queue.MailQueueItemRoute, resource_route=True)
    queue_domains = routes.route(queue_domains.MailQueueDomainRoute, resource_route=True)
    operations = routes.route(operations.MailOperationRoute, resource_route=True)
    webhooks = routes.route(MailWebhookRoute, resource_route=True)
    suppressions = routes.route(suppressions.MailSuppressionRoute, resource_route=True)
    tls_policies = routes.route(tls_policies.MailTlsPolicyRoute, resource_route=True)

    queue_retry = routes.action(queue_actions.RetryAction, invoke=True)
    queue_bounce = routes.action(queue_actions.BounceAction, invoke=True)
    queue_delete = routes.action(queue_actions.DeleteAction, invoke=True)
    queue_suspend = routes.action(queue_actions.SuspendAction, invoke=True)
    queue_resume = routes.action(queue_actions.ResumeAction, invoke=True)
    suppressions_import = routes.action(suppression_actions.ImportAction, invoke=True)
    suppressions_export = routes.action(suppression_actions.ExportAction, invoke=True)


class MailRoute(routes.Route):
    """Route /v1/types/mail/."""

    __controller__ = controllers.MailController
    __allow_methods__: tp.ClassVar[list[str]] = [routes.FILTER]

    instances = routes.route(MailInstanceRoute)
    versions = routes.route(versions.MailVersionRoute)
