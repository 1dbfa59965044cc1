# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The mail that arrived: one message as received, and one JSON file of facts beside it."""

from __future__ import annotations

import bisect
import dataclasses
import datetime
import email
import email.header
import email.policy
import json
import threading
import typing as tp
import uuid

if tp.TYPE_CHECKING:
    import pathlib

    from stand.internet import verdicts


@dataclasses.dataclass(frozen=True)
class Envelope:
    """How a message was handed over."""

    client: str
    helo: str
    mail_from: str
    recipients: tuple[str, ...]
    tls: str


class Mailbox:
    """A directory of received mail, of all domains, oldest first."""

    def __init__(self, directory: pathlib.Path) -> None:
        """Make *directory* if it is not there."""
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._lock = threading.Lock()

    def keep(self, raw: bytes, envelope: Envelope, verdict: verdicts.Verdict) -> str:
        """Keep one message for good and return its identifier; identifiers sort by arrival."""
        message = email.message_from_bytes(raw, policy=email.policy.compat32)
        told = {
            **dataclasses.asdict(envelope),
            "subject": _decoded(message.get("Subject")),
            "from": _decoded(message.get("From")),
            "size": len(raw),
            "verdict": dataclasses.asdict(verdict),
        }
        with self._lock:
            # Whoever reads by pages has seen none that is later.
            now = datetime.datetime.now(datetime.timezone.utc)
            identifier = f"{now:%Y%m%dT%H%M%S.%fZ}-{uuid.uuid4().hex[:8]}"
            facts = {"id": identifier, "received_at": now.isoformat(), **told}
            (self._directory / f"{identifier}.eml").write_bytes(raw)
            temporary = self._directory / f"{identifier}.new"
            temporary.write_text(json.dumps(facts, indent=1) + "\n")
            # The facts appear last, and whole: a message listed is a message there.
            temporary.replace(self._directory / f"{identifier}.json")
        return identifier

    def find(
        self,
        recipient: str | None = None,
        subject: str | None = None,
        after: str = "",
        limit: int | None = None,
    ) -> list[dict[str, tp.Any]]:
        """Return the facts of messages to *recipient* (any case) whose subject holds *subject*.

        Of those that came after the one with the identifier *after*, the first *limit*.
        """
        found: list[dict[str, tp.Any]] = []
        with self._lock:
            names = sorted(path.stem for path in self._directory.glob("*.json"))
            for name in names[bisect.bisect_right(names, after) :]:
                if len(found) == limit:
                    break
                facts = json.loads((self._directory / f"{name}.json").read_text())
                if (
                    recipient is None or recipient.lower() in map(str.lower, facts["recipients"])
                ) and (subject is None or subject in facts["subject"]):
                    found.append(facts)
        return found

    def raw(self, identifier: str) -> bytes:
        """Return a message as it was received; raises KeyError on one that is not here."""
        for path in self._directory.glob("*.eml"):
            if path.stem == identifier:
                return path.read_bytes()
        raise KeyError(identifier)

    def clear(self) -> int:
        """Forget every message; return how many there were."""
        with self._lock:
            listed = list(self._directory.glob("*.json"))
            for path in [*listed, *self._directory.glob("*.eml")]:
                path.unlink()
        return len(listed)


def _decoded(value: tp.Any) -> str:
    return "" if value is None else str(email.header.make_header(email.header.decode_header(value)))
