# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Domains and DKIM keys between the control plane and a node."""

from __future__ import annotations

import base64
import uuid as sys_uuid

from restalchemy.storage.sql import engines

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import dkim, dkim_values
from exordos_paas_mail.control_plane.records import dkim_keys, domains
from exordos_paas_mail.tests.unit.control_plane import gservice
from exordos_paas_mail.tests.unit.control_plane import stage as stages

PRIMARY = "mail.example.com"
ONE, TWO, THREE = (base64.b64encode(octets).decode() for octets in (b"one", b"two", b"three"))
IMAGE_LACKS = (
    "the node's image is older than this control plane and cannot send for its further domains:"
    " set the instance's version again to get the image it has now"
)


def told(*keys: tuple[str, str, str]) -> str:
    return dkim_values.render(dkim_values.Value(d, s, dkim.RSA, key) for d, s, key in keys)


def see(domain: str, selector: str) -> None:
    uuid, now = sys_uuid.UUID(domain), utils.now()
    with engines.engine_factory.get_engine().session_manager() as session:
        domains.observe(session, uuid, seen=True, now=now)
        dkim_keys.observe(session, uuid, {selector}, set(), 0, now)


def test_a_domain_sends_once_its_key_was_made_and_seen(stage: stages.Stage) -> None:
    node = stage.serving()
    made = stage.api.post(f"{stage.path}/domains/", {"domain": "example.org"})
    selector = made["dkim_selector"]
    stage.services.tick(2)
    line = f"{PRIMARY}:send:platform/rsa/sign\n"
    assert node.target()["domains"] == f"example.org:pending:{selector}/rsa/hold\n{line}"
    node.report(dkim_keys=told((PRIMARY, "platform", ONE), ("example.org", selector, TWO)))
    stage.services.tick(2)
    keys = stage.api.dkim_keys(f"{stage.path}/domains/{made['uuid']}")
    assert keys[selector]["public_key"] == TWO
    assert stage.shown("dkim_public_key", "dkim_selector") == (
        dkim.value_for(dkim.RSA, ONE),
        "platform",
    )
    see(made["uuid"], selector)
    stage.services.tick(2)
    assert node.target()["domains"] == f"example.org:send:{selector}/rsa/sign\n{line}"
    stage.api.patch(f"{stage.path}/domains/{made['uuid']}", {"active": False})
    stage.services.tick(2)
    assert node.target()["domains"] == f"example.org:inactive:{selector}/rsa/sign\n{line}"
    stage.api.delete(f"{stage.path}/domains/{made['uuid']}")
    stage.services.tick(2)
    assert node.target()["domains"] == line


def test_a_report_that_says_the_same_again_writes_nothing(stage: stages.Stage) -> None:
    node = stage.serving()
    node.report(dkim_keys=told((PRIMARY, "platform", ONE)))
    stage.services.tick(3)
    before = gservice.row_versions()
    node.report(dkim_keys=told((PRIMARY, "platform", ONE)), error="")
    stage.services.tick(3)
    assert gservice.row_versions() == before


def test_a_primary_key_that_was_made_anew_is_told_until_dns_shows_it(stage: stages.Stage) -> None:
    node = stage.serving()
    for key in (ONE, TWO):
        node.report(dkim_keys=told((PRIMARY, "platform", key)))
        stage.services.tick(2)
    assert stage.shown("status", "error", "dkim_public_key") == (
        "ACTIVE",
        "the DKIM key platform of mail.example.com was lost and made anew: publish its record,"
        " until then receivers cannot verify what is sent",
        dkim.value_for(dkim.RSA, TWO),
    )
    see(stage.api.primary(stage.path).rpartition("/")[2], "platform")
    node.report(dkim_keys=told((PRIMARY, "platform", TWO)), error="x")
    stage.services.tick(2)
    node.report(dkim_keys=told((PRIMARY, "platform", TWO)))
    stage.services.tick(2)
    assert stage.shown("error") == ("",)


def test_keys_that_make_no_sense_are_not_taken_over(stage: stages.Stage) -> None:
    node = stage.serving()
    node.report(dkim_keys="nonsense\n")
    stage.services.tick(2)
    assert stage.shown("status", "dkim_public_key") == ("ACTIVE", stages.DKIM)


def test_an_image_without_domains_is_told_if_there_are_any(stage: stages.Stage) -> None:
    node = stage.serving()
    node.report({"domains"}, dkim_public_key=stages.DKIM)
    stage.services.tick(2)
    assert stage.shown("status", "error") == ("ACTIVE", "")
    assert "domains" not in node.target()
    stage.api.domain(stage.path)
    stage.services.tick(2)
    assert stage.shown("status", "error") == ("ACTIVE", IMAGE_LACKS)
    node.report(dkim_public_key=stages.DKIM)
    stage.services.tick(2)
    assert "example.org:pending:" in node.target()["domains"]
    assert stage.shown("status", "error") == ("ACTIVE", "")
