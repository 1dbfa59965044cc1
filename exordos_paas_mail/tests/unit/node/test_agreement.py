# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What the control plane lets through is what the node takes."""

from __future__ import annotations

import dataclasses
import typing as tp

import hypothesis
import pytest
from hypothesis import strategies as st

from exordos_paas_mail import constants, driver, paas_models
from exordos_paas_mail.codecs import (
    domains,
    exim_conf,
    mail_env,
    passwd,
    password_hashes,
    relay_env,
    usernames,
)
from exordos_paas_mail.control_plane import targets
from exordos_paas_mail.node import parts, relay_plan
from exordos_paas_mail.tests.unit.node import agent_stage

SALT = "abcdefgh"


@hypothesis.given(
    st.from_regex(r"\A([a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?\.){1,5}[a-z]{2,9}\Z") | st.text()
)
def test_every_domain_and_hostname_of_an_instance_reaches_mail_env(value: str) -> None:
    try:
        domain = domains.normalise(value)
    except ValueError:
        return
    assert mail_env.parse(mail_env.render(domain)) == (domain, domain)
    assert mail_env.parse(mail_env.render("example.com", domain)) == ("example.com", domain)


@hypothesis.given(st.from_regex(r"\A[A-Za-z0-9!#$&'*+/=?^_`{|}~.-]{1,20}\Z"))
def test_every_username_of_an_account_reaches_the_account_file(value: str) -> None:
    try:
        username = usernames.normalise(value)
    except ValueError:
        return
    text = passwd.render([(username, "$6$salt$hash")], "example.com")
    assert passwd.parse(text, "example.com") == [(username, "$6$salt$hash")]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(f"$1${SALT}${'a' * 22}", id="MD5"),
        pytest.param(f"$5${SALT}${'a' * 43}", id="SHA-256"),
        pytest.param(f"$6${SALT}${'a' * 86}", id="SHA-512"),
        pytest.param(f"$6$rounds=10000${SALT}${'a' * 86}", id="SHA-512 with rounds"),
        pytest.param(f"$y$j9T${SALT}${'a' * 43}", id="yescrypt"),
        pytest.param(f"$2b$12${'a' * 53}", id="bcrypt"),
        pytest.param(f"{{SHA512-CRYPT}}$6${SALT}${'a' * 86}", id="behind a prefix"),
    ],
)
def test_every_hash_of_an_account_reaches_the_account_file(value: str) -> None:
    password_hash = password_hashes.normalise(value)
    text = passwd.render([("alice", password_hash)], "example.com")
    assert passwd.parse(text, "example.com") == [("alice", password_hash)]


def test_every_setting_of_the_relay_can_be_set_by_its_name() -> None:
    fields = [
        field
        for field in dataclasses.fields(exim_conf.Settings)
        if field.name not in {"domain", "hostname"}
    ]
    defaults = {field.name: tp.cast("relay_env.Value", field.default) for field in fields}

    assert relay_env.parse(relay_env.render(defaults), relay_plan._kinds()) == defaults


def test_each_part_of_a_node_is_a_field_that_travels() -> None:
    assert targets.PARTS.keys() == parts.PARTS.keys()
    for model in (driver.MailInstanceNode, paas_models.MailInstanceNode):
        assert parts.PARTS.keys() <= set(model.properties.properties)


@pytest.mark.parametrize("untold", [None, *targets.PARTS])
def test_a_part_that_is_not_told_does_not_travel(untold: str | None) -> None:
    told: dict[str, tp.Any] = {field: "" for field in targets.PARTS if field != untold}
    uuid = agent_stage.UUID
    sent = paas_models.MailInstanceNode(uuid=uuid, name="node", domain="example.com", **told)
    assert sent.to_ua_resource().value == {
        "uuid": str(uuid),
        "name": "node",
        "domain": "example.com",
        **told,
    }
    taken = driver.MailInstanceNode.from_ua_resource(sent.to_ua_resource())
    reported = taken.to_ua_resource(constants.INSTANCE_NODE_KIND)
    assert parts.PARTS.keys() <= reported.value.keys()
    assert reported.hash == sent.to_ua_resource().hash
