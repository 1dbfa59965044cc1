# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The end-to-end suite's own rules, without an installation."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import typing as tp

import pytest

from clients import iam, waiting
from clients.tests import fake_cli, fake_core
from exordos_paas_mail.tests.functional import kills, paced, prepare_env, settings, suffering

MINIMAL = {
    "EXORDOS_ENDPOINT": "http://core/api/core/",
    "EXORDOS_USERNAME": "admin",
    "EXORDOS_PASSWORD": "secret",
}


def test_the_minimal_environment_names_core_and_its_administrator() -> None:
    assert settings.from_environment(MINIMAL) == settings.Settings(
        core_url="http://core/api/core",
        core_username="admin",
        core_password="secret",
        project="4d657461-0000-0000-0000-000000000002",
        owner=None,
        url=None,
        poll=waiting.Poll(600, 1),
        cli=None,
        internet_url=None,
        stand=None,
    )


def test_passwords_are_not_shown() -> None:
    shown = repr(
        settings.from_environment(
            {**MINIMAL, "METAPAAS_USERNAME": "owner", "METAPAAS_PASSWORD": "secret too"}
        )
    )
    assert "secret" not in shown


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"EXORDOS_ENDPOINT": ""}, "set EXORDOS_ENDPOINT "),
        ({"EXORDOS_PASSWORD": "", "EXORDOS_USERNAME": ""}, "EXORDOS_USERNAME, EXORDOS_PASSWORD"),
        ({"METAPAAS_USERNAME": "owner"}, "set together"),
        ({"EXORDOS_POLL_TIMEOUT": "soon"}, "EXORDOS_POLL_TIMEOUT"),
        ({"EXORDOS_POLL_INTERVAL": "0"}, "EXORDOS_POLL_INTERVAL"),
        ({"EXORDOS_POLL_INTERVAL": "nan"}, "EXORDOS_POLL_INTERVAL"),
    ],
)
def test_what_is_missing_or_wrong_is_named(change: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        settings.from_environment({**MINIMAL, **change})


def run_skipping_suite(directory: pathlib.Path, **environment: str) -> tuple[int, str]:
    """Run a suite of one skipping test under the end-to-end suite's own conftest."""
    source = pathlib.Path(settings.__file__).with_name("conftest.py")
    (directory / "conftest.py").write_text(source.read_text())
    (directory / "test_skips.py").write_text(
        "import pytest\n\n\ndef test_skips():\n    pytest.skip('because')\n"
    )
    bytecode = {name: os.environ[name] for name in ("PYTHONPYCACHEPREFIX",) if name in os.environ}
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(directory)],
        env={**MINIMAL, **environment, **bytecode, "PYTHONPATH": str(source.parents[3])},
        capture_output=True,
        text=True,
        check=False,
        cwd=directory,
    )
    return ran.returncode, ran.stdout


@pytest.mark.parametrize(
    ("environment", "status", "outcome"),
    [
        pytest.param({}, 0, "1 skipped", id="a real installation"),
        pytest.param(
            {"EXORDOS_MAIL_INTERNET_URL": "http://10.77.0.1:8053"}, 1, "1 failed", id="the stand"
        ),
    ],
)
def test_a_skip_is_a_failure_on_the_stand_and_nowhere_else(
    tmp_path: pathlib.Path, environment: dict[str, str], status: int, outcome: str
) -> None:
    returned, output = run_skipping_suite(tmp_path, **environment)
    assert returned == status, output
    assert outcome in output


@pytest.mark.parametrize("layout", ["manifests", "output/manifests"])
def test_a_manifest_is_found_where_a_build_leaves_it(tmp_path: pathlib.Path, layout: str) -> None:
    manifest = tmp_path / layout / "mailaas.yaml"
    manifest.parent.mkdir(parents=True)
    manifest.touch()
    assert prepare_env.manifest_of(tmp_path, "mailaas") == manifest


def test_a_manifest_that_was_not_built_is_asked_for(tmp_path: pathlib.Path) -> None:
    with pytest.raises(prepare_env.PrepareError, match="build it first"):
        prepare_env.manifest_of(tmp_path, "mailaas")


def test_preparing_says_in_one_line_what_it_cannot_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["--endpoint", "http://127.0.0.1:9", "--username", "a", "--password", "secret"]
    assert prepare_env.main(arguments) == 1
    output, error = capsys.readouterr()
    assert output == ""
    assert error.startswith("cannot prepare: Core at http://127.0.0.1:9 gives no token: ")
    assert error.count("\n") == 1
    assert "secret" not in error


def test_elements_are_installed_without_the_password_on_a_command_line(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli = tmp_path / "bin" / "exordos"
    manifest = tmp_path / "manifests" / "mailaas.yaml"
    for file, text in ((cli, fake_cli.SOURCE), (manifest, "{name: mailaas, version: 2}")):
        file.parent.mkdir()
        file.write_text(text)
    cli.chmod(0o755)
    monkeypatch.setenv("PATH", str(cli.parent), prepend=":")
    with fake_core.running() as core:
        core.put("/v1/em/elements/one", name="metapaas", version="1", status="ACTIVE")
        options = prepare_env.parser().parse_args(["--output-dir", str(tmp_path)])
        password = fake_core.PASSWORDS["admin"]
        prepare_env.ensure_elements(options, iam.Session(core.url, "admin", password))
        assert core.names("/v1/em/elements/") == ["mailaas", "metapaas"]


def test_preparing_names_the_options_it_needs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EXORDOS_ENDPOINT", raising=False)
    monkeypatch.delenv("EXORDOS_PASSWORD", raising=False)
    assert prepare_env.main([]) == 2
    assert capsys.readouterr().err == "missing: --endpoint, --password\n"


class Counting(paced.Clients):
    """A client that is as fast as it is allowed to be."""

    def __init__(self, count: int) -> None:
        super().__init__(count, 1)
        self._done = 0
        self.cut = 0

    def done(self) -> int:
        return self._done

    def met(self) -> int:
        return self.cut

    def _run(self, _: int) -> None:
        while self._has_more():
            self._done += 1


NOTHING = tp.cast("tp.Any", None)
POLL = waiting.Poll(60, 0.01)


def test_clients_have_a_share_of_their_work_to_do_at_each_fault_and_no_more() -> None:
    clients = [Counting(30), Counting(300)]
    found: list[tuple[int, ...]] = []

    def fault(*_: tp.Any) -> None:
        waiting.until("all wait", lambda: not any(each.is_at_work() for each in clients), 60)
        found.append(tuple(each.done() for each in clients))

    with clients[0].running(), clients[1].running():
        suffered = suffering.suffer(
            {"a": fault, "b": fault}, ["a", "b"], NOTHING, "", POLL, clients
        )
    assert found == [(20, 200), (30, 300)]
    assert (suffered.happened, suffered.at_work) == ({"a": 1, "b": 1}, 0)


def test_clients_go_on_for_as_long_as_a_fault_takes_and_what_it_cuts_off_is_counted() -> None:
    clients = Counting(30)

    def fault(share: int) -> kills.Kill:
        def happen(*_: tp.Any) -> None:
            # All but the last.
            waiting.until("they go on", lambda: clients.done() == share - 1, 60)
            clients.cut += share

        return happen

    kinds = {"a": fault(20), "b": fault(30)}
    with clients.running():
        suffered = suffering.suffer(kinds, ["a", "b"], NOTHING, "", POLL, [clients], 0.01)
    assert (suffered.met, suffered.at_work) == ({"a": 20, "b": 30}, 2)
