# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The control plane's client of Core."""

from __future__ import annotations

import logging
import typing as tp

import bazooka
import requests
from bazooka import exceptions as bazooka_exceptions
from gcl_sdk.clients.http import base

if tp.TYPE_CHECKING:
    import uuid as sys_uuid

LOG = logging.getLogger(__name__)

SETS: tp.Final = "/v1/compute/sets/"
# gservice is one thread for all plugins: Core must not hold it for ever.
_TIMEOUT: tp.Final = 10


class _QuietSession(requests.Session):
    """A session that logs no body: a password goes out in one, keys come in in others.

    Nor does it try again, as bazooka's own does, with pauses: the next pass asks again.
    """

    def __init__(self, auth: tp.Any, verify_ssl: bool, *_logging: tp.Any) -> None:  # noqa: FBT001 - bazooka's call
        super().__init__()
        self.auth = auth
        self.verify = verify_ssl

    def request(self, *args: tp.Any, **kwargs: tp.Any) -> requests.Response:
        """Return the answer; a status of 400 or more is an exception of bazooka's."""
        response = super().request(*args, **kwargs)
        LOG.info("%s %s: %d", response.request.method, response.url, response.status_code)
        try:
            response.raise_for_status()
        except requests.HTTPError as error:
            bazooka_exceptions.wrap_to_bazooka_exception(error)
        return response


def client(
    username: str, password: str, base_url: str, project_id: sys_uuid.UUID
) -> base.CollectionBaseClient:
    """Return a client that is logged in to *project_id*."""
    scope = base.CoreIamAuthenticator.project_scope(project_id)
    return _client(username, password, base_url, scope)


def unscoped_client(
    username: str, password: str, base_url: str, timeout: float = _TIMEOUT
) -> base.CollectionBaseClient:
    """Return a client that is logged in to no project.

    It may do what the roles allow that the user has in all projects, in each of them:
    whoever uses it looks after whose project it is.
    """
    scope = base.CoreIamAuthenticator.empty_scope()
    return _client(username, password, base_url, scope, timeout)


def _client(
    username: str, password: str, base_url: str, scope: str, timeout: float = _TIMEOUT
) -> base.CollectionBaseClient:
    http = bazooka.Client(default_timeout=timeout, session=_QuietSession)
    return base.CollectionBaseClient(
        base_url=base_url,
        http_client=http,
        auth=base.CoreIamAuthenticator(base_url, username, password, http_client=http, scope=scope),
    )
