# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Faults on a node: done, watched and timed on the node itself, by its own clock."""

from __future__ import annotations

import dataclasses
import json
import shlex
import typing as tp

if tp.TYPE_CHECKING:
    from exordos_paas_mail.tests.functional import stand_control

BOUND: tp.Final = 10.0
"""Within so many seconds a fault is repaired, or told."""

AGENT: tp.Final = "exordos-metapaas-mail-agent"
KEEPER: tp.Final = "exordos-metapaas-mail-keeper"
RELAY: tp.Final = ("exim4-queue", "exim4@25", "exim4@465", "exim4@587")
STATE: tp.Final = "/var/lib/exordos/exordos_paas_mail"
HELD: tp.Final = (
    "/etc/exim4/passwd",
    "/etc/exim4/exim4.conf",
    "/etc/exim4/tls/relay.pem",
    "/etc/exim4/dkim/platform.private",
    "/etc/exim4/dkim/platform.txt",
    "/var/lib/exordos/mail_configure.json",
    f"{STATE}/target.json",
    "/etc/exim4/tls/relay-other.pem",
)
# The accounts that were told by their shards, where there are so many. Its octets are SQLite's.
KEPT_ACCOUNTS: tp.Final = f"{STATE}/accounts.sqlite"
_KEPT: tp.Final = "SELECT domain, sum FROM file UNION ALL SELECT digest, sum FROM shards"
# What is written anew at each pass of the agent.
REWRITTEN: tp.Final = (f"{STATE}/mail_meta.json", f"{STATE}/payload.json")

# `look` prints what a fault changes and a repair brings back.
_LOOK: tp.Final = f"""
look() {{
  stat --format '%n %F %U:%G %a' {" ".join(HELD)} 2>&1
  sha256sum {" ".join(HELD)} 2>&1
  if [[ -e {KEPT_ACCOUNTS} ]]; then
    stat --format '%n %F %U:%G %a' {KEPT_ACCOUNTS}
    python3 -c 'import sqlite3; print(*sqlite3.connect("{KEPT_ACCOUNTS}").execute("{_KEPT}"))' \
      2>/dev/null
  fi
  for file in {" ".join(REWRITTEN)}; do
    [[ $(tail --bytes=1 "$file" 2>/dev/null) == "}}" ]] && echo whole
  done
  systemctl is-active {AGENT} {KEEPER} exim4 {" ".join(RELAY)} 'exim4@25.socket' \
    'exim4@465.socket' 'exim4@587.socket'
  for port in 25 465 587; do (: </dev/tcp/127.0.0.1/$port) 2>/dev/null && echo "$port open"; done
}}
die() {{
  local pid
  pid=$(systemctl show --value --property=MainPID "$1")
  kill -KILL "$pid"
  while kill -0 "$pid" 2>/dev/null; do :; done
}}
"""

_RUN: tp.Final = """
for _ in $(seq 60); do
  [[ $(look) == "$before" ]] && break
  sleep 0.5
done
# A fault that comes before the keeper has looked twice is the one before to it, which its
# repair did not end: it then waits longer from one repair to the next (node/health.py).
sleep 6
[[ $(look) == "$before" ]] || { echo "not settled: $(diff <(echo "$before") <(look))" >&2; exit 1; }
start=$EPOCHREALTIME
elapsed() { echo "$EPOCHREALTIME $start" | awk '{print $1 - $2}'; }
eval "$fault"
repaired=null told=null error=
while :; do
  if [[ $(look) == "$before" ]]; then repaired=$(elapsed); break; fi
  # A process of its own, which takes its time where cores are busy: not at once.
  if [[ $told == null ]] && awk -v now="$(elapsed)" 'BEGIN {exit now < 3}'; then
    error=$(exordos-mail-status 2>&1 | sed -n 's/^  "error": "\\(.*\\)",$/\\1/p')
    [[ -z $error ]] || told=$(elapsed)
  fi
  if awk -v now="$(elapsed)" -v bound="$bound" 'BEGIN {exit now < bound}'; then break; fi
done
python3 -c 'import json, sys; print(json.dumps(dict(zip(
  ("repaired", "told", "error", "differs"),
  (json.loads(sys.argv[1]), json.loads(sys.argv[2]), *sys.argv[3:])))))' \
  "$repaired" "$told" "$error" "$(diff <(echo "$before") <(look))"
"""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a fault; seconds after it, None for never."""

    repaired: float | None
    told: float | None
    """By exordos-mail-status, which is asked after three seconds."""
    error: str
    differs: str
    """What of the node is not as before, as diff(1) says it."""


@dataclasses.dataclass(frozen=True)
class Node:
    """The node of one relay."""

    stand: stand_control.Stand
    address: str

    def look(self) -> str:
        """Return what a fault changes and a repair brings back."""
        return self._bash(f"{_LOOK}\nlook; true")

    def suffer(self, fault: str, before: str, bound: float = BOUND) -> Outcome:
        """Wait until the node is as *before*, run *fault* on it, and watch for *bound* seconds.

        Watching ends as soon as the node is as *before* again.
        """
        words = {"before": before.strip(), "fault": fault, "bound": str(bound)}
        assigned = "".join(f"{name}={shlex.quote(value)}\n" for name, value in words.items())
        return Outcome(**json.loads(self._bash(assigned + _LOOK + _RUN)))

    def _bash(self, script: str) -> str:
        return self.stand.shell(self.address, f"bash -c {shlex.quote(script)}")


def damages(path: str) -> dict[str, str]:
    """Return the ways a file is damaged, each with its command."""
    return {
        "emptied": f": > {path}",
        "cut short": f"truncate --size=-20 {path}",
        "removed": f"rm {path}",
        "anybody may write it": f"chmod 0666 {path}",
        "a directory": f"rm {path}; mkdir {path}",
        "a link": f"mv {path} {path}.away; ln -s {path}.away {path}",
    }
