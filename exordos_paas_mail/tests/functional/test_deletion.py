# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The end of an instance: nothing of it stays."""

from __future__ import annotations

import typing as tp

from clients import mail, rest, waiting
from exordos_paas_mail.tests.functional import provisioning


def test_deleting_an_instance_removes_its_node_and_everything_of_it(
    owner: rest.Api,
    core: rest.Api,
    requested: dict[str, rest.Json],
    instance: rest.Json,
    poll: waiting.Poll,
) -> None:
    passing = provisioning.wait_active(owner, requested["passing"], poll)
    relay = provisioning.relay_of(owner, passing)
    body = {"username": "bob", "password": "x" * 12}
    account = owner.create(mail.accounts_path(passing), body)
    assert relay.answers()
    name = f"mailaas-dp-{passing['uuid']}"
    (node_set,) = core.list("/v1/compute/sets/", name=name)
    nodes = set(node_set["nodes"])

    owner.expect(204, "DELETE", mail.instance_path(passing))

    def left() -> dict[str, tp.Any]:
        return {
            "instance": owner.call("GET", mail.instance_path(passing)).status_code,
            "account": owner.call(
                "GET", f"{mail.accounts_path(passing)}{account['uuid']}"
            ).status_code,
            "sets": len(core.list("/v1/compute/sets/", name=name)),
            "nodes": len(nodes & {node["uuid"] for node in core.list("/v1/compute/nodes/")}),
            "configs": len(
                [
                    config
                    for config in core.list("/v1/config/configs/")
                    if config["target"].get("node") in nodes
                ]
            ),
            "answers": relay.answers(),
        }

    gone = {
        "instance": 404,
        "account": 404,
        "sets": 0,
        "nodes": 0,
        "configs": 0,
        "answers": False,
    }
    poll.until("everything of the instance is gone", left, lambda found: found == gone)
    assert requested["passing"]["uuid"] not in [it["uuid"] for it in owner.list(mail.INSTANCES)]
    provisioning.wait_active(owner, instance, poll)
