# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Bars beside each other, as SVG."""

from __future__ import annotations

import typing as tp
from xml.sax import saxutils

_BAR: tp.Final = 9
_GROUP: tp.Final = 28
_LABELS: tp.Final = 250
_WIDTH: tp.Final = 420
_COLOURS: tp.Final = ("#1f6f8b", "#d9822b")


def render(panels: tp.Mapping[str, tp.Mapping[str, tp.Mapping[str, float]]]) -> str:
    """Return a chart of *panels*: by title, by the group's label, by the bar's name its value."""
    parts: list[str] = []
    top = 0
    for title, groups in panels.items():
        parts.append(_text(0, top + 16, title, weight="bold"))
        top += 28
        highest = max(value for bars in groups.values() for value in bars.values())
        for label, bars in groups.items():
            parts.append(_text(0, top + 13, label))
            for number, (name, value) in enumerate(bars.items()):
                width = round(value / highest * _WIDTH, 1)
                y = top + number * (_BAR + 1)
                parts.append(
                    f'<rect x="{_LABELS}" y="{y}" width="{width}" height="{_BAR}" '
                    f'fill="{_COLOURS[number]}"/>'
                )
                parts.append(
                    _text(_LABELS + width + 4, y + _BAR - 1, f"{value:.3g} {name}", size=9)
                )
            top += _GROUP
        top += 12
    width = _LABELS + _WIDTH + 110
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-10 -10 {width + 20} {top + 20}" '
        f'width="{width + 20}" height="{top + 20}" font-family="sans-serif">\n'
        f'<rect x="-10" y="-10" width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )


def _text(x: float, y: float, text: str, *, weight: str = "normal", size: int = 12) -> str:
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" font-weight="{weight}">'
        f"{saxutils.escape(text)}</text>"
    )
