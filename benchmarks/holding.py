# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""How long one request holds the API, which has one process for all: make benchmark-holding.

One instance has about as much of everything as it may by default: a log of EVENTS (1,000,000)
that is all its own, a full queue, figures of 400 days, SUPPRESSIONS (300,000), 100,000
accounts. The figures are CPU time of the process and of the database, the best of a few, as
others wait for both. ONLY=word has those alone that have it in their names. It has no
bound; what takes more than AIM is marked.
"""

from __future__ import annotations

import functools
import http
import os
import typing as tp

from benchmarks import database, holding_more, ingest
from exordos_paas_mail import utils
from exordos_paas_mail.control_plane.records import stats
from exordos_paas_mail.tests.unit.control_plane import api_client, fake_core, gservice
from exordos_paas_mail.tests.unit.control_plane import stage as stages

if tp.TYPE_CHECKING:
    import datetime

# Seconds that a request may hold it.
AIM: tp.Final = 0.1
RUNS: tp.Final = 3
ACCOUNTS: tp.Final = 99_990  # and some that are made
QUEUE: tp.Final = 128_000
SUPPRESSIONS: tp.Final = int(os.environ.get("SUPPRESSIONS", "300000"))
STATS: tp.Final = 200_000
REJECTED: tp.Final = 0.4
ONLY: tp.Final = os.environ.get("ONLY", "")
OF_ONE_DOMAIN: tp.Final = "queue to a domain that has all of it"


def fill(instance: str, account: str) -> None:
    """Give the instance as much of everything as it may have."""
    ingest.INSTANCES = 1  # all of the log is this one's
    ingest.fill(instance, account)
    database.execute("DROP TABLE benchmark_ids")
    database.execute(
        "UPDATE mail_events SET type = 'rejected', message = NULL, code = 550, text = 'RCPT TO:<u'"
        " || md5(uuid::text) || '@d1.example.org>: Unrouteable address, no such user at this host'"
        " WHERE type = 'submitted' AND get_byte(uuid_send(uuid), 15) < 256 * %s",
        REJECTED,
    )
    database.execute(
        "INSERT INTO mail_accounts (uuid, project_id, instance, username, password_hash,"
        " created_at, updated_at) SELECT gen_random_uuid(), i.project_id, i.uuid, 'user' || n,"
        " %s, now(), now() FROM mail_instances i, generate_series(1, %s) n WHERE i.uuid = %s",
        *(api_client.HASH, ACCOUNTS, instance),
    )
    database.execute(
        "INSERT INTO mail_queue_items (uuid, instance, shard, queue_id, account, sender,"
        " recipients, recipients_count, arrived_at, attempts, last_error, reason)"
        " SELECT ('0192' || substr(md5(n::text), 5))::uuid, %s, n %% 64, 'q' || n, %s,"
        " 'noreply@mail.example.com', ARRAY['user' || n || '@d' || n %% 500 || '.example.org'],"
        " 1, now(), 3, 'SMTP error from remote mail server after RCPT TO:<user' || n || '@d'"
        " || n %% 500 || '.example.org>: 450 4.2.1 The user is over quota, try again later',"
        " 'mailbox_full' FROM generate_series(1, %s) n",
        *(instance, account, QUEUE),
    )
    database.execute(
        "INSERT INTO mail_stats (instance, hour, recipient_domain, reason, delivered, submitted)"
        " SELECT %s, date_trunc('hour', timezone('utc', now())) - n / 21 * interval '1 hour',"
        " 'd' || n %% 100 || '.example.org', '', n, n FROM generate_series(0, %s) n",
        *(instance, STATS - 1),
    )
    database.execute(
        "INSERT INTO mail_suppressions (uuid, instance, shard, size, address, scope, reason,"
        " origin, detail, created_at) SELECT gen_random_uuid(), %s, (n %% 256)::text, 60,"
        " 'user' || n || '@d' || n %% 500 || '.example.org', 'instance', 'HARD_BOUNCE', 'AUTO',"
        " '550 5.1.1 no such user <user' || n || '@d' || n %% 500 || '.example.org>', now()"
        " FROM generate_series(1, %s) n",
        *(instance, SUPPRESSIONS),
    )
    database.execute("ANALYZE")


def fill_queue_of_one_domain(instance: str) -> None:
    """Have all of the queue wait for the domain ``down.example.org``."""
    database.execute(
        "UPDATE mail_queue_items SET recipients = ARRAY[split_part(recipients[1], '@', 1)"
        " || '@down.example.org'] WHERE instance = %s",
        instance,
    )
    database.execute("ANALYZE mail_queue_items")


def _time(moment: datetime.datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _requests(api: api_client.Client, path: str) -> dict[str, tp.Callable[[], tp.Any]]:
    def asked(method: str, of: str, body: tp.Any = None) -> tp.Callable[[], tp.Any]:
        def ask() -> None:
            answer = api.call(method, f"{path}/{of}" if of else path, body)
            assert answer.status_code < http.HTTPStatus.BAD_REQUEST, answer.text

        return ask

    get = functools.partial(asked, "GET")

    def post(action: str, **values: tp.Any) -> tp.Callable[[], tp.Any]:
        return asked("POST", f"actions/{action}/invoke", values)

    known, nobody = "user7@d7.example.org", "nobody@nowhere.example"
    days = f"from={_time(utils.now() - 399 * stats.DAY)}"
    return {
        "the instance": asked("GET", ""),
        "messages, a page of 500": get("messages/?page_limit=500"),
        "messages of a recipient": get(f"messages/?recipient={known}"),
        "messages of nobody": get(f"messages/?recipient={nobody}"),
        "messages of a domain": get(f"messages/?recipient_domain={ingest.COMMON}"),
        "messages of a domain, failed": get(
            f"messages/?recipient_domain={ingest.COMMON}&status=FAILED&page_limit=500"
        ),
        "messages of a domain of nobody's": get("messages/?recipient_domain=nowhere.example"),
        "messages of both": get(
            f"messages/?recipient=user7@{ingest.COMMON}&recipient_domain=d7.example.org"
        ),
        "messages of a sender, failed": get(
            "messages/?sender=noreply@mail.example.com&status=FAILED"
        ),
        "messages with a tag": get("messages/?tag=nobodys"),
        "messages, failed and in time": get("messages/?status=FAILED&from=2020-01-01T00:00:00Z"),
        "messages of an account, delivered, to nobody": get(
            f"messages/?status=DELIVERED&recipient={nobody}"
        ),
        "messages, accepted": get("messages/?status=ACCEPTED"),
        "messages before the log": get("messages/?to=2020-01-01T00:00:00Z"),
        "events, a page of 500": get("events/?page_limit=500"),
        "events to nobody": get(f"events/?recipient={nobody}"),
        "events of a class": get("events/?class=mailbox_full"),
        "events of a common type": get("events/?type=delivered&page_limit=500"),
        "events of a common type to nobody": get("events/?type=completed&class=mailbox_full"),
        "events of a type of nobody's domain": get(
            "events/?type=delivered&recipient_domain=nowhere.example"
        ),
        "events of a common domain of a rare type": get(
            f"events/?recipient_domain={ingest.COMMON}&type=failed"
        ),
        "events, a common type before the log": get(
            "events/?type=delivered&to=2020-01-01T00:00:00Z"
        ),
        "events before the log": get("events/?to=2020-01-01T00:00:00Z"),
        "rejected events before the log": get("events/?type=rejected&to=2020-01-01T00:00:00Z"),
        "queue, a page of 500": get("queue/?page_limit=500"),
        "queue to a recipient": get(f"queue/?recipient={known}"),
        "queue to a domain": get("queue/?recipient_domain=d7.example.org"),
        "queue to nobody": get(f"queue/?recipient={nobody}"),
        "queue to nobody's domain": get("queue/?recipient_domain=nowhere.example"),
        "queue of a sender": get("queue/?sender=nobody@mail.example.com"),
        "queue, held": get("queue/?held=true"),
        "queue by domain": get("queue_domains/"),
        "stats of a day": get("stats/"),
        "stats of 400 days": get(f"stats/?step=1d&{days}"),
        "stats of 1,000 hours": get(f"stats/?step=1h&from={_time(utils.now() - 999 * stats.HOUR)}"),
        "stats by domain, 100 days": get(
            f"stats/?step=1d&by=recipient_domain&from={_time(utils.now() - 99 * stats.DAY)}"
        ),
        "stats by account, 100 half days": get(
            f"stats/?step=12h&by=account&from={_time(utils.now() - 49 * stats.DAY)}"
        ),
        "suppressions, a page of 500": get("suppressions/?page_limit=500"),
        "suppressions of a domain": get("suppressions/?domain=d7.example.org"),
        "suppressions of nobody's domain": get("suppressions/?domain=nowhere.example"),
        "suppressions for a rare reason": get("suppressions/?reason=COMPLAINT"),
        "suppressions of a rare origin": get("suppressions/?origin=USER"),
        "suppressions of a rare scope": get("suppressions/?scope=account"),
        "suppressions, exported": post("suppressions_export"),
        "suppressions, imported": post(
            "suppressions_import", text="".join(f"user{n}@new.example\n" for n in range(20_000))
        ),
        "accounts, a page of 1,000": get("accounts/?page_limit=1000"),
        "accounts, the last by name": get("accounts/?page_limit=50&sort_key=name&sort_dir=desc"),
        "accounts that are not active": get("accounts/?page_limit=50&active=false"),
        "usage": get("usage/"),
        "erase somebody": post("erase", recipient=known),
        "erase nobody": post("erase", recipient=nobody),
        "a password": asked("POST", "accounts/", {"username": "late", "password": "p" * 128}),
    }


def test_requests(
    api: api_client.Client, core: fake_core.FakeCore, services: gservice.GService
) -> None:
    stage = stages.Stage(api, core, services)
    stage.serving()
    account = api.account(stage.path).rpartition("/")[2]
    fill(stage.uuid, account)
    holding_more.fill(api, stage.path)
    print()
    _tell(_requests(api, stage.path))
    fill_queue_of_one_domain(stage.uuid)
    of_one = f"{stage.path}/queue/?recipient_domain=down.example.org"
    _tell({OF_ONE_DOMAIN: functools.partial(api.get, of_one)})
    _tell(holding_more.reads(api, stage.path))
    holding_more.fill_many(stage.uuid)
    _tell(holding_more.reads_of_many(api, stage.path))
    _tell(holding_more.writes(api, stage.path, account), 1)


def _tell(requests: tp.Mapping[str, tp.Callable[[], tp.Any]], times: int = RUNS) -> None:
    for name, act in requests.items():
        if ONLY not in name:
            continue
        # A write is done once: the second finds less to do.
        once = times == 1 or name.startswith(("erase", "a password", "suppressions, imported"))
        seconds = min(database.cost(act) for _ in range(1 if once else times))
        print(f"{name}: {seconds * 1000:.0f} ms{' (more than aimed at)' * (seconds > AIM)}")
