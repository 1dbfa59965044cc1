# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Bad input is a 4xx that names the field, repeats no secret, and changes nothing."""

from __future__ import annotations

import json
import logging
import typing as tp
import uuid as sys_uuid

import pytest

from exordos_paas_mail.control_plane.api import decoding
from exordos_paas_mail.tests.unit.control_plane import api_client, gservice

MISSING = object()
TAKEN = "d0000000-0000-4000-8000-000000000000"
SECRET = "Tr0ub4dor&3"

_DOMAINS = {
    "empty": "",
    "one label": "localhost",
    "space": "mail.example.com x",
    "line break": "mail.example.com\nEVIL=1",
    "trailing line break": "mail.example.com\n",
    "shell": "$(reboot).example.com",
    "backtick": "`reboot`.example.com",
    "quote": "mail'.example.com",
    "semicolon": "mail;id.example.com",
    "slash": "../../etc/passwd.example.com",
    "colon": "mail.example.com:25",
    "underscore": "my_mail.example.com",
    "hyphen first": "-mail.example.com",
    "hyphen last": "mail-.example.com",
    "empty label": "mail..example.com",
    "trailing dot": "mail.example.com.",
    "IPv4": "192.0.2.1",
    "IPv6": "[2001:db8::1]",
    "long label": "a" * 64 + ".example.com",
    "long name": ".".join(["a" * 60] * 4) + ".example.com",
    "NUL": "mail.exa\x00mple.com",
    "false A-label": "xn--zzzzzz.example.com",
    "no IDNA": "mail.exa\u2028mple.com",
    "number": 5,
    "list": ["mail.example.com"],
    "object": {"a": 1},
    "boolean": True,
    "null": None,
    "missing": MISSING,
}
_NUMBERS = {
    "cpu": (0, 129, -1, 1.5, "1", True, None, MISSING, 10**30),
    "ram": (511, 2**30 + 1, "1024", False, [1024], MISSING),
    "disk_size": (7, 2**30 + 1, 10.5, {}, MISSING),
}
_OTHERS = {
    "name": ("", "n" * 256, "a\x00b", "a\nb", 5, None, MISSING),
    "description": ("d" * 256, "a\x00b", 5, None),
    "uuid": ("not-a-uuid", 5, None),
    "project_id": ("not-a-uuid", 5, None),
    "version": (
        f"{api_client.VERSIONS}{sys_uuid.UUID(int=1)}",
        f"{api_client.VERSIONS}not-a-uuid",
        f"{api_client.INSTANCES}{sys_uuid.UUID(int=1)}",
        "/v1/nowhere/1",
        "",
        "exim4_1",
        5,
        {},
        None,
        MISSING,
    ),
}
_HOSTNAMES = {name: bad for name, bad in _DOMAINS.items() if bad is not None and bad is not MISSING}
_INSTANCE = [
    *(pytest.param("domain", bad, id=f"domain: {name}") for name, bad in _DOMAINS.items()),
    *(pytest.param("hostname", bad, id=f"hostname: {name}") for name, bad in _HOSTNAMES.items()),
    *(
        pytest.param(field, bad, id=f"{field}: {'missing' if bad is MISSING else ascii(bad)[:20]}")
        for field, bads in {**_NUMBERS, **_OTHERS}.items()
        for bad in bads
    ),
]


@pytest.fixture(scope="module")
def api(standing_api: api_client.Client) -> api_client.Client:
    return standing_api


@pytest.fixture(scope="module")
def instance(api: api_client.Client) -> str:
    return api.instance()


@pytest.fixture(scope="module")
def account(api: api_client.Client, instance: str) -> str:
    return api.account(instance, "good")


def _row(field: str, bad: tp.Any, body: dict[str, tp.Any]) -> dict[str, tp.Any]:
    body = {**body, field: bad}
    if bad is MISSING:
        del body[field]
    return body


@pytest.mark.parametrize(("field", "bad"), _INSTANCE)
def test_a_bad_field_of_a_new_instance_is_a_400_that_names_it(
    api: api_client.Client, instance: str, field: str, bad: tp.Any
) -> None:
    body = _row(field, bad, api.instance_body(api.get(instance)["version"]))
    before = gservice.row_versions()
    status, message = api.refused("POST", api_client.INSTANCES, body)
    assert (status, message.partition(": ")[0]) == (400, field), message
    assert gservice.row_versions() == before


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize(
    ("field", "bad"),
    [p for p in _INSTANCE if p.values[0] in {"hostname", *_NUMBERS} and p.values[1] is not MISSING],
)
def test_a_bad_change_of_an_instance_is_a_400_that_names_it(
    api: api_client.Client, instance: str, method: str, field: str, bad: tp.Any
) -> None:
    before = api.get(instance)
    status, message = api.refused(method, instance, {"name": "new", field: bad})
    assert (status, message.partition(": ")[0]) == (400, field), message
    assert api.get(instance) == before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("domain", "other.example.com"),
        ("image", "https://evil.example.com/image"),
        ("status", "ACTIVE"),
        ("error", ""),
        ("ipsv4", ["192.0.2.1"]),
        ("dkim_public_key", "v=DKIM1"),
        ("dkim_selector", "mine"),
        ("created_at", "2026-01-01T00:00:00.000000Z"),
        ("updated_at", "2026-01-01T00:00:00.000000Z"),
    ],
)
def test_a_read_only_field_of_an_instance_is_a_403(
    api: api_client.Client, instance: str, field: str, value: tp.Any
) -> None:
    before = api.get(instance)
    rows = gservice.row_versions()
    for method in ("PUT", "PATCH"):
        assert api.refused(method, instance, {field: value}) == (
            403,
            f"{field}: is read-only",
        )
    if field != "domain":
        body = api.instance_body(before["version"], **{field: value})
        assert api.refused("POST", api_client.INSTANCES, body)[0] == 403
    assert gservice.row_versions() == rows


def test_an_unknown_field_is_named_and_its_value_is_not(
    api: api_client.Client, instance: str
) -> None:
    body = {"username": "a", "passwrod": SECRET, "password_hash": api_client.HASH}
    assert api.refused("POST", f"{instance}/accounts/", body) == (400, "passwrod: no such field")
    assert api.refused("PATCH", instance, {"root_password": SECRET}) == (
        400,
        "root_password: no such field",
    )
    for method, path in (
        ("POST", f"{instance}/accounts/"),
        ("PATCH", instance),
        ("POST", f"{instance}/actions/erase/invoke"),
    ):
        assert api.refused(method, path, {"": SECRET}) == (400, '"": no such field')
    both = {"": SECRET, "passwrod": SECRET}
    assert api.refused("PATCH", instance, both) == (400, '"", passwrod: no such field')


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"5", b'"text"', b"\xff", b'{"a": NaN}', b'[{"username": "a"}]'],
    ids=ascii,
)
@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded"]
)
def test_a_body_that_is_no_object_is_a_400(
    api: api_client.Client, instance: str, account: str, body: bytes, content_type: str
) -> None:
    for method, path in (
        ("POST", api_client.INSTANCES),
        ("PATCH", instance),
        ("PUT", instance),
        ("POST", f"{instance}/accounts/"),
        ("PATCH", account),
    ):
        response = api.raw(method, path, body, **{"Content-Type": content_type})
        assert (response.status_code, response.json["type"]) == (400, "ParseBodyError")


@pytest.mark.parametrize("depth", [500, 1000])
@pytest.mark.parametrize("braces", ["[]", ('{"a":', "}")], ids=["lists", "objects"])
def test_a_field_nested_deep_is_a_400_that_names_it(
    api: api_client.Client, instance: str, account: str, depth: int, braces: tuple[str, str]
) -> None:
    opening, closing = braces
    nested = opening * depth + "1" + closing * depth
    for path, fields in (
        (instance, ("name", "description", "cpu", "version", "project_id", "uuid")),
        (account, ("name", "password", "password_hash", "active", "project_id")),
    ):
        for field in fields:
            response = api.raw("PATCH", path, f'{{"{field}": {nested}}}'.encode())
            message = response.json["message"]
            # project_id is read-only once there is a record.
            assert (response.status_code, message.partition(": ")[0]) == (400, field), message


def test_what_is_no_uuid_is_said_so(api: api_client.Client, instance: str) -> None:
    said = (400, "uuid: must be a UUID")
    assert api.refused("GET", f"{api_client.INSTANCES}x") == said
    assert api.refused("DELETE", f"{instance}/accounts/x") == said
    assert api.refused("GET", f"{api_client.INSTANCES}x/accounts/") == said
    assert api.refused("PATCH", instance, {"uuid": TAKEN}) == (
        400,
        "uuid: must be the UUID in the path",
    )


_USERNAMES = {
    "empty": "",
    "colon": "a:b",
    "line break": "a\nroot@evil.com:x",
    "trailing line break": "a\n",
    "carriage return": "a\r",
    "space": "a b",
    "tab": "a\tb",
    "NUL": "a\x00b",
    "quote": 'a"b',
    "apostrophe": "a'b",
    "slash": "a/b",
    "backslash": "a\\b",
    "at": "a@b.com",
    "percent": "a%b",
    "bang": "a!b",
    "hash": "#a",
    "star": "*",
    "dollar": "$a",
    "leading dot": ".a",
    "trailing dot": "a.",
    "double dot": "a..b",
    "leading hyphen": "-a",
    "long": "a" * 65,
    "not ASCII": "b\u00f6b",
    "kelvin sign": "\u212a",
    "number": 5,
    "null": None,
    "missing": MISSING,
}
_HASHES = {
    "empty": "",
    "plaintext": SECRET,
    "colon": "$6$sa:lt$hash",
    "line break": "$6$salt$hash\nroot@evil.com:x",
    "trailing line break": "$6$salt$hash\n",
    "space": "$6$salt$ha sh",
    "control": "$6$salt$ha\x01sh",
    "no salt": "$6$hash",
    "no hash": "$6$pepper$",
    "cut short": "$6$salt$" + "h" * 40,
    "one too long": "$6$salt$" + "h" * 87,
    "unknown id": "$99$salt$hash",
    "apr1": "$apr1$salt$hash",
    "DES": "rl.3StKT.4T8M",
    "plain prefix": "{PLAIN}" + SECRET,
    "argon prefix": "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$c2FsdA$aGFzaA",
    "contradicting prefix": "{BLF-CRYPT}$6$salt$hash",
    "a million logins a year": "$6$rounds=999999999$salt$hash",
    "cheaper than crypt can": "$2b$03$" + "h" * 53,
    "dearer than a node can": "$y$jET$abcdefgh$" + "h" * 43,
    "long": "$6$salt$" + "h" * 500,
    "number": 5,
    "null": None,
}
_PASSWORDS = {
    "empty": "",
    "NUL": "a\x00b",
    "line break": "a\nb",
    "long": "p" * 256,
    "long in bytes": "\U0001f511" * 128,
    "number": 5,
    "a hash that was cut short": "{SHA512-CRYPT}$6$salt$" + "h" * 40,
    "a hash of another scheme than its prefix": "{CRYPT}$5$salt$" + "h" * 86,
}
_ACTIVES = {"text": "yes", "number": 1, "null": None}


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        pytest.param(field, bad, id=f"{field}: {name}")
        for field, bads in (
            ("username", _USERNAMES),
            ("password_hash", _HASHES),
            ("password", _PASSWORDS),
            ("active", _ACTIVES),
        )
        for name, bad in bads.items()
    ],
)
def test_a_bad_field_of_an_account_is_a_400_that_names_it(
    api: api_client.Client,
    instance: str,
    account: str,
    caplog: pytest.LogCaptureFixture,
    field: str,
    bad: tp.Any,
) -> None:
    caplog.set_level(logging.INFO)
    before = (api.get(account), gservice.row_versions())
    body = {"username": "a", "password_hash": api_client.HASH}
    if field == "password":
        del body["password_hash"]
    requests = [("POST", f"{instance}/accounts/", _row(field, bad, body))]
    if field != "username":
        requests += [("PATCH", account, {field: bad}), ("PUT", account, {field: bad})]
    for method, path, given in requests:
        status, message = api.refused(method, path, given)
        assert (status, message.partition(": ")[0]) == (400, field), message
        if field.startswith("password") and isinstance(bad, str) and bad:
            assert json.dumps(bad)[1:-1] not in message
            assert bad not in caplog.text
    assert (api.get(account), gservice.row_versions()) == before


def test_an_account_has_one_password(api: api_client.Client) -> None:
    instance = api.instance()
    both = {"password": SECRET, "password_hash": api_client.HASH}
    account = api.account(instance)
    for method, path, body in (
        ("POST", f"{instance}/accounts/", {"username": "a", **both}),
        ("PATCH", account, both),
    ):
        assert api.refused(method, path, body) == (
            400,
            "password: give either password or password_hash, not both",
        )
    assert api.refused("POST", f"{instance}/accounts/", {"username": "a"}) == (
        400,
        "password: either password or password_hash is required",
    )


def test_the_name_of_an_account_does_not_change(api: api_client.Client, account: str) -> None:
    assert api.refused("PATCH", account, {"username": "other"}) == (
        403,
        "username: is read-only",
    )


def test_a_duplicate_is_a_409_that_names_the_field(api: api_client.Client) -> None:
    instance = api.instance(uuid=TAKEN)
    account = api.account(instance, "noreply")
    # What the database says of a conflict has the value in it, too.
    api.account(instance, "mail_instances_pkey")
    body = {"username": "NoReply", "password_hash": api_client.HASH_2}
    taken = api.instance_body(api.version(), uuid=TAKEN)
    account_taken = {**body, "username": "b", "uuid": account.rpartition("/")[2]}
    answers = [
        api.call("POST", f"{instance}/accounts/", body),
        api.call("POST", f"{instance}/accounts/", {**body, "username": "mail_instances_pkey"}),
        api.call("POST", f"{instance}/accounts/", account_taken),
        api.call("POST", api_client.INSTANCES, taken),
    ]
    assert [(a.status_code, a.json) for a in answers] == [
        (409, {"type": "ConflictRecords", "code": 409, "message": message})
        for message in (
            "username: is already taken by another account",
            "username: is already taken by another account",
            "uuid: is already taken",
            "uuid: is already taken",
        )
    ]
    # In another instance the name is free.
    api.account(api.instance(), "noreply")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "{instances}not-a-uuid", 400),
        ("GET", "{instances}{nobody}", 404),
        ("PATCH", "{instances}{nobody}", 404),
        ("DELETE", "{instances}{nobody}", 404),
        ("GET", "{instances}{nobody}/accounts/", 404),
        ("POST", "{instances}{nobody}/accounts/", 404),
        ("PATCH", "{instances}", 405),
        ("PUT", "{instances}", 405),
        ("DELETE", "{instances}", 405),
        ("POST", "{instances}{nobody}", 405),
        ("PATCH", "{root}/", 405),
    ],
)
def test_a_request_that_leads_nowhere_says_why(
    api: api_client.Client, method: str, path: str, status: int
) -> None:
    path = path.format(
        root=api_client.ROOT, instances=api_client.INSTANCES, nobody=sys_uuid.UUID(int=1)
    )
    body = {"username": "a", "password": SECRET} if method == "POST" else {}
    assert api.refused(method, path, body)[0] == status


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded", b"username=a&name=%00&page_limit=x"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n\r\nc\r\n--x--',
        ),
        ("application/x-www-form-urlencoded", b"username=%ff"),
        ("multipart/form-data", b"--x"),
    ],
    ids=["form", "upload", "form that is not UTF-8", "upload without a boundary"],
)
def test_a_form_is_no_body(api: api_client.Client, content_type: str, body: bytes) -> None:
    path = f"{api.instance()}/accounts/"
    answer = api.raw("POST", path, body, **{"Content-Type": content_type})
    assert answer.status_code == 400, answer.text
    assert api.get(path) == []


def test_a_request_to_delete_reads_no_form(api: api_client.Client) -> None:
    account = api.account(api.instance())
    upload = {"Content-Type": "multipart/form-data; boundary=x"}
    assert api.raw("DELETE", account, b"--x", **upload).status_code == 400
    # Not UTF-8: as a form it is refused.
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert api.raw("DELETE", account, b"username=%ff", **form).status_code == 204


@pytest.mark.parametrize("content_type", ["", "application/x-www-form-urlencoded"])
def test_a_body_without_a_type_or_with_that_of_curl_is_json(
    api: api_client.Client, content_type: str
) -> None:
    path = f"{api.instance()}/accounts/"
    body = json.dumps({"username": "a", "password": SECRET}).encode()
    headers = {"Content-Type": content_type}
    assert api.raw("POST", path, body, **headers).status_code == 201
    (account,) = api.get(path)
    change = json.dumps({"name": "b"}).encode()
    answer = api.raw("PATCH", f"{path}{account['uuid']}", change, **headers)
    assert (answer.status_code, answer.json["name"]) == (200, "b")
    assert api.raw("POST", path, b"username=a", **headers).status_code == 400
    retry = f"{path.removesuffix('accounts/')}actions/queue_retry/invoke"
    assert api.raw("POST", retry, b"", **headers).status_code == 200


@pytest.mark.parametrize("of", ["", "{}/accounts/", "{}/messages/", "{}/stats/"])
def test_a_query_has_so_many_parameters(standing_api: api_client.Client, of: str) -> None:
    path = of.format(standing_api.instance()) if of else api_client.INSTANCES
    most = decoding.PARAMETERS_MAX
    refused = standing_api.refused("GET", f"{path}?{'&'.join(['x=y'] * (most + 1))}")
    assert refused == (400, f"query: must have {most} parameters at most")
    assert standing_api.refused("GET", f"{path}?{'&'.join(['x=y'] * most)}") == (
        400,
        "x: no such field",
    )


def test_a_body_that_is_too_large_is_not_read(standing_api: api_client.Client) -> None:
    instance = standing_api.instance()
    most = decoding.BODY_SIZE_MAX
    for method, path in (
        ("POST", api_client.INSTANCES),
        ("PATCH", instance),
        ("POST", f"{instance}/accounts/"),
        ("POST", f"{instance}/actions/erase/invoke"),
        ("POST", f"{instance}/nowhere"),
        ("POST", f"{instance}/accounts/".replace("/types/", "/types//")),
    ):
        for kind in ("application/json", "multipart/form-data; boundary=x"):
            answer = standing_api.raw(method, path, b"{" * (most + 1), **{"Content-Type": kind})
            assert answer.status_code == 413
            assert answer.json["message"] == f"The body must have at most {most} octets."
    assert standing_api.raw("POST", f"{instance}/accounts/", b"{" * most).status_code == 400
    # A list of suppressions may be longer.
    path = f"{instance}/actions/suppressions_import/invoke"
    assert standing_api.raw("POST", path, b"{" * (most + 1)).status_code == 400
    for size, status in ((16 * most, 400), (16 * most + 1, 413)):
        assert standing_api.raw("POST", path, b"{" * size).status_code == status
