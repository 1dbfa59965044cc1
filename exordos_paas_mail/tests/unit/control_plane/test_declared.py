# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Resources of a manifest, by the real db-back agent of the element manager."""

from __future__ import annotations

import json
import logging
import os
import pathlib
import typing as tp
import uuid as sys_uuid

import pytest
from gcl_sdk.agents.universal import utils as ua_utils
from gcl_sdk.agents.universal.clients.backend import db as db_back
from gcl_sdk.agents.universal.clients.orch import db as orch_db
from gcl_sdk.agents.universal.dm import models as ua_models
from gcl_sdk.agents.universal.drivers import core as core_drivers
from gcl_sdk.agents.universal.services import agent as agent_service
from restalchemy.dm import filters
from restalchemy.storage.sql import engines

from clients import issuing
from exordos_paas_mail import constants, definition, models, utils
from exordos_paas_mail.codecs import password_hashes, suppressions, webhook_config
from exordos_paas_mail.control_plane.declared import accounts as declared_accounts
from exordos_paas_mail.control_plane.declared import base
from exordos_paas_mail.control_plane.records import accounts
from exordos_paas_mail.control_plane.runtime import sealing
from exordos_paas_mail.tests.unit.control_plane import api_client, gservice, sealed
from exordos_paas_mail.tests.unit.repository import manifests

if tp.TYPE_CHECKING:
    import datetime

    from exordos_paas_mail.tests.unit.control_plane import fake_core

EM_PROJECT = "12345678-c625-4fee-81d5-f691897b8142"
PREFIX = "em_mailaas_types_mail_"
VERSION = sys_uuid.UUID("a0000000-0000-4000-8000-000000000000")
INSTANCE = sys_uuid.UUID("b0000000-0000-4000-8000-000000000000")
EXAMPLE = sys_uuid.UUID("d0000000-0000-4000-8000-000000000000")
ACCOUNT = sys_uuid.UUID("c0000000-0000-4000-8000-000000000000")
PASSWORD = "Tr0ub4dor&3"


class ElementManager:
    """Declares resources, and runs the agent that settles them as the runtime configures it."""

    def __init__(self, work_dir: pathlib.Path) -> None:
        plugin = definition.MailDefinition()
        specs = [
            db_back.ModelSpec(
                model=ua_utils.cfg_load_class(path),
                kind=PREFIX + subpath.replace(".", "_"),
                filters={plugin.get_agent_filters()[subpath]: filters.EQ(EM_PROJECT)},
            )
            for subpath, path in plugin.get_agent_models().items()
        ]
        self.own = sys_uuid.uuid4()
        self.agent = agent_service.UniversalAgentService(
            agent_uuid=self.own,
            system_uuid=self.own,
            orch_client=orch_db.DatabaseOrchClient(),
            caps_drivers=[
                core_drivers.DatabaseCapabilityDriver(
                    model_specs=specs,
                    target_fields_storage_path=str(work_dir / "target_fields.json"),
                )
            ],
            facts_drivers=[],
            payload_path=str(work_dir / "core_agent.json"),
            verify_node_on_register=False,
        )
        self.agent._register_agent()

    def declare(self, subpath: str, uuid: sys_uuid.UUID, **value: tp.Any) -> None:
        """Make or replace the target of a resource, as the element manager does."""
        value = {"uuid": str(uuid), **value}
        kind = PREFIX + subpath.replace(".", "_")
        target = ua_models.TargetResource(
            uuid=uuid,
            kind=kind,
            res_uuid=ua_models.TargetResource.gen_res_uuid(uuid, kind),
            value=value,
            hash=ua_utils.calculate_hash(value),
            status="NEW",
            agent=self.own,
        )
        self.withdraw(subpath, uuid)
        target.insert()

    def withdraw(self, subpath: str, uuid: sys_uuid.UUID) -> None:
        for target in self._of(ua_models.TargetResource, subpath, uuid):
            target.delete()

    @staticmethod
    def _of(model: tp.Any, subpath: str, uuid: sys_uuid.UUID) -> list[tp.Any]:
        kind = PREFIX + subpath.replace(".", "_")
        found: list[tp.Any] = model.objects.get_all(
            filters={"uuid": filters.EQ(uuid), "kind": filters.EQ(kind)}
        )
        return found

    def loop(self, times: int = 2) -> None:
        for _ in range(times):
            self.agent._iteration()

    def is_settled(self, subpath: str, uuid: sys_uuid.UUID) -> bool:
        """Return whether what the agent reports is what was declared (Core's rule for ACTIVE)."""
        (target,) = self._of(ua_models.TargetResource, subpath, uuid)
        actual = self._of(ua_models.Resource, subpath, uuid)
        return [a.hash for a in actual] == [target.hash]

    def reported(self, subpath: str, uuid: sys_uuid.UUID) -> dict[str, tp.Any]:
        (actual,) = self._of(ua_models.Resource, subpath, uuid)
        value: dict[str, tp.Any] = actual.value
        return value


@pytest.fixture
def manager(database: object, tmp_path: pathlib.Path) -> ElementManager:
    manager = ElementManager(tmp_path)
    manager.declare(
        "versions", VERSION, name="exim4_1", description=EM_PROJECT, image=api_client.IMAGE
    )
    manager.declare("instances", INSTANCE, **instance())
    manager.loop()
    return manager


def instance(**changes: tp.Any) -> dict[str, tp.Any]:
    return {
        "name": "declared",
        "project_id": EM_PROJECT,
        "domain": "mail.example.com",
        "cpu": 1,
        "ram": 1024,
        "disk_size": 10,
        "version": str(VERSION),
        **changes,
    }


def account(**changes: tp.Any) -> dict[str, tp.Any]:
    return {
        "project_id": EM_PROJECT,
        "instance": str(INSTANCE),
        "username": "noreply",
        "password": PASSWORD,
        **changes,
    }


def stored() -> accounts.AccountRecord:
    found = models.MailAccount.objects.get_one()
    assert isinstance(found, accounts.AccountRecord)
    return found


def stored_of(uuid: sys_uuid.UUID) -> str:
    found = models.MailAccount.objects.get_one(filters={"uuid": filters.EQ(uuid)})
    return str(found.password_hash)


def declared_key() -> pathlib.Path:
    return pathlib.Path(os.environ[sealing.KEY_FILE_VARIABLE])


def dump_of_tables() -> str:
    with engines.engine_factory.get_engine().session_manager() as session:
        return "\n".join(
            row["row"]
            for table in ("mail_versions", "mail_instances", "mail_accounts")
            for row in session.execute(f"SELECT t::text AS row FROM {table} t").fetchall()  # noqa: S608
        )


def test_versions_and_instances_settle(manager: ElementManager) -> None:
    assert manager.is_settled("versions", VERSION)
    assert manager.is_settled("instances", INSTANCE)
    found = models.MailInstance.objects.get_one()
    assert (found.domain, found.version.uuid, found.status) == (
        "mail.example.com",
        VERSION,
        "NEW",
    )


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"domain": "Mail.EXAMPLE.com"}, id="domain in capitals"),
        pytest.param({"domain": "\u043f\u0440\u0438\u043c\u0435\u0440.\u0440\u0444"}, id="IDN"),
        pytest.param({"version": f"/v1/types/mail/versions/{VERSION}"}, id="version by URI"),
        pytest.param({"hostname": "SMTP.example.com"}, id="hostname in capitals"),
        pytest.param({"hostname": None}, id="no hostname"),
        pytest.param({"version": str(VERSION).upper()}, id="version in capitals"),
        pytest.param({"description": "d"}, id="description"),
    ],
)
def test_an_instance_settles_however_it_is_spelled(
    manager: ElementManager, changes: dict[str, tp.Any]
) -> None:
    other = sys_uuid.uuid4()
    manager.declare("instances", other, **instance(**changes))
    manager.loop()
    assert manager.is_settled("instances", other)
    before = gservice.row_versions()
    manager.loop()
    assert gservice.row_versions() == before


def test_a_declared_instance_stays_settled_through_its_life(
    manager: ElementManager, core: fake_core.FakeCore, services: gservice.GService
) -> None:
    services.tick(2)
    core.add_node(INSTANCE, "10.0.0.5")
    core.set_status(INSTANCE, "ACTIVE")
    services.tick(3)
    manager.loop()
    assert manager.is_settled("instances", INSTANCE)
    reported = manager.reported("instances", INSTANCE)
    # What changes with each message is not told to the element manager.
    changing = {"sent_24h", "queue_messages", "queue_oldest_at", "queue_reported_at"}
    assert (reported["ipsv4"], changing & reported.keys()) == (["10.0.0.5"], set())
    before = gservice.row_versions()
    manager.loop()
    services.infra_pass()
    services.paas_pass()
    assert gservice.row_versions() == before


def test_a_changed_declaration_reaches_the_instance(manager: ElementManager) -> None:
    uri = f"/v1/types/mail/versions/{VERSION}"
    for hostname, kept in (("SMTP.example.com", "smtp.example.com"), (None, None)):
        manager.declare("instances", INSTANCE, **instance(cpu=4, version=uri, hostname=hostname))
        manager.loop()
        found = models.MailInstance.objects.get_one()
        assert (found.cpu, found.hostname) == (4, kept)
        assert manager.is_settled("instances", INSTANCE)


def test_the_example_settles_as_it_is(manager: ElementManager) -> None:
    manifest = manifests.render("example_mail.yaml.j2", version="1.2.3")
    # What the element manager puts in the place of a link.
    links = {
        "$example_mail.imports.$exim4_1:uuid": str(VERSION),
        "$mailaas.types.mail.instances.$example_mail:uuid": str(EXAMPLE),
        "$core.secret.passwords.$example_mail_alice:value": PASSWORD,
    }
    uuids = {
        "instances": EXAMPLE,
        "instances.accounts": ACCOUNT,
        "instances.domains": DOMAIN,
        "instances.suppressions": SUPPRESSION,
        "instances.tls_policies": POLICY,
        "instances.webhooks": WEBHOOK,
    }
    for path, values in manifests.declared(manifest):
        resolved = {field: links.get(str(value), value) for field, value in values.items()}
        assert not [value for value in resolved.values() if str(value).startswith("$")]
        manager.declare(path, uuids[path], **resolved)
        manager.loop()
    assert {path: manager.is_settled(path, each) for path, each in uuids.items()} == (
        dict.fromkeys(uuids, True)
    )
    before = gservice.row_versions()
    manager.loop()
    assert gservice.row_versions() == before


def test_a_declared_instance_keeps_its_image_until_another_version_is_declared(
    manager: ElementManager,
) -> None:
    def image() -> str:
        return str(models.MailInstance.objects.get_one().image)

    manager.declare("versions", VERSION, name="exim4_1", description=EM_PROJECT, image="new")
    manager.declare("instances", INSTANCE, **instance(cpu=2))
    manager.loop()
    assert models.MailInstance.objects.get_one().cpu == 2
    assert image() == api_client.IMAGE
    other = sys_uuid.uuid4()
    manager.declare("versions", other, name="exim4_2", description=EM_PROJECT, image="newer")
    manager.declare("instances", INSTANCE, **instance(cpu=2, version=str(other)))
    manager.loop()
    assert image() == "newer"
    assert manager.is_settled("instances", INSTANCE)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="password"),
        pytest.param({"username": "NoReply"}, id="username in capitals"),
        pytest.param({"instance": f"/v1/types/mail/instances/{INSTANCE}"}, id="instance by URI"),
        pytest.param({"active": False}, id="inactive"),
        pytest.param({"name": "shop", "description": "d"}, id="name"),
        pytest.param({"password": None, "password_hash": api_client.HASH}, id="hash"),
        pytest.param(
            {"password": None, "password_hash": "{SHA512-CRYPT}" + api_client.HASH},
            id="hash with a prefix",
        ),
    ],
)
def test_an_account_settles_and_costs_no_write(
    manager: ElementManager, changes: dict[str, tp.Any]
) -> None:
    value = {k: v for k, v in account(**changes).items() if v is not None}
    manager.declare("instances.accounts", ACCOUNT, **value)
    manager.loop()
    assert manager.is_settled("instances.accounts", ACCOUNT)
    before = gservice.row_versions()
    manager.loop()
    assert gservice.row_versions() == before
    found = stored()
    assert found.username == "noreply"
    if "password_hash" in changes:
        assert found.password_hash == api_client.HASH
    else:
        assert password_hashes.verify(PASSWORD, found.password_hash)


def test_declared_limits_settle_and_say_what_is_wrong_with_one(manager: ElementManager) -> None:
    manager.declare("instances", INSTANCE, **instance(limits={"recipients_per_day": 100}))
    spelled = account(limits={"recipients_per_hour": 5, "message_size_mb": None}, on_limit="hold")
    manager.declare("instances.accounts", ACCOUNT, **spelled)
    manager.loop()
    assert manager.is_settled("instances", INSTANCE)
    assert manager.is_settled("instances.accounts", ACCOUNT)
    found = models.MailAccount.objects.get_one()
    assert (found.limits["recipients_per_hour"], found.on_limit) == (5, "hold")
    before = gservice.row_versions()
    manager.loop()
    assert gservice.row_versions() == before

    manager.declare("instances.accounts", ACCOUNT, **account(limits={"recipients_per_hour": 0}))
    manager.loop()
    found = models.MailAccount.objects.get_one()
    assert found.limits["recipients_per_hour"] == 5
    assert found.error.startswith("limits: recipients_per_hour must be null, or an integer")


def test_declared_senders_settle_once_the_instance_has_their_domain(
    manager: ElementManager, api: api_client.Client
) -> None:
    manager.declare("instances", INSTANCE, **instance(sender_policy="account"))
    spelled = account(senders=["OWN@mail.example.com", "*@m\xfcller.example"])
    manager.declare("instances.accounts", ACCOUNT, **spelled)
    manager.loop()
    assert models.MailAccount.objects.get_all() == []
    domain = api.admin().post(
        f"{api_client.INSTANCES}{INSTANCE}/domains/", {"domain": "m\xfcller.example"}
    )
    manager.loop()
    assert manager.is_settled("instances", INSTANCE)
    assert models.MailInstance.objects.get_one().sender_policy == "account"
    assert manager.is_settled("instances.accounts", ACCOUNT)
    entries = ["own@mail.example.com", "*@xn--mller-kva.example"]
    assert models.MailAccount.objects.get_one().senders == entries
    before = gservice.row_versions()
    manager.loop()
    assert gservice.row_versions() == before

    # A domain that is not there: what is stored stays, and it is told.
    manager.declare("instances.accounts", ACCOUNT, **account(senders=["*@elsewhere.example"]))
    manager.loop()
    found = models.MailAccount.objects.get_one()
    assert found.senders == entries
    assert found.error == "senders: entry 1: its domain is not a domain of the instance"

    manager.declare("instances.accounts", ACCOUNT, **account(senders=None))
    manager.loop()
    assert models.MailAccount.objects.get_one().senders is None
    assert manager.is_settled("instances.accounts", ACCOUNT)
    assert domain


def test_a_declared_certificate_settles_and_its_key_is_nowhere_in_clear(
    manager: ElementManager,
) -> None:
    pair = issuing.Authority().issue("mail.example.com")
    spelled = {
        "kind": "manual",
        "certificate": f"remark\n{pair.chain}",
        "private_key": pair.key.replace("\n", "\r\n"),
    }
    for tls in (spelled, {"kind": "acme"}, {"kind": "core", "certificate": f"/c/{VERSION}"}):
        manager.declare("instances", INSTANCE, **instance(tls=tls))
        manager.loop()
        assert manager.is_settled("instances", INSTANCE)
        assert manager.reported("instances", INSTANCE)["tls"] == tls
        # What the element manager has declared and is told is the platform's to keep.
        assert pair.key.splitlines()[1] not in dump_of_tables()


def test_a_manifest_that_says_nothing_of_tls_has_what_a_new_instance_has(
    manager: ElementManager,
) -> None:
    published = sys_uuid.uuid4()
    for dns in ("core", "none"):
        told = instance(domain="other.example.com", dns={"kind": dns})
        manager.declare("instances", published, **told)
        manager.loop()
        assert manager.is_settled("instances", published)
        assert manager.reported("instances", published)["tls"] == {"kind": "acme"}
    manager.declare("instances", INSTANCE, **instance(dns={"kind": "core"}))
    manager.loop()
    assert manager.reported("instances", INSTANCE)["tls"] == {"kind": "self_signed"}


def test_a_declared_smarthost_settles_and_its_password_is_nowhere_in_clear(
    manager: ElementManager,
) -> None:
    secret = "of the other server"
    spelled = {
        "kind": "host",
        "host": "Smart.example",
        "username": "tenant",
        "password": secret,
        "domains": None,
    }
    for smarthost in (spelled, {**spelled, "password": f"{secret} 2"}, {"kind": "none"}):
        manager.declare("instances", INSTANCE, **instance(smarthost=smarthost))
        manager.loop()
        assert manager.is_settled("instances", INSTANCE)
        assert manager.reported("instances", INSTANCE)["smarthost"] == smarthost
        assert secret not in dump_of_tables()


def test_the_tables_hold_no_plaintext(manager: ElementManager) -> None:
    manager.declare("instances.accounts", ACCOUNT, **account())
    manager.loop()
    dump = dump_of_tables()
    assert "noreply" in dump
    assert PASSWORD not in dump


def test_a_report_has_the_one_secret_that_was_declared(manager: ElementManager) -> None:
    manager.declare("instances.accounts", ACCOUNT, **account())
    manager.loop()
    reported = manager.reported("instances.accounts", ACCOUNT)
    assert reported["password"] == PASSWORD
    assert "password_hash" not in reported
    assert "declared" not in reported


def test_a_changed_secret_reaches_the_node(
    manager: ElementManager, core: fake_core.FakeCore, services: gservice.GService
) -> None:
    manager.declare("instances.accounts", ACCOUNT, **account())
    manager.loop()
    services.tick(2)
    node = gservice.Node(core.add_node(INSTANCE, "10.0.0.5"))
    core.set_status(INSTANCE, "ACTIVE")
    services.tick(3)
    node.register()
    services.tick(1)
    old = stored().password_hash
    assert node.target()["passwd"] == f"noreply@mail.example.com:{old}\n"
    manager.declare("instances.accounts", ACCOUNT, **account(password="another one"))
    manager.loop()
    services.tick(1)
    new = stored().password_hash
    assert password_hashes.verify("another one", new)
    assert node.target()["passwd"] == f"noreply@mail.example.com:{new}\n"
    assert manager.is_settled("instances.accounts", ACCOUNT)


@pytest.mark.parametrize(
    "left",
    [
        pytest.param(None, id="lost"),
        pytest.param(b"", id="empty"),
        pytest.param(b"not base64", id="not base64"),
        pytest.param(b"aGFsZiBh", id="half a key"),
    ],
)
def test_a_lost_or_damaged_key_heals_without_a_new_hash(
    manager: ElementManager, left: bytes | None
) -> None:
    manager.declare("instances.accounts", ACCOUNT, **account())
    manager.loop()
    old = stored().password_hash
    touched = models.MailInstance.objects.get_one().updated_at
    key_file = declared_key()
    key_file.unlink()
    if left is not None:
        key_file.write_bytes(left)
    manager.loop()
    assert declared_accounts.DeclaredAccount.objects.get_one().password == PASSWORD
    assert manager.is_settled("instances.accounts", ACCOUNT)
    assert stored().password_hash == old
    assert models.MailInstance.objects.get_one().updated_at == touched
    before = gservice.row_versions()
    manager.loop()
    assert gservice.row_versions() == before


def test_the_key_is_its_owners_alone(manager: ElementManager) -> None:
    manager.declare("instances.accounts", ACCOUNT, **account())
    manager.loop()
    assert declared_key().stat().st_mode & 0o777 == 0o600


def test_the_declared_password_wins_over_a_change_by_hand(
    manager: ElementManager, api: api_client.Client
) -> None:
    manager.declare("instances.accounts", ACCOUNT, **account())
    manager.loop()
    path = f"{api_client.INSTANCES}{INSTANCE}/accounts/{ACCOUNT}"
    api.admin().patch(path, {"password": "by hand"})
    assert password_hashes.verify("by hand", stored().password_hash)
    manager.loop()
    assert password_hashes.verify(PASSWORD, stored().password_hash)
    assert manager.is_settled("instances.accounts", ACCOUNT)


@pytest.mark.parametrize("secret", ["password", "password_hash"])
def test_a_declared_password_that_was_taken_away_comes_back(
    manager: ElementManager, api: api_client.Client, secret: str
) -> None:
    fields = account()
    if secret == "password_hash":
        del fields["password"]
        fields["password_hash"] = api_client.HASH
    manager.declare("instances.accounts", ACCOUNT, **fields)
    manager.loop()
    path = f"{api_client.INSTANCES}{INSTANCE}/accounts/{ACCOUNT}"
    api.admin().post(f"{path}/credentials/", {})
    api.admin().patch(path, {secret: None})
    assert stored().password_hash is None
    manager.loop(2)
    if secret == "password":
        assert password_hashes.verify(PASSWORD, stored().password_hash)
    else:
        assert stored().password_hash == api_client.HASH
    assert manager.is_settled("instances.accounts", ACCOUNT)


def test_an_account_of_the_api_has_no_envelope(
    manager: ElementManager, api: api_client.Client
) -> None:
    path = f"{api_client.INSTANCES}{INSTANCE}/accounts/"
    api.admin().post(path, {"username": "rest", "password": PASSWORD})
    manager.loop()
    with engines.engine_factory.get_engine().session_manager() as session:
        rows = session.execute("SELECT password, declared FROM mail_accounts").fetchall()
    assert rows == [{"password": None, "declared": {}}]
    assert PASSWORD not in dump_of_tables()


def test_withdrawn_resources_are_removed(manager: ElementManager) -> None:
    manager.declare("instances.accounts", ACCOUNT, **account())
    manager.loop()
    for subpath, uuid in (
        ("instances.accounts", ACCOUNT),
        ("instances", INSTANCE),
        ("versions", VERSION),
    ):
        manager.withdraw(subpath, uuid)
    manager.loop(4)
    assert dump_of_tables() == ""
    assert ua_models.Resource.objects.get_all() == []


def test_a_manifest_with_two_passwords_makes_no_account(
    manager: ElementManager, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    manager.declare("instances.accounts", ACCOUNT, **account(password_hash=api_client.HASH))
    manager.loop(1)
    assert models.MailAccount.objects.get_all() == []
    assert "not both" in caplog.text


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param({"password_hash": "$y$jFT$abcdefgh$" + "h" * 43}, id="hash"),
        pytest.param({"password": "\u20ac" * 255}, id="password"),
    ],
)
def test_a_secret_that_no_login_could_use_makes_no_account_and_hides_none(
    manager: ElementManager, caplog: pytest.LogCaptureFixture, secret: dict[str, str]
) -> None:
    manager.declare("instances.accounts", ACCOUNT, **account())
    manager.loop()
    value = {**account(username="other"), **secret}
    if "password_hash" in secret:
        del value["password"]
    manager.declare("instances.accounts", sys_uuid.uuid4(), **value)
    manager.loop()
    assert [found.username for found in models.MailAccount.objects.get_all()] == ["noreply"]
    assert manager.is_settled("instances.accounts", ACCOUNT)
    assert not [text for text in secret.values() if text in caplog.text]


def test_a_password_that_was_taken_before_the_rule_hides_no_account(
    manager: ElementManager,
) -> None:
    others = sys_uuid.uuid4()
    manager.declare("instances.accounts", ACCOUNT, **account())
    manager.declare("instances.accounts", others, **account(username="other"))
    manager.loop()
    envelope = sealing.seal("\u20ac" * 255, f"{ACCOUNT} {api_client.HASH}")
    with engines.engine_factory.get_engine().session_manager() as session:
        session.execute(
            "UPDATE mail_accounts SET password = %s, password_hash = %s WHERE uuid = %s",
            (envelope, api_client.HASH, str(ACCOUNT)),
        )
    manager.declare("instances.accounts", others, **account(username="other", active=False))
    manager.loop()
    assert manager.is_settled("instances.accounts", others)
    # The declaration of the one is repaired as after any change from outside.
    assert manager.is_settled("instances.accounts", ACCOUNT)
    assert password_hashes.verify(PASSWORD, stored_of(ACCOUNT))


def test_an_account_declared_before_its_instance_settles_and_leaves_no_trace(
    manager: ElementManager, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    later = sys_uuid.uuid4()
    manager.declare("instances.accounts", ACCOUNT, **account(instance=str(later)))
    manager.loop(2)
    assert f"Error creating resource {PREFIX}instances_accounts" in caplog.text
    manager.declare("instances", later, **instance())
    manager.loop()
    assert manager.is_settled("instances.accounts", ACCOUNT)
    manager.declare("instances.accounts", ACCOUNT, **account(instance=str(later), password="x\ny"))
    manager.loop()
    assert PASSWORD not in caplog.text
    assert "x\ny" not in caplog.text


def test_the_kinds_fit_their_column() -> None:
    for subpath in definition.MailDefinition().get_agent_models():
        kind = f"em_{constants.ELEMENT_NAME}_types_{constants.SLUG}_{subpath.replace('.', '_')}"
        assert len(kind) <= 64


@pytest.mark.parametrize(
    "prefix", [pytest.param("", id="plain"), pytest.param("{SHA512-CRYPT}", id="prefixed")]
)
@pytest.mark.parametrize("same", [False, True], ids=["another hash", "the hash it has"])
def test_a_declaration_that_goes_over_to_a_hash_stores_it_at_once(
    manager: ElementManager, prefix: str, *, same: bool
) -> None:
    manager.declare("instances.accounts", ACCOUNT, **account())
    manager.loop()
    new = stored().password_hash if same else api_client.HASH
    value = account(password_hash=prefix + new)
    del value["password"]
    manager.declare("instances.accounts", ACCOUNT, **value)
    manager.loop(1)
    assert stored().password_hash == new
    assert declared_accounts.DeclaredAccount.objects.get_one().password is None
    manager.loop(1)
    assert manager.is_settled("instances.accounts", ACCOUNT)
    assert stored().password_hash == new
    manager.declare("instances.accounts", ACCOUNT, **account())
    manager.loop()
    assert manager.is_settled("instances.accounts", ACCOUNT)
    assert password_hashes.verify(PASSWORD, stored().password_hash)


def test_a_declared_password_that_is_a_hash_behind_a_prefix_settles(
    manager: ElementManager,
) -> None:
    value = account(password="{SHA512-CRYPT}" + api_client.HASH)
    manager.declare("instances.accounts", ACCOUNT, **value)
    manager.loop()
    assert manager.is_settled("instances.accounts", ACCOUNT)
    assert stored().password_hash == api_client.HASH
    before = gservice.row_versions()
    manager.loop()
    assert gservice.row_versions() == before


def test_a_spelling_that_was_taken_before_the_rule_stays_settled(manager: ElementManager) -> None:
    value = account(password_hash="{SHA512-CRYPT}" + api_client.HASH)
    del value["password"]
    manager.declare("instances.accounts", ACCOUNT, **value)
    manager.loop()
    cut = "$6$salt$" + "h" * 40
    with engines.engine_factory.get_engine().session_manager() as session:
        session.execute(
            "UPDATE mail_accounts SET password_hash = %s, declared = %s",
            (cut, json.dumps({"password_hash": "{SHA512-CRYPT}" + cut})),
        )
    manager.declare(
        "instances.accounts", ACCOUNT, **{**value, "password_hash": "{SHA512-CRYPT}" + cut}
    )
    before = gservice.row_versions()
    manager.loop()
    assert manager.is_settled("instances.accounts", ACCOUNT)
    assert gservice.row_versions() == before


def shown_error(api: api_client.Client, path: str) -> str:
    return str(api.admin().get(path)["error"])


def test_a_change_of_what_is_set_once_is_told_until_it_is_taken_back(
    manager: ElementManager, api: api_client.Client
) -> None:
    path = f"{api_client.INSTANCES}{INSTANCE}"
    manager.declare("instances.accounts", ACCOUNT, **account())
    manager.loop()
    manager.declare("instances", INSTANCE, **instance(domain="other.example.com", cpu=2))
    manager.declare("instances.accounts", ACCOUNT, **account(username="Other", active=False))
    manager.loop()
    assert not manager.is_settled("instances", INSTANCE)
    said = "domain: cannot be changed by the manifest"
    assert shown_error(api, path) == said
    assert manager.reported("instances", INSTANCE)["error"] == said
    said = "username: cannot be changed by the manifest"
    assert shown_error(api, f"{path}/accounts/{ACCOUNT}") == said
    assert manager.reported("instances.accounts", ACCOUNT)["error"] == said
    # What can be changed is.
    assert models.MailInstance.objects.get_one().cpu == 2
    assert stored().active is False
    before = gservice.row_versions()
    manager.loop()
    assert gservice.row_versions() == before
    manager.declare("instances", INSTANCE, **instance(domain="MAIL.example.com"))
    manager.declare("instances.accounts", ACCOUNT, **account(username="NoReply"))
    manager.loop()
    assert (shown_error(api, path), shown_error(api, f"{path}/accounts/{ACCOUNT}")) == ("", "")
    assert manager.is_settled("instances", INSTANCE)
    assert manager.is_settled("instances.accounts", ACCOUNT)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"disk_size": 8, "cpu": 2}, "disk_size: cannot be reduced"),
        (
            {"ram": 512},
            "ram: cannot be reduced to 512: a password hash of this instance needs"
            " 128 MB per login, and one login may take an eighth of ram",
        ),
    ],
)
def test_a_declaration_that_is_refused_is_told_and_changes_nothing(
    manager: ElementManager, api: api_client.Client, changes: dict[str, tp.Any], said: str
) -> None:
    value = account(password_hash="$y$jCT$abcdefgh$" + "h" * 43)
    del value["password"]
    manager.declare("instances.accounts", ACCOUNT, **value)
    manager.loop()
    manager.declare("instances", INSTANCE, **instance(**changes))
    manager.loop()
    path = f"{api_client.INSTANCES}{INSTANCE}"
    assert shown_error(api, path) == said
    found = models.MailInstance.objects.get_one()
    assert (found.cpu, found.ram, found.disk_size) == (1, 1024, 10)
    manager.declare("instances", INSTANCE, **instance(disk_size=11))
    manager.loop()
    assert shown_error(api, path) == ""
    assert manager.is_settled("instances", INSTANCE)


BROKEN_INSTANCES = {
    "cpu above the range": ({"cpu": 999}, "cpu: must be an integer from 1 to 128"),
    "cpu in words": ({"cpu": "four"}, "cpu: must be an integer from 1 to 128"),
    "no cpu": ({"cpu": None}, "cpu: must be an integer from 1 to 128"),
    "no domain name": ({"domain": "nowhere"}, "domain: "),
    "name without a character": ({"name": ""}, "name: must be 1 to 255 characters"),
    "version by a word": (
        {"version": "exim4_1"},
        "version: must be a UUID, or a URI that ends in one",
    ),
    "version that is not there": ({"version": str(ACCOUNT)}, "version: does not exist"),
    "size below what it has": ({"disk_size": 8}, "disk_size: cannot be reduced"),
    "another domain": (
        {"domain": "other.example.com"},
        "domain: cannot be changed by the manifest",
    ),
}
BROKEN_ACCOUNTS = {
    "active in words": ({"active": "yes"}, "active: must be true or false"),
    "hash that is none": ({"password": None, "password_hash": "secret"}, "password_hash: "),
    "two passwords": (
        {"password_hash": api_client.HASH},
        "password: give either password or password_hash, not both",
    ),
    "password of many bytes": ({"password": "\u20ac" * 255}, "password: "),
    "another user": ({"username": "other"}, "username: cannot be changed by the manifest"),
}


@pytest.mark.parametrize(
    ("subpath", "changes", "said"),
    [
        pytest.param(subpath, *case, id=label)
        for subpath, cases in (
            ("instances", BROKEN_INSTANCES),
            ("instances.accounts", BROKEN_ACCOUNTS),
        )
        for label, case in cases.items()
    ],
)
def test_a_value_that_is_not_applied_is_told_until_the_manifest_is_what_it_was(
    manager: ElementManager,
    api: api_client.Client,
    subpath: str,
    changes: dict[str, tp.Any],
    said: str,
) -> None:
    manager.declare("instances.accounts", ACCOUNT, **account())
    manager.loop()
    path = f"{api_client.INSTANCES}{INSTANCE}"
    uuid, declared = INSTANCE, instance()
    if subpath == "instances.accounts":
        path, uuid, declared = f"{path}/accounts/{ACCOUNT}", ACCOUNT, account()
    before = {**api.admin().get(path), "updated_at": ""}
    changed = {**declared, **changes}
    if "password" in changes and changes["password"] is None:
        del changed["password"]

    manager.declare(subpath, uuid, **changed)
    manager.loop()

    assert shown_error(api, path).startswith(said)
    assert not manager.is_settled(subpath, uuid)
    assert {**api.admin().get(path), "updated_at": "", "error": ""} == before
    written = gservice.row_versions()
    manager.loop()
    assert gservice.row_versions() == written
    assert "secret" not in shown_error(api, path)

    manager.declare(subpath, uuid, **declared)
    manager.loop()

    assert shown_error(api, path) == ""
    assert manager.is_settled(subpath, uuid)
    assert {**api.admin().get(path), "updated_at": ""} == before
    written = gservice.row_versions()
    manager.loop()
    assert gservice.row_versions() == written


def test_a_declared_hash_that_costs_too_much_is_told(
    manager: ElementManager, api: api_client.Client
) -> None:
    manager.declare("instances.accounts", ACCOUNT, **account())
    manager.loop()
    old = stored().password_hash
    value = account(password_hash="$y$jDT$abcdefgh$" + "h" * 43)
    del value["password"]
    manager.declare("instances.accounts", ACCOUNT, **value)
    manager.loop()
    assert shown_error(api, f"{api_client.INSTANCES}{INSTANCE}/accounts/{ACCOUNT}").startswith(
        "password_hash: must need at most 128 MB per login"
    )
    assert stored().password_hash == old


def test_an_entry_of_the_catalogue_is_told_for_people(
    manager: ElementManager, api: api_client.Client
) -> None:
    path = f"{api_client.VERSIONS}{VERSION}"
    # As releases before wrote their manifests.
    assert api.get(path)["description"] == EM_PROJECT
    manager.declare(
        "versions", VERSION, name="exim4_1", description="exim 4, release 2", image="new"
    )
    manager.loop()
    assert manager.is_settled("versions", VERSION)
    shown = api.get(path)
    assert (shown["description"], shown["image"]) == ("exim 4, release 2", "new")
    assert "manager" not in shown


def test_an_entry_that_lost_its_handle_is_taken_over(manager: ElementManager) -> None:
    with engines.engine_factory.get_engine().session_manager() as session:
        session.execute("UPDATE mail_versions SET manager = '', description = 'a sentence'")
    manager.declare("versions", VERSION, name="exim4_1", description="two", image="new")
    manager.loop()
    assert manager.is_settled("versions", VERSION)
    found = models.MailVersion.objects.get_one()
    assert (found.uuid, found.manager, found.description) == (VERSION, EM_PROJECT, "two")


DOMAIN = sys_uuid.UUID("e0000000-0000-4000-8000-000000000000")


def domain(**changes: tp.Any) -> dict[str, tp.Any]:
    return {
        "name": "shop",
        "project_id": EM_PROJECT,
        "instance": str(INSTANCE),
        "domain": "Почта.рф",
        "dkim_rotation_days": 90,
        **changes,
    }


def test_a_declared_domain_settles_whatever_its_dns_says(manager: ElementManager) -> None:
    manager.declare("instances.domains", DOMAIN, **domain())
    manager.loop()
    assert manager.is_settled("instances.domains", DOMAIN)
    (actual,) = manager._of(ua_models.Resource, "instances.domains", DOMAIN)
    assert (actual.status, "status" in actual.value) == ("ACTIVE", False)
    assert actual.value["domain"] == "Почта.рф"
    before = gservice.row_versions()
    manager.loop()
    assert gservice.row_versions() == before
    manager.declare("instances.domains", DOMAIN, **domain(active=False))
    manager.loop()
    assert manager.is_settled("instances.domains", DOMAIN)
    assert manager.reported("instances.domains", DOMAIN)["active"] is False


def test_the_agent_is_not_told_of_a_primary_domain_that_nobody_declared(
    manager: ElementManager, caplog: pytest.LogCaptureFixture
) -> None:
    manager.declare("instances.domains", DOMAIN, **domain())
    manager.loop()
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        manager.loop()
    assert [record.getMessage() for record in caplog.records] == []


def test_a_declared_domain_that_is_withdrawn_goes_with_its_keys(manager: ElementManager) -> None:
    manager.declare("instances.domains", DOMAIN, **domain())
    manager.loop()
    manager.withdraw("instances.domains", DOMAIN)
    manager.loop()
    rows = models.MailDkimKey.objects.get_all()
    assert [key.selector for key in rows] == ["platform"]


def test_a_declared_domain_that_cannot_change_says_so(manager: ElementManager) -> None:
    manager.declare("instances.domains", DOMAIN, **domain())
    manager.loop()
    manager.declare("instances.domains", DOMAIN, **domain(domain="other.example"))
    manager.loop()
    reported = manager.reported("instances.domains", DOMAIN)
    assert (reported["domain"], reported["error"]) == (
        base.NOT_APPLIED,
        "domain: cannot be changed by the manifest",
    )


SUPPRESSION = sys_uuid.UUID("f0000000-0000-4000-8000-000000000000")
WEBHOOK = sys_uuid.UUID("f1000000-0000-4000-8000-000000000000")
POLICY = sys_uuid.UUID("60000000-0000-4000-8000-000000000000")
BOB = "bob@elsewhere.example"


def suppression(**changes: tp.Any) -> dict[str, tp.Any]:
    return {
        "project_id": EM_PROJECT,
        "instance": str(INSTANCE),
        "address": BOB,
        "detail": "left the company",
        **changes,
    }


def webhook(**changes: tp.Any) -> dict[str, tp.Any]:
    return {
        "name": "shop",
        "project_id": EM_PROJECT,
        "instance": str(INSTANCE),
        "url": "https://hooks.example.com/mail",
        "events": ["message.failed"],
        **changes,
    }


def tls_policy(**changes: tp.Any) -> dict[str, tp.Any]:
    return {
        "project_id": EM_PROJECT,
        "instance": str(INSTANCE),
        "domain": "bank.example",
        "mode": "verify",
        **changes,
    }


def rows(statement: str, *values: tp.Any) -> list[tuple[tp.Any, ...]]:
    with utils.transaction() as session:
        found = session.execute(statement, values)
        return [tuple(row.values()) for row in found.fetchall()] if found.description else []


def marked(collection: str) -> set[str]:
    """Return the shards that the node is to be told, and forget them."""
    due = rows("SELECT shard FROM mail_documents WHERE collection = %s AND due", collection)
    rows("UPDATE mail_documents SET due = false")
    return {shard for (shard,) in due}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="as it is"),
        pytest.param({"address": "Bob@Elsewhere.EXAMPLE"}, id="address in capitals"),
        pytest.param({"address": "bob@b\u00fccher.example"}, id="IDN"),
        pytest.param({"instance": f"/v1/types/mail/instances/{INSTANCE}"}, id="instance by URI"),
        pytest.param({"instance": str(INSTANCE).upper()}, id="instance in capitals"),
        pytest.param({"scope": "instance", "account": None, "expires_at": None}, id="in words"),
        pytest.param({"account": str(ACCOUNT)}, id="of an account"),
        pytest.param({"scope": "account", "account": f"/x/{ACCOUNT}"}, id="account by URI"),
        pytest.param({"reason": "COMPLAINT"}, id="reason"),
    ],
)
def test_a_suppression_settles_however_it_is_spelled(
    manager: ElementManager, api: api_client.Client, changes: dict[str, tp.Any]
) -> None:
    manager.declare("instances.accounts", ACCOUNT, **account())
    manager.declare("instances.suppressions", SUPPRESSION, **suppression(**changes))
    manager.loop()
    assert manager.is_settled("instances.suppressions", SUPPRESSION)
    (shown,) = api.admin().get(f"{api_client.INSTANCES}{INSTANCE}/suppressions/")
    of_account = changes.get("account") is not None
    assert (shown["uuid"], shown["origin"], shown["error"]) == (str(SUPPRESSION), "USER", "")
    assert (shown["account"], shown["scope"]) == (
        (str(ACCOUNT), "account") if of_account else (None, "instance")
    )
    assert (shown["reason"], shown["expires_at"]) == (changes.get("reason", "MANUAL"), None)
    assert marked(suppressions.COLLECTION) == {suppressions.shard_of(shown["address"])}
    before = gservice.row_versions()
    manager.loop()
    assert gservice.row_versions() == before


def test_a_declared_suppression_is_put_right_and_goes_with_its_declaration(
    manager: ElementManager, api: api_client.Client
) -> None:
    path = f"{api_client.INSTANCES}{INSTANCE}/suppressions/"
    kept = api.admin().post(path, {"address": "eve@elsewhere.example"})
    manager.declare("instances.suppressions", SUPPRESSION, **suppression())
    manager.loop()
    assert api.admin().refused("POST", path, {"address": BOB})[0] == 409
    marked(suppressions.COLLECTION)
    shard = {suppressions.shard_of(BOB)}

    api.admin().delete(f"{path}{SUPPRESSION}")
    manager.loop()
    assert manager.is_settled("instances.suppressions", SUPPRESSION)
    assert marked(suppressions.COLLECTION) == shard

    rows("UPDATE mail_suppressions SET detail = '', reason = 'COMPLAINT' WHERE address = %s", BOB)
    manager.declare("instances.suppressions", SUPPRESSION, **suppression(reason="HARD_BOUNCE"))
    manager.loop()
    assert manager.is_settled("instances.suppressions", SUPPRESSION)
    shown = api.admin().get(f"{path}{SUPPRESSION}")
    assert (shown["reason"], shown["detail"]) == ("HARD_BOUNCE", "left the company")
    assert marked(suppressions.COLLECTION) == shard

    manager.withdraw("instances.suppressions", SUPPRESSION)
    manager.loop()
    assert api.admin().get(path) == [kept]
    assert marked(suppressions.COLLECTION) == shard
    assert rows("SELECT sum(entries)::int FROM mail_suppression_shards") == [(1,)]


def test_the_agent_reads_no_suppression_that_nobody_declared(
    manager: ElementManager, api: api_client.Client, caplog: pytest.LogCaptureFixture
) -> None:
    path = f"{api_client.INSTANCES}{INSTANCE}/suppressions/"
    api.admin().post(path, {"address": "eve@elsewhere.example"})
    manager.declare("instances.suppressions", SUPPRESSION, **suppression())
    manager.loop()
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        manager.loop()
    assert [record.getMessage() for record in caplog.records] == []


def test_an_automatic_entry_gives_way_to_a_declared_one_and_a_users_does_not(
    manager: ElementManager, api: api_client.Client
) -> None:
    path = f"{api_client.INSTANCES}{INSTANCE}/suppressions/"
    made = api.admin().post(path, {"address": BOB})
    manager.declare("instances.suppressions", SUPPRESSION, **suppression())
    manager.loop()
    assert api.admin().get(path) == [made]
    rows("UPDATE mail_suppressions SET origin = 'AUTO'")
    manager.loop()
    assert manager.is_settled("instances.suppressions", SUPPRESSION)
    assert [each["uuid"] for each in api.admin().get(path)] == [str(SUPPRESSION)]
    assert rows("SELECT entries FROM mail_suppression_shards") == [(1,)]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"expires_at": "2999-01-31T12:00:00Z"},
            "expires_at: cannot be declared: the entry lasts as long as it is declared",
        ),
        ({"hits": 5}, "hits: cannot be declared: it is what the log tells"),
        ({"origin": "AUTO"}, "origin: cannot be declared: it is what the log tells"),
        ({"reason": "BORED"}, "reason: must be one of HARD_BOUNCE, COMPLAINT, MANUAL"),
        ({"address": "eve@elsewhere.example"}, "address: cannot be changed by the manifest"),
        ({"address": "bob"}, "address: must be an address"),
        ({"account": str(ACCOUNT)}, "account: cannot be changed by the manifest"),
        ({"account": "alice"}, "account: must be a UUID, or a URI that ends in one"),
        ({"scope": "account"}, "account: must be given if, and only if, scope is account"),
        ({"detail": "x" * 513}, "detail: "),
    ],
)
def test_what_is_not_applied_to_a_suppression_is_told_until_it_is_taken_back(
    manager: ElementManager, api: api_client.Client, changes: dict[str, tp.Any], said: str
) -> None:
    manager.declare("instances.accounts", ACCOUNT, **account())
    manager.declare("instances.suppressions", SUPPRESSION, **suppression())
    manager.loop()
    path = f"{api_client.INSTANCES}{INSTANCE}/suppressions/{SUPPRESSION}"
    before = api.admin().get(path)
    manager.declare("instances.suppressions", SUPPRESSION, **suppression(**changes))
    manager.loop()
    shown = api.admin().get(path)
    assert shown["error"].startswith(said)
    assert {**shown, "error": ""} == before
    assert not manager.is_settled("instances.suppressions", SUPPRESSION)
    assert manager.reported("instances.suppressions", SUPPRESSION)["error"] == shown["error"]
    written = gservice.row_versions()
    manager.loop()
    assert gservice.row_versions() == written
    manager.declare("instances.suppressions", SUPPRESSION, **suppression())
    manager.loop()
    assert manager.is_settled("instances.suppressions", SUPPRESSION)
    assert api.admin().get(path) == before


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"expires_at": "2999-01-31T12:00:00Z"}, id="end"),
        pytest.param({"instance": str(DOMAIN)}, id="no such instance"),
        pytest.param({"account": str(DOMAIN)}, id="no such account"),
        pytest.param({"scope": "account"}, id="no account"),
    ],
)
def test_a_suppression_that_cannot_be_is_not_made(
    manager: ElementManager, caplog: pytest.LogCaptureFixture, changes: dict[str, tp.Any]
) -> None:
    manager.declare("instances.suppressions", SUPPRESSION, **suppression(**changes))
    manager.loop(1)
    assert rows("SELECT uuid FROM mail_suppressions") == []
    assert "Error creating resource" in caplog.text
    manager.declare("instances.suppressions", SUPPRESSION, **suppression())
    manager.loop()
    assert manager.is_settled("instances.suppressions", SUPPRESSION)


def test_a_manifest_suppresses_nobody_in_another_project(
    manager: ElementManager, api: api_client.Client, caplog: pytest.LogCaptureFixture
) -> None:
    theirs = api.instance().rpartition("/")[2]
    manager.declare("instances.suppressions", SUPPRESSION, **suppression(instance=theirs))
    manager.declare("instances.webhooks", WEBHOOK, **webhook(instance=theirs))
    manager.loop()
    said = "project_id: must be the project of the instance"
    assert caplog.text.count(said) >= 2
    assert rows("SELECT uuid FROM mail_suppressions") == []
    assert rows("SELECT uuid FROM mail_webhooks") == []


@pytest.mark.parametrize("gone", ["account", "instance"])
def test_a_declared_suppression_goes_with_what_it_is_of(
    manager: ElementManager, api: api_client.Client, gone: str
) -> None:
    manager.declare("instances.accounts", ACCOUNT, **account())
    manager.declare("instances.suppressions", SUPPRESSION, **suppression(account=str(ACCOUNT)))
    manager.declare("instances.webhooks", WEBHOOK, **webhook())
    manager.loop()
    manager.withdraw("instances.accounts", ACCOUNT)
    if gone == "instance":
        manager.withdraw("instances", INSTANCE)
        manager.withdraw("instances.webhooks", WEBHOOK)
    manager.withdraw("instances.suppressions", SUPPRESSION)
    manager.loop(4)
    sealed.take_in()
    assert rows("SELECT uuid FROM mail_suppressions") == []
    left = {resource.kind for resource in ua_models.Resource.objects.get_all()}
    assert left == {
        f"{PREFIX}{kind}"
        for kind in (
            ("versions",) if gone == "instance" else ("versions", "instances", "instances_webhooks")
        )
    }
    assert api


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="as it is"),
        pytest.param({"url": "HTTPS://Hooks.Example.com:443"}, id="url in another spelling"),
        pytest.param({"events": ["message.failed"] * 2}, id="an event twice"),
        pytest.param({"instance": f"/v1/types/mail/instances/{INSTANCE}"}, id="instance by URI"),
        pytest.param({"active": False, "description": "d"}, id="inactive"),
    ],
)
def test_a_webhook_settles_however_it_is_spelled_and_fares(
    manager: ElementManager, api: api_client.Client, changes: dict[str, tp.Any]
) -> None:
    manager.declare("instances.webhooks", WEBHOOK, **webhook(**changes))
    for _ in range(3):
        # What is told when it is made, too.
        manager.loop(1)
        ((told,),) = rows("SELECT string_agg(value::text, '') FROM ua_actual_resources")
        assert "whsec_" not in told
    assert manager.is_settled("instances.webhooks", WEBHOOK)
    assert marked(webhook_config.COLLECTION) == {"0"}
    (shown,) = api.admin().get(f"{api_client.INSTANCES}{INSTANCE}/webhooks/")
    assert (shown["uuid"], shown["events"]) == (str(WEBHOOK), ["message.failed"])
    assert (shown["error"], len(shown["signing_keys"])) == ("", 1)
    # What a node tells changes with each event.
    rows("UPDATE mail_webhooks SET status = 'FAILING', waiting = 7, last_error = 'refused'")
    before = gservice.row_versions()
    manager.loop()
    assert gservice.row_versions() == before
    assert manager.is_settled("instances.webhooks", WEBHOOK)
    (actual,) = manager._of(ua_models.Resource, "instances.webhooks", WEBHOOK)
    (secrets,) = rows("SELECT secrets::text FROM mail_webhooks")[0]
    assert (actual.status, "whsec_" in secrets) == ("ACTIVE", True)
    assert not {"secrets", "secret_key", "waiting", "declared"} & actual.value.keys()


def test_a_declared_webhook_keeps_its_secret_and_is_put_right(
    manager: ElementManager, api: api_client.Client
) -> None:
    path = f"{api_client.INSTANCES}{INSTANCE}/webhooks/"
    kept = api.admin().post(path, {"url": "https://a.example.com/", "events": ["message.failed"]})
    manager.declare("instances.webhooks", WEBHOOK, **webhook())
    manager.loop()
    # Nobody was shown its first secret.
    rotated = api.admin().call(
        "POST", f"{path}{WEBHOOK}/actions/rotate_secret/invoke", {"overlap_hours": 0}
    )
    secrets = rows("SELECT secrets::text FROM mail_webhooks WHERE uuid = %s", str(WEBHOOK))
    assert rotated.json["secret_key"] in secrets[0][0]
    api.admin().patch(f"{path}{WEBHOOK}", {"url": "https://b.example.com/", "active": False})
    manager.loop()
    assert manager.is_settled("instances.webhooks", WEBHOOK)
    shown = api.admin().get(f"{path}{WEBHOOK}")
    assert (shown["url"], shown["active"]) == ("https://hooks.example.com/mail", False)

    manager.declare("instances.webhooks", WEBHOOK, **webhook(url="https://c.example.com/"))
    marked(webhook_config.COLLECTION)
    manager.loop()
    assert marked(webhook_config.COLLECTION) == {"0"}
    assert api.admin().get(f"{path}{WEBHOOK}")["url"] == "https://c.example.com/"
    assert rows("SELECT secrets::text FROM mail_webhooks WHERE uuid = %s", str(WEBHOOK)) == secrets

    manager.withdraw("instances.webhooks", WEBHOOK)
    manager.loop()
    assert [each["uuid"] for each in api.admin().get(path)] == [kept["uuid"]]


SECRET = "whsec_" + 43 * "A" + "="


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        *(
            (
                {name: value},
                f"{name}: cannot be declared: it is made here, and shown by rotate_secret",
            )
            for name, value in (
                ("secret_key", SECRET),
                ("secrets", {str(WEBHOOK): {"secret": SECRET}}),
                ("signing_keys", []),
            )
        ),
        ({"status": "ACTIVE"}, "status: cannot be declared: it is what the node tells"),
        ({"revision": 7}, "revision: cannot be declared: it is what the node tells"),
        ({"url": "http://hooks.example.com/"}, "url: must begin with https://"),
        ({"url": f"https://{INSTANCE}@example.com/"}, "url: must hold no user name"),
        ({"events": []}, "events: must be a list of one or more of "),
        ({"active": "yes"}, "active: must be true or false"),
    ],
)
def test_what_is_not_applied_to_a_webhook_is_told_and_holds_no_secret(
    manager: ElementManager,
    api: api_client.Client,
    caplog: pytest.LogCaptureFixture,
    changes: dict[str, tp.Any],
    said: str,
) -> None:
    manager.declare("instances.webhooks", WEBHOOK, **webhook())
    manager.loop()
    path = f"{api_client.INSTANCES}{INSTANCE}/webhooks/{WEBHOOK}"
    before = {**api.admin().get(path), "updated_at": ""}
    manager.declare("instances.webhooks", WEBHOOK, **webhook(**changes))
    manager.loop()
    shown = {**api.admin().get(path), "updated_at": ""}
    assert shown["error"].startswith(said)
    assert {**shown, "error": ""} == before
    (secrets,) = rows("SELECT concat(secrets, declared) FROM mail_webhooks")[0]
    assert SECRET not in caplog.text + shown["error"] + secrets
    written = gservice.row_versions()
    manager.loop()
    assert gservice.row_versions() == written
    other = sys_uuid.uuid4()
    manager.declare("instances.webhooks", WEBHOOK, **webhook())
    # One that is not there yet is not made.
    manager.declare("instances.webhooks", other, **webhook(**changes))
    manager.loop()
    assert manager.is_settled("instances.webhooks", WEBHOOK)
    assert rows("SELECT uuid FROM mail_webhooks") == [(WEBHOOK,)]
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="as it is"),
        pytest.param({"domain": "*.Bank.Example"}, id="domain in capitals"),
        pytest.param({"domain": "*"}, id="all domains"),
        pytest.param({"domain": "b\u00fccher.example"}, id="IDN"),
        pytest.param({"instance": f"/v1/types/mail/instances/{INSTANCE}"}, id="instance by URI"),
        pytest.param({"mode": "mta_sts", "name": "bank", "description": "d"}, id="mode and name"),
    ],
)
def test_a_tls_policy_settles_however_it_is_spelled(
    manager: ElementManager, api: api_client.Client, changes: dict[str, tp.Any]
) -> None:
    manager.declare("instances.tls_policies", POLICY, **tls_policy(**changes))
    manager.loop()
    assert manager.is_settled("instances.tls_policies", POLICY)
    (shown,) = api.admin().get(f"{api_client.INSTANCES}{INSTANCE}/tls_policies/")
    assert (shown["uuid"], shown["mode"], shown["error"], "declared" in shown) == (
        *(str(POLICY), changes.get("mode", "verify"), "", False),
    )
    assert shown["domain"].isascii()
    before = gservice.row_versions()
    manager.loop()
    assert gservice.row_versions() == before


def test_a_declared_tls_policy_is_put_right_and_goes_with_its_declaration(
    manager: ElementManager, api: api_client.Client
) -> None:
    path = f"{api_client.INSTANCES}{INSTANCE}/tls_policies/"
    kept = api.admin().post(path, {"domain": "*", "mode": "encrypt"})
    manager.declare("instances.tls_policies", POLICY, **tls_policy())
    manager.loop()

    def touched_at() -> datetime.datetime:
        ((at,),) = rows("SELECT updated_at FROM mail_instances")
        return tp.cast("datetime.datetime", at)

    for put_wrong in (
        lambda: api.admin().patch(f"{path}{POLICY}", {"mode": "auto"}),
        lambda: api.admin().delete(f"{path}{POLICY}"),
    ):
        put_wrong()
        before = touched_at()
        manager.loop()
        assert manager.is_settled("instances.tls_policies", POLICY)
        assert api.admin().get(f"{path}{POLICY}")["mode"] == "verify"
        # A builder has something to tell the node.
        assert touched_at() > before

    manager.withdraw("instances.tls_policies", POLICY)
    manager.loop()
    assert api.admin().get(path) == [kept]


def test_a_declared_tls_policy_waits_for_a_users_to_go(
    manager: ElementManager, api: api_client.Client
) -> None:
    path = f"{api_client.INSTANCES}{INSTANCE}/tls_policies/"
    made = api.admin().post(path, {"domain": "bank.example", "mode": "encrypt"})
    manager.declare("instances.tls_policies", POLICY, **tls_policy())
    manager.loop()
    assert api.admin().get(path) == [made]
    api.admin().delete(f"{path}{made['uuid']}")
    manager.loop()
    assert manager.is_settled("instances.tls_policies", POLICY)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mode": "always"}, "mode: must be one of auto, "),
        ({"domain": "other.example"}, "domain: cannot be changed by the manifest"),
        ({"domain": "no domain"}, "domain: "),
    ],
)
def test_what_is_not_applied_to_a_tls_policy_is_told_until_it_is_taken_back(
    manager: ElementManager, api: api_client.Client, changes: dict[str, tp.Any], said: str
) -> None:
    manager.declare("instances.tls_policies", POLICY, **tls_policy())
    manager.loop()
    path = f"{api_client.INSTANCES}{INSTANCE}/tls_policies/{POLICY}"
    before = {**api.admin().get(path), "updated_at": ""}
    manager.declare("instances.tls_policies", POLICY, **tls_policy(**changes))
    # One that is not there yet is not made.
    manager.declare("instances.tls_policies", WEBHOOK, **tls_policy(mode="x", domain="*"))
    manager.loop()
    shown = {**api.admin().get(path), "updated_at": ""}
    assert shown["error"].startswith(said)
    assert {**shown, "error": ""} == before
    written = gservice.row_versions()
    manager.loop()
    assert gservice.row_versions() == written
    manager.declare("instances.tls_policies", POLICY, **tls_policy())
    manager.loop()
    assert manager.is_settled("instances.tls_policies", POLICY)
    assert {**api.admin().get(path), "updated_at": ""} == before
    assert rows("SELECT uuid FROM mail_tls_policies") == [(POLICY,)]


def test_a_declared_tls_policy_goes_with_its_instance_and_is_of_its_project(
    manager: ElementManager, api: api_client.Client, caplog: pytest.LogCaptureFixture
) -> None:
    theirs = api.instance().rpartition("/")[2]
    manager.declare("instances.tls_policies", WEBHOOK, **tls_policy(instance=theirs))
    manager.declare("instances.tls_policies", POLICY, **tls_policy())
    manager.loop()
    assert "project_id: must be the project of the instance" in caplog.text
    assert rows("SELECT uuid FROM mail_tls_policies") == [(POLICY,)]
    for path, uuid in (
        ("instances", INSTANCE),
        ("instances.tls_policies", POLICY),
        ("instances.tls_policies", WEBHOOK),
    ):
        manager.withdraw(path, uuid)
    manager.loop(4)
    assert rows("SELECT uuid FROM mail_tls_policies") == []
    left = {resource.kind for resource in ua_models.Resource.objects.get_all()}
    assert left == {f"{PREFIX}versions"}
