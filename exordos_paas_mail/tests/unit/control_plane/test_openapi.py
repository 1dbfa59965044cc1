# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The API document of the running application."""

from __future__ import annotations

import collections
import typing as tp

import openapi_spec_validator
import pytest
from restalchemy.api import routes
from restalchemy.openapi import cache

from exordos_paas_mail.tests.unit.control_plane import api_client

INSTANCE = api_client.INSTANCES + "{MailInstanceUuid}"
VERSION = api_client.VERSIONS + "{MailVersionUuid}"
ACCOUNTS = INSTANCE + "/accounts/"
ACCOUNT = ACCOUNTS + "{MailAccountUuid}"
CREDENTIALS = ACCOUNT + "/credentials/"
CREDENTIAL = CREDENTIALS + "{MailCredentialUuid}"
ROTATE_CREDENTIAL = CREDENTIAL + "/actions/rotate/invoke"
DOMAINS = INSTANCE + "/domains/"
DOMAIN = DOMAINS + "{MailDomainUuid}"
ROTATE = DOMAIN + "/actions/rotate/invoke"
CHECK = DOMAIN + "/actions/check/invoke"
ZONE_FILE = DOMAIN + "/actions/zone_file"
DNS_RECORDS = DOMAIN + "/records/"
DNS_RECORD = DNS_RECORDS + "{MailDnsRecordUuid}"
ERASE = INSTANCE + "/actions/erase/invoke"
MESSAGES = INSTANCE + "/messages/"
MESSAGE = MESSAGES + "{MailMessageUuid}"
EVENTS = INSTANCE + "/events/"
EVENT = EVENTS + "{MailEventUuid}"
STATS = INSTANCE + "/stats/"
QUEUE = INSTANCE + "/queue/"
QUEUE_ITEM = QUEUE + "{MailQueueItemUuid}"
QUEUE_DOMAINS = INSTANCE + "/queue_domains/"
OPERATIONS = INSTANCE + "/operations/"
OPERATION = OPERATIONS + "{MailOperationUuid}"
SUPPRESSIONS = INSTANCE + "/suppressions/"
SUPPRESSION = SUPPRESSIONS + "{MailSuppressionUuid}"
QUEUE_ACTIONS = {
    f"{QUEUE_ITEM}/actions/retry/invoke": "Try to deliver a message now",
    f"{QUEUE_ITEM}/actions/bounce/invoke": "End a message in the queue with a report to its sender",
    f"{QUEUE_ITEM}/actions/delete/invoke": "Delete a message from the queue without a report",
    f"{INSTANCE}/actions/queue_retry/invoke": "Try to deliver messages in the queue now",
    f"{INSTANCE}/actions/queue_bounce/invoke": (
        "End messages in the queue with a report to their senders"
    ),
    f"{INSTANCE}/actions/queue_delete/invoke": "Delete messages from the queue without a report",
    f"{INSTANCE}/actions/queue_suspend/invoke": (
        "Deliver nothing to a recipient domain until a time"
    ),
    f"{INSTANCE}/actions/queue_resume/invoke": "Deliver to a recipient domain again",
}
TLS_POLICIES = INSTANCE + "/tls_policies/"
TLS_POLICY = TLS_POLICIES + "{MailTlsPolicyUuid}"
WEBHOOKS = INSTANCE + "/webhooks/"
WEBHOOK = WEBHOOKS + "{MailWebhookUuid}"
DELIVERIES = WEBHOOK + "/deliveries/"
DELIVERY = DELIVERIES + "{MailWebhookDeliveryUuid}"
SUPPRESSION_ACTIONS = {
    f"{INSTANCE}/actions/suppressions_import/invoke": "Add suppressions, a line each",
    f"{INSTANCE}/actions/suppressions_export/invoke": "Get suppressions as a text, a line each",
}
WEBHOOK_ACTIONS = {
    f"{WEBHOOK}/actions/rotate_secret/invoke": "Make a new secret of a webhook",
    f"{WEBHOOK}/actions/test/invoke": "Send a test event to a webhook",
    f"{WEBHOOK}/actions/replay/invoke": "Send the events of a time to a webhook again",
}
ACCOUNT_ACTIONS = {
    f"{ACCOUNT}/actions/hold/invoke": "Put an account on hold",
    f"{ACCOUNT}/actions/release/invoke": "Release an account that is on hold",
}
DKIM_KEYS = DOMAIN + "/dkim_keys/"
DKIM_KEY = DKIM_KEYS + "{MailDkimKeyUuid}"
COLLECTION, RECORD = {"get", "post"}, {"get", "put", "patch", "delete"}


@pytest.fixture(params=["3.0.3", "3.1.0"])
def document(request: pytest.FixtureRequest, api: api_client.Client) -> dict[str, tp.Any]:
    found: dict[str, tp.Any] = api.admin().get(f"/specifications/{request.param}")
    return found


def test_a_percentage_of_a_reputation_is_above_zero(document: dict[str, tp.Any]) -> None:
    shown = document["components"]["schemas"]["MailInstance_Update"]["properties"]["reputation"]
    percent = shown["properties"]["complaint_hold_percent"]
    bounds = {name: percent.get(name) for name in ("minimum", "exclusiveMinimum", "maximum")}
    is_old = document["openapi"] < "3.1"
    assert bounds == {
        "minimum": 0 if is_old else None,
        "exclusiveMinimum": True if is_old else 0,
        "maximum": 100,
    }


def test_the_document_lists_every_route_and_method(document: dict[str, tp.Any]) -> None:
    ours = {
        path: set(operations)
        for path, operations in document["paths"].items()
        if path.startswith(f"{api_client.ROOT}/")
    }
    assert ours == {
        f"{api_client.ROOT}/": {"get"},
        api_client.INSTANCES: COLLECTION,
        INSTANCE: RECORD,
        ERASE: {"post"},
        ACCOUNTS: COLLECTION,
        ACCOUNT: RECORD,
        ACCOUNT + "/usage/": {"get"},
        INSTANCE + "/usage/": {"get"},
        CREDENTIALS: COLLECTION,
        CREDENTIAL: RECORD,
        ROTATE_CREDENTIAL: {"post"},
        DOMAINS: COLLECTION,
        DOMAIN: RECORD,
        ROTATE: {"post"},
        CHECK: {"post"},
        ZONE_FILE: {"get"},
        DNS_RECORDS: {"get"},
        DNS_RECORD: {"get"},
        MESSAGES: {"get"},
        MESSAGE: {"get"},
        MESSAGE + "/events/": {"get"},
        MESSAGE + "/events/{MailEventUuid}": {"get"},
        EVENTS: {"get"},
        EVENT: {"get"},
        STATS: {"get"},
        QUEUE: {"get"},
        QUEUE_ITEM: {"get"},
        QUEUE_DOMAINS: {"get"},
        OPERATIONS: {"get"},
        TLS_POLICIES: COLLECTION,
        TLS_POLICY: RECORD,
        OPERATION: {"get"},
        **{path: {"post"} for path in (*QUEUE_ACTIONS, *WEBHOOK_ACTIONS)},
        **{path: {"post"} for path in (*ACCOUNT_ACTIONS, *SUPPRESSION_ACTIONS)},
        WEBHOOKS: COLLECTION,
        WEBHOOK: RECORD,
        DELIVERIES: {"get"},
        DELIVERY: {"get"},
        SUPPRESSIONS: COLLECTION,
        SUPPRESSION: {"get", "delete"},
        DKIM_KEYS: COLLECTION,
        DKIM_KEY: {"get", "delete"},
        api_client.VERSIONS: COLLECTION,
        VERSION: RECORD,
    }


def test_a_path_is_described_once_for_a_document(
    api: api_client.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The platform's way is once for each method of each route above it: ten times the work, in
    # which the API's one process answers nobody else.
    described: collections.Counter[str] = collections.Counter()
    describe = routes.Route._build_openapi_method_specification

    def counted(self: tp.Any, method: tp.Any, *others: tp.Any, **named: tp.Any) -> tp.Any:
        operation = describe(self, method, *others, **named)
        described[operation["operationId"]] += 1
        return operation

    monkeypatch.setattr(routes.Route, "_build_openapi_method_specification", counted)
    cache.clear()
    found = api.admin().get("/specifications/3.1.0")

    ours = {
        operation["operationId"]
        for path, operations in found["paths"].items()
        for verb, operation in operations.items()
        if path.startswith(api_client.INSTANCES) and verb != "patch"
    }
    assert {name: described[name] for name in ours} == dict.fromkeys(ours, 1)


def test_the_document_is_valid(document: dict[str, tp.Any]) -> None:
    openapi_spec_validator.validate(document)


def test_operations_have_names_of_their_own(document: dict[str, tp.Any]) -> None:
    names = [
        operation["operationId"]
        for operations in document["paths"].values()
        for operation in operations.values()
    ]
    assert sorted(names) == sorted(set(names))


def test_no_answer_has_a_secret_and_bodies_do(document: dict[str, tp.Any]) -> None:
    schemas = document["components"]["schemas"]
    with_secret = {
        name
        for name, schema in schemas.items()
        if {"password", "password_hash"} & schema.get("properties", {}).keys()
    }
    assert with_secret == {"MailAccount_Create", "MailAccount_Update"}
    for name in with_secret:
        for field in ("password", "password_hash"):
            assert schemas[name]["properties"][field]["writeOnly"] is True


def test_the_secret_of_a_credential_is_in_the_answers_that_make_one(
    document: dict[str, tp.Any],
) -> None:
    schemas = document["components"]["schemas"]
    with_secret = {n for n, one in schemas.items() if "secret_key" in one.get("properties", {})}
    assert with_secret == {"MailCredential_Create", "MailWebhook_Create"}
    assert schemas["MailCredential_Create"]["properties"]["secret_key"]["readOnly"] is True
    for path, status in ((CREDENTIALS, "201"), (ROTATE_CREDENTIAL, "200")):
        answer = document["paths"][path]["post"]["responses"][status]["content"]
        reference = answer["application/json"]["schema"]["$ref"]
        assert reference == "#/components/schemas/MailCredential_Create"


def test_facts_are_read_only(document: dict[str, tp.Any]) -> None:
    properties = document["components"]["schemas"]["MailInstance_Update"]["properties"]
    read_only = {name for name, schema in properties.items() if schema.get("readOnly")}
    assert read_only == {
        *("uuid", "created_at", "updated_at", "project_id", "domain"),
        *("image", "status", "error", "ipsv4", "dkim_public_key", "dkim_selector"),
        *("dns_status", "sent_24h", "failed_24h", "deferred_24h"),
        *("tls_status", "tls_error", "tls_certificate", "tls_fingerprint_sha256"),
        *("tls_names", "tls_expires_at"),
        *("queue_messages", "queue_oldest_at", "queue_reported_at"),
        *("outbound", "outbound_error"),
    }


def test_a_body_may_name_the_uuid_and_has_a_null_where_it_says_so(
    document: dict[str, tp.Any],
) -> None:
    schemas = document["components"]["schemas"]
    resources = {name.partition("_")[0] for name in schemas if name.startswith("Mail")}
    assert resources >= {"MailInstance", "MailAccount", "MailVersion"}
    # Nobody writes these.
    facts = {"MailDnsRecord", "MailMessage", "MailEvent", "MailStat", "MailQueueItem"}
    facts |= {"MailQueueDomain", "MailOperation", "MailWebhookDelivery"}
    facts |= {"MailUsage"}
    for resource in sorted(resources - facts):
        made = schemas[f"{resource}_Create"]["properties"]
        # DKIM keys and suppressions are never updated.
        update = schemas.get(f"{resource}_Update", {"properties": {"uuid": {"readOnly": True}}})
        changed = update["properties"]
        assert ("readOnly" in made["uuid"], "readOnly" in changed["uuid"]) == (False, True)
        nullable = {
            name
            for name, field in (*made.items(), *changed.items())
            if field.get("nullable") or "null" in field.get("type", ())
        }
        expected = {
            "MailInstance": {"hostname"},
            "MailAccount": {"senders", "password", "password_hash"},
            "MailCredential": {"expires_at"},
            "MailSuppression": {"account", "expires_at"},
        }
        assert nullable == expected.get(resource, set())


def test_a_body_must_have_what_the_request_does_not_say_otherwise(
    document: dict[str, tp.Any],
) -> None:
    schemas = document["components"]["schemas"]

    def required(path: str, method: str) -> set[str]:
        body = document["paths"][path][method]["requestBody"]["content"]["application/json"]
        schema = body["schema"]
        while "$ref" in schema:
            schema = schemas[schema["$ref"].rpartition("/")[2]]
        return set(schema.get("required", ()))

    collections = (api_client.INSTANCES, ACCOUNTS, CREDENTIALS, DOMAINS, DKIM_KEYS, WEBHOOKS)
    assert {path: required(path, "post") for path in collections} == {
        api_client.INSTANCES: {"name", "domain", "cpu", "ram", "disk_size", "version"},
        ACCOUNTS: {"username"},
        CREDENTIALS: set(),
        DOMAINS: {"domain"},
        DKIM_KEYS: set(),
        WEBHOOKS: {"url", "events"},
    }
    assert required(api_client.VERSIONS, "post") == {"name", "image"}
    # The body of an update is partial.
    updates = [
        required(p, m) for p in (INSTANCE, ACCOUNT, DOMAIN, VERSION) for m in ("put", "patch")
    ]
    assert updates == [set()] * 8


def test_an_action_on_the_queue_answers_with_an_operation(document: dict[str, tp.Any]) -> None:
    bodies = {}
    for path in QUEUE_ACTIONS:
        action = document["paths"][path]["post"]
        answer = action["responses"]["200"]["content"]["application/json"]["schema"]
        assert answer == {"$ref": "#/components/schemas/MailOperation_Get"}, path
        content = action.get("requestBody", {"content": {}})["content"]
        body = content.get("application/json", {"schema": {}})["schema"]
        bodies[path.rpartition("/actions/")[2].removesuffix("/invoke")] = (
            sorted(body.get("properties", {})),
            sorted(body.get("required", ())),
        )
    messages: tuple[list[str], list[str]] = (["queue_ids", "recipient_domain"], [])
    suspension = ["reason", "recipient_domain", "until"]
    answer = document["paths"][ERASE]["post"]["responses"]["200"]
    assert "text/plain" not in answer.get("content", {})
    assert bodies == {
        **dict.fromkeys(("retry", "bounce", "delete"), ([], [])),
        **dict.fromkeys(("queue_retry", "queue_bounce", "queue_delete"), messages),
        "queue_suspend": (suspension, suspension),
        "queue_resume": (["recipient_domain"], ["recipient_domain"]),
    }


def test_operations_are_told_in_plain_words(document: dict[str, tp.Any]) -> None:
    summaries = {
        (path, verb): operation["summary"]
        for path, operations in document["paths"].items()
        for verb, operation in operations.items()
        if path.startswith(f"{api_client.ROOT}/")
    }
    record = {"get": "Get {}", "put": "Update {}", "patch": "Update {}", "delete": "Delete {}"}
    expected = {
        (f"{api_client.ROOT}/", "get"): "List the resources",
        (ROTATE, "post"): "Replace the DKIM keys of a domain",
        (CHECK, "post"): "Check the DNS records of a domain now",
        (ROTATE_CREDENTIAL, "post"): "Replace a credential by a new one, and end it",
        (ZONE_FILE, "get"): "Get the DNS records of a domain as a zone file",
        (DNS_RECORDS, "get"): "List DNS records",
        (DNS_RECORD, "get"): "Get a DNS record",
        (ERASE, "post"): "Erase what is known of a recipient from the log",
        (MESSAGES, "get"): "List messages",
        (MESSAGE, "get"): "Get a message",
        (MESSAGE + "/events/", "get"): "List events of a message",
        (MESSAGE + "/events/{MailEventUuid}", "get"): "Get an event of a message",
        (EVENTS, "get"): "List events",
        (EVENT, "get"): "Get an event",
        (STATS, "get"): "List figures",
        (QUEUE, "get"): "List messages in the queue",
        (QUEUE_ITEM, "get"): "Get a message in the queue",
        (QUEUE_DOMAINS, "get"): "List recipient domains of the queue",
        (INSTANCE + "/usage/", "get"): "List what is used of the limits of an instance",
        (ACCOUNT + "/usage/", "get"): "List what is used of the limits of an account",
        (OPERATIONS, "get"): "List operations",
        (OPERATION, "get"): "Get an operation",
        **{(path, "post"): summary for path, summary in QUEUE_ACTIONS.items()},
        **{(path, "post"): summary for path, summary in WEBHOOK_ACTIONS.items()},
        **{(path, "post"): summary for path, summary in SUPPRESSION_ACTIONS.items()},
        (DELIVERIES, "get"): "List deliveries",
        (DELIVERY, "get"): "Get a delivery",
        **{(path, "post"): summary for path, summary in ACCOUNT_ACTIONS.items()},
    }
    for collection, path, one, many in (
        (api_client.INSTANCES, INSTANCE, "an instance", "instances"),
        (ACCOUNTS, ACCOUNT, "an account", "accounts"),
        (CREDENTIALS, CREDENTIAL, "a credential", "credentials"),
        (DOMAINS, DOMAIN, "a domain", "domains"),
        (WEBHOOKS, WEBHOOK, "a webhook", "webhooks"),
        (TLS_POLICIES, TLS_POLICY, "a TLS policy", "TLS policies"),
        (DKIM_KEYS, DKIM_KEY, "a DKIM key", "DKIM keys"),
        (SUPPRESSIONS, SUPPRESSION, "a suppression", "suppressions"),
        (api_client.VERSIONS, VERSION, "a version", "versions"),
    ):
        expected[(collection, "get")] = f"List {many}"
        expected[(collection, "post")] = f"Create {one}"
        expected |= {(path, verb): text.format(one) for verb, text in record.items()}
    # Neither is ever updated.
    for path in (DKIM_KEY, SUPPRESSION):
        del expected[(path, "put")], expected[(path, "patch")]
    assert summaries == expected
