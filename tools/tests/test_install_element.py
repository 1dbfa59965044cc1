# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""make install on a checkout that has no exordos CLI yet."""

from __future__ import annotations

import stat
import sys
import typing as tp

import pytest
import yaml

from clients.tests import fake_cli, fake_core
from imaging import paths
from tools import install_element

if tp.TYPE_CHECKING:
    import pathlib

# 'uv pip install' of the CLI.
UV: tp.Final = """\
#!{python}
import pathlib, sys
if sys.argv[1] == "venv":
    (pathlib.Path(sys.argv[-1]) / "bin").mkdir(parents=True)
else:
    cli = pathlib.Path(sys.argv[sys.argv.index("--python") + 1]).with_name("exordos")
    cli.write_text({cli!r})
    cli.chmod(0o755)
"""


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> tp.Iterator[fake_core.Core]:
    with fake_core.running() as found:
        monkeypatch.setenv("EXORDOS_ENDPOINT", f"{found.url}/")
        monkeypatch.setenv("EXORDOS_USERNAME", "admin")
        monkeypatch.setenv("EXORDOS_PASSWORD", fake_core.PASSWORDS["admin"])
        yield found


@pytest.fixture
def manifest(tmp_path: pathlib.Path) -> pathlib.Path:
    file = tmp_path / "mailaas.yaml"
    file.write_text(yaml.safe_dump({"name": "mailaas", "version": "2"}))
    return file


@pytest.fixture
def _fresh_checkout(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uv = tmp_path / "venv" / "uv"
    uv.parent.mkdir()
    uv.write_text(UV.format(python=sys.executable, cli=fake_cli.SOURCE))
    uv.chmod(uv.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(uv.with_name("python")))
    monkeypatch.setattr(paths, "CACHE", tmp_path / "cache")


@pytest.mark.usefixtures("_fresh_checkout")
def test_the_first_install_installs_the_cli_and_then_the_element(
    core: fake_core.Core, manifest: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert install_element.main([str(manifest)]) == 0
    assert capsys.readouterr() == (
        "installing the exordos CLI 3.2.29\nmailaas 2 is ACTIVE, installed\n",
        "",
    )
    assert install_element.main([str(manifest)]) == 0
    assert capsys.readouterr() == ("mailaas 2 is ACTIVE, as it was\n", "")
    assert core.names("/v1/em/elements/") == ["mailaas"]


@pytest.mark.usefixtures("core", "_fresh_checkout")
def test_a_core_that_gives_no_token_is_told_without_a_traceback_and_without_the_password(
    manifest: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXORDOS_PASSWORD", "a-guess")
    assert install_element.main([str(manifest)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("400 Client Error")
    assert "a-guess" not in error


@pytest.mark.usefixtures("core")
def test_what_is_missing_is_named(
    manifest: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert install_element.main(["no.yaml"]) == 1
    assert capsys.readouterr().err == "There is no no.yaml: make build, or name one by MANIFEST=\n"
    monkeypatch.delenv("EXORDOS_PASSWORD")
    monkeypatch.setenv("EXORDOS_USERNAME", "")
    assert install_element.main([str(manifest)]) == 1
    assert capsys.readouterr().err == (
        "Not set: EXORDOS_USERNAME, EXORDOS_PASSWORD; an administrator of Core\n"
    )
