# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A million hostile lines of exim's log, each read as what it is; none may be taken for another's.

Exit status 1 when one is read wrong, or not at all: the seed and the line are printed.
On each core a part of the lines.

    python -m benchmarks.log_fuzz [--lines N] [--seed N]
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import itertools
import os
import random
import sys
import time

from exordos_paas_mail.codecs import event_figures
from exordos_paas_mail.tests.unit.codecs import hostile_lines

LINES = 1_000_000
# Of each so many lines one is made an event, sent, read back and counted.
SENT = 20


def read(seed: int, count: int) -> list[str]:
    """Return what is wrong with how *count* lines of *seed* are read."""
    # A sequence that somebody can repeat.
    lines = hostile_lines.Lines(random.Random(seed))  # noqa: S311
    counters: collections.Counter[str] = collections.Counter()
    found = []
    for number, (line, fields) in enumerate(itertools.islice(lines, count)):
        why = hostile_lines.wrong(line, fields)
        if not why and number % SENT == 0 and not hostile_lines.travels(line, counters):
            why = "is another event once it has travelled"
        if why:
            found.append(f"seed {seed}: {line!r}: {why}")
    found += [f"seed {seed}: counted as {name}" for name in counters.keys() - event_figures.NAMES]
    return found


def main() -> int:
    """Read, print and judge."""
    parser = argparse.ArgumentParser(description="Read hostile lines of exim's log.")
    parser.add_argument("--lines", type=int, default=LINES)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    share = -(-options.lines // cores)
    seeds = range(options.seed, options.seed + cores)
    with concurrent.futures.ProcessPoolExecutor(cores) as pool:
        found = [line for part in pool.map(read, seeds, [share] * cores) for line in part]
    sys.stdout.write(f"hostile lines read: {share * cores}, wrong: {len(found)}, seeds: {seeds}\n")
    sys.stdout.writelines(f"{line}\n" for line in found[:20])
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
