# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The public certificate authority of the internet: whoever asks gets a certificate of any name."""

from __future__ import annotations

import typing as tp

from clients import files, issuing

if tp.TYPE_CHECKING:
    import pathlib

NAME: tp.Final = "Internet of the stand"
ROOT_HASH: tp.Final = "d5bff702"
"""What OpenSSL looks the root up by in a directory: it follows from the root's name."""


def ensure(state: pathlib.Path) -> issuing.Authority:
    """Return the authority of the internet whose *state* this is, made once."""
    file = state / "authority.pem"
    if not file.exists():
        state.mkdir(parents=True, exist_ok=True)
        files.write_private(file, issuing.Authority(NAME).dump())
    return issuing.Authority.load(file.read_text())
