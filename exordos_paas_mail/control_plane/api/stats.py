# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Figures: /v1/types/mail/instances/<uuid>/stats/."""

from __future__ import annotations

import typing as tp

from restalchemy.api import constants as api
from restalchemy.api import routes

from exordos_paas_mail import constants, utils
from exordos_paas_mail.control_plane.api import base, logs, packers, resources, routing
from exordos_paas_mail.control_plane.records import errors, events, stats

if tp.TYPE_CHECKING:
    import datetime

_STEP_DEFAULT: tp.Final = "1h"
_STEPS_DEFAULT: tp.Final = 24
# Of all of them together, and of each value of what they are told by.
STEPS_MAX: tp.Final = 1_000
STEPS_MAX_BY: tp.Final = 100
_FILTERS: tp.Final = {
    "account": logs.uuid(stats.Stats.of_account),
    "class": logs.choice(stats.Stats.of_class, events.CLASSES),
    "recipient_domain": logs.text(stats.Stats.to_domain, 255),
}


def _keep(page: tp.Any, value: tp.Any) -> None:
    """Ask for nothing: the parameter is not a condition."""


_WHEN: tp.Final = {
    "from": logs.moment(_keep),
    "to": logs.moment(_keep),
    "step": logs.choice(_keep, tuple(stats.STEPS)),
    "by": logs.choice(_keep, tuple(stats.DIMENSIONS)),
}
_PARAMETERS: tp.Final = {**_WHEN, **_FILTERS}


class MailStatController(base.OfInstance):
    """Figures: /v1/types/mail/instances/<uuid>/stats/."""

    __policy_service_name__ = constants.POLICY_SERVICE
    __policy_name__ = constants.STAT_POLICY

    __resource__ = resources.Resource(
        stats.MailStat,
        read_only=tuple(stats.MailStat.properties.properties),
        name_map={"reason": "class"},
    )

    def _list(self, parent_resource: tp.Any) -> tp.Any:
        self.request.api_context.set_active_method(api.FILTER)
        parsers = {name: each.parse for name, each in _PARAMETERS.items()}
        values = logs.asked(self.request.GET, parsers)
        return self.process_result(self.filter(parent_resource, values))

    @logs.with_parameters(
        ("MailInstanceUuid",),
        {
            **{name: each.schema for name, each in _PARAMETERS.items()},
            "step": {**_WHEN["step"].schema, "default": _STEP_DEFAULT},
        },
    )
    def filter(self, parent_resource: tp.Any, filters: tp.Any, order_by: tp.Any = None) -> tp.Any:  # noqa: ARG002
        self.require("read")
        by = filters.pop("by", None)
        step = stats.STEPS[filters.pop("step", _STEP_DEFAULT)]
        since, until = _range(filters, step, STEPS_MAX_BY if by else STEPS_MAX)
        asked = stats.Stats(parent_resource.uuid, since, until, step, by)
        for name, value in filters.items():
            _FILTERS[name].ask(asked, value)
        with utils.transaction() as session:
            return packers.Plain(asked.select(session))


def _range(
    filters: dict[str, tp.Any], step: datetime.timedelta, steps_max: int
) -> tuple[datetime.datetime, datetime.datetime]:
    """Return the whole steps that *filters* ask for; ``from`` and ``to`` are taken out of them."""
    until = stats.end_of(filters.pop("to", None) or utils.now(), step)
    since = stats.begin_of(filters.pop("from", until - _STEPS_DEFAULT * step), step)
    if since >= until:
        raise errors.FieldError("to", "must be after from")
    if until - since > steps_max * step:
        raise errors.FieldError("from", f"must be at most {steps_max} steps before to")
    return since, until


class MailStatRoute(routing.Route):
    """Route /v1/types/mail/instances/<uuid>/stats/."""

    __one__, __many__ = "figures", "figures"
    __controller__ = MailStatController
    __allow_methods__: tp.ClassVar[list[str]] = [routes.FILTER]
