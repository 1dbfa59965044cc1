# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The shape of the package in numbers, at two commits: rooms, arrows, floors, sizes.

    python -m tools.structure [BEFORE [AFTER]]

Print a Markdown table. *BEFORE* is the commit the house was rebuilt from unless it is
given; without *AFTER* the working tree is measured. Tests and migrations are left out:
they are no part of the running service.

A room is what one sees on entering the package: a module in its root, or a package there
with all that is in it. An arrow leads from a room to another that it imports from; what is
imported for types alone does not count. A room stands one floor above the highest of those
it imports from.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import pathlib
import subprocess
import sys
import tempfile
import typing as tp

import grimp

if tp.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PACKAGE: tp.Final = "exordos_paas_mail"
BEFORE: tp.Final = "daf4154"
_OUTSIDE: tp.Final = ("migrations", "tests")


@dataclasses.dataclass(frozen=True)
class Structure:
    """The shape of the package; sizes are in lines."""

    modules: int
    in_root: int
    rooms: int
    arrows: int
    floors: int
    circles_of_rooms: tuple[tuple[str, ...], ...]
    circles_of_modules: tuple[tuple[str, ...], ...]
    longest_file: tuple[int, str]
    longest_function: tuple[int, str]


def room(module: str) -> str:
    """Return the room of *module*, by its dotted name."""
    return ".".join(module.split(".")[:2])


def circles(arrows: Mapping[str, frozenset[str]]) -> list[tuple[str, ...]]:
    """Return the groups of names that lead back to themselves, each sorted."""
    above = {name: _reachable(arrows, name) for name in arrows}
    groups = {
        tuple(sorted(other for other in above[name] if name in above[other]))
        for name in arrows
        if name in above[name]
    }
    return sorted(groups)


def floors(arrows: Mapping[str, frozenset[str]]) -> int:
    """Return how many floors the rooms stand on; the rooms of a circle share one."""
    joined = {name: group for group in circles(arrows) for name in group}
    seen: dict[str, int] = {}

    def floor(name: str) -> int:
        if name not in seen:
            group = joined.get(name, (name,))
            below = {other for member in group for other in arrows[member]} - set(group)
            seen.update(dict.fromkeys(group, 1 + max(map(floor, below), default=0)))
        return seen[name]

    return max(map(floor, arrows), default=0)


def measure(tree: pathlib.Path) -> Structure:
    """Return the shape of the package below *tree*."""
    graph = _graph(tree)
    modules = {name for name in graph.modules if name != PACKAGE and not _is_outside(name)}
    imports = {
        name: frozenset(graph.find_modules_directly_imported_by(name) & modules) for name in modules
    }
    arrows: dict[str, frozenset[str]] = {}
    for module, targets in imports.items():
        others = frozenset(map(room, targets)) - {room(module)}
        arrows[room(module)] = arrows.get(room(module), frozenset()) | others
    files = [
        path
        for path in (tree / PACKAGE).rglob("*.py")
        if path.relative_to(tree / PACKAGE).parts[0] not in _OUTSIDE
    ]
    return Structure(
        modules=len([path for path in files if path.name != "__init__.py"]),
        in_root=len([path for path in files if path.parent.name == PACKAGE]) - 1,
        rooms=len(arrows),
        arrows=sum(map(len, arrows.values())),
        floors=floors(arrows),
        circles_of_rooms=tuple(circles(arrows)),
        circles_of_modules=tuple(circles(imports)),
        longest_file=max((len(path.read_text().splitlines()), _name(tree, path)) for path in files),
        longest_function=max(_functions(tree, files)),
    )


def _is_outside(module: str) -> bool:
    return module.split(".")[1] in _OUTSIDE


def _reachable(arrows: Mapping[str, frozenset[str]], start: str) -> set[str]:
    seen: set[str] = set()
    waiting = list(arrows[start])
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(arrows[name])
    return seen


def _name(tree: pathlib.Path, path: pathlib.Path) -> str:
    """Return the dotted name of a module in the package."""
    return ".".join(path.relative_to(tree / PACKAGE).with_suffix("").parts)


def _functions(tree: pathlib.Path, files: Iterable[pathlib.Path]) -> Iterator[tuple[int, str]]:
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.end_lineno:
                yield node.end_lineno - node.lineno + 1, f"{_name(tree, path)}.{node.name}"


def _graph(tree: pathlib.Path) -> grimp.ImportGraph:
    # grimp asks Python where a package is, and Python answers with the one it has loaded.
    loaded = sys.modules.pop(PACKAGE, None)
    sys.path.insert(0, str(tree))
    try:
        return grimp.build_graph(PACKAGE, exclude_type_checking_imports=True, cache_dir=None)
    finally:
        sys.path.remove(str(tree))
        if loaded is not None:
            sys.modules[PACKAGE] = loaded


def _measure_commit(commit: str) -> Structure:
    with tempfile.TemporaryDirectory(prefix="mailaas-structure-") as directory:
        archive = subprocess.run(
            ["git", "archive", commit, PACKAGE], check=True, stdout=subprocess.PIPE
        )
        subprocess.run(
            ["tar", "--extract", "--directory", directory], input=archive.stdout, check=True
        )
        return measure(pathlib.Path(directory))


def table(columns: Mapping[str, Structure]) -> str:
    """Return the shapes as a Markdown table, a column each."""
    rows: dict[str, tp.Callable[[Structure], object]] = {
        "modules": lambda it: it.modules,
        "of these in the package's root": lambda it: it.in_root,
        "rooms": lambda it: it.rooms,
        "arrows between rooms": lambda it: it.arrows,
        "floors": lambda it: it.floors,
        "circles of rooms": lambda it: len(it.circles_of_rooms),
        "circles of modules": lambda it: len(it.circles_of_modules),
        "longest file": lambda it: "{} lines: `{}`".format(*it.longest_file),
        "longest function": lambda it: "{} lines: `{}`".format(*it.longest_function),
    }
    lines = [["", *columns], ["--", *["--"] * len(columns)]]
    lines += [[name, *(str(cell(it)) for it in columns.values())] for name, cell in rows.items()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main(arguments: list[str] | None = None) -> int:
    """Print the table; see the module."""
    parser = argparse.ArgumentParser(prog="python -m tools.structure", description=__doc__)
    parser.add_argument("before", nargs="?", default=BEFORE)
    parser.add_argument("after", nargs="?", help="the working tree unless it is given")
    asked = parser.parse_args(arguments)
    columns = {
        f"before (`{asked.before}`)": _measure_commit(asked.before),
        f"after (`{asked.after}`)" if asked.after else "after": (
            _measure_commit(asked.after)
            if asked.after
            else measure(pathlib.Path(__file__).parents[1])
        ),
    }
    print(table(columns), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
