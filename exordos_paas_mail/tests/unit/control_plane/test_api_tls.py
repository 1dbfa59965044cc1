# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""``tls`` of an instance: what is taken and kept, what is refused, and what it tells of itself."""

from __future__ import annotations

import datetime
import json
import logging
import typing as tp
import uuid as sys_uuid

import pytest
from cryptography.hazmat.primitives import serialization
from oslo_config import cfg

from clients import issuing
from exordos_paas_mail import utils
from exordos_paas_mail.codecs import certificates, tls_document, tls_pairs, tls_reports
from exordos_paas_mail.control_plane.documents import collections
from exordos_paas_mail.control_plane.records import locks, tls_facts, tls_kinds
from exordos_paas_mail.control_plane.records import tls_pairs as records
from exordos_paas_mail.control_plane.runtime import sealing
from exordos_paas_mail.tests.unit.control_plane import api_client, fake_core

if tp.TYPE_CHECKING:
    import pathlib

HOSTNAME = "mail.example.com"
CA = issuing.Authority()
GIVEN = CA.issue(HOSTNAME)
CERTIFICATE = str(sys_uuid.uuid4())
CORE = {"kind": "core", "certificate": CERTIFICATE}


def manual(pair: issuing.Issued = GIVEN, **changes: tp.Any) -> dict[str, tp.Any]:
    return {"kind": "manual", "certificate": pair.chain, "private_key": pair.key, **changes}


def shown(pair: issuing.Issued = GIVEN) -> dict[str, tp.Any]:
    return {"kind": "manual", "certificate": pair.chain}


def uuid_of(instance: str) -> sys_uuid.UUID:
    return sys_uuid.UUID(instance.rpartition("/")[2])


def document(instance: str) -> tls_document.Document:
    """Return what the node is told."""
    with utils.transaction() as session:
        render = collections.RENDERERS[tls_document.COLLECTION]
        return tls_document.parse(render(session, uuid_of(instance), tls_document.SHARD))


def marks(instance: str) -> int:
    with utils.transaction() as session:
        (row,) = session.execute(
            "SELECT marks FROM mail_documents WHERE instance = %s AND collection = 'tls'",
            (str(uuid_of(instance)),),
        ).fetchall()
    return int(row["marks"])


def report(instance: str, chain: str, *, is_told: bool = True, refused: str = "") -> None:
    """Have the node tell what it serves."""
    with utils.transaction() as session:
        tls_facts.take_over(session, uuid_of(instance), tls_reports.Report(chain, is_told, refused))


def put(instance: str, pair: issuing.Issued, source: str) -> None:
    """Have a pair that Core has issued be served."""
    with utils.transaction() as session:
        assert locks.hold_instance(session, uuid_of(instance))
        records.put(session, uuid_of(instance), pair.chain, pair.key, source)


def facts(api: api_client.Client, instance: str) -> tuple[str, str]:
    found = api.get(instance)
    return found["tls_status"], found["tls_error"]


@pytest.mark.parametrize(
    ("given", "answered"),
    [
        ({"kind": "self_signed"}, {"kind": "self_signed"}),
        ({"kind": "acme"}, {"kind": "acme"}),
        (
            {"kind": "core", "certificate": CERTIFICATE.upper()},
            {"kind": "core", "certificate": CERTIFICATE},
        ),
        (
            {"kind": "core", "certificate": f"/v1/secret/certificates/{CERTIFICATE}/"},
            {"kind": "core", "certificate": CERTIFICATE},
        ),
        (manual(), shown()),
    ],
    ids=["self_signed", "acme", "core", "core by URI", "manual"],
)
@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
def test_each_kind_is_taken_and_shown_without_its_key(
    api: api_client.Client, method: str, given: tp.Any, answered: tp.Any
) -> None:
    if method == "POST":
        answer = api.call("POST", api_client.INSTANCES, api.instance_body(api.version(), tls=given))
        instance = f"{api_client.INSTANCES}{answer.json['uuid']}"
    else:
        instance = api.instance()
        answer = api.call(method, instance, {"tls": given})
    assert answer.status_code in (200, 201), answer.text
    assert answer.json["tls"] == api.get(instance)["tls"] == answered
    assert answer.json["tls_status"] == "PENDING"
    assert "PRIVATE KEY" not in answer.text + api.call("GET", api_client.INSTANCES).text


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({}, "self_signed"),
        ({"dns": {"kind": "none"}}, "self_signed"),
        ({"dns": {"kind": "core"}}, "acme"),
        ({"dns": {"kind": "core"}, "tls": {"kind": "self_signed"}}, "self_signed"),
    ],
)
def test_a_new_instance_that_core_publishes_has_core_issue_its_certificate(
    api: api_client.Client, given: tp.Any, kind: str
) -> None:
    instance = api.instance(**given)
    assert api.get(instance)["tls"] == {"kind": kind}
    # Those that are there stay as they are.
    for dns in ("none", "core"):
        assert api.patch(instance, {"dns": {"kind": dns}})["tls"] == {"kind": kind}


@pytest.fixture
def asked(core: fake_core.FakeCore, monkeypatch: pytest.MonkeyPatch) -> fake_core.FakeCore:
    """Return Core, of which the user API is told as the runtime tells it."""
    configuration = cfg.ConfigOpts()
    told = {
        "core_username": fake_core.USERNAME,
        "core_password": fake_core.PASSWORD,
        "core_api_base_url": core.url,
    }
    configuration.register_opts([cfg.StrOpt(name) for name in told], "core")
    configuration([])
    for name, value in told.items():
        configuration.set_override(name, value, "core")
    monkeypatch.setattr(cfg, "CONF", configuration)
    return core


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
@pytest.mark.parametrize("whose", ["nobody's", "a stranger's", "own", "own, by an admin"])
def test_a_certificate_of_another_projects_is_forbidden(
    api: api_client.Client, asked: fake_core.FakeCore, method: str, whose: str
) -> None:
    owner = api if whose.startswith("own") else api.of_other_project()
    certificate = asked.add_certificate(owner.project_id, HOSTNAME)
    if whose == "nobody's":
        certificate = str(sys_uuid.uuid4())
    tls = {"kind": "core", "certificate": certificate}
    client = api.admin() if whose.endswith("admin") else api
    if method == "POST":
        path = api_client.INSTANCES
        body = api.instance_body(api.version(), tls=tls, project_id=api.project_id)
    else:
        path, body = api.instance(), {"tls": tls}
    if whose.startswith("own"):
        assert client.call(method, path, body).status_code in (200, 201)
    else:
        assert client.refused(method, path, body) == (
            403,
            f"tls: Core has no certificate {certificate} in this project",
        )
        assert [each["tls"] for each in api.get(api_client.INSTANCES)] == [
            {"kind": "self_signed"} for _ in range(method != "POST")
        ]


@pytest.mark.parametrize("trouble", ["away", "broken", "forbidden", "nonsense"])
def test_what_core_does_not_say_at_once_is_said_later(
    api: api_client.Client, asked: fake_core.FakeCore, trouble: str
) -> None:
    certificate = asked.add_certificate(api.of_other_project().project_id, HOSTNAME)
    tls = {"kind": "core", "certificate": certificate}

    def break_(_method: str, path: str) -> None:
        if "/secret/" not in path:
            return
        if trouble == "away":
            raise ConnectionAbortedError
        if trouble == "nonsense":
            del asked.certificates[certificate]["project_id"]
            asked.before = lambda _method, _path: None
            return
        raise fake_core.RefusedError({"broken": 500, "forbidden": 403}[trouble], "Error", "")

    instance = api.instance()
    asked.before = break_
    assert api.patch(instance, {"tls": tls})["tls"] == tls


def test_what_is_served_already_may_be_sent_back_when_core_has_it_no_more(
    api: api_client.Client, asked: fake_core.FakeCore
) -> None:
    certificate = asked.add_certificate(api.project_id, HOSTNAME)
    tls = {"kind": "core", "certificate": certificate}
    instance = api.instance(tls=tls)
    asked.certificates.clear()
    asked.requests.clear()
    assert api.patch(instance, {"tls": tls, "name": "renamed"})["name"] == "renamed"
    # Nobody else's instance is told of.
    stranger = api.of_other_project()
    other = {"kind": "core", "certificate": str(sys_uuid.uuid4())}
    assert stranger.refused("PATCH", instance, {"tls": other})[0] == 404
    assert [path for _, path in asked.requests if "/secret/" in path] == []


def test_the_node_is_told_the_pair_and_its_addresses(api: api_client.Client) -> None:
    instance = api.instance()
    assert document(instance) == (None, ())
    with utils.transaction() as session:
        session.execute("UPDATE mail_instances SET ipsv4 = '{192.0.2.7}'")
    api.patch(instance, {"tls": manual()})
    assert document(instance) == ((GIVEN.chain, GIVEN.key), ("192.0.2.7",))
    before = marks(instance)
    api.patch(instance, {"tls": manual()})
    assert marks(instance) == before
    api.patch(instance, {"tls": {"kind": "self_signed"}})
    assert document(instance) == (None, ("192.0.2.7",))
    assert marks(instance) > before


def test_a_renewed_certificate_goes_with_the_key_given_before(api: api_client.Client) -> None:
    instance = api.instance(tls=manual())
    renewed = CA.issue(HOSTNAME, key=_loaded(GIVEN.key), ends=200 * issuing.DAY)
    assert api.patch(instance, {"tls": shown(renewed)})["tls"] == shown(renewed)
    assert document(instance).pair == (renewed.chain, GIVEN.key)
    # What is shown may be sent back.
    api.patch(instance, {"tls": api.get(instance)["tls"], "name": "renamed"})
    assert document(instance).pair == (renewed.chain, GIVEN.key)


def test_a_key_is_required_the_first_time_and_must_be_the_certificates(
    api: api_client.Client,
) -> None:
    instance = api.instance()
    assert api.refused("PATCH", instance, {"tls": shown()}) == (
        400,
        "tls: private_key is required: none was given before",
    )
    api.patch(instance, {"tls": manual()})
    status, said = api.refused("PATCH", instance, {"tls": shown(CA.issue(HOSTNAME))})
    assert (status, said.startswith("tls: private_key belongs to another")) == (400, True)
    # Back at its own, the relay's owner has given no key.
    api.patch(instance, {"tls": {"kind": "self_signed"}})
    assert api.refused("PATCH", instance, {"tls": shown()})[0] == 400


WRONG = "must be an object whose kind is one of self_signed, core, acme, manual"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("manual", WRONG),
        ({}, WRONG),
        ({"kind": "none"}, WRONG),
        ({"kind": ["manual"]}, WRONG),
        ({"kind": "acme", "email": "a@b.example"}, "kind acme takes no fields but kind"),
        ({"kind": "core"}, "certificate must be the UUID of a certificate of Core's"),
        ({"kind": "core", "certificate": "mine"}, "certificate must be the UUID"),
        ({"kind": "core", "certificate": 1}, "certificate must be the UUID"),
        ({"kind": "manual"}, "kind manual needs certificate, a text in PEM"),
        (manual(private_key=1), "kind manual needs private_key, a text in PEM"),
        (manual(private_key=GIVEN.key[:90]), "private_key must be PEM"),
        (manual(certificate=GIVEN.leaf), "certificate lacks its issuer's"),
        (manual(CA.issue("other.example")), "certificate does not name mail.example.com"),
        (manual(CA.issue(HOSTNAME, ends=-issuing.DAY / 2)), "certificate has expired at"),
        (manual(private_key=CA.issue(HOSTNAME).key), "private_key belongs to another certificate"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_what_cannot_be_served_is_refused_and_changes_nothing(
    api: api_client.Client, method: str, given: tp.Any, said: str
) -> None:
    if method == "POST":
        body = api.instance_body(api.version(), tls=given)
        status, text = api.refused("POST", api_client.INSTANCES, body)
        assert api.get(api_client.INSTANCES) == []
    else:
        instance = api.instance(tls=manual())
        before = api.get(instance)
        status, text = api.refused("PATCH", instance, {"tls": given, "name": "renamed"})
        assert api.get(instance) == before
        assert document(instance).pair == (GIVEN.chain, GIVEN.key)
    assert (status, text[: len(f"tls: {said}")]) == (400, f"tls: {said}")


@pytest.mark.parametrize("kind", ["manual", "core"])
def test_a_hostname_that_the_certificate_does_not_name_is_refused(
    api: api_client.Client, kind: str
) -> None:
    given = CA.issue(HOSTNAME, "*.example.net")
    if kind == "manual":
        instance = api.instance(tls=manual(given))
    else:
        instance = api.instance(tls=CORE)
        put(instance, given, f"core:{CERTIFICATE}")
    before = api.get(instance)
    status, said = api.refused("PATCH", instance, {"hostname": "smtp.example.org"})
    assert (status, said) == (
        400,
        "hostname: is not named by the certificate of tls, and clients would refuse it:"
        " give a tls whose certificate names it in the same request",
    )
    assert api.get(instance) == before
    assert api.patch(instance, {"hostname": "smtp.example.net"})["hostname"] == "smtp.example.net"
    new = CA.issue("smtp.example.org")
    changes = {"hostname": "smtp.example.org", "tls": manual(new)}
    assert api.patch(instance, changes)["tls"] == shown(new)
    api.patch(instance, {"hostname": "any.example", "tls": {"kind": "self_signed"}})
    assert api.patch(instance, {"hostname": None})["hostname"] is None


def test_what_is_not_the_relays_name_is_never_active(api: api_client.Client) -> None:
    instance = api.instance(tls=CORE)
    # What Core has not given yet can be of any name, and so can what it gives next.
    api.patch(instance, {"hostname": "smtp.example.org"})
    api.patch(instance, {"hostname": HOSTNAME, "tls": {"kind": "self_signed"}})
    _, chain = certificates.plan(None, None, [HOSTNAME], issuing.now())
    report(instance, chain.decode(), is_told=False)
    assert facts(api, instance) == ("ACTIVE", "")
    # The relay makes its own anew, and the answer says so.
    assert api.patch(instance, {"hostname": "smtp.example.org"})["tls_status"] == "PENDING"
    api.patch(instance, {"hostname": HOSTNAME, "tls": CORE})
    put(instance, GIVEN, f"core:{CERTIFICATE}")
    report(instance, GIVEN.chain)
    assert facts(api, instance) == ("ACTIVE", "")
    # Another of Core's is waited for, and what it gives in place of this one.
    api.patch(instance, {"hostname": "smtp.example.org", "tls": {"kind": "acme"}})
    assert facts(api, instance) == ("PENDING", "")
    # A control plane of before took it.
    with utils.transaction() as session:
        session.execute("UPDATE mail_instances SET tls = %s::jsonb", (json.dumps(CORE),))
        tls_facts.settle(session, uuid_of(instance), utils.now())
    assert facts(api, instance) == (
        "ERROR",
        "the certificate does not name smtp.example.org, and clients refuse it:"
        " set tls to one that does",
    )


def test_the_key_is_nowhere_in_clear(
    api: api_client.Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    instance = api.instance(tls=manual())
    api.refused("PATCH", instance, {"tls": manual(CA.issue("other.example"))})
    api.refused("PATCH", instance, {"tls": manual(certificate=GIVEN.key)})
    api.call("PATCH", instance, {GIVEN.key: 1})
    body = GIVEN.key.splitlines()[1]
    with utils.transaction() as session:
        tables = session.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_name LIKE 'mail%'"
        ).fetchall()
        dump = "".join(
            str(session.execute(f"SELECT * FROM {row['table_name']}").fetchall())  # noqa: S608
            for row in tables
        )
    assert GIVEN.chain.splitlines()[1] in dump
    assert body not in dump
    assert "INSERT INTO" in caplog.text
    assert body not in caplog.text


def test_the_status_follows_what_the_node_serves(api: api_client.Client) -> None:
    instance = api.instance()
    own = issuing.self_signed(HOSTNAME)
    report(instance, own.chain, is_told=False)
    assert facts(api, instance) == ("ACTIVE", "")
    api.patch(instance, {"tls": manual()})
    assert facts(api, instance) == ("PENDING", "")
    report(instance, own.chain, is_told=False, refused="certificate has expired")
    assert facts(api, instance) == (
        "ERROR",
        "the node refuses the certificate: certificate has expired",
    )
    report(instance, GIVEN.chain)
    found = api.get(instance)
    served = tls_pairs.served(GIVEN.chain)
    assert {name: found[name] for name in found if name.startswith("tls")} == {
        "tls": shown(),
        "tls_status": "ACTIVE",
        "tls_error": "",
        "tls_certificate": GIVEN.chain,
        "tls_fingerprint_sha256": served.fingerprint_sha256,
        "tls_names": [HOSTNAME],
        "tls_expires_at": f"{served.expires_at:%Y-%m-%dT%H:%M:%S.000000Z}",
    }
    api.patch(instance, {"tls": {"kind": "self_signed"}})
    assert facts(api, instance) == ("PENDING", "")
    report(instance, own.chain, is_told=False)
    assert facts(api, instance) == ("ACTIVE", "")


def version(instance: str) -> tuple[tp.Any, ...]:
    """Return which write of an instance its row is of."""
    with utils.transaction() as session:
        (row,) = session.execute(
            "SELECT xmin::text, ctid::text FROM mail_instances WHERE uuid = %s",
            (instance.rpartition("/")[2],),
        ).fetchall()
    return (*row.values(),)


def test_a_certificate_that_comes_to_its_end_says_so(api: api_client.Client) -> None:
    pair = CA.issue(HOSTNAME, ends=60 * issuing.DAY)
    instance = api.instance(tls=manual(pair))
    report(instance, pair.chain)
    for days, status, said in (
        (29, "ACTIVE", ""),
        (31, "EXPIRING", "the certificate expires at "),
        (61, "ERROR", "the certificate has expired at "),
    ):
        tls_facts.settle_ended(utils.now() + datetime.timedelta(days=days))
        found = facts(api, instance)
        assert (found[0], found[1][: len(said)]) == (status, said)
    assert "set tls to a renewed certificate" in facts(api, instance)[1]
    renewed = CA.issue(HOSTNAME)
    api.patch(instance, {"tls": manual(renewed)})
    report(instance, renewed.chain)
    assert facts(api, instance) == ("ACTIVE", "")


@pytest.mark.parametrize("kind", ["manual", "self_signed"])
def test_what_a_clock_that_was_ahead_told_of_an_end_goes_away(
    api: api_client.Client, kind: str
) -> None:
    own = issuing.self_signed(HOSTNAME)
    instance = api.instance(**{"tls": manual()} if kind == "manual" else {})
    report(instance, GIVEN.chain if kind == "manual" else own.chain, is_told=kind == "manual")
    assert facts(api, instance) == ("ACTIVE", "")
    ends = datetime.datetime.fromisoformat(
        api.get(instance)["tls_expires_at"].replace("Z", "+00:00")
    )
    for now, status in ((ends - issuing.DAY, "EXPIRING"), (utils.now(), "ACTIVE")):
        before = api.get(instance)["tls_status"]
        tls_facts.settle_ended(now)
        assert (before != status, facts(api, instance)[0]) == (True, status)
        # One more look writes nothing.
        written = version(instance)
        tls_facts.settle_ended(now)
        assert version(instance) == written
    assert facts(api, instance) == ("ACTIVE", "")


@pytest.mark.parametrize(
    ("kind", "life", "ahead"),
    [
        pytest.param("acme", 90, 30, id="acme"),
        pytest.param("acme", 45, 27, id="acme, of six weeks"),
        pytest.param("acme", 6, 3.6, id="acme, of some days"),
        pytest.param("core", 90, 13, id="core"),
        pytest.param("core", 10, 6, id="core, of some days"),
        pytest.param("manual", 90, 30, id="manual"),
        pytest.param("manual", 10, 6, id="manual, of some days"),
        pytest.param("self_signed", 3650, 29, id="self-signed"),
    ],
)
def test_it_says_so_once_whoever_renews_it_is_late(kind: str, life: float, ahead: float) -> None:
    now = utils.now()
    pair = CA.issue(HOSTNAME, begins=datetime.timedelta(), ends=life * issuing.DAY)
    row = {
        "tls": {"kind": kind},
        "tls_certificate": pair.chain,
        "tls_expires_at": now + life * issuing.DAY,
    }
    told = [
        tls_facts._judge_end(row, now + (life - ahead) * issuing.DAY + late, "")[0]
        for late in (-datetime.timedelta(hours=1), datetime.timedelta(hours=1))
    ]
    assert told == ["ACTIVE", "EXPIRING"]


def test_what_was_served_is_served_until_core_has_issued(api: api_client.Client) -> None:
    instance = api.instance(tls=manual())
    report(instance, GIVEN.chain)
    api.patch(instance, {"tls": {"kind": "acme"}})
    assert (facts(api, instance), document(instance).pair) == (
        ("PENDING", ""),
        (GIVEN.chain, GIVEN.key),
    )
    with utils.transaction() as session:
        assert locks.hold_instance(session, uuid_of(instance))
        records.fail(session, uuid_of(instance), "Core is silent")
    assert facts(api, instance) == ("ERROR", "Core is silent")
    issued = CA.issue(HOSTNAME)
    put(instance, issued, tls_kinds.ACME)
    assert (facts(api, instance), document(instance).pair) == (
        ("PENDING", ""),
        (issued.chain, issued.key),
    )
    report(instance, issued.chain)
    assert facts(api, instance) == ("ACTIVE", "")
    # A key of another kind's pair is none of the tenant's.
    assert api.refused("PATCH", instance, {"tls": shown(issued)})[0] == 400


def test_a_lost_key_file_is_told_and_the_node_keeps_what_it_has(
    api: api_client.Client, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    instance = api.instance(tls=manual())
    monkeypatch.setenv(sealing.USER_API.variable, str(tmp_path / "lost.key"))
    with pytest.raises(ValueError, match="cannot be opened any more"):
        document(instance)
    report(instance, issuing.self_signed(HOSTNAME).chain, is_told=False)
    assert facts(api, instance) == ("ERROR", tls_facts.LOST)
    renewed = CA.issue(HOSTNAME, key=_loaded(GIVEN.key))
    status, said = api.refused("PATCH", instance, {"tls": shown(renewed)})
    assert (status, said) == (400, f"tls: private_key is required: {tls_facts.LOST}")
    api.patch(instance, {"tls": manual()})
    assert document(instance).pair == (GIVEN.chain, GIVEN.key)


def test_a_key_that_cannot_be_sealed_is_a_503_and_changes_nothing(
    api: api_client.Client, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    instance = api.instance()
    (tmp_path / "file").touch()
    monkeypatch.setenv(sealing.USER_API.variable, str(tmp_path / "file" / "user_api.key"))
    before = api.get(instance)
    said = "tls: cannot be kept at the moment: try again in a minute"
    assert api.refused("PATCH", instance, {"tls": manual()}) == (503, said)
    assert api.get(instance) == before


def test_the_relays_own_is_active_once_it_names_the_addresses(api: api_client.Client) -> None:
    instance = api.instance()
    with utils.transaction() as session:
        session.execute("UPDATE mail_instances SET ipsv4 = '{192.0.2.7}'")
    for addresses, status in (((), "PENDING"), (("192.0.2.7",), "ACTIVE"), ((), "PENDING")):
        _, chain = certificates.plan(None, None, [HOSTNAME], issuing.now(), addresses)
        report(instance, chain.decode(), is_told=False)
        assert facts(api, instance) == (status, "")
    # What an operator has installed stays as it is.
    report(instance, issuing.self_signed(HOSTNAME).chain, is_told=False)
    assert facts(api, instance) == ("ACTIVE", "")


def _loaded(key: str) -> issuing.Key:
    return tp.cast("issuing.Key", serialization.load_pem_private_key(key.encode(), None))
