# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The world outside a stand: records to publish, mail to read, sites, what is to go wrong."""

from __future__ import annotations

import typing as tp
from urllib import parse

import requests

from clients import waiting

_SECONDS: tp.Final = 60
PAGE: tp.Final = 500
"""Messages of an answer: of ten thousand it would not come in time."""
# What a zone in Core's DNS is delegated to.
CLOUD_SERVERS: tp.Final = ("ns1.cloud.test", "ns2.cloud.test")


class Client:
    """One internet; every method raises requests.HTTPError on a refusal."""

    def __init__(self, url: str) -> None:
        """*url* is the root of the interface, http://host:port."""
        self._url = url.rstrip("/")
        # Its resolver answers there too.
        self.host = str(parse.urlsplit(url).hostname)
        self._session = requests.Session()
        # The stand is on this machine: no proxy of the network it sits in is asked.
        self._session.trust_env = False

    def publish(self, name: str, rdtype: str, *values: str) -> None:
        """Replace the records of *name* and *rdtype*; no value at all says that there is none."""
        self._call("PUT", f"/records/{name}/{rdtype}", json=list(values))

    def publish_sender(
        self, domain: str, addresses: tp.Iterable[str], selector: str, dkim: str
    ) -> None:
        """Publish what a user is told to publish: A, PTR, SPF, DKIM and DMARC of *domain*."""
        addresses = list(addresses)
        self.publish(domain, "A", *addresses)
        for address in addresses:
            reverse = ".".join(reversed(address.split(".")))
            self.publish(f"{reverse}.in-addr.arpa", "PTR", f"{domain}.")
        mechanisms = " ".join(f"ip4:{address}" for address in addresses)
        self.publish(domain, "TXT", f"v=spf1 {mechanisms} -all")
        self.publish(f"{selector}._domainkey.{domain}", "TXT", dkim)
        self.publish(f"_dmarc.{domain}", "TXT", "v=DMARC1; p=reject; adkim=s; aspf=s")

    def delegate(self, zone: str) -> None:
        """Have the world ask the cloud's name servers about *zone*; ``withdraw`` ends it."""
        self.publish(zone, "NS", *(f"{server}." for server in CLOUD_SERVERS))

    def break_secondary(self, zone: str, **fault: tp.Any) -> None:
        """Have the second of those servers fail for *zone* (stand.internet.secondaries.Fault)."""
        self._call("PUT", f"/faults/{zone}", json=fault)

    def repair_secondary(self, zone: str) -> None:
        """Have it answer as the first one does."""
        self._call("DELETE", f"/faults/{zone}")

    def withdraw(self, name: str) -> None:
        """Forget every record of *name*."""
        self._call("DELETE", f"/records/{name}")

    def records(self) -> dict[str, dict[str, list[str]]]:
        """Return every published record."""
        return tp.cast("dict[str, dict[str, list[str]]]", self._call("GET", "/records").json())

    def serve(self, name: str, *codes: int, body: str = "", expired: bool = False) -> None:
        """Have a web site of *name*, at a public address, that is trusted as public ones are.

        It answers with *codes*, one after the other, then with the last; 200 if there is none.
        Nobody trusts one whose certificate is *expired*.
        """
        site = {"codes": codes or (200,), "body": body, "expired": expired}
        self._call("PUT", f"/sites/{name}", json=site)

    def asked(self, name: str) -> list[dict[str, tp.Any]]:
        """Return what the site of *name* was asked since it is served so, the oldest first."""
        return tp.cast(
            "list[dict[str, tp.Any]]", self._call("GET", f"/sites/{name}/requests").json()
        )

    def shut(self, name: str) -> None:
        """Have no web site of *name* any more."""
        self._call("DELETE", f"/sites/{name}")

    def issue(self, *names: str) -> dict[str, str]:
        """Return a certificate of *names* that nodes trust: ``key`` and ``chain``, as PEM."""
        return tp.cast("dict[str, str]", self._call("POST", "/certificates", json=names).json())

    def drop(self, *clients: str) -> None:
        """Have the exchanger answer no connection that an address of *clients* begins."""
        self._call("PUT", "/dropped", json=clients)

    def messages(
        self, recipient: str | None = None, subject: str | None = None
    ) -> list[dict[str, tp.Any]]:
        """Return the facts of received messages, oldest first; they are asked for by pages."""
        filters = {"recipient": recipient, "subject": subject}
        params = {key: value for key, value in filters.items() if value is not None}
        found: list[dict[str, tp.Any]] = []
        while True:
            after = found[-1]["id"] if found else ""
            more = {"after": after, "limit": str(PAGE)}
            page = self._call("GET", "/messages", params={**params, **more}).json()
            found += page
            if len(page) < PAGE:
                return found

    def wait_for_message(
        self, recipient: str, subject: str, timeout: float = 120
    ) -> dict[str, tp.Any]:
        """Return the first message found; raises TimeoutError after *timeout* seconds."""
        return waiting.until(
            f"a message to {recipient} with {subject!r}",
            lambda: self.messages(recipient, subject),
            timeout,
            pause=0.1,
        )[0]

    def raw(self, identifier: str) -> bytes:
        """Return a message exactly as it was received."""
        return self._call("GET", f"/messages/{identifier}").content

    def clear(self) -> None:
        """Forget every message."""
        self._call("DELETE", "/messages")

    def _call(self, method: str, path: str, **options: tp.Any) -> requests.Response:
        response = self._session.request(method, self._url + path, timeout=_SECONDS, **options)
        if not response.ok:
            raise requests.HTTPError(
                f"{method} {path}: {response.status_code} {response.text}", response=response
            )
        return response
