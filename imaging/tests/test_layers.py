# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Layers: what their keys follow from, and which of them are kept."""

from __future__ import annotations

import json
import os
import typing as tp

import pytest

from imaging import images

if tp.TYPE_CHECKING:
    import pathlib


def layer(home: pathlib.Path, **pins: str) -> images.Script:
    return images.Script("thing", None, home, pins)


def test_the_key_follows_the_script_its_files_and_the_pins_it_names(
    tmp_path: pathlib.Path,
) -> None:
    (tmp_path / "thing.sh").write_text('echo "$ONE"\n')
    keys = [images.key(layer(tmp_path, ONE="1", TWO="1"))]
    assert images.key(layer(tmp_path, ONE="1", TWO="2")) == keys[0]
    keys.append(images.key(layer(tmp_path, ONE="2")))
    (tmp_path / "thing").mkdir()
    (tmp_path / "thing/file").touch()
    keys.append(images.key(layer(tmp_path, ONE="2")))
    (tmp_path / "thing.sh").write_text('echo "$ONE" again\n')
    keys.append(images.key(layer(tmp_path, ONE="2")))
    assert len(set(keys)) == len(keys)


@pytest.fixture
def cache(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """Return the directory of layers that nobody asked for since 1970."""
    layers = tmp_path / "layers"
    for name in ("used-1", "unused-1"):
        (layers / name / "root").mkdir(parents=True)
        os.utime(layers / name, (0, 0))
    monkeypatch.setattr(images, "_LAYERS", layers)
    monkeypatch.setattr(images, "_HOLDERS", tmp_path / "holders")
    return layers


def left(cache: pathlib.Path) -> list[str]:
    images._prune()
    return sorted(path.name for path in cache.iterdir())


def test_a_layer_nobody_asked_for_goes_and_the_layer_of_a_node_that_is_off_stays(
    cache: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    nodes = tmp_path / "site" / "nodes"
    (nodes / "a").mkdir(parents=True)
    (nodes / "a/node.json").write_text(json.dumps({"layers": [str(cache / "used-1/root")]}))
    images.hold(nodes)
    assert left(cache) == ["used-1"]


def test_a_layer_goes_with_the_last_directory_of_nodes_that_held_it(
    cache: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    images.hold(tmp_path / "gone")
    assert left(cache) == []
    assert list((tmp_path / "holders").iterdir()) == []
