# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Keeps instances in certificates of Core's: asks for them, takes them over, withdraws them.

It runs in a thread of its own: Core may take its time. Core is asked outside of any
transaction, and an answer that refuses concerns one instance.
"""

from __future__ import annotations

import datetime
import itertools
import json
import logging
import random
import typing as tp

import psycopg
import requests
from bazooka import exceptions as bazooka_exceptions

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import rules
from exordos_paas_mail.codecs import tls_pairs as pairs
from exordos_paas_mail.control_plane.certificates import core_certificates
from exordos_paas_mail.control_plane.dns import core_zones, publishing
from exordos_paas_mail.control_plane.reconcile import core
from exordos_paas_mail.control_plane.records import locks, tls_left_out, tls_orders, tls_pairs
from exordos_paas_mail.control_plane.runtime import causes, threads

if tp.TYPE_CHECKING:
    import threading
    import uuid as sys_uuid

LOG = logging.getLogger(__name__)

# Seconds between two looks at what is due.
PERIOD: tp.Final = 2.0
# Seconds until Core is asked again: for what it has just begun, for what takes it longer, for
# what it has not done in time, and for what is served.
_SOON: tp.Final = 3
_SOMETIME: tp.Final = 30
_SELDOM: tp.Final = 300
_SERVED: tp.Final = 3600
# Parts of them: those that were asked for together are not looked at together for ever.
_SPREAD: tp.Final = (0.8, 1.2)
_LONGEST: tp.Final = datetime.timedelta(seconds=_SERVED * max(_SPREAD))
_BEGUN: tp.Final = datetime.timedelta(minutes=3)
# And after something went wrong: from, and up to.
_RETRY: tp.Final = 5
_RETRY_MAX: tp.Final = 600
# Where nothing was asked for yet: most often a zone is about to be made.
_RETRY_ZONE_MAX: tp.Final = 60
# In a row, after which the others wait for the next pass.
_SILENCES_MAX: tp.Final = 3
_LOOKS_MAX: tp.Final = 2 * tls_orders.NAMES_MAX
_BAD_REQUEST: tp.Final = 400


class _NotPublicError(core_zones.NotOpenError):
    """Core does not serve the zone to the internet; the text says so."""


class Keeper:
    """What the thread of the certificates does."""

    def __init__(
        self, certificates: core_certificates.Certificates, zones: core_zones.Zones
    ) -> None:
        self._certificates, self._zones = certificates, zones

    def run(self, stop: threading.Event) -> None:
        """Keep until *stop* is set."""
        threads.repeat(stop, PERIOD, self.run_once, of="certificates")

    def run_once(self) -> None:
        """Withdraw what nobody serves any more, and ask Core about what is due."""
        now = utils.now()
        tls_left_out.give_up(now)
        with utils.transaction() as session:
            tls_orders.forget(session, now)
            abandoned = tls_orders.abandoned(session, now)
            targets = tls_orders.due(session, now, now + _LONGEST)
            spares = tls_left_out.spares(session, now, now + _LONGEST)
        _tell_late(now)
        silences = 0
        steps = itertools.chain(
            ((self._withdraw, order) for order in abandoned),
            ((self._serve, target) for target in targets),
            ((self._renew, order) for order in spares),
        )
        for step, of in steps:
            silences = 0 if step(of) else silences + 1  # type: ignore[operator]
            if silences == _SILENCES_MAX:
                return

    def _withdraw(self, order: tls_orders.Order) -> bool:
        """Have Core forget what *order* asked for; return whether Core answered."""
        reason, has_answered = "", True
        with utils.transaction() as session:
            if not tls_orders.is_abandoned(session, order):
                return True
        if order.is_ours:
            try:
                self._certificates.remove(order.certificate, order.project_id)
            except Exception as error:  # noqa: BLE001 - as below
                reason, has_answered, _ = _told(error)
        with utils.transaction() as session:
            if reason:
                LOG.warning("The certificate %s is not withdrawn: %s", order.certificate, reason)
                tls_orders.withdraw_later(session, order, _after_failure(order))
            else:
                tls_orders.withdraw(session, order, utils.now())
        return has_answered

    def _serve(self, target: tls_orders.Target) -> bool:
        """Bring *target* further by a step; return whether Core answered."""
        order = _order_of(target)
        if order.is_ours and order.asked_at is None:
            return self._try(order, lambda: self._ask(target, order))
        return self._try(order, lambda: self._look(order))

    def _renew(self, order: tls_orders.Order) -> bool:
        """Take over what Core has renewed of *order*; return whether Core answered."""
        return self._try(order, lambda: self._look(order, is_spare=True))

    def _try(self, order: tls_orders.Order, step: tp.Callable[[], None]) -> bool:
        """Make a *step* with *order*; return whether Core answered."""
        try:
            step()
        except (psycopg.OperationalError, psycopg.InterfaceError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, no other instance waits for it
            reason, has_answered, is_final = _told(error)
            _put_off(order, reason, error=reason if is_final else "")
            return has_answered
        return True

    def _ask(self, target: tls_orders.Target, order: tls_orders.Order) -> None:
        considered = tuple(dict.fromkeys([target.hostname, *target.wanted]))
        with utils.transaction() as session:
            order = tls_orders.name(session, order, (), considered)
            if tls_orders.is_too_many(session, order.project_id, utils.now()):
                raise rules.RuleError(
                    "too many certificates were asked for in this project within an hour:"
                    " the next is asked for later"
                )
        names = self._names(target, order.left_out)
        with utils.transaction() as session:
            order = tls_orders.name(session, order, names, considered)
        tag = publishing.instance_tag(order.instance)
        self._certificates.ask(order.certificate, order.project_id, names, tag)
        LOG.info("Core is asked for the certificate %s", order.certificate)
        with utils.transaction() as session:
            if locks.hold_instance(session, order.instance):
                now = utils.now()
                tls_orders.ask(session, order, now, _later(_SOON))
                if order.reason and tls_orders.is_wanted(session, order):
                    tls_pairs.fail(session, order.instance, "")

    def _names(self, target: tls_orders.Target, left_out: tp.Sequence[str]) -> list[str]:
        """Return what the certificate is to name; NotOpenError if none can be had for the host."""
        self._find(target.hostname, target.project_id)
        names = [target.hostname]
        for domain in target.wanted[:_LOOKS_MAX]:
            if domain in {*names, *left_out} or len(json.dumps([*names, domain])) > tls_orders.ROOM:
                continue
            try:
                self._find(domain, target.project_id)
            except core_zones.NotOpenError:
                continue
            names.append(domain)
            if len(names) == tls_orders.NAMES_MAX:
                break
        return names

    def _find(self, name: str, project: sys_uuid.UUID) -> None:
        """Raise NotOpenError unless the authority can find what Core shows it at *name*."""
        zone = self._zones.enclosing(name, project)
        if not zone.is_public:
            raise _NotPublicError(
                f"the zone {zone.name} in Core DNS is not public, and no authority finds it"
            )

    def _look(self, order: tls_orders.Order, *, is_spare: bool = False) -> None:
        try:
            found = self._certificates.read(order.certificate, order.project_id)
        except core_certificates.NotThereError:
            if not order.is_ours:
                raise
            # Its owner has taken it away at Core, and it is revoked: there has to be another.
            with utils.transaction() as session:
                tls_orders.withdraw(session, order, utils.now())
            return
        if not found.is_issued:
            _wait(order, f"its status at Core is {found.status}")
            return
        with utils.transaction() as session:
            if not locks.hold_instance(session, order.instance):
                return
            if not (
                tls_left_out.is_spare(session, order, utils.now())
                if is_spare
                else tls_orders.is_wanted(session, order)
            ):
                return
            # What is wrong with the newer order is told already.
            error = None if is_spare else tls_left_out.text(order.left_out)
            tls_pairs.put(
                *(session, order.instance, found.chain, found.key, order.source), error=error
            )
            served = pairs.served(found.chain)
            if tls_orders.take(session, order, served, utils.now(), _later(_SERVED)):
                LOG.info("The certificate %s is to be served", order.certificate)


def service(username: str, password: str, base_url: str) -> Keeper:
    """Return the keeper for the Core at *base_url*."""
    client = core.unscoped_client(username, password, base_url)
    return Keeper(core_certificates.Certificates(client), core_zones.Zones(client))


def _order_of(target: tls_orders.Target) -> tls_orders.Order:
    """Return the order of *target*, a new one where that is asked for and serves no more."""
    order, now = target.order, utils.now()
    left_out: tuple[str, ...] | None = () if order is None else None
    if order is not None and order.is_ours and order.asked_at is not None:
        left_out = tls_left_out.kept_out(target, now)
    if order is None or left_out is not None:
        with utils.transaction() as session:
            order = tls_orders.open_order(session, target, now, left_out or ())
    return order


def _told(error: Exception) -> tuple[str, bool, bool]:
    """Return what *error* means, whether Core answered, and whether its owner has to act."""
    if isinstance(error, requests.RequestException):
        return "Core does not answer", False, False
    if isinstance(error, bazooka_exceptions.BaseHTTPException):
        return f"Core refuses with {error.code}", True, error.code == _BAD_REQUEST
    if isinstance(error, _NotPublicError):
        what_to_do = 'give it the tag "public" and delegate it, or choose another kind of tls'
        return f"{error}: {what_to_do}", True, True
    if isinstance(error, core_zones.NotOpenError):
        what_to_do = "make it there and delegate it, or choose another kind of tls"
        return f"{error}: {what_to_do}", True, True
    if isinstance(error, core_certificates.NotThereError | rules.RuleError):
        return str(error), True, True
    cause = causes.cause_of(error)
    LOG.error("A certificate cannot be brought further: %s", cause)
    return "the control plane has failed, see its log", True, False


def _wait(order: tls_orders.Order, reason: str) -> None:
    """Look again, the sooner the less it has waited."""
    waited = utils.now() - order.since
    seconds = _SOON if waited < _BEGUN else _SOMETIME
    if waited >= tls_orders.PATIENCE:
        seconds = _SELDOM
    with utils.transaction() as session:
        if not locks.hold_instance(session, order.instance):
            return
        tls_orders.wait(session, order, reason, _later(seconds))
        if order.tries and tls_orders.is_wanted(session, order):
            # What was wrong is not so any more.
            text = _late_text(order) if waited >= tls_orders.PATIENCE else ""
            tls_pairs.fail(session, order.instance, text)


def _put_off(order: tls_orders.Order, reason: str, error: str) -> None:
    """Try again, the later the more often it was tried; *error* is told."""
    LOG.warning("The certificate %s waits: %s", order.certificate, reason)
    with utils.transaction() as session:
        if not locks.hold_instance(session, order.instance):
            return
        tls_orders.put_off(session, order, reason, _after_failure(order))
        if error and tls_orders.is_wanted(session, order):
            tls_pairs.fail(session, order.instance, error)


def _tell_late(now: datetime.datetime) -> None:
    """Have instances tell that Core has not answered, and what to look at."""
    with utils.transaction() as session:
        found = tls_orders.late(session, now)
    for order in found:
        with utils.transaction() as session:
            if locks.hold_instance(session, order.instance) and (
                tls_orders.is_wanted(session, order)
            ):
                tls_pairs.fail_if_well(session, order.instance, _late_text(order))


def _late_text(order: tls_orders.Order) -> str:
    minutes = tls_orders.PATIENCE // datetime.timedelta(minutes=1)
    said = f" ({order.reason})" if order.reason else ""
    if not order.is_ours:
        return (
            f"Core has not issued the certificate {order.certificate} within {minutes} minutes"
            f"{said}: look at it in Core's secret service"
        )
    names = ", ".join(order.names or order.considered[:1])
    return (
        f"Core has not issued a certificate for {names} within {minutes} minutes{said}: is the"
        " zone in Core DNS public, do its NS records in the zone above lead to Core's name"
        " servers, and does no CAA record forbid the authority?"
    )


def _after_failure(order: tls_orders.Order) -> datetime.datetime:
    is_asked = order.asked_at is not None or not order.is_ours
    longest = _RETRY_MAX if is_asked else _RETRY_ZONE_MAX
    return _later(min(longest, _RETRY * 2 ** min(order.tries, 10)))


def _later(seconds: float) -> datetime.datetime:
    return utils.now() + datetime.timedelta(seconds=seconds * random.uniform(*_SPREAD))  # noqa: S311
