# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Metrics in the text format of Prometheus (exposition format 0.0.4)."""

from __future__ import annotations

import types
import typing as tp

if tp.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

NO_LABELS: tp.Final[Mapping[str, str]] = types.MappingProxyType({})


class Sample(tp.NamedTuple):
    """One value of a metric."""

    value: float
    labels: Mapping[str, str] = NO_LABELS
    suffix: str = ""
    """What a histogram's parts have after its name."""


class Family(tp.NamedTuple):
    """A metric: its samples differ by their labels."""

    name: str
    kind: str
    """``counter``, ``gauge`` or ``histogram``."""
    help: str
    samples: Sequence[Sample]


def gauge(name: str, help_text: str, value: float) -> Family:
    """Return a gauge of one value."""
    return Family(name, "gauge", help_text, (Sample(value),))


def render(families: Iterable[Family], labels: Mapping[str, str] = NO_LABELS) -> str:
    """Return *families* as text, each sample with *labels* before its own."""
    return "".join(line for family in families for line in _lines(family, labels))


def _lines(family: Family, labels: Mapping[str, str]) -> Iterable[str]:
    yield f"# HELP {family.name} {_escaped(family.help)}\n"
    yield f"# TYPE {family.name} {family.kind}\n"
    for sample in family.samples:
        pairs = ",".join(
            f'{name}="{_quoted(value)}"' for name, value in {**labels, **sample.labels}.items()
        )
        yield f"{family.name}{sample.suffix}{f'{{{pairs}}}' if pairs else ''} {sample.value}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', r"\"")
