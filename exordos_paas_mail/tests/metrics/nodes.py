# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Mail nodes whose metrics are written by what writes them on a node, from lines of exim's log."""

from __future__ import annotations

import contextlib
import os
import time
import typing as tp
import uuid
from unittest import mock

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import certificates, mail_env, resolver_status, webhook_figures
from exordos_paas_mail.node import machine
from exordos_paas_mail.node.commands import keep
from exordos_paas_mail.node.events import figures, recorder, store
from exordos_paas_mail.node.webhooks import figures as webhooks_told
from exordos_paas_mail.tests.unit.codecs import log_lines
from exordos_paas_mail.tests.unit.node import authority, fake_node

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator, Mapping

DOMAIN: tp.Final = "example.com"
PROJECT: tp.Final = uuid.UUID(int=9)
ALICE: tp.Final = log_lines.ALICE

_ID = log_lines.ID
_MX = "H=mx.example.net [203.0.113.25]"
_ERROR = "SMTP error from remote mail server after RCPT TO:<bob@example.net>"
_COMMAND = f"H=(client) [192.0.2.1]:4711 F=<{ALICE}> A=plain:{ALICE}"

ACCEPTED = next(text for text, _ in log_lines.LINES if f" A=plain:{ALICE} S=" in text)
DELIVERED = next(text for text, _ in log_lines.LINES if " => bob@example.net" in text)
DELIVERED_LATE = DELIVERED.replace(" QT=0.148s ", " QT=20m ")
_ATTEMPT = f"{_ID} == bob@example.net R=mx T=remote_smtp defer (-44) {_MX}"
DEFERRED = f"{_ATTEMPT}: {_ERROR}: 451 4.7.1 Try again later"
_FAILURE = f"{_ID} ** bob@example.net F=<{ALICE}> R=mx T=remote_smtp {_MX}"
BLOCKED = f"{_FAILURE}: {_ERROR}: 550 5.7.1 listed by spamhaus"
LIMITED = f"{_COMMAND} temporarily rejected RCPT <b@c.example>: sending limit reached account=x"
LOST = f"{_COMMAND} temporarily rejected MAIL <{ALICE}>: /etc/exim4/senders is lost"
FAILED_LOGIN = (
    "plain authenticator failed for (client) [192.0.2.1]:4711:"
    f" 535 Incorrect authentication data (set_id={ALICE})"
)


def webhooks(
    states: Mapping[str, int], waiting: int = 0, oldest_at: int = 0
) -> webhook_figures.Figures:
    """Return how so many webhooks fare, with a thousand attempts of each result."""
    counted = dict.fromkeys(webhook_figures.COUNTERS, 1000)
    every = {**dict.fromkeys(webhook_figures.STATES, 0), **states}
    return webhook_figures.Figures(0, every, waiting, oldest_at, counted)


class Node:
    """A node of an instance of that number, configured and well; its clock may be *slow*."""

    def __init__(self, folder: pathlib.Path, number: int, slow: float = 0.0) -> None:
        folder.mkdir()
        self.fake = fake_node.FakeNode(folder)
        self.instance = str(uuid.UUID(int=number))
        self.metrics = self.fake.path(constants.METRICS_DIR)
        self.metrics.mkdir(parents=True)
        self.fake.configured(DOMAIN)
        owner = mail_env.Owner(uuid.UUID(self.instance), PROJECT)
        self.fake.write(constants.MAIL_ENV_FILE, mail_env.render(DOMAIN, None, owner))
        key, chain = certificates.plan(None, None, [DOMAIN], authority.now())
        self.put_certificate(key, chain)
        self._slow = slow
        self._log = self.fake.path(constants.EXIM_MAIN_LOG)
        self._log.parent.mkdir(parents=True)
        self._store = folder / "store"
        self._store.mkdir()
        self._figures = self.fake.path(constants.EVENT_FIGURES_FILE)
        self._figures.parent.mkdir(parents=True)
        self._webhook_figures = self.fake.path(constants.WEBHOOK_FIGURES_FILE)
        self._webhook_figures.parent.mkdir(parents=True)
        self.fake.path(constants.RESOLVER_STATUS_FILE).parent.mkdir(parents=True)
        self.resolver = resolver_status.Mode.VALIDATING
        """Whom it asks for names."""
        self.webhooks = webhooks({"active": 2})
        """How its webhooks fare."""
        self.counts = True
        """Whether somebody sees to the limits of its accounts."""
        self.finds_out = True
        """Whether somebody finds out what recipients' domains publish."""
        self.free: int | None = None
        self.read_at: int | None = None

    def put_certificate(self, key: bytes, chain: bytes) -> None:
        self.fake.path(constants.TLS_SERVED_FILE).write_bytes(certificates.bundle(key, chain))

    def damage_store(self) -> None:
        (self._store / store.FILE_NAME).write_bytes(b"x" * 4096)

    def queue(self, messages: int) -> None:
        """Have so many messages wait, one of them frozen."""
        message = f" 9h  1.2K {_ID} <{ALICE}>{{}}\n          bob@example.net\n\n"
        listed = message.format("") * (messages - 1) + message.format(" *** frozen ***")
        (self.fake.directory / "queue").write_text(listed)

    def tell(self, *lines: str) -> None:
        """Have exim log *lines*, the daemon count them and the keeper write the metrics."""
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
        if self.counts:
            self._give_sign_of_life(constants.POLICY_ALIVE_FILE)
        if self.finds_out:
            self._give_sign_of_life(constants.STS_ALIVE_FILE)
        with self._clock(), mock.patch.object(recorder, "FLUSH_PERIOD", 0.0):
            reader = recorder.Recorder(self._log, self._store, lambda: 2**40)
            with self._log.open("a") as log:
                log.writelines(f"{stamp}.000 [493] {line}\n" for line in lines)
            while reader.turn():
                pass
            while batch := reader.store.next():
                reader.store.forget(batch[0])
            reader.read_at = self.read_at or reader.read_at
            figures.Teller(self._figures).turn(reader)
            reader.store.close()
            hooks = self.webhooks._replace(at=time.time_ns() // 1_000_000)
            webhooks_told.Teller(self._webhook_figures).turn(lambda: hooks)
            status = resolver_status.Status(time.time_ns() // 1_000_000, self.resolver)
            self.fake.path(constants.RESOLVER_STATUS_FILE).write_bytes(
                resolver_status.render(status)
            )
            keep.Keeper(self.fake.machine).turn()

    def _give_sign_of_life(self, path: str) -> None:
        alive = self.fake.path(path)
        alive.parent.mkdir(parents=True, exist_ok=True)
        alive.touch()
        os.utime(alive, (time.time() - self._slow,) * 2)

    @contextlib.contextmanager
    def _clock(self) -> Iterator[None]:
        """Give commands, clock and disk of this node."""
        now = time.time() - self._slow
        space = self.fake.machine.free_space("/")
        free = machine.Space(self.free or 2**40, space.files)
        with (
            mock.patch.dict("os.environ", PATH=self.fake.search_path),
            mock.patch("time.time", return_value=now),
            mock.patch("time.time_ns", return_value=int(now * 10**9)),
            mock.patch.object(machine.Machine, "free_space", return_value=free),
        ):
            yield
