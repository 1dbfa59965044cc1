# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What lists cost the API: make benchmark-rest.

The figures are CPU time of this process, which serves the request, and of the
database. The plain way is restalchemy's own for the same rows: its types, its packer,
its controller. Bounds are ratios within one run.
"""

from __future__ import annotations

import functools

from gcl_iam.api import controllers as iam_controllers
from restalchemy.api import controllers, packers, resources, routes
from restalchemy.dm import models, properties, relationships, types
from restalchemy.storage.sql import orm

from benchmarks import database
from exordos_paas_mail import constants
from exordos_paas_mail.control_plane.api import instances as instances_api
from exordos_paas_mail.control_plane.records import instances
from exordos_paas_mail.tests.unit.control_plane import api_client, fake_core, gservice
from exordos_paas_mail.tests.unit.control_plane import stage as stages

ACCOUNTS = 100_000
PAGE = 50
# In turns; the best of each counts.
RUNS = 20
ROUNDS = 10
# Of a page of ours to one of the plain way; of one of many accounts to one of few.
PLAIN_BOUND = 1.0
MANY_BOUND = 1.3


class PlainAccount(
    models.ModelWithUUID,
    models.ModelWithNameDesc,
    models.ModelWithTimestamp,
    models.ModelWithProject,
    orm.SQLStorableMixin,
):
    """The rows of accounts by the platform's own types."""

    __tablename__ = "mail_accounts"

    instance = relationships.relationship(instances.MailInstance, required=True)
    username = properties.property(types.String(), required=True)
    password_hash = properties.property(types.AllowNone(types.String()), default=None)
    active = properties.property(types.Boolean(), default=True)
    senders = properties.property(types.AllowNone(types.TypedList(types.String())))
    limits = properties.property(types.Dict(), default=dict)
    on_limit = properties.property(types.String(), default="")
    hold = properties.property(types.Dict(), default=dict)
    error = properties.property(types.String(), default="")


class PlainController(
    iam_controllers.NestedPolicyBasedController,
    controllers.BaseNestedResourceControllerPaginated,
):
    """Their collection."""

    __policy_service_name__ = constants.POLICY_SERVICE
    __policy_name__ = constants.ACCOUNT_POLICY
    __pr_name__ = "instance"
    __packer__ = packers.JSONPackerIncludeNullFields
    __resource__ = resources.ResourceByRAModel(
        PlainAccount,
        convert_underscore=False,
        process_filters=True,
        hidden_fields=["password_hash"],
    )


class PlainRoute(routes.Route):
    """Its route."""

    __controller__ = PlainController


instances_api.MailInstanceRoute.plain = routes.route(PlainRoute, resource_route=True)


def fill(instance: str, accounts: int) -> None:
    database.execute(
        "INSERT INTO mail_accounts (uuid, project_id, instance, name, username, password_hash,"
        " created_at, updated_at) SELECT gen_random_uuid(), i.project_id, i.uuid, 'user' || n,"
        " 'user' || n, %s, now() + n * interval '1 s', now()"
        " FROM mail_instances i, generate_series(1, %s) n WHERE i.uuid = %s",
        api_client.HASH,
        accounts,
        instance.rpartition("/")[2],
    )


def test_pages(
    api: api_client.Client, core: fake_core.FakeCore, services: gservice.GService
) -> None:
    few = stages.Stage(api, core, services).path
    many = api.instance(domain="many.example.com")
    fill(few, PAGE)
    fill(many, ACCOUNTS)
    database.execute("ANALYZE mail_accounts")

    def cost(path: str) -> float:
        return database.cost(functools.partial(api.get, path), RUNS)

    page = f"page_limit={PAGE}"
    lists = {
        "the plain way": f"{few}/plain/?{page}",
        "all of them": f"{few}/accounts/?{page}",
        "of 100,000": f"{many}/accounts/?{page}",
        "by username": f"{many}/accounts/?{page}&sort_key=username&sort_dir=asc",
        "by name, descending": f"{many}/accounts/?{page}&sort_key=name&sort_dir=desc",
        "by creation": f"{many}/accounts/?{page}&sort_key=created_at&sort_dir=desc",
        "of a name": f"{many}/accounts/?{page}&name=user777",
    }
    for path in lists.values():
        api.get(path)
    found: dict[str, list[float]] = {name: [] for name in lists}
    for _ in range(ROUNDS):
        for name, path in lists.items():
            found[name].append(cost(path))
    best = {name: min(costs) for name, costs in found.items()}
    print()
    for name, seconds in best.items():
        print(f"a page of {PAGE} accounts, {name}: {seconds * 1000:.1f} ms")
    spent = database.cost(functools.partial(api.get, f"{many}/accounts/"))
    print(f"the longest page of accounts: {spent * 1000:.0f} ms")
    assert best["all of them"] <= best["the plain way"] * PLAIN_BOUND
    for name in lists.keys() - {"the plain way", "all of them"}:
        assert best[name] <= best["all of them"] * MANY_BOUND, name
