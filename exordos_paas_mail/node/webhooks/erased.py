# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Who was erased: of what was before that, nothing is sent that names them."""

from __future__ import annotations

import types
import typing as tp

from exordos_paas_mail.codecs import (
    erased,
    mail_events,
    mentions,
    notices,
    webhook_config,
    webhook_messages,
)
from exordos_paas_mail.node.webhooks import shards

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator, Mapping

# The words of a refusal begin with the command's argument.
_REFUSAL: tp.Final = webhook_config.NAMES[mail_events.Type.REJECTED]


class Erased:
    """The files in *directory*, one a shard; without them nobody was erased."""

    def __init__(self, directory: pathlib.Path) -> None:
        self._directory = directory
        self._seen: dict[str, shards.Stamp] = {}
        self._shards: dict[str, dict[str, int]] = {}
        self.names: Mapping[str, int] = types.MappingProxyType({})
        """Until when, by name (``codecs.erased``): another object each time that it changes."""

    def read(self) -> None:
        """Read what has changed.

        Raises OSError, and ValueError where a file is no document: what was read of it before
        stays, and it is not read again until it has changed.
        """
        present = shards.present(self._directory)
        if present == self._seen:
            return
        changed = [name for name, stamp in present.items() if self._seen.get(name) != stamp]
        wrong: ValueError | None = None
        found = {name: names for name, names in self._shards.items() if name in present}
        for name in changed:
            try:
                found[name] = erased.parse((self._directory / name).read_bytes())
            except ValueError as error:  # noqa: PERF203 - of one file
                wrong = error
            except FileNotFoundError:
                # It has gone since, or comes anew: the next call sees.
                del present[name]
        self._seen, self._shards = present, found
        self.names = {name: at for names in found.values() for name, at in names.items()}
        if wrong is not None:
            raise wrong

    def covers(self, content: bytes) -> bool:
        """Return whether *content*, of an event or a notice, is of somebody, from before that."""
        if not self.names:
            return False
        kind, at, data = webhook_messages.read(content)
        if kind in notices.ABOUT:
            return any(self._is_in_words(text, at) for text in _texts(data))
        # Of another recipient of the same message is told what there is.
        recipient = data.get("recipient", "")
        whose = erased.name_of(recipient) if recipient else data.get("queue_id", "")
        if at < self.names.get(whose, 0):
            return True
        return kind == _REFUSAL and self._is_in_words(data.get("text", ""), at)

    def _is_in_words(self, text: str, at: int) -> bool:
        words = text.lower()
        return "@" in words and any(
            # Each is looked for in a much cheaper way first.
            at < before and name in words and "@" in name and mentions.is_named(name, words)
            for name, before in self.names.items()
        )


def _texts(value: object) -> Iterator[str]:
    """Give each text that there is in a value of JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)
