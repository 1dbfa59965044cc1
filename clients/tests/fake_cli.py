# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A small exordos CLI: reads its settings where the real one does, installs through the API."""

from __future__ import annotations

import sys
import typing as tp

from clients.tests import fake_core

SOURCE: tp.Final = f"""\
#!{sys.executable}
import os, pathlib, sys, requests, yaml

home = pathlib.Path(os.environ["HOME"])
settings = yaml.safe_load((home / ".exordos/exordosctl.yaml").read_text())
realm = settings["realms"][settings["current-realm"]]
context = realm["contexts"][realm["current-context"]]
assert context["password"] not in " ".join(sys.argv)
form = dict(username=context["user"], password=context["password"], grant_type="password")
login = requests.post(realm["endpoint"] + "{fake_core.TOKEN_PATH}", data=form)
manifest = yaml.safe_load(pathlib.Path(sys.argv[-1]).read_text())
requests.post(
    realm["endpoint"] + "/v1/em/elements/",
    json={{**manifest, "status": "ACTIVE"}},
    headers={{"Authorization": "Bearer " + login.json()["access_token"]}},
).raise_for_status()
print("installed")
"""
