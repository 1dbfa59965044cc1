# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The package index that make publish-wheel writes."""

from __future__ import annotations

import hashlib
import re
import typing as tp

from tools import simple_index

if tp.TYPE_CHECKING:
    import pathlib

NAME = "exordos_paas_mail-1.0-py3-none-any.whl"


def wheel(directory: pathlib.Path, name: str, content: bytes) -> pathlib.Path:
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_bytes(content)
    return path


def links(page: pathlib.Path) -> list[str]:
    return re.findall(r'href="([^"]*)"', page.read_text())


def test_an_index_lists_every_wheel_with_its_digest(tmp_path: pathlib.Path) -> None:
    index = tmp_path / "index"
    built = wheel(tmp_path / "dist", NAME, b"one")
    other = wheel(tmp_path / "dist", "Cdb_X.y-2.0-py3-none-any.whl", b"two")

    assert simple_index.add(index, built) == hashlib.sha256(b"one").hexdigest()
    simple_index.add(index, other)

    assert links(index / "index.html") == ["cdb-x-y/", "exordos-paas-mail/"]
    assert links(index / "exordos-paas-mail" / "index.html") == [
        f"{NAME}#sha256={hashlib.sha256(b'one').hexdigest()}"
    ]
    assert (index / "exordos-paas-mail" / NAME).read_bytes() == b"one"


def test_a_wheel_that_was_built_again_replaces_the_one_before(tmp_path: pathlib.Path) -> None:
    index = tmp_path / "index"
    for content in (b"one", b"two"):
        simple_index.add(index, wheel(tmp_path / "dist", NAME, content))

    assert links(index / "exordos-paas-mail" / "index.html") == [
        f"{NAME}#sha256={hashlib.sha256(b'two').hexdigest()}"
    ]
    assert sorted(path.name for path in (index / "exordos-paas-mail").iterdir()) == [
        NAME,
        "index.html",
    ]
