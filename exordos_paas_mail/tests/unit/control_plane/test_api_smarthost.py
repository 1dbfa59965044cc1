# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""``smarthost`` of an instance: what is taken and kept, what is refused, what its node is told."""

from __future__ import annotations

import logging
import typing as tp
import uuid as sys_uuid

import pytest

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import smarthosts
from exordos_paas_mail.control_plane.documents import collections
from exordos_paas_mail.control_plane.runtime import sealing
from exordos_paas_mail.tests.unit.control_plane import api_client

if tp.TYPE_CHECKING:
    import pathlib

PASSWORD = "what the other server knows"
GIVEN: dict[str, tp.Any] = {
    "kind": "host",
    "host": "smart.example",
    "username": "tenant",
    "password": PASSWORD,
}
SHOWN: dict[str, tp.Any] = {
    "kind": "host",
    "host": "smart.example",
    "port": 587,
    "tls": "starttls",
    "username": "tenant",
    "domains": [],
}
TOLD = smarthosts.Smarthost("smart.example", 587, "starttls", "tenant", PASSWORD)
REQUIRED = "smarthost: password is required: none was given for this host and username"


def uuid_of(instance: str) -> sys_uuid.UUID:
    return sys_uuid.UUID(instance.rpartition("/")[2])


def told(instance: str) -> smarthosts.Smarthost | None:
    """Return what the node is told."""
    with utils.transaction() as session:
        render = collections.RENDERERS[smarthosts.COLLECTION]
        return smarthosts.parse(render(session, uuid_of(instance), smarthosts.SHARD))


def marks(instance: str) -> int | None:
    with utils.transaction() as session:
        rows = session.execute(
            "SELECT marks FROM mail_documents WHERE instance = %s AND collection = 'smarthost'",
            (str(uuid_of(instance)),),
        ).fetchall()
    return rows[0]["marks"] if rows else None


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        pytest.param({}, {}, id="as short as it may be"),
        pytest.param({"port": 465}, {"port": 465, "tls": "implicit"}, id="465"),
        pytest.param({"port": 25, "tls": "implicit"}, {"port": 25, "tls": "implicit"}, id="25"),
        pytest.param({"host": "M\xdcller.Example"}, {"host": "xn--mller-kva.example"}, id="IDN"),
        pytest.param({"domains": None}, {}, id="all domains"),
        pytest.param({"domains": ["*"]}, {}, id="all domains, by a star"),
        pytest.param(
            {"domains": ["*.A.example", "a.example", "*.a.example"]},
            {"domains": ["*.a.example", "a.example"]},
            id="names below a domain",
        ),
        pytest.param(
            {"domains": ["A.example", "a.example", "m\xfcller.example"]},
            {"domains": ["a.example", "xn--mller-kva.example"]},
            id="domains, one of them twice",
        ),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
def test_a_smarthost_is_taken_shown_without_its_password_and_told(
    api: api_client.Client, method: str, given: dict[str, tp.Any], shown: dict[str, tp.Any]
) -> None:
    body = {"smarthost": {**GIVEN, **given}}
    if method == "POST":
        body = api.instance_body(api.version(), **body)
        answer = api.call("POST", api_client.INSTANCES, body)
        instance = f"{api_client.INSTANCES}{answer.json['uuid']}"
    else:
        instance = api.instance()
        assert (told(instance), marks(instance)) == (None, None)
        answer = api.call(method, instance, body)
    assert answer.status_code in (200, 201), answer.text
    expected = {**SHOWN, **shown}
    assert answer.json["smarthost"] == api.get(instance)["smarthost"] == expected
    assert PASSWORD not in answer.text + api.call("GET", api_client.INSTANCES).text
    fields = {name: value for name, value in expected.items() if name != "kind"}
    domains = tuple(fields.pop("domains"))
    assert told(instance) == smarthosts.Smarthost(**fields, password=PASSWORD, domains=domains)


def test_the_node_is_told_anew_what_has_changed_alone(api: api_client.Client) -> None:
    instance = api.instance(smarthost=GIVEN)
    before = marks(instance)
    assert before is not None
    api.patch(instance, {"name": "renamed"})
    assert marks(instance) == before
    # What is shown may be sent back.
    api.patch(instance, {"smarthost": api.get(instance)["smarthost"]})
    assert told(instance) == TOLD
    api.patch(instance, {"smarthost": {**GIVEN, "password": "another"}})
    assert marks(instance) == before + 1
    assert told(instance) == TOLD._replace(password="another")
    api.patch(instance, {"smarthost": {"kind": "none"}})
    assert (marks(instance), told(instance)) == (before + 2, None)
    api.patch(instance, {"smarthost": {"kind": "none"}})
    assert marks(instance) == before + 2
    assert api.refused("PATCH", instance, {"smarthost": SHOWN}) == (400, REQUIRED)
    api.call("DELETE", instance)


def test_a_password_is_told_to_no_other_server_and_as_no_other_user(
    api: api_client.Client,
) -> None:
    instance = api.instance(smarthost=GIVEN)
    for change in ({"host": "elsewhere.example"}, {"username": "another"}):
        answer = api.refused("PATCH", instance, {"smarthost": {**SHOWN, **change}})
        assert answer == (400, REQUIRED)
    assert told(instance) == TOLD
    changes = {"port": 465, "tls": "implicit", "domains": ["a.example"]}
    api.patch(instance, {"smarthost": {**SHOWN, **changes}})
    assert told(instance) == TOLD._replace(port=465, tls="implicit", domains=("a.example",))


WRONG = "must be an object whose kind is one of none, host"
ROUND = "the host of smarthost must not be the name of this relay: its mail would go round"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("smart.example", WRONG),
        ({}, WRONG),
        ({"kind": ["host"]}, WRONG),
        ({"kind": "none", "host": "smart.example"}, "kind none takes no fields but kind"),
        ({**GIVEN, "verify": False}, "kind host takes no fields but kind, host, port"),
        ({"kind": "host"}, "host must be a DNS name"),
        ({**GIVEN, "host": "192.0.2.1"}, "host must be a DNS name, not an IP address"),
        ({**GIVEN, "host": "[2001:db8::1]"}, "host must be a DNS name"),
        ({**GIVEN, "host": "smart"}, "host must be a DNS name"),
        ({**GIVEN, "host": "${lookup{x}}.example"}, "host must be a DNS name"),
        ({**GIVEN, "host": "mail.example.com"}, ROUND),
        ({**GIVEN, "host": "Mail.Example.com"}, ROUND),
        ({**GIVEN, "port": 2525}, "port must be one of 587, 465, 25"),
        ({**GIVEN, "port": "587"}, "port must be one of 587, 465, 25"),
        ({**GIVEN, "port": None}, "port must be one of 587, 465, 25"),
        ({**GIVEN, "tls": "none"}, "tls must be one of starttls, implicit"),
        ({**GIVEN, "tls": []}, "tls must be one of starttls, implicit"),
        ({**GIVEN, "username": ""}, "username must be a text of 1 to 255 printable characters"),
        ({**GIVEN, "password": "a\nb"}, "password must be a text of 1 to 1024 printable"),
        ({**GIVEN, "password": None}, "password must be a text of 1 to 1024 printable"),
        ({**GIVEN, "domains": "a.example"}, "domains must be null, or a list of at most 200"),
        ({**GIVEN, "domains": ["a.example"] * 201}, "domains must be null, or a list"),
        ({**GIVEN, "domains": ["a.example", "*"]}, '"*" in domains must be alone'),
        ({**GIVEN, "domains": ["a.example", "*.com"]}, "entry 2 of domains must be a DNS name"),
        ({**GIVEN, "domains": ["a.*.example"]}, "entry 1 of domains must be a DNS name"),
        ({**GIVEN, "domains": [None]}, "entry 1 of domains must be"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_what_is_no_smarthost_is_refused_and_changes_nothing(
    api: api_client.Client, method: str, given: tp.Any, said: str
) -> None:
    if method == "POST":
        body = api.instance_body(api.version(), smarthost=given)
        status, text = api.refused("POST", api_client.INSTANCES, body)
        assert api.get(api_client.INSTANCES) == []
    else:
        instance = api.instance(smarthost=GIVEN)
        before = api.get(instance)
        status, text = api.refused("PATCH", instance, {"smarthost": given, "name": "renamed"})
        assert api.get(instance) == before
        assert told(instance) == TOLD
    assert (status, text[: len(f"smarthost: {said}")]) == (400, f"smarthost: {said}")


def test_a_relay_is_not_given_the_name_of_its_smarthost(api: api_client.Client) -> None:
    instance = api.instance(smarthost=GIVEN)
    answer = api.refused("PATCH", instance, {"hostname": "smart.example"})
    assert answer == (400, f"hostname: {ROUND}")
    # With a name of its own the domain is another server's.
    changes = {
        "hostname": "relay.example.com",
        "smarthost": {**GIVEN, "host": "mail.example.com"},
    }
    assert api.patch(instance, changes)["hostname"] == "relay.example.com"
    assert api.refused("PATCH", instance, {"hostname": None}) == (400, f"hostname: {ROUND}")


def test_without_a_key_to_seal_with_nothing_is_taken(
    api: api_client.Client, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = api.instance(smarthost=GIVEN)
    (tmp_path / "file").write_text("")
    change = {"smarthost": {**GIVEN, "password": "another"}}
    with monkeypatch.context() as patched:
        patched.setenv(sealing.USER_API.variable, str(tmp_path / "file" / "key"))
        status, _ = api.refused("PATCH", instance, change)
    assert status == 503
    assert told(instance) == TOLD


def test_a_password_that_opens_no_more_is_no_document(
    api: api_client.Client, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = api.instance(smarthost=GIVEN)
    monkeypatch.setenv(sealing.USER_API.variable, str(tmp_path / "another"))
    with pytest.raises(ValueError, match="cannot be opened any more"):
        told(instance)
    assert api.refused("PATCH", instance, {"smarthost": {**SHOWN, "port": 25}}) == (400, REQUIRED)
    api.patch(instance, {"smarthost": GIVEN})
    assert told(instance) == TOLD


def test_the_password_is_nowhere_in_clear(
    api: api_client.Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    instance = api.instance(smarthost=GIVEN)
    api.refused("PATCH", instance, {"smarthost": {**GIVEN, "port": 1}})
    api.refused("PATCH", instance, {"smarthost": {**GIVEN, "host": PASSWORD}})
    api.call("PATCH", instance, {PASSWORD: 1})
    with utils.transaction() as session:
        tables = session.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        ).fetchall()
        dump = "".join(
            str(session.execute(f"SELECT * FROM {row['table_name']}").fetchall())  # noqa: S608
            for row in tables
        )
    assert "smart.example" in dump
    assert PASSWORD not in dump
    assert "INSERT INTO" in caplog.text
    assert PASSWORD not in caplog.text
