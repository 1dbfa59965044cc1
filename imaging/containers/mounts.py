# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Mounts of a site: found in the kernel's own table, never in records."""

from __future__ import annotations

import pathlib
import re

from imaging import commands


def _unescape(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def below(directory: pathlib.Path) -> list[pathlib.Path]:
    """Return the mount points at or below *directory*, the deepest last."""
    lines = pathlib.Path("/proc/self/mounts").read_text().splitlines()
    points = [pathlib.Path(_unescape(line.split(" ")[1])) for line in lines]
    return [point for point in points if point.is_relative_to(directory)]


def remove(directory: pathlib.Path) -> None:
    """Unmount everything at or below *directory*."""
    for point in reversed(below(directory)):
        commands.run("umount", str(point))


def overlay(
    lower: list[pathlib.Path], upper: pathlib.Path, work: pathlib.Path, at: pathlib.Path
) -> None:
    """Mount *upper* over the *lower* directories, the first of which is the topmost."""
    options = f"lowerdir={':'.join(map(str, lower))},upperdir={upper},workdir={work}"
    commands.run("mount", "-t", "overlay", "overlay", "-o", options, str(at))
