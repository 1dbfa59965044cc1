# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a certificate of Core's is a stranger's, as far as Core says so at once.

Users may lack the right to read certificates at Core, so it is asked as the control plane, by
the one gate of ``core_certificates``. Whatever comes of it, that decides again what is served.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import typing as tp
import uuid as sys_uuid

import requests
from bazooka import exceptions as bazooka_exceptions
from oslo_config import cfg

from exordos_paas_mail.control_plane.certificates import core_certificates
from exordos_paas_mail.control_plane.reconcile import core

LOG = logging.getLogger(__name__)

_GROUP: tp.Final = "core"
_OPTIONS: tp.Final = ("core_username", "core_password", "core_api_base_url")
# The worker of the user API serves one request at a time.
_TIMEOUT: tp.Final = 2


def is_strangers(certificate: str, project: sys_uuid.UUID) -> bool:
    """Return whether *project* does not have *certificate*; False where Core does not say."""
    told = _told()
    if told is None:
        return False
    try:
        _certificates(*told).read(sys_uuid.UUID(certificate), project)
    except core_certificates.NotThereError:
        return True
    except (requests.RequestException, bazooka_exceptions.BaseHTTPException) as error:
        LOG.warning("Core does not say whose a certificate is: %s", type(error).__name__)
    return False


@functools.cache
def _certificates(username: str, password: str, url: str) -> core_certificates.Certificates:
    client = core.unscoped_client(username, password, url, timeout=_TIMEOUT)
    return core_certificates.Certificates(client)


def _told() -> tuple[str, str, str] | None:
    """Return whom to log in as, and where; None in a process that is not told."""
    # As the runtime's gservice does, in its process: the configuration is one for both.
    with contextlib.suppress(cfg.DuplicateOptError):
        cfg.CONF.register_opts([cfg.StrOpt(name) for name in _OPTIONS], _GROUP)
    username, password, url = (cfg.CONF[_GROUP][name] for name in _OPTIONS)
    return (username, password, url) if username and password and url else None
