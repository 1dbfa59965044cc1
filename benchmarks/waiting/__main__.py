# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What a queue costs that waits for a server which refuses, and how fast it leaves.

MESSAGES wait for one server that refuses connections, with exim and the two daemons that see to
a queue. Parts, of which arguments name some:

- drain: CPU and log while nothing is due; how long after its time an attempt is made; then the
  server is there, and the queue drains, with fresh mail to another server beside it. A minute of
  waiting costs at most 3 s of CPU and an hour 1 MB of log, exim's queue run each six hours
  included; attempts are made within a minute of their time; the drain has at least 0.6 of the
  rate at which fresh messages of one client, which are submitted then, arrive.
- beside: new mail of 10 and of 200 clients, beside the queue and beside none, in turns; the time
  in which 99 of 100 messages are taken is at most 1.2 times as long.
- boot: five times as many wait and the node starts: logins are served within 10 s.

Exit status 1 when a bound is broken. Runs inside the relay's bench: make benchmark-waiting
"""

from __future__ import annotations

import argparse
import pathlib
import tempfile

from benchmarks.waiting import beside, booting, draining, stage

PARTS = {"drain": draining.measure, "beside": beside.measure, "boot": booting.measure}
BOOT = 5


def main() -> int:
    """Print the figures; returns 1 when a bound is broken."""
    parser = argparse.ArgumentParser(description="Measure what a queue costs that waits.")
    parser.add_argument("--messages", type=int, default=20_000, help="how many wait")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all where none is named")
    options = parser.parse_args()
    stage.make_internet()
    wrong = []
    for part in options.parts or PARTS:
        messages = options.messages * (BOOT if part == "boot" else 1)
        with tempfile.TemporaryDirectory() as name:
            found, broken = PARTS[part](messages, pathlib.Path(name))
        print(f"{part}, {messages} messages")
        for what, value in found.items():
            print(f"  {what:56} {value:12.1f}")
        wrong += broken
    print("; ".join(wrong) or "all in bounds")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
