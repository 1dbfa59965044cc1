# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What a node tells of the certificate that it serves: a fact of its report, as text."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail.codecs import bounded, tls_pairs

REASON_SIZE_MAX: tp.Final = 512


class Report(tp.NamedTuple):
    """What a relay serves TLS with."""

    chain: str
    """PEM. Where it serves two pairs of its own the other certificate comes after it."""
    is_told: bool = False
    """Whether it is the pair that the control plane has told."""
    refused: str = ""
    """Why the pair that was told is not served."""


def render(report: Report) -> str:
    """Return *report* as the fact; ``parse`` is the inverse."""
    return bounded.dump(report._asdict()).decode("ascii")


def parse(text: str) -> Report:
    """Return the report of the fact *text*; raises ValueError, without a word of it."""
    value = bounded.load(text.encode(), "the certificate's report")
    fields = bounded.Fields(value, "the certificate's report")
    chain = value.get("chain")
    if not isinstance(chain, str) or len(chain) > tls_pairs.CHAIN_SIZE_MAX:
        raise fields.error("chain")
    return Report(chain, fields.flag("is_told"), fields.text("refused", REASON_SIZE_MAX))
