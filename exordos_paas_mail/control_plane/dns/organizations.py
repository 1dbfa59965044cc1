# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The DMARC record that a domain inherits, by the tree walk of DMARCbis (RFC 9989 section 4.10).

The walk and not the list of public suffixes: a list would age in an installed
package, and the walk asks DNS, where the answer is. The two differ only where
a name between the domain and its organisation has a record of its own.
"""

from __future__ import annotations

import typing as tp

from exordos_paas_mail.control_plane.dns import judging, tags

# A name with more labels is not walked label by label.
_LABELS_MAX: tp.Final = 7

# The TXT records of a name, None if no server gives its word.
Texts: tp.TypeAlias = tp.Callable[[str], tp.Awaitable[tuple[str, ...] | None]]


async def inherited(domain: str, texts: Texts) -> judging.Inherited | None:
    """Return the record that *domain*, which has none, inherits; None if there is none."""
    labels = domain.split(".")[1:]
    labels = labels[-_LABELS_MAX:]
    found: judging.Inherited | None = None
    while labels:
        name = ".".join(labels)
        said = await texts(f"_dmarc.{name}")
        if said is None:
            return found or judging.Inherited(name, "")
        records = [t for t in said if judging.is_dmarc(t) and not judging.dmarc_problem(t)]
        if len(records) == 1:
            here = judging.Inherited(name, records[0])
            kind = (tags.parse(records[0]) or {}).get("psd", "u").lower()
            if kind == "n":
                return here
            if kind == "y":
                return found or here
            found = here
        labels = labels[1:]
    return found
