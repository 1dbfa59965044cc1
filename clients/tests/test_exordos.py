# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import sys
import typing as tp

import pytest
import yaml

from clients import exordos, iam

if tp.TYPE_CHECKING:
    import pathlib

PASSWORD: tp.Final = "only in a file"
SHOW: tp.Final = "import json, os, sys; print(json.dumps([sys.argv, dict(os.environ)]))"


def test_the_password_is_in_a_private_file_and_neither_in_arguments_nor_environment(
    tmp_path: pathlib.Path,
) -> None:
    session = iam.Session("http://core", "admin", PASSWORD)
    cli = exordos.logged_in(sys.executable, tmp_path, session)
    assert cli.environment == {"HOME": str(tmp_path)}
    shown = exordos.Exordos((sys.executable, "-c", SHOW), cli.environment).run("em", "elements")
    assert PASSWORD not in shown
    assert PASSWORD not in repr(cli)
    assert json.loads(shown)[1]["HOME"] == str(tmp_path)
    settings = tmp_path / ".exordos/exordosctl.yaml"
    assert settings.stat().st_mode & 0o777 == 0o600
    assert yaml.safe_load(settings.read_text()) == {
        "schema_version": 1,
        "current-realm": "default",
        "realms": {
            "default": {
                "endpoint": "http://core",
                "check_updates": False,
                "current-context": "default",
                "contexts": {"default": {"user": "admin", "password": PASSWORD}},
            }
        },
    }


def test_a_failure_has_the_last_words_of_the_command() -> None:
    words = "import sys; print('\\n'.join(map(str, range(9))), file=sys.stderr); sys.exit(3)"
    with pytest.raises(exordos.ExordosError, match=r": exit 3: 4 \| 5 \| 6 \| 7 \| 8$"):
        exordos.Exordos((sys.executable, "-c", words)).run()


def test_a_command_that_is_not_installed_is_named() -> None:
    with pytest.raises(exordos.ExordosError, match=r"^there is no no-such-command here$"):
        exordos.Exordos(("no-such-command",)).run()
