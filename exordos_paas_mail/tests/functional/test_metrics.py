# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The metrics of a node, as its node exporter finds them."""

from __future__ import annotations

import re
import typing as tp

from exordos_paas_mail.tests.functional import submission

if tp.TYPE_CHECKING:
    from clients import internet as internet_client
    from clients import rest, waiting
    from exordos_paas_mail.tests.functional import provisioning, stand_control

BOB = "bob@example.net"
FILE = "/var/lib/exordos/node_exporter/mailaas.prom"
SAMPLE = re.compile(r"(\w+){([^}]*)} (\S+)")


def read(stand: stand_control.Stand, node: str) -> dict[str, float]:
    """Return the samples of a node by name and labels; none while there is no file."""
    text = stand.shell(node, f"if [ -e {FILE} ]; then cat {FILE}; fi")
    return {f"{name}{{{labels}}}": float(value) for name, labels, value in SAMPLE.findall(text)}


def test_the_metrics_of_a_node_follow_its_mail(
    relay: submission.Relay,
    alice: provisioning.Account,
    instance: rest.Json,
    internet: internet_client.Client,
    stand: stand_control.Stand,
    poll: waiting.Poll,
) -> None:
    (node,) = instance["ipsv4"]
    labels = (
        f'exordos_mail_instance="{instance["uuid"]}",exordos_project="{instance["project_id"]}"'
    )
    taken = f'mailaas_submissions_total{{{labels},source="account"}}'
    delivered = f'mailaas_recipients_total{{{labels},result="delivered",class="none"}}'
    before = poll.until(
        "the node tells metrics", lambda: read(stand, node), lambda found: taken in found
    )
    with relay.logged_in(alice.address, alice.password) as client:
        composed = submission.message(alice.address, BOB)
        assert submission.transact(client, alice.address, BOB, composed) == 250

    internet.wait_for_message(BOB, composed["Subject"])
    # Other tests send by this node, too.
    found = poll.until(
        "the message is counted",
        lambda: read(stand, node),
        lambda now: now[taken] > before[taken] and now[delivered] > before[delivered],
    )

    assert [name for name in found if labels not in name] == []
    assert not [name for name in found if "@" in name]
    assert found[f"mailaas_spool_free_bytes{{{labels}}}"] > 0
    assert found[f'mailaas_dkim_keys{{{labels},state="usable"}}'] >= 1
