# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The last target on the data disk: by it a node repairs itself with nobody to ask.

It is believed as long as the agent's own state names it. An older image, which
keeps no target, writes that state without the name as it takes another target:
what was kept before is then not what the node was last told. Accounts that were
told by reference are in a file of their own, which the target names in its turn.
"""

from __future__ import annotations

import json
import typing as tp

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import kept_target
from exordos_paas_mail.node import kept_accounts
from exordos_paas_mail.node.machine import watched

if tp.TYPE_CHECKING:
    from collections.abc import Mapping

    from exordos_paas_mail.codecs import account_shards
    from exordos_paas_mail.node import machine

# The field of the agent's state, and its key, that name the kept target. The release
# before has the field, by the addresses of accounts, and none has this for its address.
STATE_FIELD: tp.Final = "passwd_prefixes"
DIGEST: tp.Final = "target_digest"

_STATE_FILE = f"{constants.AGENT_STATE_DIR}/{constants.AGENT_STATE_FILE}"


class _Content(tp.NamedTuple):
    digest: str
    target: kept_target.Target | None


def _parse_target(data: bytes | None) -> _Content:
    if data is None:
        return _Content("", None)
    text = data.decode("utf-8", errors="replace")
    try:
        return _Content(kept_target.digest(text), kept_target.parse(text))
    except ValueError:
        return _Content("", None)


def _parse_state(data: bytes | None) -> set[str]:
    """Return the digests that the agent's state names."""
    if data is None:
        return set()
    try:
        resources = json.loads(data)[constants.INSTANCE_NODE_KIND]["resources"]
        return {resource[STATE_FIELD][DIGEST] for resource in resources.values()}
    except (ValueError, TypeError, AttributeError, LookupError):
        # Another shape names none.
        return set()


class Accounts(tp.NamedTuple):
    """Accounts that were told by reference, to be kept."""

    reading: account_shards.Reading
    find: account_shards.Finding
    """Returns the pairs of shards of it."""


class Kept:
    """The kept target of one machine."""

    def __init__(self, node: machine.Machine) -> None:
        self._node = node
        self.accounts: tp.Final = kept_accounts.KeptAccounts(node)
        self._target = watched.Watched(node, constants.KEPT_TARGET_FILE, _parse_target)
        self._named = watched.Watched(node, _STATE_FILE, _parse_state)

    def read(self) -> kept_target.Target | None:
        """Return what the node was last told; None when that is not known."""
        _, content = self._target.read()
        if content.target is None:
            return None
        _, named = self._named.read()
        return content.target if content.digest in named else None

    def index(self, target: kept_target.Target) -> kept_accounts.Index | None:
        """Return what accounts *target* names, None where it names none that are there."""
        index = self.accounts.index() if target.accounts else None
        return index if index is not None and index.name == target.accounts else None

    def digest(self) -> str:
        """Return the name of what is kept, empty when nothing whole is, or others may read it."""
        file, content = self._target.read()
        if file is None or not self._node.is_owned(file, 0o600):
            return ""
        target = content.target
        if target is not None and target.accounts and self.index(target) is None:
            return ""
        return content.digest

    def ensure(
        self, domain: str, texts: Mapping[str, str], accounts: Accounts | None = None
    ) -> str:
        """Keep a target; returns its name, for the agent's state.

        A part that *texts* lacks was not told: what the node was told of it
        before is kept, as long as the domain is the same. *accounts* take the place
        of their text.
        """
        before = self.read()
        name = ""
        if before is not None and before.domain == domain:
            if kept_accounts.FIELD not in texts and self.index(before) is not None:
                name = before.accounts
            texts = {**before.texts, **texts}
        if accounts is not None:
            name = self.accounts.ensure(domain, *accounts)
            texts = {field: text for field, text in texts.items() if field != kept_accounts.FIELD}
        text = kept_target.render(kept_target.Target(domain, texts, name))
        self._node.ensure_file(constants.KEPT_TARGET_FILE, text.encode(), 0o600)
        if not name:
            self.accounts.ensure_absent()
        return kept_target.digest(text)
