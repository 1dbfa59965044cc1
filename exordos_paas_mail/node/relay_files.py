# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The files configure writes for exim, with their modes: who writes and who looks agree."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail import constants

if tp.TYPE_CHECKING:
    from exordos_paas_mail.node import machine


class RelayFile(tp.NamedTuple):
    """One of them."""

    mode: int
    exim: bool
    """Whether exim's group has it, see ``machine.Files.is_owned``."""
    without: str = ""
    """What its loss means at once; empty where the relay goes on without it."""


FILES: tp.Final = {
    constants.EXIM_CONFIG_FILE: RelayFile(0o644, exim=False, without="mail is refused"),
    constants.TLS_PRIVATE_KEY_FILE: RelayFile(0o640, exim=True),
    constants.TLS_CERTIFICATE_FILE: RelayFile(0o644, exim=True),
    constants.TLS_SERVED_FILE: RelayFile(0o640, exim=True, without="TLS and logins are refused"),
    constants.TLS_OTHER_FILE: RelayFile(0o640, exim=True),
    constants.TLS_OTHER_SERVED_FILE: RelayFile(
        0o640, exim=True, without="TLS and logins are refused"
    ),
    constants.DKIM_PRIVATE_KEY_FILE: RelayFile(0o640, exim=True, without="mail waits in the queue"),
    constants.DKIM_RECORD_FILE: RelayFile(0o644, exim=True),
}


def fault(node: machine.Machine, name: str) -> str:
    """Return what is wrong with the file *name* of FILES, whatever it holds; empty for nothing."""
    signature = node.signature(name)
    file = FILES[name]
    if signature is None:
        return f"{name} is missing" + (f": {file.without}" if file.without else "")
    if not node.is_owned(signature, file.mode, exim=file.exim):
        return f"{name} has another mode or owner, or is a link"
    return ""


def ensure(node: machine.Machine, name: str, content: bytes) -> bool:
    """Make the file *name* of FILES hold *content*; returns whether it had to be written."""
    file = FILES[name]
    return node.ensure_file(name, content, file.mode, exim=file.exim)
