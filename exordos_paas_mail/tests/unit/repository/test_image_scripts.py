# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The small scripts of the image, as they are."""

import os
import pathlib
import shutil
import subprocess
import time

import pytest

IMAGES = pathlib.Path(__file__).parents[4] / "exordos/images"
DAY = 24 * 3600

SMUGGLING = "  * Refuse to accept a line dot, LF (CVE-2023-51766). Closes: #1059387\n"
BDAT_DEBIAN = "  * This is Exim-Security-2026-05-01.1, fixed upstream in 4.99.3.\n"
BDAT_UBUNTU = "  * SECURITY UPDATE: use after free in BDAT\n    - CVE-2026-45185\n"

needs_dpkg = pytest.mark.skipif(shutil.which("dpkg") is None, reason="dpkg compares the versions")


def check_exim(
    version: str, changelog: str, *, held: str = "", choice: str = "distribution"
) -> tuple[int, str]:
    done = subprocess.run(
        [IMAGES / "check_exim_fixes.sh", version, held],
        input=changelog,
        env={**os.environ, "EXORDOS_MAIL_EXIM": choice},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


@needs_dpkg
@pytest.mark.parametrize(
    ("version", "changelog"),
    [
        pytest.param("4.96-15+deb12u10", SMUGGLING + BDAT_DEBIAN, id="debian 12"),
        pytest.param("4.97-4ubuntu4.6", BDAT_UBUNTU, id="ubuntu 24.04, old entries cut off"),
        pytest.param("4.99.3-1", "", id="by version alone"),
    ],
)
def test_a_package_with_both_fixes_passes(version: str, changelog: str) -> None:
    assert check_exim(version, changelog) == (0, "")


@needs_dpkg
@pytest.mark.parametrize(
    ("version", "changelog", "lacking"),
    [
        ("4.96-15+deb12u8", SMUGGLING, ["CVE-2026-45185"]),
        ("4.96-15+deb12u3", "", ["CVE-2023-51766", "CVE-2026-45185"]),
        ("4.97-4ubuntu4", "", ["CVE-2026-45185"]),
        ("4.97-2", BDAT_UBUNTU, ["CVE-2023-51766"]),
        ("4.99.2-1", SMUGGLING, ["CVE-2026-45185"]),
        ("4.98.2-1", "  * EXIM-Security-2026-05-01x1\n", ["CVE-2026-45185"]),
    ],
)
def test_a_package_without_a_fix_fails_and_names_it(
    version: str, changelog: str, lacking: list[str]
) -> None:
    said = "".join(f"exim4 {version} lacks the fix of {cve}\n" for cve in lacking)

    assert check_exim(version, changelog) == (1, said)


OURS = "4.96-15+deb12u10+mailaas1"
CHANGELOG = SMUGGLING + BDAT_DEBIAN


@needs_dpkg
@pytest.mark.parametrize(
    ("version", "held", "answer"),
    [
        pytest.param(OURS, "curl\nexim4-daemon-light", (0, ""), id="ours, held"),
        pytest.param(
            OURS,
            "exim4-daemon-light-dev",
            (1, f"exim4 {OURS} is not held (apt-mark hold exim4-daemon-light)\n"),
            id="ours, an upgrade would take it away",
        ),
        pytest.param(
            "4.96-15+deb12u10",
            "exim4-daemon-light",
            (1, "exim4 4.96-15+deb12u10 lacks our patches (build_exim.sh)\n"),
            id="the distribution's",
        ),
    ],
)
def test_an_image_has_our_exim_and_keeps_it(
    version: str, held: str, answer: tuple[int, str]
) -> None:
    assert check_exim(version, CHANGELOG, held=held, choice="") == answer


def spool(home: pathlib.Path, *files: str, days: float) -> None:
    for name in files:
        path = home / "input" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        then = time.time() - days * DAY
        os.utime(path, (then, then))


def sweep(home: pathlib.Path) -> str:
    return subprocess.run(
        [IMAGES / "sweep_spool.sh", home], capture_output=True, text=True, check=True
    ).stdout


def files_in(home: pathlib.Path) -> set[str]:
    return {str(path.relative_to(home / "input")) for path in home.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "half", ["a/1vM-A-1-D", "1vM-A-1-H", "1vM-A-1-J", "hdr.4711", "b/1vM with space-D"]
)
def test_the_half_of_a_message_goes_after_a_day(tmp_path: pathlib.Path, half: str) -> None:
    spool(tmp_path, half, days=1.1)

    assert sweep(tmp_path) == f"removed input/{half}\n1 orphan spool files removed\n"
    assert files_in(tmp_path) == set()
    assert sweep(tmp_path) == ""


@pytest.mark.parametrize(
    ("files", "days"),
    [
        pytest.param(["a/1vM-A-1-D", "a/1vM-A-1-H", "a/1vM-A-1-J"], 30, id="a whole old message"),
        pytest.param(["1vM-A-1-D"], 0.9, id="a message being received"),
        pytest.param(["1vM-A-1-K", "README"], 30, id="not the sweep's business"),
    ],
)
def test_a_message_stays(tmp_path: pathlib.Path, files: list[str], days: float) -> None:
    spool(tmp_path, *files, days=days)

    assert (sweep(tmp_path), files_in(tmp_path)) == ("", set(files))


def test_the_queue_of_accounts_on_hold_is_swept_too(tmp_path: pathlib.Path) -> None:
    spool(tmp_path, "../hold/input/a/1vM-A-1-D", days=2)
    removed = "removed hold/input/a/1vM-A-1-D\n1 orphan spool files removed\n"
    assert (sweep(tmp_path), sweep(tmp_path)) == (removed, "")


def test_the_journal_of_a_message_that_was_put_apart_stays(tmp_path: pathlib.Path) -> None:
    apart = [f"../hold/input/a/1vM-A-1-{kind}" for kind in "DH"]
    spool(tmp_path, "a/1vM-A-1-J", *apart, days=30)
    assert sweep(tmp_path) == ""


def test_halves_in_different_directories_are_not_a_message(tmp_path: pathlib.Path) -> None:
    spool(tmp_path, "a/1vM-A-1-D", "b/1vM-A-1-H", days=2)

    sweep(tmp_path)

    assert files_in(tmp_path) == set()


def test_a_node_without_a_spool_has_nothing_to_sweep(tmp_path: pathlib.Path) -> None:
    assert sweep(tmp_path / "absent") == ""


@pytest.mark.parametrize(
    ("wheels", "status"),
    [
        ([], 1),
        (["exordos_paas_mail-1-py3-none-any.whl"], 0),
        (["exordos_paas_mail-1-py3-none-any.whl", "exordos_paas_mail-2-py3-none-any.whl"], 1),
    ],
    ids=["none", "one", "two"],
)
def test_an_element_is_built_from_exactly_one_wheel(
    tmp_path: pathlib.Path, wheels: list[str], status: int
) -> None:
    (tmp_path / "exordos/images").mkdir(parents=True)
    script = shutil.copy(IMAGES / "the_wheel.sh", tmp_path / "exordos/images")
    (tmp_path / "dist").mkdir()
    for wheel in wheels:
        (tmp_path / "dist" / wheel).touch()

    assert subprocess.run([script], check=False, capture_output=True).returncode == status
