# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The tables of webhooks, as what nodes tell is written to them; the instance is held."""

from __future__ import annotations

import hashlib
import json
import typing as tp

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import log_ids

if tp.TYPE_CHECKING:
    import uuid as sys_uuid

    from exordos_paas_mail.codecs import webhook_reports
    from exordos_paas_mail.control_plane.records import nodes


def revision(session: tp.Any, node: nodes.Node) -> int:
    """Return which revision of the row of *node* is here; 0 is none."""
    found = session.execute(
        "SELECT revision FROM mail_webhook_reports WHERE instance = %s AND node = %s",
        (str(node.instance), str(node.uuid)),
    ).fetchall()
    return int(found[0]["revision"]) if found else 0


def advance(session: tp.Any, node: nodes.Node, row: webhook_reports.Row) -> None:
    """Keep that *row* is here."""
    session.execute(
        "INSERT INTO mail_webhook_reports (instance, node, revision) VALUES (%s, %s, %s)"
        " ON CONFLICT (instance) DO UPDATE SET node = EXCLUDED.node, revision = EXCLUDED.revision",
        (str(node.instance), str(node.uuid), row.revision),
    )


def tell(session: tp.Any, instance: sys_uuid.UUID, state: webhook_reports.HookState) -> None:
    """Write how a webhook fares, and its deliveries in the place of those that were told before.

    What is told of a webhook as it was before it was changed does not say how it fares now.
    """
    found = session.execute(
        "SELECT revision FROM mail_webhooks WHERE uuid = %s AND instance = %s",
        (str(state.id), str(instance)),
    ).fetchall()
    if not found:
        return
    facts: dict[str, tp.Any] = {
        "last_success_at": utils.stored_milliseconds(state.last_success_at),
        "last_error_at": utils.stored_milliseconds(state.last_error_at),
        "last_error": state.last_error,
        "waiting": state.waiting,
        "given_up": state.given_up,
        "lost": state.lost,
    }
    if state.revision == found[0]["revision"]:
        facts["status"] = state.status.value
        facts["failing_since"] = utils.stored_milliseconds(state.failing_since)
    utils.update_columns(session, "mail_webhooks", {"uuid": str(state.id)}, facts)
    session.execute("DELETE FROM mail_webhook_deliveries WHERE webhook = %s", (str(state.id),))
    values = {
        uuid: {
            "uuid": str(uuid),
            "instance": str(instance),
            "webhook": str(state.id),
            "event": str(each.id),
            "type": each.type,
            "at": utils.stored_milliseconds(each.at) or utils.timestamp(utils.EPOCH),
            "attempt": each.attempt,
            "code": each.code or None,
            "ms": each.ms,
            "error": each.error,
            "answer": each.body,
            "retry_at": utils.stored_milliseconds(each.next_at),
        }
        for each in state.deliveries
        for uuid in (_uuid(state, each),)
    }
    if values:
        session.execute(
            "INSERT INTO mail_webhook_deliveries SELECT * FROM"
            " json_populate_recordset(NULL::mail_webhook_deliveries, %s::json)",
            (json.dumps(list(values.values())),),
        )


def _uuid(state: webhook_reports.HookState, delivery: webhook_reports.Delivery) -> sys_uuid.UUID:
    told = f"{state.id} {delivery.id} {delivery.attempt}"
    digest = hashlib.sha256(told.encode("ascii")).digest()
    return log_ids.of_order(delivery.at << 12, int.from_bytes(digest[:8], "big"))
