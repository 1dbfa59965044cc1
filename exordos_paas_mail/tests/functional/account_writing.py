# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Clients that write accounts, whatever happens to the control plane.

Each repeats a request until it is answered, and knows how to: what it cannot know is
whether one that was cut off, or answered by a 5xx, was done. It asks the API.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import hashlib
import random
import time
import typing as tp
import uuid as sys_uuid
from http import HTTPStatus

import requests
from passlib import hash as passlib_hash

from exordos_paas_mail.tests.functional import paced

if tp.TYPE_CHECKING:
    import threading

    from clients import rest
    from exordos_paas_mail.tests.functional import stand_control

_CLIENTS: tp.Final = 4
# Of an API that does not answer, in seconds.
_PAUSE: tp.Final = 0.3
# The longest a request is repeated: a machine boots in much less.
_SECONDS: tp.Final = 600
_CREDENTIALS_MAX: tp.Final = 3
# What has come of a request that nobody has begun to carry out.
_REFUSED: tp.Final = "401"
_NO_CONNECTION: tp.Final = "no connection"
# How often what is done, when nothing else is asked for.
_KINDS: tp.Final = {"create": 8, "change": 6, "credential": 3, "revoke": 1, "delete": 2}

_FILES: tp.Final = ("passwd", "senders", "limits", "credentials")
_MARK: tp.Final = "= a file ="

Answer: tp.TypeAlias = requests.Response


@dataclasses.dataclass
class Account:
    """An account as the API has said yes to it."""

    uuid: str
    username: str
    password: str
    active: bool = True
    senders: list[str] | None = None
    limits: dict[str, int] = dataclasses.field(default_factory=dict)
    credentials: dict[str, str] = dataclasses.field(default_factory=dict)
    """Secrets, by the uuid of their credential."""


@dataclasses.dataclass
class Written:
    """What came of all writes."""

    done: int = 0
    accounts: dict[str, Account] = dataclasses.field(default_factory=dict)
    """By user name."""
    repeated: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    """Requests that were sent again, by what their answer was."""
    found_done: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    """Writes that had been done by a request which nobody answered, or a 5xx did."""


class WrongAnswerError(Exception):
    """The API says what it should not."""


class Writers(paced.Clients):
    """Clients that write accounts of *domain* at *path* until *count* writes are done.

    The names of all accounts begin with *name*. Each client has accounts of its own, so that
    what an account should be is known.
    """

    def __init__(
        self,
        make_api: tp.Callable[[], rest.Api],
        path: str,
        domain: str,
        name: str,
        count: int,
        seed: int,
    ) -> None:
        super().__init__(count, _CLIENTS)
        self.written = Written()
        self._writers = [
            _Writer(
                make_api(),
                path,
                domain,
                f"{name}-{number}",
                seed + number,
                self.written,
                self._lock,
            )
            for number in range(_CLIENTS)
        ]

    def remove_all(self) -> None:
        """Delete what was made and is left."""
        for writer in self._writers:
            writer.remove_all()

    def done(self) -> int:
        return self.written.done

    def met(self) -> int:
        repeated = self.written.repeated
        return repeated.total() - repeated[_REFUSED] - repeated[_NO_CONNECTION]

    def _run(self, number: int) -> None:
        while self._has_more():
            try:
                self._writers[number].write()
            except WrongAnswerError as error:
                with self._lock:
                    self.wrong.append(str(error))
                return
            with self._lock:
                self.written.done += 1


class _Writer:
    def __init__(
        self,
        api: rest.Api,
        path: str,
        domain: str,
        name: str,
        seed: int,
        written: Written,
        lock: threading.Lock,
    ) -> None:
        self._api, self._path, self._domain, self._name = api, path, domain, name
        self._chance = random.Random(seed)  # noqa: S311 - an order that can be repeated
        self._written, self._lock = written, lock
        self._accounts: list[Account] = []
        self._number = 0

    def write(self) -> None:
        """Do one write, to its end."""
        (kind,) = self._chance.choices([*_KINDS], [*_KINDS.values()])
        if kind == "create" or not self._accounts:
            self._create()
            return
        account = self._chance.choice(self._accounts)
        if kind == "change":
            self._change(account)
        elif kind == "delete":
            self._delete(account)
        elif kind == "revoke" and account.credentials:
            self._revoke(account)
        elif len(account.credentials) < _CREDENTIALS_MAX:
            self._add_credential(account)
        else:
            self._change(account)

    def remove_all(self) -> None:
        """Delete what this one has made and is left."""
        for account in [*self._accounts]:
            self._delete(account)

    def _create(self) -> None:
        self._number += 1
        username = f"{self._name}-{self._number}"
        account = Account(str(self._uuid()), username, self._word())
        body: rest.Json = {"username": username, "password": account.password}
        # Who names the record knows it again; who does not finds it by its name.
        if is_named := self._chance.random() < 0.5:
            body["uuid"] = account.uuid
        answer, is_in_doubt = self._ask("POST", self._path, body)
        if answer.status_code == HTTPStatus.CREATED:
            made = answer.json()
        elif answer.status_code == HTTPStatus.CONFLICT and is_in_doubt:
            made = self._taken(answer, account, is_named=is_named)
        else:
            raise _wrong("POST of an account", answer)
        if made["username"] != username or (is_named and made["uuid"] != account.uuid):
            raise WrongAnswerError(f"{username} was made as {made}")
        account.uuid = made["uuid"]
        self._accounts.append(account)
        with self._lock:
            self._written.accounts[username] = account

    def _taken(self, conflict: Answer, account: Account, *, is_named: bool) -> rest.Json:
        """Return the account that a request had made which was not answered."""
        field, _, _ = conflict.json()["message"].partition(":")
        if field not in ({"uuid", "username"} if is_named else {"username"}):
            raise _wrong("POST of an account, again", conflict)
        if is_named:
            found = self._expect(HTTPStatus.OK, "GET", f"{self._path}{account.uuid}")
        else:
            listed = self._expect(HTTPStatus.OK, "GET", f"{self._path}?username={account.username}")
            if len(listed) != 1:
                raise WrongAnswerError(f"{account.username} is taken, and listed as {listed}")
            (found,) = listed
        self._found("create")
        return tp.cast("rest.Json", found)

    def _change(self, account: Account) -> None:
        """Change a field; to do so twice is to do so once."""
        what = self._chance.choice(["password", "password", "active", "senders", "limits"])
        value: tp.Any
        if what == "password":
            value = self._word()
        elif what == "active":
            value = not account.active
        elif what == "senders":
            value = None if account.senders else ["own", f"no-reply@{self._domain}"]
        else:
            value = {"recipients_per_hour": self._chance.randint(1, 1000)}
        self._expect(HTTPStatus.OK, "PATCH", f"{self._path}{account.uuid}", {what: value})
        setattr(account, what, value)

    def _add_credential(self, account: Account) -> None:
        path = f"{self._path}{account.uuid}/credentials/"
        while True:
            answer, is_in_doubt = self._ask("POST", path, {})
            if is_in_doubt:
                # Its secret was shown to nobody: nobody has any use for it.
                self._remove_strays(account, path, answer)
            if answer.status_code == HTTPStatus.CREATED:
                made = answer.json()
                account.credentials[made["uuid"]] = made["secret_key"]
                return
            if answer.status_code != HTTPStatus.CONFLICT or not is_in_doubt:
                raise _wrong("POST of a credential", answer)

    def _remove_strays(self, account: Account, path: str, answer: Answer) -> None:
        known = {*account.credentials}
        if answer.status_code == HTTPStatus.CREATED:
            known.add(answer.json()["uuid"])
        for found in self._expect(HTTPStatus.OK, "GET", path):
            if found["uuid"] not in known:
                self._found("credential")
                self._remove(f"{path}{found['uuid']}")

    def _revoke(self, account: Account) -> None:
        uuid = self._chance.choice([*account.credentials])
        self._remove(f"{self._path}{account.uuid}/credentials/{uuid}")
        del account.credentials[uuid]

    def _delete(self, account: Account) -> None:
        self._remove(f"{self._path}{account.uuid}")
        self._accounts.remove(account)
        with self._lock:
            del self._written.accounts[account.username]

    def _remove(self, path: str) -> None:
        answer, is_in_doubt = self._ask("DELETE", path)
        if answer.status_code == HTTPStatus.NOT_FOUND and is_in_doubt:
            self._found("delete")
        elif answer.status_code != HTTPStatus.NO_CONTENT:
            raise _wrong(f"DELETE {path}", answer)

    def _expect(self, status: int, method: str, path: str, body: tp.Any = None) -> tp.Any:
        answer, _ = self._ask(method, path, body)
        if answer.status_code != status:
            raise _wrong(f"{method} {path}", answer)
        return answer.json()

    def _ask(self, method: str, path: str, body: tp.Any = None) -> tuple[Answer, bool]:
        """Send a request until it is answered.

        Returns the answer, and whether a request before that one may have been done.
        """
        end = time.monotonic() + _SECONDS
        is_in_doubt = False
        while True:
            try:
                answer = self._api.call(method, path, body)
            except requests.RequestException as error:
                said, is_in_doubt = _why(error), True
            else:
                # The runtime asks Core about each token, and says so where Core is away.
                if answer.status_code == HTTPStatus.UNAUTHORIZED:
                    said = _REFUSED
                elif answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
                    said, is_in_doubt = str(answer.status_code), True
                else:
                    return answer, is_in_doubt
            with self._lock:
                self._written.repeated[said] += 1
            if time.monotonic() > end:
                raise WrongAnswerError(f"{method} {path}: {said} for {_SECONDS} s")
            time.sleep(_PAUSE)

    def _found(self, what: str) -> None:
        with self._lock:
            self._written.found_done[what] += 1

    def _uuid(self) -> sys_uuid.UUID:
        return sys_uuid.UUID(int=self._chance.getrandbits(128), version=4)

    def _word(self) -> str:
        return f"{self._chance.getrandbits(64):016x}"


def _why(error: requests.RequestException) -> str:
    """Return why there was no answer: what has a reason is urllib3's, of a connection not made."""
    made = not any(hasattr(each, "reason") for each in error.args)
    return "cut off" if made else _NO_CONNECTION


def _wrong(what: str, answer: Answer) -> WrongAnswerError:
    return WrongAnswerError(f"{what}: {answer.status_code} {answer.text}")


def listed_otherwise(
    listed: tp.Iterable[rest.Json], written: Written, others: tp.Container[str]
) -> list[str]:
    """Return the names of accounts that the API lists otherwise than they were *written*.

    *others* are names that nobody has written.
    """
    found = {
        each["username"]: (each["uuid"], each["active"], each["senders"])
        for each in listed
        if each["username"] not in others
    }
    expected = {
        name: (each.uuid, each.active, each.senders) for name, each in written.accounts.items()
    }
    names = sorted(found.keys() | expected.keys())
    return [name for name in names if found.get(name) != expected.get(name)]


@dataclasses.dataclass
class Node:
    """What the files of a node say of accounts."""

    stand: stand_control.Stand
    address: str
    domain: str

    def accounts(self) -> dict[str, str]:
        """Return the hashes of the account file, by user name."""
        return self._read()["passwd"]

    def differences(self, written: Written, others: dict[str, str]) -> list[str]:
        """Return what the node has otherwise than it was *written*, in a line each.

        *others* is what ``accounts`` returned before: nobody has written them.
        """
        active = {name: each for name, each in written.accounts.items() if each.active}
        files = self._read()
        held = files["passwd"]
        wrong = [
            f"passwd: {name}"
            for name in sorted(held.keys() | active.keys() | others.keys())
            if not _is_right(held.get(name), active.get(name), others.get(name))
        ]
        senders = {
            name: ";".join(sorted(each.senders))
            for name, each in active.items()
            if each.senders is not None
        }
        limits = {
            name: f"hour={each.limits['recipients_per_hour']}"
            for name, each in active.items()
            if each.limits
        }
        for file, expected in (("senders", senders), ("limits", limits)):
            told = {name: it for name, it in files[file].items() if name not in others}
            if told != expected:
                wrong.append(f"{file}: {sorted(told.items() ^ expected.items())}")
        known = {
            (name, hashlib.sha256(secret.encode()).hexdigest())
            for name, each in active.items()
            for secret in each.credentials.values()
        }
        lines = files["credentials"].items()
        found = {(key.partition("/")[2], value.partition(" ")[0]) for key, value in lines}
        found = {(name, digest) for name, digest in found if name not in others}
        return [*wrong, *(f"credentials: {name}" for name, _ in sorted(found ^ known))]

    def _read(self) -> dict[str, dict[str, str]]:
        """Return what each line of each file says of an account, by what is before its domain."""
        # A file has no line that begins so; one that is not there says nothing.
        show = f"cd /etc/exim4; for file in {' '.join(_FILES)}; do echo '{_MARK}'; cat $file; done"
        text = self.stand.shell_when_up(self.address, f"{show} 2>/dev/null; true")
        parts = text.split(f"{_MARK}\n")[1:]
        return {file: self._lines(part) for file, part in zip(_FILES, parts, strict=True)}

    def _lines(self, text: str) -> dict[str, str]:
        lines = (line.partition(f"@{self.domain}:") for line in text.splitlines())
        return {name: value for name, mark, value in lines if mark}


def _is_right(known: str | None, account: Account | None, other: str | None) -> bool:
    if known is None or account is None:
        return known == other
    return _means(account.password, known)


@functools.cache
def _means(password: str, known: str) -> bool:
    return passlib_hash.sha512_crypt.verify(password, known)
