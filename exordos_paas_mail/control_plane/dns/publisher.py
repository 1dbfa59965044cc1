# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Keeps the records of domains in Core's DNS, where a domain asks for it.

A pass runs in a thread of its own: Core may take its time, and gservice has one
thread for the builders of all plugins.
"""

from __future__ import annotations

import dataclasses
import datetime
import logging
import random
import threading
import time
import typing as tp

import psycopg
import requests
from bazooka import exceptions as bazooka_exceptions
from gcl_looper.services import basic

from exordos_paas_mail import utils
from exordos_paas_mail.control_plane.dns import core_zones, expected, publishing, results
from exordos_paas_mail.control_plane.reconcile import core
from exordos_paas_mail.control_plane.records import (
    dkim_keys,
    dns_checks,
    domains,
    locks,
    publications,
)

if tp.TYPE_CHECKING:
    import uuid as sys_uuid

LOG = logging.getLogger(__name__)

# Seconds between two looks at what changed or is due.
LOOK_PERIOD: tp.Final = 5.0
# Seconds until a zone is looked at again: all is well, or something is not.
PERIOD: tp.Final = 3600
RETRY_PERIOD: tp.Final = 30


class Publisher:
    """Brings Core's zones in line with what the domains of instances ask for."""

    def __init__(self, zones: core_zones.Zones) -> None:
        self._zones = zones

    def run_once(self) -> None:
        """Publish what changed or is due, and withdraw what nobody asks for any more.

        Core is asked outside of any transaction. An answer that refuses concerns one
        domain; no answer ends the pass, and the next one asks again.
        """
        try:
            self._pass()
        except requests.RequestException as error:
            LOG.warning("Core does not answer, records wait: %s", error)
        except psycopg.Error as error:
            LOG.warning("The database cannot be used, records wait: %s", type(error).__name__)

    def _pass(self) -> None:
        with utils.transaction() as session:
            due = [
                (domain, publications.find(session, domain.uuid))
                for domain in dns_checks.unpublished(session, utils.now())
            ]
            abandoned = publications.abandoned(session)
        for publication in abandoned:
            self._withdraw(publication)
        for domain, known in due:
            self._publish(domain, known)

    def _publish(self, domain: dns_checks.Domain, known: publications.Publication | None) -> None:
        try:
            zone = self._zones.enclosing(domain.domain, domain.project_id)
            if known is not None and known.zone not in {None, zone.uuid}:
                self._remove_rows(known)
            # The rows are known before the first of them is there.
            _write(_publication(domain, zone=zone.uuid, outcomes=known.outcomes if known else ()))
            outcomes, has_changed = self._bring_in_line(zone, domain)
        except (core_zones.NotOpenError, bazooka_exceptions.BaseHTTPException) as error:
            LOG.warning("Records of %s are not published: %s", domain.domain, error)
            reason = (
                str(error)
                if isinstance(error, core_zones.NotOpenError)
                else f"Core DNS refused with {error.code}"
            )
            left = known.zone if known is not None else None
            _write(_publication(domain, zone=left, error=reason))
            if known is None or known.error != reason:
                _hurry(domain.uuid)
            return
        with utils.transaction() as session:
            if not domain.is_sending and not domain.was_lost:
                _prove(session, domain, outcomes)
            publication = _publication(
                domain, zone=zone.uuid, outcomes=outcomes, digest=domain.facts
            )
            publications.write(session, publication)
        if has_changed or known is None or (known.outcomes, known.error) != (outcomes, ""):
            _hurry(domain.uuid)

    def _bring_in_line(
        self, zone: core_zones.Zone, domain: dns_checks.Domain
    ) -> tuple[tuple[dict[str, str], ...], bool]:
        """Make *zone* hold the records; return what became of each, and whether rows changed."""
        records = expected.records(results.facts_of(domain))
        names = {record.name for record in records if zone.holds(record.name)}
        found = [*zone.rows_of(names), *zone.rows_with(publishing.domain_tag(domain.uuid))]
        rows = {row.uuid: row for row in found}
        plan = publishing.plan(records, zone, domain.uuid, rows.values())
        tags = (publishing.instance_tag(domain.instance), publishing.domain_tag(domain.uuid))
        # What is too much goes first: two are worse than none.
        for row in plan.remove:
            zone.remove(row)
        for row, value in plan.change:
            zone.change(row, value, expected.TTL)
        for record in plan.add:
            zone.add(record.type, record.name, record.value, expected.TTL, tags)
        outcomes = tuple(
            {
                "type": record.type,
                "name": record.name,
                "value": record.value,
                "state": outcome.state,
                "detail": outcome.detail,
            }
            for record, outcome in plan.outcomes.items()
        )
        return outcomes, bool(plan.remove or plan.change or plan.add)

    def _withdraw(self, publication: publications.Publication) -> None:
        ahead = publication.next_at - utils.now()
        if datetime.timedelta() < ahead <= publications.FURTHEST and publication.error:
            return
        try:
            self._remove_rows(publication)
        except bazooka_exceptions.BaseHTTPException as error:
            LOG.warning("Records of %s are not withdrawn: %d", publication.domain, error.code)
            _write(
                dataclasses.replace(
                    publication, error=f"Core DNS refused with {error.code}", next_at=_later()
                )
            )
            return
        with utils.transaction() as session:
            publications.forget(session, publication.domain)
        _hurry(publication.domain)

    def _remove_rows(self, publication: publications.Publication) -> None:
        if publication.zone is None:
            return
        try:
            zone = self._zones.of_uuid(publication.zone, publication.project_id)
        except core_zones.NotOpenError as error:
            LOG.warning("Records of %s stay where they are: %s", publication.domain, error)
            return
        for row in zone.rows_with(publishing.domain_tag(publication.domain)):
            zone.remove(row)


def _prove(
    session: tp.Any, domain: dns_checks.Domain, outcomes: tp.Iterable[tp.Mapping[str, str]]
) -> None:
    """Have the domain send at once: whoever has the zone has the domain.

    Nobody was ever answered that its keys are not there, so nobody remembers it.
    """
    if not locks.hold_instance(session, domain.instance):
        return
    domains.grant(session, domain.uuid)
    names = {each["name"] for each in outcomes if each["state"] == publishing.PUBLISHED}
    selectors = {
        key.selector
        for key in domain.keys
        if expected.dkim_name(key.selector, domain.domain) in names
    }
    dkim_keys.observe(session, domain.uuid, selectors, set(), 0, utils.now())


class PublisherService(basic.BasicService):
    """Runs the passes of a publisher, one at a time, beside the loop of gservice."""

    def __init__(self, publisher: Publisher) -> None:
        super().__init__()
        self._publisher = publisher
        self._thread: threading.Thread | None = None
        self._next_look = 0.0

    def _setup(self) -> None:
        """Do nothing: the first pass is made by the loop."""

    def _iteration(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + LOOK_PERIOD
        # It holds nothing that the end of the process could break.
        self._thread = threading.Thread(
            target=self._publisher.run_once, name="mailaas-publisher", daemon=True
        )
        self._thread.start()


def service(username: str, password: str, base_url: str) -> PublisherService:
    """Return the service for the Core at *base_url*."""
    client = core.unscoped_client(username, password, base_url)
    return PublisherService(Publisher(core_zones.Zones(client)))


def _later(seconds: int = RETRY_PERIOD) -> datetime.datetime:
    # Zones that were published together are not looked at together for ever.
    return utils.now() + datetime.timedelta(seconds=seconds * random.uniform(0.8, 1.2))  # noqa: S311


def _publication(
    domain: dns_checks.Domain,
    zone: str | None,
    error: str = "",
    outcomes: tuple[dict[str, str], ...] = (),
    digest: str = "",
) -> publications.Publication:
    return publications.Publication(
        domain=domain.uuid,
        instance=domain.instance,
        project_id=domain.project_id,
        zone=zone,
        digest=digest,
        error=error,
        outcomes=outcomes,
        next_at=_later(RETRY_PERIOD if error else PERIOD),
    )


def _write(publication: publications.Publication) -> None:
    with utils.transaction() as session:
        publications.write(session, publication)


def _hurry(domain: sys_uuid.UUID) -> None:
    with utils.transaction() as session:
        dns_checks.hurry(session, domain)
