# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A new wheel reaches the user API, which the runtime does not restart."""

import pathlib
import shutil
import subprocess
import sys

import pytest

import exordos_paas_mail

_PACKAGE = pathlib.Path(exordos_paas_mail.__file__).parent

# In a process of its own, as the user API is: what it imports is the matter.
_USER_API = """
import pathlib, sys
from exordos_metapaas.user_api.api import app, routes
from restalchemy.api import resources

def show():
    mail = routes.TypeRoute.get_route("mail")
    model = sys.modules["exordos_paas_mail.control_plane.records.instances"].MailInstance
    print(getattr(mail, "generation", 1), model in resources.ResourceMap.model_type_to_resource)

show()
for text in sys.argv[2:]:
    installed = pathlib.Path(sys.argv[1])
    with (installed / "exordos_paas_mail" / "routes.py").open("a") as module:
        module.write(text)
    with (installed / "exordos_paas_mail-1.dist-info" / "RECORD").open("a") as record:
        record.write(text)
    show()
    routes.invalidate_plugin_cache()
    show()
"""


@pytest.fixture
def site(tmp_path: pathlib.Path) -> pathlib.Path:
    """Return a directory where the package is installed as from a wheel."""
    shutil.copytree(
        _PACKAGE,
        tmp_path / "exordos_paas_mail",
        ignore=shutil.ignore_patterns("tests", "__pycache__"),
    )
    information = tmp_path / "exordos_paas_mail-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: exordos_paas_mail\nVersion: 1\n"
    )
    (information / "entry_points.txt").write_text(
        "[exordos_metapaas_paas]\nmail = exordos_paas_mail.definition:MailDefinition\n"
    )
    (information / "RECORD").write_text("")
    return tmp_path


def run(site: pathlib.Path, *texts: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-B", "-c", _USER_API, str(site), *texts],
        # The directory comes first on the path of a program given by -c.
        cwd=site,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_user_api_serves_the_wheel_that_was_installed_last(site: pathlib.Path) -> None:
    done = run(site, "\nMailRoute.generation = 2\n", "\nMailRoute.generation = 3\n")
    assert done.returncode == 0, done.stderr
    # Before the signal, and after it.
    assert done.stdout.splitlines() == ["1 True", "1 True", "2 True", "2 True", "3 True"]


def test_a_wheel_that_cannot_be_imported_says_so(site: pathlib.Path) -> None:
    done = run(site, "\nimport no_such_module\n")
    assert done.stdout.splitlines() == ["1 True", "1 True"]
    assert done.stderr.splitlines()[-1] == ("ModuleNotFoundError: No module named 'no_such_module'")
