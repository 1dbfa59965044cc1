# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What else a tenant may ask of the API that takes long, for make benchmark-holding.

Writes, bodies as long as they may be, and what is refused after a look at it. Lists that no
index answers, and those of many long records.
"""

from __future__ import annotations

import functools
import http
import json
import typing as tp
import urllib.parse

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from passlib import hash as schemes

from benchmarks import database
from clients import issuing
from exordos_paas_mail.control_plane.api import decoding
from exordos_paas_mail.tests.unit.control_plane import api_client

INSTANCES: tp.Final = 1_000
OPERATIONS: tp.Final = 500
SIZE: tp.Final = decoding.BODY_SIZE_MAX - 1024
# Passwords that a body may repeat are verified: of as many rounds as that may take.
ROUNDS: tp.Final = 20_000
Act: tp.TypeAlias = tp.Callable[[], None]


def fill(api: api_client.Client, path: str) -> None:
    """Give the project more instances, and the one of *path* other long lists."""
    instance = path.rpartition("/")[2]
    database.execute(
        "CREATE TABLE benchmark_instances AS SELECT i.* FROM mail_instances i,"
        " generate_series(1, %s) WHERE uuid = %s",
        INSTANCES - 1,
        instance,
    )
    database.execute("UPDATE benchmark_instances SET uuid = gen_random_uuid()")
    database.execute("INSERT INTO mail_instances SELECT * FROM benchmark_instances")
    database.execute("DROP TABLE benchmark_instances")
    ids = "ARRAY(SELECT '1vNvOk-000' || lpad(k::text, 3, '0') || '-0A'"
    ids += " FROM generate_series(1, 500) k)"
    database.execute(
        "INSERT INTO mail_operations (uuid, instance, action, queue_ids, status, result,"  # noqa: S608
        " created_at, expires_at) SELECT gen_random_uuid(), %s, 'delete', made.ids, 'DONE',"
        " jsonb_build_object('done', to_jsonb(made.ids), 'count', 500, 'failed_count', 0,"
        " 'failed', jsonb '{}'), now(), now()"
        f" FROM generate_series(1, %s), (SELECT {ids} AS ids OFFSET 0) AS made",
        *(instance, OPERATIONS),
    )
    database.execute(
        "INSERT INTO mail_tls_policies (uuid, project_id, instance, domain, mode, created_at,"
        " updated_at) SELECT gen_random_uuid(), project_id, uuid, 'd' || n || '.example', 'auto',"
        " now(), now() FROM mail_instances, generate_series(1, 1000) n WHERE uuid = %s",
        instance,
    )
    for number in range(50):
        api.domain(path, f"domain{number}.example")
    database.execute("ANALYZE")


def fill_many(instance: str) -> None:
    """Have the first of the queue be of many recipients."""
    database.execute(
        "UPDATE mail_queue_items SET recipients = recipients || ARRAY(SELECT 'another' || k ||"
        " '-of-' || queue_id || '@many.example.net' FROM generate_series(1, 99) k)"
        " WHERE uuid IN (SELECT uuid FROM mail_queue_items WHERE instance = %s"
        " ORDER BY uuid LIMIT 1000)",
        instance,
    )
    database.execute("ANALYZE mail_queue_items")


def reads(api: api_client.Client, path: str) -> dict[str, Act]:
    """Return what is asked, by name."""
    get = functools.partial(_ask, api, "GET")
    middle = _middle(path.rpartition("/")[2])
    words = " AND ".join(f'description != "x{n}"' for n in range(24))
    expression = urllib.parse.quote(f'({words}) AND name = "nobodys"')
    others = urllib.parse.quote(" OR ".join(f'description = "x{n}"' for n in range(24)))
    return {
        "instances, a page of 500": get(f"{api_client.INSTANCES}?page_limit=500"),
        "TLS policies, a page of 1,000": get(f"{path}/tls_policies/?page_limit=1000"),
        "domains": get(f"{path}/domains/"),
        "records of a domain": get(f"{api.primary(path)}/records/"),
        "operations, a page of 100 long ones": get(f"{path}/operations/?page_limit=100"),
        "operations of none": get(f"{path}/operations/?status=ERROR"),
        "accounts by name, from the middle": get(
            f"{path}/accounts/?page_limit=50&sort_key=name&page_marker={middle}"
        ),
        "accounts of a description": get(f"{path}/accounts/?description=nothing"),
        "accounts by an expression": get(f"{path}/accounts/?q=description%3D%22nothing%22"),
        "accounts by an expression of many words": get(f"{path}/accounts/?q={expression}"),
        "accounts of many descriptions": get(f"{path}/accounts/?q={others}"),
        "accounts by as many uuids": get(
            f"{path}/accounts/?" + "&".join(f"uuid={middle}" for _ in range(100))
        ),
        "accounts by as many instances": get(
            f"{path}/accounts/?" + "&".join(f"instance={path}" for _ in range(100)), refused=True
        ),
        "accounts by too many parameters": get(
            f"{path}/accounts/?" + "name=x&" * 10_000, refused=True
        ),
        "messages by too many parameters": get(
            f"{path}/messages/?" + "tag=x&" * 10_000, refused=True
        ),
    }


def reads_of_many(api: api_client.Client, path: str) -> dict[str, Act]:
    """Return what is asked after ``fill_many``, by name."""
    get = functools.partial(_ask, api, "GET")
    return {
        "queue, a page of 500 to 100 each": get(f"{path}/queue/?page_limit=500"),
    }


def writes(api: api_client.Client, path: str, account: str) -> dict[str, Act]:
    """Return what is written or refused, by name; each is done once."""
    ask = functools.partial(_ask, api)
    patch, post = functools.partial(ask, "PATCH", path), functools.partial(ask, "POST")
    accounts, of_account = f"{path}/accounts/", f"{path}/accounts/{account}"
    word = "ü" * (SIZE // 2)
    smarthost = {"kind": "host", "host": "smtp.example.net", "username": "u", "password": "p"}
    domains = ["ü" * 2_500] * 200
    return {
        "ram": patch({"ram": 768}),
        "a hostname": patch({"hostname": "smtp.mail.example.com"}),
        "a certificate of RSA": patch({"tls": _rsa_pair()}),
        "a certificate of ten": patch({"tls": _long_chain()}, refused=True),
        "a key that is too large": patch({"tls": _large_key()}, refused=True),
        "a chain without an end": patch(
            {"tls": {"kind": "manual", "certificate": "-----BEGIN A-----" * 1_900}}, refused=True
        ),
        "a smarthost of long domains": patch(
            {"smarthost": {**smarthost, "domains": domains}}, refused=True
        ),
        "a long description": patch({"description": "x" * SIZE}, refused=True),
        "a long hostname": patch({"hostname": word}, refused=True),
        "many limits": patch({"limits": {f"{n:x}": 1 for n in range(60_000)}}, refused=True),
        "many fields": patch({f"{n:x}": 1 for n in range(60_000)}, refused=True),
        "a deep body": ask("PATCH", path, b"[" * SIZE, refused=True),
        "a form": ask(
            *("POST", accounts, b"a=1&" * (SIZE // 4)),
            refused=True,
            content_type="application/x-www-form-urlencoded",
        ),
        "a form without a type": ask(
            "POST", accounts, b"a=1&" * (SIZE // 4), refused=True, content_type=""
        ),
        "a domain": post(f"{path}/tls_policies/", {"domain": word, "mode": "auto"}, refused=True),
        "a long address": post(f"{path}/suppressions/", {"address": f"a@{word}"}, refused=True),
        "a long quoted address": post(
            f"{path}/suppressions/",
            {"address": '"' + "\\a" * (SIZE // 4) + '"@x.org'},
            refused=True,
        ),
        "many senders": ask(
            "PATCH", of_account, {"senders": [f"{'ü' * 2000}@{'ü' * 2000}"] * 100}, refused=True
        ),
        "100 senders": ask(
            "PATCH", of_account, {"senders": [f"a{n}@mail.example.com" for n in range(100)]}
        ),
        "the same password": _same_password(api, of_account),
        "another password": ask("PATCH", of_account, {"password": "q" * 255}),
        "many networks": post(
            f"{of_account}/credentials/", {"networks": ["1" * 5_000] * 200}, refused=True
        ),
        "an account on hold": post(f"{of_account}/actions/hold/invoke", {"reason": "r"}),
        "an account released": post(
            f"{of_account}/actions/release/invoke", {"messages": "deliver"}
        ),
        "a webhook of many events": post(
            f"{path}/webhooks/",
            {"url": "https://h.example.com/", "events": ["message.delivered"] * 40_000},
        ),
        "500 messages deleted": post(
            f"{path}/actions/queue_delete/invoke",
            {"queue_ids": [f"1vNvOk-000{n:03}-0A" for n in range(500)]},
        ),
        "a list of suppressions, 16 MiB": post(
            f"{path}/actions/suppressions_import/invoke",
            {"text": "".join(f"{'x' * 55}{n:09}@{'y' * 60}.example\n" for n in range(100_000))},
        ),
        "a domain taken out": ask("DELETE", _a_domain(api, path)),
        "an account taken out": ask("DELETE", of_account),
        "the instance taken out": ask("DELETE", path),
    }


def _ask(  # noqa: PLR0913 - by name
    api: api_client.Client,
    method: str,
    path: str,
    body: tp.Any = b"",
    *,
    refused: bool = False,
    content_type: str = "application/json",
) -> Act:
    """Return the request; it is *refused*, or no error."""
    octets = body if isinstance(body, bytes) else json.dumps(body).encode()

    def act() -> None:
        answer = api.raw(method, path, octets, **{"Content-Type": content_type})
        is_error = answer.status_code >= http.HTTPStatus.BAD_REQUEST
        assert is_error == refused, (answer.status_code, answer.text[:300])

    return act


def _middle(instance: str) -> str:
    (row,) = database.execute(
        "SELECT uuid FROM mail_accounts WHERE instance = %s ORDER BY name, uuid"
        " OFFSET (SELECT count(*) / 2 FROM mail_accounts) LIMIT 1",
        instance,
    )
    return str(row["uuid"])


def _a_domain(api: api_client.Client, path: str) -> str:
    (found,) = api.get(f"{path}/domains/?domain=domain7.example")
    return f"{path}/domains/{found['uuid']}"


def _same_password(api: api_client.Client, account: str) -> Act:
    password = "ü" * 255
    hashed = schemes.sha512_crypt.using(rounds=ROUNDS).hash(password)
    api.patch(account, {"password_hash": hashed})
    return _ask(api, "PATCH", account, {"password": password})


def _rsa_pair() -> dict[str, str]:
    key = rsa.generate_private_key(65537, 4096)
    issued = issuing.Authority().issue("smtp.mail.example.com", "mail.example.com", key=key)
    return {"kind": "manual", "certificate": issued.chain, "private_key": issued.key}


def _long_chain() -> dict[str, str]:
    """Return ten certificates that all may have issued each other, by their names."""
    authority = issuing.Authority()
    issued = [
        authority.issue("Test CA R1", key=ec.generate_private_key(ec.SECP521R1()))
        for _ in range(10)
    ]
    return {
        "kind": "manual",
        "certificate": "".join(one.leaf for one in issued),
        "private_key": issued[0].key,
    }


def _large_key() -> dict[str, str]:
    """Return a key of 16,384 bits, which is none: nobody looks whether its factors are primes."""
    p, q = (1 << 8191) + 3, (1 << 8191) + 5
    public = rsa.RSAPublicNumbers(65537, p * q)
    numbers = rsa.RSAPrivateNumbers(p, q, 3, 3, 3, 3, public)
    key = numbers.private_key(unsafe_skip_rsa_key_validation=True)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    issued = issuing.Authority().issue("smtp.mail.example.com")
    return {"kind": "manual", "certificate": issued.chain, "private_key": pem}
