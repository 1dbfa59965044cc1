# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The numbers of the house are counted right, on small houses."""

import pathlib

import pytest

from tools import structure

ROOT = pathlib.Path(__file__).parents[2]
FRONT = """\
import typing as tp
from exordos_paas_mail.back import one
if tp.TYPE_CHECKING:
    from exordos_paas_mail import late
"""


def arrows(plan: str) -> dict[str, frozenset[str]]:
    """Return the arrows of *plan*: "a>b a>c" has three rooms and two arrows."""
    pairs = [part.split(">") for part in plan.split()]
    names = {name for pair in pairs for name in pair}
    return {name: frozenset(end for start, end in pairs if start == name) for name in names}


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        ("", 0),
        ("a>b", 2),
        ("a>b a>c b>c", 3),
        ("a>b b>a", 1),
        ("a>b b>a b>c d>a", 3),
    ],
)
def test_a_room_stands_above_those_it_imports_from(plan: str, expected: int) -> None:
    assert structure.floors(arrows(plan)) == expected


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        ("a>b b>c a>c", []),
        ("a>b b>a", [("a", "b")]),
        ("a>b b>c c>a d>a", [("a", "b", "c")]),
        ("a>b b>a c>d d>c b>c", [("a", "b"), ("c", "d")]),
    ],
)
def test_circles_are_found_whole(plan: str, expected: list[tuple[str, ...]]) -> None:
    assert structure.circles(arrows(plan)) == expected


def test_a_small_house_is_measured(tmp_path: pathlib.Path) -> None:
    sources = {
        "__init__.py": "",
        "front.py": FRONT,
        "late.py": "def f():\n    pass\n",
        "back/__init__.py": "",
        "back/one.py": "from exordos_paas_mail.back import two\n",
        "back/two.py": "from exordos_paas_mail.back import one\n",
        "tests/__init__.py": "",
        "tests/test_a.py": "from exordos_paas_mail import front\n" * 9,
    }
    for name, source in sources.items():
        path = tmp_path / structure.PACKAGE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)

    assert structure.measure(tmp_path) == structure.Structure(
        modules=4,
        in_root=2,
        rooms=3,
        arrows=1,
        floors=2,
        circles_of_rooms=(),
        circles_of_modules=(("exordos_paas_mail.back.one", "exordos_paas_mail.back.two"),),
        longest_file=(4, "front"),
        longest_function=(2, "late.f"),
    )


def test_the_house_has_no_circle() -> None:
    house = structure.measure(ROOT)

    assert (house.circles_of_rooms, house.circles_of_modules) == ((), ())


def test_the_table_has_a_column_for_each_tree() -> None:
    house = structure.Structure(
        modules=4,
        in_root=2,
        rooms=3,
        arrows=1,
        floors=2,
        circles_of_rooms=(),
        circles_of_modules=(("a", "b"),),
        longest_file=(40, "front"),
        longest_function=(20, "late.f"),
    )

    assert structure.table({"now": house}) == (
        "|  | now |\n"
        "| -- | -- |\n"
        "| modules | 4 |\n"
        "| of these in the package's root | 2 |\n"
        "| rooms | 3 |\n"
        "| arrows between rooms | 1 |\n"
        "| floors | 2 |\n"
        "| circles of rooms | 0 |\n"
        "| circles of modules | 1 |\n"
        "| longest file | 40 lines: `front` |\n"
        "| longest function | 20 lines: `late.f` |\n"
    )
