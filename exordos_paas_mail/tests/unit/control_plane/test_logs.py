# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""At DEBUG, the level of a runtime without a logging.yaml, no secret is logged."""

from __future__ import annotations

import logging

import pytest
from exordos_metapaas.common import log as runtime
from restalchemy.api.middlewares import logging as middleware
from restalchemy.storage.sql import sessions

from exordos_paas_mail.control_plane.runtime import log_filters
from exordos_paas_mail.tests.unit.control_plane import api_client
from exordos_paas_mail.tests.unit.control_plane import stage as stages

PASSWORD = "Tr0ub4dor&3"


def test_a_runtime_without_a_logging_file_logs_at_debug() -> None:
    assert runtime.DEFAULT_CONFIG["root"]["level"] == "DEBUG"


def test_no_log_of_a_request_has_its_secret(
    api: api_client.Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    instance = api.instance()
    account = api.account(instance, password=PASSWORD)
    api.patch(account, {"password": PASSWORD})
    api.patch(account, {"password_hash": api_client.HASH_2})
    api.refused("POST", f"{instance}/accounts/", {"username": 5, "password": PASSWORD})
    api.refused("POST", f"{instance}//accounts/", {"username": "a b", "password": PASSWORD})
    api.delete(instance)
    assert "API > POST" in caplog.text
    assert "INSERT INTO" in caplog.text
    for secret in (PASSWORD, api_client.HASH_2, "$6$"):
        assert secret not in caplog.text


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO])
def test_what_a_client_sent_in_place_of_a_name_is_in_the_answer_and_in_no_log(
    api: api_client.Client, caplog: pytest.LogCaptureFixture, level: int
) -> None:
    caplog.set_level(level)
    instance = api.instance()
    accounts = f"{instance}/accounts/"
    answers = [
        api.refused("POST", accounts, {"username": "a", PASSWORD: 1}),
        api.refused("PATCH", instance, {PASSWORD: 1}),
        api.refused("GET", f"{accounts}?hunter2=1"),
    ]
    if level == logging.INFO:
        # At DEBUG the platform logs each expression that it reads, whoever's.
        answers.append(api.refused("GET", f"{accounts}?q=hunter2%3D1"))
        answers.append(api.refused("GET", f"{accounts}?q=username%3D%22a%22%20hunter2"))
    assert {status for status, _ in answers} == {400}
    assert PASSWORD in answers[0][1]
    assert "hunter2" in answers[2][1]
    api.get(f"{accounts}?username=hunter2")
    assert f"{accounts}?<not logged>" in caplog.text
    for secret in (PASSWORD, "hunter2"):
        assert secret not in caplog.text
    # What else is wrong with a request is told.
    api.refused("PATCH", instance, {"cpu": 0})
    assert "cpu: must be an integer from 1 to 128" in caplog.text


def test_nor_is_a_body_whose_path_has_a_slash_too_many(
    api: api_client.Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    accounts = f"{api.instance()}/accounts/".replace("/types/", "/types//")
    api.post(accounts, {"username": "app", "password": PASSWORD})
    api.get(f"{accounts}?username=hunter2")
    assert f"{accounts}?<not logged>" in caplog.text
    for secret in (PASSWORD, "hunter2"):
        assert secret not in caplog.text


def test_an_answer_that_shows_a_secret_once_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    answer = b'{"uuid":"1","secret_key":"hunter2"}'
    logging.getLogger(middleware.__name__).debug(
        "API < %s %s headers=%s body=%r", 201, "POST http://cp/v1/types/mail/", [], answer
    )
    assert [record.getMessage() for record in caplog.records] == [
        "API < 201 POST http://cp/v1/types/mail/ headers=[] body='<not logged>'"
    ]


def test_no_log_of_a_builder_has_a_hash_or_a_key(
    stage: stages.Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    stage.api.account(stage.path)
    node = stage.serving()
    assert stages.SEED in node.target()["passwd"]
    key = stage.core.node_keys[str(node.uuid)]
    assert "ua_target_resources" in caplog.text
    for secret in (stages.SEED, key):
        assert secret not in caplog.text


def test_what_others_log_stays_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    request = logging.getLogger(middleware.__name__)
    request.debug("API > %s headers=%s body=%r", "POST http://cp/v1/types/s3/", [], "a body")
    statement = logging.getLogger(sessions.__name__)
    statement.debug("Execute statement %s with values %s", "UPDATE s3_users", ("a value",))
    assert [record.getMessage() for record in caplog.records] == [
        "API > POST http://cp/v1/types/s3/ headers=[] body='a body'",
        "Execute statement UPDATE s3_users with values ('a value',)",
    ]


def test_the_filters_are_there_once() -> None:
    loggers = [logging.getLogger(module.__name__) for module in (middleware, sessions)]
    before = [list(logger.filters) for logger in loggers]
    log_filters.install()
    assert [logger.filters for logger in loggers] == before
    assert [len(filters) for filters in before] == [1, 1]
