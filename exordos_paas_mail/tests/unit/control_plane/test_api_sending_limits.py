# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""How much may be sent, by the API and in what a node should hold."""

from __future__ import annotations

import typing as tp

import pytest

from exordos_paas_mail import models
from exordos_paas_mail.codecs import limits
from exordos_paas_mail.control_plane import targets
from exordos_paas_mail.tests.unit.control_plane import api_client, gservice

NONE = dict(limits.NONE)


def file() -> str:
    return targets.texts(None, models.MailInstance.objects.get_one())["limits"]


def test_limits_are_shown_as_they_were_given_and_reach_the_node(api: api_client.Client) -> None:
    given = {"recipients_per_hour": 500, "message_size_mb": 10}
    instance = api.instance(limits=given)
    account = api.account(
        instance, limits={"recipients_per_day": 7, "message_size_mb": 20}, on_limit="hold"
    )
    api.account(instance, "plain")
    assert api.get(instance)["limits"] == {**NONE, **given}
    assert api.get(account)["limits"] == {**NONE, "recipients_per_day": 7, "message_size_mb": 20}
    assert file() == ("*:hour=500 size=10\nnoreply@mail.example.com:day=7 size=10 on=hold\n.:2\n")

    # What is left out is no limit.
    changed = api.patch(account, {"limits": {"recipients_per_message": 3}, "on_limit": "defer"})
    assert changed["limits"] == {**NONE, "recipients_per_message": 3}
    assert api.patch(instance, {"limits": {}})["limits"] == NONE
    assert file() == "*:\nnoreply@mail.example.com:message=3\n.:2\n"

    # The limits of an account that is switched off are nobody's.
    api.patch(account, {"active": False})
    assert file() == "*:\n.:1\n"


def test_the_same_limits_again_write_nothing(api: api_client.Client) -> None:
    instance = api.instance(limits={"recipients_per_hour": 5})
    account = api.account(instance, limits={"recipients_per_day": 7}, on_limit="reject")
    before = gservice.row_versions()
    api.patch(instance, {"limits": {"recipients_per_hour": 5, "recipients_per_day": None}})
    api.patch(account, {"limits": {"recipients_per_day": 7}, "on_limit": "reject"})
    assert gservice.row_versions() == before


def test_a_change_of_a_limit_wakes_the_builders(api: api_client.Client) -> None:
    instance = api.instance()
    account = api.account(instance)
    for changes in ({"limits": {"recipients_per_day": 7}}, {"on_limit": "reject"}):
        before = api.get(instance)["updated_at"]
        api.patch(account, changes)
        assert api.get(instance)["updated_at"] > before


_EACH = ", ".join(limits.FIELDS)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (None, "limits: must"),
        ([], "limits: must be an object"),
        ("500", "limits: must be an object"),
        ({"recipients_per_week": 1}, f"limits: takes no fields but {_EACH}"),
        *(
            (
                {"recipients_per_hour": number},
                "limits: recipients_per_hour must be null, or an integer from 1 to 1000000000",
            )
            for number in (0, -1, 1.5, "1", True, 10**9 + 1, [1])
        ),
        (
            {"message_size_mb": 2048},
            "limits: message_size_mb must be null, or an integer from 1 to 2047",
        ),
    ],
)
def test_a_bad_limit_is_a_400_that_names_it(api: api_client.Client, bad: tp.Any, said: str) -> None:
    instance = api.instance()
    account = api.account(instance)
    for path in (instance, account):
        status, message = api.refused("PATCH", path, {"limits": bad})
        assert status == 400
        assert message.startswith(said)
        assert api.get(path)["limits"] == NONE
    assert api.refused("PATCH", account, {"on_limit": "drop"})[0] == 400
