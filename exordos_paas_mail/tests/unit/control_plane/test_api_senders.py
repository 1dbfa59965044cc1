# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Who may send as whom, by the API and in what a node should hold."""

from __future__ import annotations

import typing as tp

import pytest

from exordos_paas_mail import models
from exordos_paas_mail.control_plane import targets
from exordos_paas_mail.control_plane.records import sender_rows
from exordos_paas_mail.tests.unit.control_plane import api_client


def file(instance: str) -> str:
    (found,) = models.MailInstance.objects.get_all(filters={})
    assert instance.endswith(str(found.uuid))
    return targets.texts(None, found)["senders"]


def test_senders_are_stored_in_one_spelling_and_reach_the_node(api: api_client.Client) -> None:
    instance = api.instance(domain="xn--mller-kva.example")
    account = api.account(instance, senders=["own", "NoReply@m\xfcller.example"])
    assert api.get(instance)["sender_policy"] == "domain"
    assert api.get(account)["senders"] == ["own", "noreply@xn--mller-kva.example"]
    line = "noreply@xn--mller-kva.example:noreply@xn--mller-kva.example;own\n"
    assert file(instance) == f"*:domain\n{line}.:2\n"

    api.patch(instance, {"sender_policy": "account"})
    assert api.patch(account, {"senders": None})["senders"] is None
    assert file(instance) == "*:own\n.:1\n"


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ([], "senders: must be null, or a list of 1 to 100 entries"),
        (["own"] * 101, "senders: must be null, or a list of 1 to 100 entries"),
        ("own", "senders: must be null, or a list of 1 to 100 entries"),
        (["own", "own"], "senders: entry 2: is the same as entry 1"),
        (["own", "a@elsewhere.example"], "senders: entry 2: its domain is not a domain"),
        (["a*@mail.example.com"], "senders: entry 1: "),
        (["${run{x}}@mail.example.com"], "senders: entry 1: "),
    ],
)
def test_a_bad_entry_is_a_400_that_names_it(api: api_client.Client, bad: tp.Any, said: str) -> None:
    account = api.account(api.instance())
    status, message = api.refused("PATCH", account, {"senders": bad})
    assert status == 400
    assert message.startswith(said)
    assert api.get(account)["senders"] is None


def test_accounts_are_found_by_their_senders(api: api_client.Client) -> None:
    instance = api.instance()
    api.account(instance)
    entitled = api.account(instance, "entitled", senders=["own"])
    shown = api.get(f"{instance}/accounts/?senders=own")
    assert [each["uuid"] for each in shown] == [entitled.rpartition("/")[2]]
    shown = api.get(f"{instance}/accounts/?q=senders%3Dnull")
    assert [each["username"] for each in shown] == ["noreply"]
    for query, said in (
        ("senders=null", "senders: ask for null by q=senders=null"),
        ("senders=own&senders=own", "senders: must be given once"),
        (
            "sort_key=senders",
            "sort_key: must be one of uuid, name, username, created_at, updated_at",
        ),
    ):
        assert api.refused("GET", f"{instance}/accounts/?{query}") == (400, said)


def test_an_instance_has_so_many_entries_at_most(
    api: api_client.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_rows, "ENTRIES_MAX", 3)
    instance = api.instance()
    account = api.account(instance, "a", senders=["own", "*@mail.example.com"])
    body = {
        "username": "b",
        "password_hash": api_client.HASH,
        "senders": ["own", "own@mail.example.com"],
    }
    status, message = api.refused("POST", f"{instance}/accounts/", body)
    assert (status, message.partition(":")[0]) == (400, "senders")
    # Its own entries, which are replaced, do not count.
    api.patch(account, {"senders": ["own", "b@mail.example.com", "c@mail.example.com"]})
    status, message = api.refused("POST", f"{instance}/accounts/", {**body, "senders": ["own"]})
    assert (status, message.partition(":")[0]) == (400, "senders")


def test_a_domain_that_entries_name_is_not_deleted(api: api_client.Client) -> None:
    instance = api.instance()
    domain = api.domain(instance, "example.org")
    account = api.account(instance, senders=["*@*.example.org"])
    assert api.refused("DELETE", domain) == (
        409,
        "domain: is used in senders of 1 account(s): remove it there first",
    )
    api.patch(account, {"senders": ["own"]})
    api.delete(domain)
