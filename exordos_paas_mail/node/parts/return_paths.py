# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The domains that the relay makes return paths for, and the key it makes them with."""

from __future__ import annotations

import secrets
import typing as tp

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import return_paths
from exordos_paas_mail.node.machine import watched

if tp.TYPE_CHECKING:
    from exordos_paas_mail.node import machine

_MODE = 0o640
_KEY_OCTETS = 32


class _Content(tp.NamedTuple):
    text: str
    needs_key: bool


def _parse(data: bytes | None) -> _Content:
    # Whatever somebody put there has to read as something else than a target.
    text = "" if data is None else data.decode("utf-8", errors="replace")
    try:
        return _Content(text, bool(return_paths.parse(text)))
    except ValueError:
        return _Content(text, needs_key=False)


def _are_keys(data: bytes | None) -> bool:
    return data is not None and return_paths.are_keys(data.decode("utf-8", errors="replace"))


class ReturnPaths:
    """The file and the key of one machine, a ``base.Part``.

    The key is made here and told to nobody: what the control plane learns of a bounce is
    what the relay has verified. exim reads both files anew for each message, so a change
    owes no reload.
    """

    name: tp.ClassVar[str] = "the file of return paths"

    def __init__(self, node: machine.Machine) -> None:
        self._node = node
        self._file = watched.Watched(node, constants.RETURN_PATHS_FILE, _parse)
        self._keys = watched.Watched(node, constants.RETURN_PATH_KEYS_FILE, _are_keys)

    def check(self, text: str, domain: str) -> None:  # noqa: ARG002 - of all domains
        """Raise ValueError, naming the line, unless *text* is a file of return paths."""
        return_paths.parse(text)

    def read(self) -> str:
        """Return the text of the file, empty when there is none."""
        _, content = self._file.read()
        return content.text

    def faults(self) -> list[str]:
        """Return what ``ensure`` has to repair even where the text is the target's."""
        file, content = self._file.read()
        faults = []
        if file is None or not self._node.is_owned(file, _MODE, exim=True):
            faults.append("the file of return paths is missing, or has another mode or owner")
        if content.needs_key and not self._has_keys():
            faults.append("the key of return paths is lost, damaged, or has another mode or owner")
        return faults

    def ensure(self, text: str) -> bool:
        """Make *text* the file; returns whether it had to be written."""
        if return_paths.parse(text) and not self._has_keys():
            self._ensure_keys()
        return self._node.ensure_file(constants.RETURN_PATHS_FILE, text.encode(), _MODE, exim=True)

    def _has_keys(self) -> bool:
        file, are_sound = self._keys.read()
        return file is not None and are_sound and self._node.is_owned(file, _MODE, exim=True)

    def _ensure_keys(self) -> None:
        """Keep the keys that are there, with their mode; make one in the place of what is none."""
        data = self._node.read(constants.RETURN_PATH_KEYS_FILE)
        if not _are_keys(data):
            data = f"{secrets.token_hex(_KEY_OCTETS)}\n".encode()
        self._node.ensure_file(
            constants.RETURN_PATH_KEYS_FILE, tp.cast("bytes", data), _MODE, exim=True
        )
