# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""prepare_env.py on an installation without the elements: `make test-prepare` runs this file.

The stand is up and bare (``python -m stand up --bare``). Nothing of it is changed
but by prepare_env.py.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import typing as tp

import pytest

from clients import elements, mail, owners, waiting
from imaging import exordos_cli, paths
from stand import core, settings

_SCRIPT: tp.Final = "exordos_paas_mail/tests/functional/prepare_env.py"
_SECONDS: tp.Final = 600


def prepare() -> tuple[dict[str, str], list[str]]:
    """Run prepare_env.py as docs/functional-tests.md has it; return the variables, what it told."""
    site = settings.SITE
    made = settings.ensure(site.directory)
    programs = exordos_cli.ensure(print).parent
    ran = subprocess.run(
        [
            *(sys.executable, _SCRIPT, "--endpoint", core.url(site), "--username", "admin"),
            *("--metapaas-dir", str(site.directory), "--output-dir", str(site.directory)),
        ],
        env={
            **os.environ,
            "EXORDOS_PASSWORD": made.admin_password,
            "PATH": f"{programs}:{os.environ['PATH']}",
        },
        cwd=paths.PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    words = [word for word in shlex.split(ran.stdout) if word != "export"]
    return dict(word.split("=", 1) for word in words), ran.stderr.splitlines()


@pytest.mark.timeout(_SECONDS)
def test_both_elements_are_installed_once_and_the_owner_is_let_in() -> None:
    site = settings.SITE
    admin = core.administrator(site, settings.ensure(site.directory))
    known = elements.Elements(admin.api(), core.exordos(site, admin), waiting.Poll(1, pause=1))
    assert (known.find("metapaas"), known.find("mailaas")) == (None, None)

    variables, told = prepare()

    owner = owners.Owner(
        variables["METAPAAS_USERNAME"],
        variables["METAPAAS_PASSWORD"],
        variables["METAPAAS_PROJECT_ID"],
    )
    assert told == [
        "metapaas: ACTIVE",
        "mailaas: ACTIVE",
        f"{owner.username}: owner of {owner.project}",
    ]
    api = owner.session(variables["EXORDOS_ENDPOINT"]).api(variables["EXORDOS_MAIL_CP_URL"])
    assert [version["name"] for version in api.list(mail.VERSIONS)] == ["exim4_1"]
    assert prepare() == (variables, ["metapaas: ACTIVE", "mailaas: ACTIVE"])
