# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""When the relay's exim4 is not built: `make test-relay` builds it and runs it."""

import os
import pathlib
import shutil
import subprocess

import pytest

SCRIPT = pathlib.Path(__file__).parents[4] / "exordos/images/build_exim.sh"
PATCH = SCRIPT.with_name("exim_4.96_address_literal.patch")

pytestmark = pytest.mark.skipif(shutil.which("patch") is None, reason="patch(1) is not here")


def build_exim(
    *arguments: str | pathlib.Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def tree(directory: pathlib.Path, *, changed: tuple[str, str] = ("", "")) -> pathlib.Path:
    """Write the file that PATCH is for, as the patch knows it, at another line."""
    lines = PATCH.read_text().split("+++ ")[1].splitlines()[2:]
    old = "\n".join(line[1:] for line in lines if not line.startswith("+")) + "\n"
    source = directory / "src/string.c"
    source.parent.mkdir(parents=True)
    source.write_text("\n" * 40 + old.replace(*changed))
    return source


def distribution_with(directory: pathlib.Path, version: str, *older: str) -> str:
    """Return a PATH where apt would install *version*, and offers *older* ones, too."""
    cache = directory / "bin/apt-cache"
    cache.parent.mkdir()
    rows = "".join(f" exim4-daemon-light | {each} | pool Packages\n" for each in (version, *older))
    cache.write_text(
        f"#!/bin/sh\ncase $1 in\npolicy) echo '  Candidate: {version}' ;;\n"
        f"madison) printf '%s' '{rows} exim4 | {version} | pool Sources\n' ;;\nesac\n"
    )
    cache.chmod(0o755)
    return f"{cache.parent}:{os.environ['PATH']}"


@pytest.mark.parametrize(
    "version", ["4.96-15+deb12u11", "4.96-15+deb12u1", "4.97-4ubuntu5", "4.98.2-1"]
)
def test_a_version_the_patches_were_not_made_for_is_not_built(
    tmp_path: pathlib.Path, version: str
) -> None:
    done = build_exim(tmp_path / "out", PATH=distribution_with(tmp_path, version))

    assert (done.returncode, done.stdout, list((tmp_path / "out").iterdir())) == (1, "", [])
    assert done.stderr == (
        f"The distribution's exim4-daemon-light is {version}, which our patches were not made for."
        " Known: 4.96-15+deb12u10 4.97-4ubuntu4.*. Try them on it, then add it to KNOWN in"
        ' exordos/images/build_exim.sh (docs/relay.md, "The patched exim4").\n'
    )


@pytest.mark.parametrize(
    ("offered", "built"),
    [
        (["4.96-15+deb12u10", "4.96-15+deb12u9"], "4.96-15+deb12u10"),
        (["4.96-15+deb12u12", "4.96-15+deb12u11", "4.96-15+deb12u10"], "4.96-15+deb12u10"),
    ],
)
def test_the_newest_version_that_the_patches_were_made_for_is_built(
    tmp_path: pathlib.Path, offered: list[str], built: str
) -> None:
    done = build_exim("--version", PATH=distribution_with(tmp_path, *offered))

    said = (
        f"exim4-daemon-light {offered[0]} is out, which our patches were not made for: this is"
        f' {built},\nwithout what is fixed since (docs/relay.md, "The patched exim4").\n'
    )
    assert (done.returncode, done.stdout) == (0, f"{built}\n")
    assert done.stderr == ("" if offered[0] == built else said)


@pytest.mark.parametrize(
    ("version", "patches"),
    [
        (
            "4.96-15+deb12u10",
            [
                "exim_line_ends.patch",
                "exim_shared_authorities.patch",
                "exim_dns_failures.patch",
                "exim_server_names.patch",
                "exim_4.96_address_literal.patch",
                "exim_4.96_regex_memory.patch",
                "exim_4.96_hints.patch",
                "exim_4.96_in_process.patch",
            ],
        ),
        (
            "4.97-4ubuntu4.7",
            [
                "exim_line_ends.patch",
                "exim_shared_authorities.patch",
                "exim_dns_failures.patch",
                "exim_server_names.patch",
            ],
        ),
    ],
)
def test_a_known_version_has_its_patches(version: str, patches: list[str]) -> None:
    named = [pathlib.Path(line) for line in build_exim("--patches", version).stdout.split()]

    assert [path.name for path in named] == patches
    assert all(path.is_file() for path in named)


def test_a_patch_that_applies_is_applied(tmp_path: pathlib.Path) -> None:
    source = tree(tmp_path)

    assert build_exim("--apply", tmp_path, PATCH).returncode == 0
    assert "    memcpy((uschar *)addr, ip_addr, l);" in source.read_text()


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(("Ustrncpy((", "Ustrncpy_nt(("), id="the line itself"),
        pytest.param(("addr = alloca(l+1);", "addr = malloc(l+1);"), id="a line beside it"),
    ],
)
def test_a_patch_that_no_longer_applies_to_the_line_stops_the_build(
    tmp_path: pathlib.Path, changed: tuple[str, str]
) -> None:
    source = tree(tmp_path, changed=changed)
    before = source.read_text()

    done = build_exim("--apply", tmp_path, PATCH)

    assert (done.returncode, source.read_text()) == (1, before)
    assert done.stderr == (
        "exim_4.96_address_literal.patch does not apply to this exim4. Nothing was built."
        ' Make it anew (docs/relay.md, "The patched exim4").\n'
    )


def test_the_distributions_own_exim_leaves_none_of_ours(tmp_path: pathlib.Path) -> None:
    (tmp_path / "exim4-daemon-light_4.96-15+deb12u10+mailaas1_amd64.deb").touch()
    (tmp_path / "exordos_paas_mail-1-py3-none-any.whl").touch()

    assert build_exim(tmp_path, EXORDOS_MAIL_EXIM="distribution").returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["exordos_paas_mail-1-py3-none-any.whl"]
