# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A new wheel in a process that has imported the one before.

Once a plugin is installed, the runtime restarts gservice and core-agent, and
has the user API look for routes anew without a restart (SIGUSR1, see
exordos_metapaas.user_api.api.routes). That finds a plugin that is new. One that
was imported would answer as before, on tables that its successor has migrated:
Python imports a module once.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import logging
import sys
import typing as tp

from exordos_metapaas.common import constants as runtime

from exordos_paas_mail import constants

LOG = logging.getLogger(__name__)
_PACKAGE: tp.Final = __name__.partition(".")[0]


def _installed() -> str:
    # RECORD has the digest of each file: the same version built twice differs.
    record = importlib.metadata.distribution(_PACKAGE).read_text("RECORD") or ""
    return hashlib.sha256(record.encode()).hexdigest()


_IMPORTED: tp.Final = _installed()


def is_pending() -> bool:
    """Return whether another wheel was installed since this one was imported."""
    return _installed() != _IMPORTED


def load_definition() -> tp.Any:
    """Forget what was imported of this package; return the definition that is installed now.

    Raises ImportError if the installed package cannot be imported: the next
    look for routes tries again.
    """
    LOG.info("Another wheel of %s is installed: importing it", _PACKAGE)
    for name in list(sys.modules):
        if name == _PACKAGE or name.startswith(f"{_PACKAGE}."):
            del sys.modules[name]
    (found,) = importlib.metadata.entry_points(group=runtime.EP_PAAS, name=constants.SLUG)
    return found.load()()
