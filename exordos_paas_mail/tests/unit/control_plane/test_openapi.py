# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The API document of the running application."""

from __future__ import annotations

import typing as tp

import openapi_spec_validator
import pytest

from exordos_paas_mail.tests.unit.control_plane import api_client

INSTANCE = api_client.INSTANCES + "{MailInstanceUuid}"
VERSION = api_client.VERSIONS + "{MailVersionUuid}"
ACCOUNTS = INSTANCE + "/accounts/"
ACCOUNT = ACCOUNTS + "{MailAccountUuid}"
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
DKIM_KEYS = DOMAIN + "/dkim_keys/"
DKIM_KEY = DKIM_KEYS + "{MailDkimKeyUuid}"
COLLECTION, RECORD = {"get", "post"}, {"get", "put", "patch", "delete"}


@pytest.fixture(params=["3.0.3", "3.1.0"])
def document(request: pytest.FixtureRequest, api: api_client.Client) -> dict[str, tp.Any]:
    found: dict[str, tp.Any] = api.admin().get(f"/specifications/{request.param}")
    return found


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
        DKIM_KEYS: COLLECTION,
        DKIM_KEY: {"get", "delete"},
        api_client.VERSIONS: COLLECTION,
        VERSION: RECORD,
    }


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


def test_facts_are_read_only(document: dict[str, tp.Any]) -> None:
    properties = document["components"]["schemas"]["MailInstance_Update"]["properties"]
    read_only = {name for name, schema in properties.items() if schema.get("readOnly")}
    assert read_only == {
        *("uuid", "created_at", "updated_at", "project_id", "domain"),
        *("image", "status", "error", "ipsv4", "dkim_public_key", "dkim_selector"),
        *("dns_status", "sent_24h", "failed_24h", "deferred_24h"),
    }


def test_a_body_may_name_the_uuid_and_has_a_null_where_it_says_so(
    document: dict[str, tp.Any],
) -> None:
    schemas = document["components"]["schemas"]
    resources = {name.partition("_")[0] for name in schemas if name.startswith("Mail")}
    assert resources >= {"MailInstance", "MailAccount", "MailVersion"}
    # Nobody writes these.
    for resource in sorted(resources - {"MailDnsRecord", "MailMessage", "MailEvent", "MailStat"}):
        made = schemas[f"{resource}_Create"]["properties"]
        # A DKIM key is never updated.
        update = schemas.get(f"{resource}_Update", {"properties": {"uuid": {"readOnly": True}}})
        changed = update["properties"]
        assert ("readOnly" in made["uuid"], "readOnly" in changed["uuid"]) == (False, True)
        nullable = {
            name
            for name, field in (*made.items(), *changed.items())
            if field.get("nullable") or "null" in field.get("type", ())
        }
        expected = {"MailInstance": {"hostname"}, "MailAccount": {"senders"}}
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

    collections = (api_client.INSTANCES, ACCOUNTS, DOMAINS, DKIM_KEYS)
    assert {path: required(path, "post") for path in collections} == {
        api_client.INSTANCES: {"name", "domain", "cpu", "ram", "disk_size", "version"},
        ACCOUNTS: {"username"},
        DOMAINS: {"domain"},
        DKIM_KEYS: set(),
    }
    assert required(api_client.VERSIONS, "post") == {"name", "image"}
    # The body of an update is partial.
    updates = [
        required(p, m) for p in (INSTANCE, ACCOUNT, DOMAIN, VERSION) for m in ("put", "patch")
    ]
    assert updates == [set()] * 8


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
    }
    for collection, path, one, many in (
        (api_client.INSTANCES, INSTANCE, "an instance", "instances"),
        (ACCOUNTS, ACCOUNT, "an account", "accounts"),
        (DOMAINS, DOMAIN, "a domain", "domains"),
        (DKIM_KEYS, DKIM_KEY, "a DKIM key", "DKIM keys"),
        (api_client.VERSIONS, VERSION, "a version", "versions"),
    ):
        expected[(collection, "get")] = f"List {many}"
        expected[(collection, "post")] = f"Create {one}"
        expected |= {(path, verb): text.format(one) for verb, text in record.items()}
    # A DKIM key is never updated.
    del expected[(DKIM_KEY, "put")], expected[(DKIM_KEY, "patch")]
    assert summaries == expected
