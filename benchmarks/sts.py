# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What it costs a message that the relay keeps to policies of recipients' domains (MTA-STS).

CPU of a message from MAIL to its delivery, of all processes concerned, on a relay that looks up
what is known of 10,000 domains and on one with ``RELAY_MTA_STS=no``, each on a port of its own:
to a domain without a policy, at most 1.03 times, and to one that enforces a policy, which has
its server be verified and no session be resumed. They take turns; a ratio is the median of the
rounds' ratios. Exit status 1 when the bound is broken.

Runs inside the relay's bench: make benchmark-sts
"""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import statistics
import sys
import tempfile
import time
import typing as tp

from benchmarks import cpu_groups
from benchmarks import relay as messages
from exordos_paas_mail.codecs import mta_sts
from exordos_paas_mail.node.sts import shards, store
from exordos_paas_mail.tests.relay import internet as internet_
from exordos_paas_mail.tests.relay import leaving, sts
from exordos_paas_mail.tests.relay import relay as relay_

ROUNDS = 20
RATIO_MAX = 1.03
# One series is right to some 2 % on a quiet machine: what seems too much is looked at for longer.
SERIES_MAX = 3
ABSENT, ENFORCED, SERVER = "elsewhere.example", "valid.example", "mx.valid.example"
ON, OFF = 465, 587


def know() -> None:
    """Write the files of so many domains, of which two are sent to."""
    ask = int(time.time()) + 86_400
    absent = mta_sts.words(mta_sts.Mode.ABSENT, ask=ask)
    said = {f"domain{number:05}.example": absent for number in range(store.DOMAINS_MAX)}
    said[ABSENT] = absent
    said[ENFORCED] = mta_sts.words(mta_sts.Mode.ENFORCE, until=ask, ask=ask, mx=[SERVER])
    lines: dict[str, list[str]] = {shard: [] for shard in mta_sts.SHARDS}
    for domain, words in said.items():
        lines[mta_sts.shard_of(domain)].append(mta_sts.line(domain, words))
    files = shards.Shards(sts.KNOWN)
    files.prepare()
    for shard, each in lines.items():
        files.write(shard, each)
    for path in (sts.KNOWN, *sts.KNOWN.iterdir()):
        shutil.chown(path, "Debian-exim", "Debian-exim")


def measure(
    relay: relay_.Relay, internet: internet_.Internet, domain: str, bound: float | None
) -> float:
    """Print what a message to *domain* costs on both; return the ratio."""
    found: dict[int, list[float]] = {ON: [], OFF: []}
    ratio = 0.0
    with contextlib.ExitStack() as stack:
        groups = {}
        for port in found:
            groups[port] = cpu_groups.CpuGroup(str(port), relay.units.listeners[port].pid)
            stack.callback(groups[port].close)
        for number in range(SERIES_MAX * ROUNDS):
            for port in (ON, OFF) if number % 2 else (OFF, ON):
                with relay.login(port) as client:
                    cost = messages.message_cost(
                        relay, internet, groups[port], client, [f"someone@{domain}"]
                    )
                found[port].append(cost)
            ratio = messages.median_ratio(list(zip(found[ON], found[OFF], strict=True)))
            if (number + 1) % ROUNDS == 0 and (bound is None or ratio <= bound):
                break
    by = [line for line in relay.log_lines(f"=> someone@{domain}") if "remote_smtp_mta_sts" in line]
    assert bool(by) == (domain == ENFORCED)
    print(
        f"a message to {domain}: {statistics.median(found[OFF]):.2f} ms of CPU without,"
        f" {statistics.median(found[ON]):.2f} ms with it: {ratio:.3f} times"
        f" ({len(found[ON])} rounds{'' if bound is None else f'; at most {bound}'})"
    )
    return ratio


def main() -> int:
    if not relay_.is_ours():
        print("Run it by: make benchmark-sts", file=sys.stderr)
        return 2
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        internet = internet_.Internet(folder / "mx")
        stack.callback(internet.close)
        relay = relay_.Relay()
        sts.KNOWN.parent.mkdir(parents=True, exist_ok=True)
        know()
        limit: dict[str, tp.Any] = {"recipients_per_hour": 1_000_000}
        relay.configure(**limit, mta_sts=False)
        relay.units.start()
        stack.callback(relay.units.stop)
        stack.enter_context(leaving.trusted(relay, internet))
        relay.configure(**limit)
        relay.units.restart_listener(ON)
        ratio = measure(relay, internet, ABSENT, RATIO_MAX)
        measure(relay, internet, ENFORCED, None)
    return int(ratio > RATIO_MAX)


if __name__ == "__main__":
    sys.exit(main())
