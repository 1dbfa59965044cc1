# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Asks a domain for its policy: a TXT record, and a file of its web server (RFC 8461 3)."""

from __future__ import annotations

import http.client
import ssl
import time
import typing as tp

from exordos_paas_mail.codecs import mta_sts
from exordos_paas_mail.node.sts import findings
from exordos_paas_mail.node.web import errors

if tp.TYPE_CHECKING:
    from collections.abc import Callable

    from exordos_paas_mail.node.web import connections

TIMEOUT: tp.Final = 10.0
"""Seconds for all of a look, where others wait for theirs."""
PATIENCE: tp.Final = 60.0
"""Seconds for one that takes its time: RFC 8461 3.3 suggests a minute for the web server."""
_PATH: tp.Final = "/.well-known/mta-sts.txt"
_HEADERS: tp.Final = {"User-Agent": "mailaas-sts/1.0", "Accept": mta_sts.MEDIA_TYPE}


class Finder:
    """Looks at domains, each in the thread that asks for it.

    *texts* gives the TXT records of a name within some seconds, *opener* makes connections.
    """

    def __init__(
        self,
        texts: Callable[[str, float], list[str]],
        opener: connections.Opener,
        port: int = http.client.HTTPS_PORT,
    ) -> None:
        self._texts = texts
        self._opener = opener
        self._port = port

    def find(self, domain: str, known_id: str, seconds: float) -> findings.Finding:
        """Return what *domain* publishes; a policy with the id *known_id* is not fetched again."""
        deadline = time.monotonic() + seconds
        try:
            # Half of the time: the web server is asked when the name server has answered.
            found = mta_sts.record_id(self._texts(f"_mta-sts.{domain}", seconds / 2))
            if found is None or found == known_id:
                return findings.Finding(found)
            return findings.Finding(found, self._fetch(f"mta-sts.{domain}", deadline))
        except TimeoutError:
            words = f"no answer of its web server within {seconds:g} seconds"
            return findings.Finding(None, None, words, is_slow=True)
        except errors.DeliveryError as error:
            return findings.Finding(None, None, str(error))
        except (OSError, ValueError, http.client.HTTPException) as error:
            return findings.Finding(None, None, _words(error))

    def _fetch(self, host: str, deadline: float) -> mta_sts.Policy:
        connection = self._opener.open(host, self._port, deadline)
        try:
            answer = connection.get(_PATH, _HEADERS, deadline, mta_sts.SIZE_MAX + 1)
        finally:
            connection.close()
        # RFC 8461 3.3: no redirect is followed, and nothing but 200 is a policy.
        if answer.code != http.HTTPStatus.OK:
            raise errors.DeliveryError(f"its web server answers {answer.code}")
        if answer.kind != mta_sts.MEDIA_TYPE:
            raise errors.DeliveryError(f"the policy is not {mta_sts.MEDIA_TYPE}")
        return mta_sts.parse(answer.body)


def _words(failure: OSError | ValueError | http.client.HTTPException) -> str:
    if isinstance(failure, ssl.SSLCertVerificationError):
        return f"the certificate of its web server is not accepted: {failure.verify_message}"
    if isinstance(failure, ssl.SSLError):
        return f"TLS of its web server fails: {failure.reason or 'the connection was closed'}"
    if isinstance(failure, OSError):
        return f"no connection to its web server: {failure.strerror or failure}"
    if isinstance(failure, http.client.HTTPException):
        return f"its web server speaks no HTTP: {type(failure).__name__}"
    return str(failure)
