# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The certificates of Core's secret service, each opened for the one project it is of.

The control plane's role at Core reads the certificates of every project, with their private
keys, because one token serves all of them. What keeps an instance from a stranger's is
``_open`` alone: there is no other way to a ``Found``, and it is asked for anew at each look.
"""

from __future__ import annotations

import typing as tp

from bazooka import exceptions as bazooka_exceptions

if tp.TYPE_CHECKING:
    import uuid as sys_uuid
    from collections.abc import Mapping, Sequence

    from gcl_sdk.clients.http import base as core_http

_CERTIFICATES: tp.Final = "/v1/secret/certificates/"
_ACTIVE: tp.Final = "ACTIVE"
# Of RFC 5321 and of Core's.
_EMAIL_SIZE_MAX: tp.Final = 254
_NAME_SIZE_MAX: tp.Final = 255


class NotThereError(Exception):
    """The project has no such certificate; the text says so."""


class Found(tp.NamedTuple):
    """A certificate as Core has it."""

    status: str
    chain: str
    """PEM; empty as long as it is not issued."""
    key: str

    @property
    def is_issued(self) -> bool:
        """Return whether there is something to be served."""
        return bool(self.status == _ACTIVE and self.chain and self.key)


class Certificates:
    """Core's certificates."""

    def __init__(self, client: core_http.CollectionBaseClient) -> None:
        self._core = client

    def read(self, uuid: sys_uuid.UUID, project: sys_uuid.UUID) -> Found:
        """Return a certificate; NotThereError unless *project* has it."""
        try:
            found = self._core.get(_CERTIFICATES, uuid)
        except bazooka_exceptions.NotFoundError:
            raise _not_there(uuid) from None
        return self._open(found, uuid, project)

    def ask(
        self, uuid: sys_uuid.UUID, project: sys_uuid.UUID, names: Sequence[str], tag: str
    ) -> None:
        """Have Core issue a certificate for *names*; once more is once."""
        body = {
            "uuid": str(uuid),
            "name": f"mailaas {names[0]}"[:_NAME_SIZE_MAX],
            "project_id": str(project),
            "email": _email(names[0]),
            "domains": list(names),
            "method": {"kind": "dns_core"},
            "tags": [tag],
        }
        try:
            self._core.create(_CERTIFICATES, body)
        except bazooka_exceptions.ConflictError:
            # Asked for, by whoever ended before the answer came.
            return

    def remove(self, uuid: sys_uuid.UUID, project: sys_uuid.UUID) -> None:
        """Have Core revoke a certificate and forget it; one that is gone is no error."""
        try:
            self.read(uuid, project)
            self._core.delete(_CERTIFICATES, uuid)
        except (NotThereError, bazooka_exceptions.NotFoundError):
            return

    @staticmethod
    def _open(found: Mapping[str, tp.Any], uuid: sys_uuid.UUID, project: sys_uuid.UUID) -> Found:
        if found.get("project_id") != str(project):
            # What others have in Core is not told.
            raise _not_there(uuid)
        return Found(str(found["status"]), found.get("cert") or "", found.get("key") or "")


def _not_there(uuid: sys_uuid.UUID) -> NotThereError:
    return NotThereError(f"Core has no certificate {uuid} in this project")


def _email(hostname: str) -> str:
    """Return an address at *hostname*, or where that is too long, at a domain above it."""
    while len(f"postmaster@{hostname}") > _EMAIL_SIZE_MAX:
        hostname = hostname.partition(".")[2]
    return f"postmaster@{hostname}"
