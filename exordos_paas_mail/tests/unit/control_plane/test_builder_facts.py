# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What an instance shows of its nodes, and what a pass costs."""

from __future__ import annotations

from gcl_sdk.agents.universal.dm import models as ua_models

from exordos_paas_mail.control_plane import targets
from exordos_paas_mail.control_plane.reconcile import losses
from exordos_paas_mail.tests.unit.control_plane import gservice
from exordos_paas_mail.tests.unit.control_plane import stage as stages


def test_a_node_set_without_nodes_is_waited_for(stage: stages.Stage) -> None:
    stage.asked_for()
    stage.core.set_status(stage.uuid, "ACTIVE")
    stage.services.tick(3)
    assert stage.shown("status", "ipsv4") == ("IN_PROGRESS", [])
    assert stage.core.configs == {}
    assert gservice.target_kinds() == ["mail_instance_iaas", "node_set"]


def test_a_node_without_an_address_is_configured_and_not_shown(stage: stages.Stage) -> None:
    node = stage.with_node(ipv4=None)
    assert stage.shown("status", "ipsv4") == ("IN_PROGRESS", [])
    assert [c["target"] for c in stage.core.configs.values()] == [
        {"kind": "node", "node": str(node.uuid)}
    ]
    stage.core.set_address(stage.uuid, node.uuid, "10.0.0.9")
    stage.services.tick(2)
    assert stage.shown("ipsv4") == (["10.0.0.9"],)


def test_an_active_instance_stays_so_when_its_targets_are_made_anew(stage: stages.Stage) -> None:
    stage.serving()
    # As after a restore of a database that lacks them.
    for target in ua_models.TargetResource.objects.get_all():
        if target.kind in ("mail_instance", "mail_instance_node"):
            target.delete()
    seen = []
    for _ in range(3):
        for one_pass in ("core_pass", "infra_pass", "paas_pass"):
            getattr(stage.services, one_pass)()
            seen.append(stage.shown("status", "dkim_public_key"))
    assert set(seen) == {("ACTIVE", stages.DKIM)}
    assert "mail_instance_node" in gservice.target_kinds()


def test_an_instance_is_active_once_its_node_has_applied_it(stage: stages.Stage) -> None:
    seen = []
    node = stage.infra_active()
    seen.append(stage.shown("status"))
    node.register()
    stage.services.tick(2)
    seen.append(stage.shown("status"))
    node.report(dkim_public_key=stages.DKIM, dkim_selector="platform")
    stage.services.tick(2)
    assert seen == [("IN_PROGRESS",), ("IN_PROGRESS",)]
    assert stage.shown("status", "error", "ipsv4", "dkim_public_key", "dkim_selector") == (
        "ACTIVE",
        "",
        ["10.0.0.5"],
        stages.DKIM,
        "platform",
    )


def test_the_status_never_falls_back_on_the_way(stage: stages.Stage) -> None:
    seen = [stage.shown("status")[0]]

    def note() -> None:
        status = stage.shown("status")[0]
        if status != seen[-1]:
            seen.append(status)

    for one_pass in ("core_pass", "infra_pass", "paas_pass") * 3:
        getattr(stage.services, one_pass)()
        note()
    node = gservice.Node(stage.core.add_node(stage.uuid, "10.0.0.5"))
    stage.core.set_status(stage.uuid, "ACTIVE")
    for rounds in range(12):
        for one_pass in ("core_pass", "infra_pass", "paas_pass"):
            getattr(stage.services, one_pass)()
            note()
        if rounds == 3:
            node.register()
        if rounds == 6:
            node.report(dkim_public_key=stages.DKIM)
        if rounds == 8:
            stage.api.account(stage.path)
    assert seen == ["NEW", "IN_PROGRESS", "ACTIVE"]


def test_a_settled_instance_costs_no_write_and_no_request(stage: stages.Stage) -> None:
    node = stage.serving()
    stage.api.account(stage.path)
    stage.services.tick(2)
    node.report(dkim_public_key=stages.DKIM)
    stage.services.tick(2)
    before = gservice.row_versions()
    stage.services.infra_pass()
    stage.services.paas_pass()
    stage.core.requests.clear()
    stage.services.infra_pass()
    stage.services.paas_pass()
    assert gservice.row_versions() == before
    assert stage.core.requests == []


def test_a_pass_for_an_account_writes_no_column_of_the_instance(stage: stages.Stage) -> None:
    stage.serving()
    stage.api.account(stage.path)
    before = gservice.row_versions()["mail_instances"]
    stage.services.infra_pass()
    stage.services.paas_pass()
    assert gservice.row_versions()["mail_instances"] == before


def test_facts_leave_the_time_of_the_last_wish_alone(stage: stages.Stage) -> None:
    wished = stage.shown("updated_at")
    stage.serving()
    assert stage.shown("status", "updated_at") == ("ACTIVE", *wished)


def test_an_error_of_core_is_shown_and_recovers(stage: stages.Stage) -> None:
    stage.serving()
    stage.core.set_status(stage.uuid, "ERROR")
    stage.services.tick(2)
    assert stage.shown("status", "error") == ("ERROR", "the node set is in the ERROR status")
    stage.core.set_status(stage.uuid, "ACTIVE")
    stage.services.tick(2)
    assert stage.shown("status", "error") == ("ACTIVE", "")


def test_an_error_of_the_node_is_shown_and_recovers(stage: stages.Stage) -> None:
    node = stage.serving()
    node.report(status="ERROR", error="exim4 did not reload", dkim_public_key=stages.DKIM)
    stage.services.tick(2)
    assert stage.shown("status", "error") == ("ERROR", "exim4 did not reload")
    # A pass of the other builder computes the same, whatever wakes it.
    stage.api.patch(stage.path, {"cpu": 2})
    stage.services.infra_pass()
    assert stage.shown("status", "error") == ("ERROR", "exim4 did not reload")
    node.report(dkim_public_key=stages.DKIM)
    stage.services.tick(2)
    stage.core.set_status(stage.uuid, "ACTIVE")
    stage.services.tick(2)
    assert stage.shown("status", "error") == ("ACTIVE", "")


def test_the_dkim_key_survives_a_report_without_it(stage: stages.Stage) -> None:
    node = stage.serving()
    node.report(dkim_public_key="", dkim_selector="")
    stage.services.tick(2)
    assert stage.shown("dkim_public_key", "dkim_selector") == (stages.DKIM, "platform")


def test_a_new_dkim_key_replaces_the_old(stage: stages.Stage) -> None:
    node = stage.serving()
    node.report({"domains"}, dkim_public_key="v=DKIM1; k=rsa; p=NEW", dkim_selector="second")
    stage.services.tick(2)
    assert stage.shown("dkim_public_key", "dkim_selector") == ("v=DKIM1; k=rsa; p=NEW", "second")


def test_a_part_that_the_image_of_a_node_lacks_is_not_sent_and_told(stage: stages.Stage) -> None:
    node = stage.serving()
    stage.api.account(stage.path)
    stage.services.tick(2)
    node.report(lacking={"passwd"}, dkim_public_key=stages.DKIM)
    stage.services.tick(2)
    lost = (
        "ACTIVE",
        "the node's image is older than this control plane and cannot let its accounts log in:"
        " set the instance's version again to get the image it has now",
    )
    assert node.target() == {
        "uuid": str(node.agent),
        "name": "relay",
        "domain": "mail.example.com",
        "domains": "mail.example.com:send:platform/rsa/sign\n",
        "senders": "*:domain\n.:1\n",
        "limits": "*:\n.:1\n",
        "credentials": "",
        "holds": ".:0\n",
        "return_paths": ".:0\n",
        "tls_policies": ".:0\n",
    }
    assert stage.shown("status", "error") == lost
    before = gservice.row_versions()
    stage.services.tick(2)
    assert gservice.row_versions() == before
    # A pass of the other builder computes the same, whatever wakes it.
    stage.api.patch(stage.path, {"description": "other"})
    stage.services.infra_pass()
    assert stage.shown("status", "error") == lost
    # The node of the image that has the part reports it before it is told.
    node.report(dkim_public_key=stages.DKIM)
    stage.services.tick(2)
    assert node.target()["passwd"] == f"noreply@mail.example.com:{stages.SEED}\n"
    assert stage.shown("status", "error") == ("ACTIVE", "")


def test_a_part_that_the_image_lacks_and_the_instance_does_not_need_is_no_loss(
    stage: stages.Stage,
) -> None:
    node = stage.serving()
    node.report(lacking={"passwd"}, dkim_public_key=stages.DKIM)
    stage.services.tick(2)
    assert stage.shown("status", "error") == ("ACTIVE", "")


def test_senders_that_the_image_does_not_know_are_told_where_they_are_asked_for(
    stage: stages.Stage,
) -> None:
    said = (
        "the node's image is older than this control plane and cannot let its accounts send as"
        " other addresses than their own: set the instance's version again to get the image it"
        " has now"
    )
    node = stage.serving()
    account = stage.api.account(stage.path)
    node.report(lacking={"senders"}, dkim_public_key=stages.DKIM)
    for path, changes, error in (
        (stage.path, {"description": "the policy is domain"}, said),
        (stage.path, {"sender_policy": "account"}, ""),
        (account, {"senders": ["*@mail.example.com"]}, said),
        (account, {"active": False}, ""),
        (account, {"active": True, "senders": None}, ""),
    ):
        stage.api.patch(path, changes)
        stage.services.tick(2)
        assert "senders" not in node.target()
        assert stage.shown("error") == (error,)


def test_limits_that_the_image_does_not_know_are_told_where_they_are_asked_for(
    stage: stages.Stage,
) -> None:
    said = (
        "the node's image is older than this control plane and cannot hold its accounts to their"
        " limits: set the instance's version again to get the image it has now"
    )
    node = stage.serving()
    account = stage.api.account(stage.path)
    node.report(lacking={"limits"}, dkim_public_key=stages.DKIM)
    for path, changes, error in (
        (stage.path, {"limits": {"recipients_per_day": 9}}, said),
        (stage.path, {"limits": {}}, ""),
        (account, {"limits": {"recipients_per_day": 9}}, said),
        (account, {"active": False}, ""),
        (account, {"active": True, "limits": {}, "on_limit": "hold"}, ""),
    ):
        stage.api.patch(path, changes)
        stage.services.tick(2)
        assert "limits" not in node.target()
        assert stage.shown("error") == (error,)


def test_an_image_that_knows_no_mta_sts_is_told_another_mode_and_who_asks_for_it_is_told(
    stage: stages.Stage,
) -> None:
    said = (
        "the node's image is older than this control plane and cannot keep TLS policies of the mode"
        " mta_sts, and keeps them as verify: set the instance's version again to get the image it"
        " has now"
    )
    node = stage.serving()
    path = f"{stage.path}/tls_policies/"
    stage.api.post(path, {"domain": "*", "mode": "encrypt"})
    policy = path + stage.api.post(path, {"domain": "bank.example", "mode": "mta_sts"})["uuid"]
    before, after = (f"*:encrypt\n=bank.example:{mode}\n.:2\n" for mode in ("verify", "mta_sts"))
    stage.services.tick(2)
    assert (node.target()["tls_policies"], stage.shown("error")) == (after, ("",))
    # As it was before its image was exchanged for this one, and is after another's return.
    for _ in range(2):
        node.report(lacking={"mta_sts"}, dkim_public_key=stages.DKIM)
        stage.services.tick(2)
        assert (node.target()["tls_policies"], stage.shown("error")) == (before, (said,))
        node.report(lacking={"mta_sts"}, dkim_public_key=stages.DKIM)
        stage.services.tick(2)
        settled = gservice.row_versions()
        stage.services.tick(2)
        assert gservice.row_versions() == settled
        node.report(dkim_public_key=stages.DKIM)
        stage.services.tick(2)
        assert (node.target()["tls_policies"], stage.shown("error")) == (after, ("",))
    node.report(lacking={"mta_sts"}, dkim_public_key=stages.DKIM)
    stage.api.patch(policy, {"mode": "verify"})
    stage.services.tick(2)
    assert (node.target()["tls_policies"], stage.shown("error")) == (before, ("",))


def test_each_part_says_what_its_absence_costs() -> None:
    # A host name comes by mail.env and a certificate by a document; the node reports both, and
    # that it knows a mode of TLS policies, and names below a domain of a smarthost's.
    others = {"hostname", "tls", "smarthost", "smarthost_below", "mta_sts"}
    assert losses.LOSSES.keys() == {*others, *targets.PARTS}


def test_an_image_whose_smarthost_takes_no_names_below_a_domain_is_told_where_there_are_some(
    stage: stages.Stage,
) -> None:
    said = (
        'the node\'s image is older than this control plane and cannot take "*.domain" among the'
        " domains of its smarthost, and sends that mail by MX records: set the instance's version"
        " again to get the image it has now"
    )
    smarthost = {"kind": "host", "host": "smart.example", "username": "u", "password": "secret"}
    node = stage.serving()
    for domains, error in ((["a.example"], ""), (["a.example", "*.a.example"], said), (None, "")):
        stage.api.patch(stage.path, {"smarthost": {**smarthost, "domains": domains}})
        node.report(lacking={"smarthost_below"}, smarthost=True, dkim_public_key=stages.DKIM)
        stage.services.tick(2)
        assert stage.shown("error") == (error,)


def test_an_image_that_knows_no_host_names_is_told_where_one_is_asked_for(
    stage: stages.Stage,
) -> None:
    node = stage.serving()
    said = (
        "the node's image is older than this control plane and cannot call itself"
        " smtp.example.com: set the instance's version again to get the image it has now"
    )
    node.report(lacking=["hostname"], dkim_public_key=stages.DKIM)
    for hostname, error in (
        ("smtp.example.com", said),
        ("mail.example.com", ""),
        ("smtp.example.com", said),
        (None, ""),
        ("smtp.example.com", said),
    ):
        stage.api.patch(stage.path, {"hostname": hostname})
        stage.services.tick(2)
        assert stage.shown("status", "error") == ("ACTIVE", error)

    # The new image has started.
    node.report(dkim_public_key=stages.DKIM)
    stage.services.tick(2)
    assert stage.shown("status", "error") == ("ACTIVE", "")
