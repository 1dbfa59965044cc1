# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Two workers of the API at once."""

from __future__ import annotations

import threading
import typing as tp
import uuid as sys_uuid

import pytest
from restalchemy.dm import filters
from restalchemy.storage.sql import engines

from exordos_paas_mail import models, utils
from exordos_paas_mail.codecs import dkim
from exordos_paas_mail.control_plane.events import rows, streams
from exordos_paas_mail.control_plane.records import (
    account_logins,
    dkim_keys,
    domains,
    suppression_rows,
)
from exordos_paas_mail.tests.unit.control_plane import api_client


class _Paused:
    """A transaction of another API worker, held open."""

    def __init__(self, act: tp.Callable[[tp.Any], None]) -> None:
        self._act = act
        self._done, self._commit = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        engine = engines.engine_factory.get_engine()
        with engine.session_manager() as session:
            self._act(session)
            self._done.set()
            assert self._commit.wait(60)

    def __enter__(self) -> tp.Callable[[], None]:
        self._thread.start()
        assert self._done.wait(60)
        return self._commit.set

    def __exit__(self, *_exc: object) -> None:
        self._commit.set()
        self._thread.join()


def _new_account(path: str, username: str = "slow") -> models.MailAccount:
    instance = models.MailInstance.objects.get_one(
        filters={"uuid": filters.EQ(sys_uuid.UUID(path.rpartition("/")[2]))}
    )
    return models.MailAccount(
        instance=instance,
        project_id=instance.project_id,
        username=username,
        password_hash=api_client.HASH,
    )


def _in_background(act: tp.Callable[[], tp.Any]) -> tuple[threading.Thread, list[tp.Any]]:
    results: list[tp.Any] = []
    thread = threading.Thread(target=lambda: results.append(act()))
    thread.start()
    return thread, results


def _waits_for_a_lock(thread: threading.Thread) -> bool:
    """Return whether a statement waits for another transaction; False once *thread* is done."""
    engine = engines.engine_factory.get_engine()
    while thread.is_alive():
        with engine.session_manager() as session:
            if session.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchall():
                return True
    return False


def test_a_patch_during_a_slow_account_is_not_lost(api: api_client.Client) -> None:
    path = api.instance()
    # The worker of the account read the instance before the PATCH.
    account = _new_account(path)
    api.patch(path, {"cpu": 8})
    account.insert()
    assert api.get(path)["cpu"] == 8
    slow = _new_account(path, "slower")
    with _Paused(lambda session: slow.insert(session=session)) as commit:
        patch, answers = _in_background(lambda: api.patch(path, {"cpu": 16}))
        assert _waits_for_a_lock(patch)
        commit()
        patch.join()
    assert (answers[0]["cpu"], api.get(path)["cpu"]) == (16, 16)
    assert len(api.get(f"{path}/accounts/")) == 2


def test_two_patches_of_different_fields_both_stay(api: api_client.Client) -> None:
    path = api.instance()
    uuid = filters.EQ(sys_uuid.UUID(path.rpartition("/")[2]))
    first = models.MailInstance.objects.get_one(filters={"uuid": uuid})
    api.patch(path, {"ram": 4096})
    first.cpu = 4
    first.update()
    shown = api.get(path)
    assert (shown["cpu"], shown["ram"]) == (4, 4096)


def test_a_disk_that_grew_meanwhile_does_not_shrink(api: api_client.Client) -> None:
    path = api.instance(disk_size=10)
    uuid = filters.EQ(sys_uuid.UUID(path.rpartition("/")[2]))
    first = models.MailInstance.objects.get_one(filters={"uuid": uuid})
    api.patch(path, {"disk_size": 100})
    first.disk_size = 50
    with pytest.raises(Exception, match="disk_size: cannot be reduced"):
        first.update()
    assert api.get(path)["disk_size"] == 100


def test_a_version_deleted_while_an_instance_takes_it_is_a_409(api: api_client.Client) -> None:
    path = api.instance()
    other = api.version("other")
    version = models.MailVersion.objects.get_one(filters={"name": filters.EQ("other")})
    with _Paused(lambda session: version.delete(session=session)) as commit:
        patch, answers = _in_background(lambda: api.refused("PATCH", path, {"version": other}))
        assert _waits_for_a_lock(patch)
        commit()
        patch.join()
    assert answers == [(409, "version: does not exist, or is in use by an instance")]


def test_an_account_of_an_instance_that_is_being_deleted_is_a_404(
    api: api_client.Client,
) -> None:
    path = api.instance()
    instance = models.MailInstance.objects.get_one()
    with _Paused(lambda session: instance.delete(session=session)) as commit:
        body = {"username": "late", "password_hash": api_client.HASH}
        post, answers = _in_background(lambda: api.refused("POST", f"{path}/accounts/", body))
        assert _waits_for_a_lock(post)
        commit()
        post.join()
    assert answers[0][0] == 404


def test_an_instance_waits_for_an_account_that_is_being_made(api: api_client.Client) -> None:
    path = api.instance()
    account = _new_account(path)
    with _Paused(lambda session: account.insert(session=session)) as commit:
        delete, _ = _in_background(lambda: api.delete(path))
        assert _waits_for_a_lock(delete)
        commit()
        delete.join()
    assert (models.MailInstance.objects.get_all(), models.MailAccount.objects.get_all()) == ([], [])


def test_accounts_made_at_once_are_all_there(api: api_client.Client) -> None:
    path = api.instance()
    failed: list[str] = []

    def make(worker: int) -> None:
        for number in range(10):
            answer = api.call(
                "POST",
                f"{path}/accounts/",
                {"username": f"u{worker}-{number}", "password_hash": api_client.HASH},
            )
            if answer.status_code != 201:
                failed.append(answer.text)

    workers = [threading.Thread(target=make, args=(w,)) for w in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failed == []
    assert len(api.get(f"{path}/accounts/")) == 60


def _uuid(path: str) -> sys_uuid.UUID:
    return sys_uuid.UUID(path.rpartition("/")[2])


def _domain_with_a_key(api: api_client.Client) -> tuple[str, str]:
    """Return the path of a domain whose key its node has made, and the key's selector."""
    instance = api.instance()
    domain = api.domain(instance)
    (selector,) = api.dkim_keys(domain)
    told = ("example.org", selector, dkim.RSA, dkim.public_key_of(dkim.generate()))
    with engines.engine_factory.get_engine().session_manager() as session:
        dkim_keys.report(session, _uuid(instance), [told])
    return domain, selector


def _observe(session: tp.Any, domain: str, selector: str) -> None:
    """Take over that DNS shows the key for the first time."""
    now = utils.now()
    domains.observe(session, _uuid(domain), seen=True, now=now)
    dkim_keys.observe(session, _uuid(domain), {selector}, set(), 300, now)


def _observe_alone(domain: str, selector: str) -> str:
    with engines.engine_factory.get_engine().session_manager() as session:
        _observe(session, domain, selector)
    return "observed"


def _delete(session: tp.Any, domain: str) -> None:
    found = models.MailDomain.objects.get_one(filters={"uuid": filters.EQ(_uuid(domain))})
    found.delete(session=session)


def _rows_of(domain: str) -> int:
    """Return how many rows the domain and its keys have."""
    uuid = str(_uuid(domain))
    with engines.engine_factory.get_engine().session_manager() as session:
        found = session.execute("SELECT 1 FROM mail_domains WHERE uuid = %s", (uuid,)).fetchall()
        found += session.execute(
            "SELECT 1 FROM mail_dkim_keys WHERE domain = %s", (uuid,)
        ).fetchall()
    return len(found)


def test_a_domain_that_goes_while_dns_is_looked_at_stays_gone(api: api_client.Client) -> None:
    domain, selector = _domain_with_a_key(api)
    with _Paused(lambda session: _delete(session, domain)) as commit:
        # To the other the domain is still there.
        observing, results = _in_background(lambda: _observe_alone(domain, selector))
        assert _waits_for_a_lock(observing)
        commit()
        observing.join()
    assert (results, _rows_of(domain)) == (["observed"], 0)


def test_a_domain_can_be_deleted_while_dns_is_looked_at(api: api_client.Client) -> None:
    domain, selector = _domain_with_a_key(api)
    with _Paused(lambda session: _observe(session, domain, selector)) as commit:
        deleting, answers = _in_background(lambda: api.call("DELETE", domain))
        assert _waits_for_a_lock(deleting)
        commit()
        deleting.join()
    assert ([answer.status_code for answer in answers], _rows_of(domain)) == ([204], 0)


def test_a_look_at_dns_locks_in_the_order_of_a_deletion(
    api: api_client.Client,
) -> None:
    """Both lock the instance first: in another order they would wait for each other."""
    domain, selector = _domain_with_a_key(api)
    instance = domain.partition("/domains/")[0]
    with engines.engine_factory.get_engine().session_manager() as session:
        models.MailInstance.touch(_uuid(instance), session)
        observing, results = _in_background(lambda: _observe_alone(domain, selector))
        assert _waits_for_a_lock(observing)
        _delete(session, domain)
    observing.join()
    assert (results, _rows_of(domain)) == (["observed"], 0)


def test_an_account_goes_while_what_its_server_said_is_taken_in(api: api_client.Client) -> None:
    path = api.instance()
    account = api.account(path)
    hook = {"url": "https://hooks.example.com/", "events": ["suppression.added"]}
    api.post(f"{path}/webhooks/", hook)
    with utils.transaction() as session:
        rows.lock(session)
        instance = streams.hold_instance(session, _uuid(path))
        assert instance is not None
        login = f"noreply@{instance.domain}"
        assert account_logins.find(session, instance.uuid, instance.domain, [login])
        delete, answers = _in_background(lambda: api.call("DELETE", account))
        assert _waits_for_a_lock(delete)
        entry = suppression_rows.Entry("bob@example.org", "HARD_BOUNCE", "AUTO")
        suppression_rows.put(session, instance.uuid, [entry], utils.now())
    delete.join()
    assert answers[0].status_code == 204
    assert api.get(f"{path}/accounts/") == []
