# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The node's own names in hosts(5): exim waits for no name server to learn who it is."""

from __future__ import annotations

_MARK = "# exordos-mail-configure"
# Debian's address for a host's own name; 127.0.0.1 stays localhost's.
_ADDRESS = "127.0.1.1"


def render(text: str, *names: str) -> str:
    """Return the hosts file *text* with *names* as the node's own, the first one canonical.

    All lines but ours stay as they are; ours comes last. Rendering the result
    again changes nothing.
    """
    lines = [line for line in text.split("\n") if not line.endswith(_MARK)]
    if lines[-1]:
        lines.append("")
    own = f"{_ADDRESS}\t{' '.join(dict.fromkeys(names))}\t{_MARK}"
    return "\n".join([*lines[:-1], own, ""])
