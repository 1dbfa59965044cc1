# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""/etc/resolv.conf: what the network has put there, and the node's own resolver in its place.

Whoever sets up the network (DHCP, systemd-resolved, the host of a container) writes it when
it likes, and is heard each time: what is not ours is kept, and is what is put back.
"""

from __future__ import annotations

import posixpath
import typing as tp

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import bounded, resolv_conf

if tp.TYPE_CHECKING:
    from exordos_paas_mail.node import machine

_SIZE_MAX: tp.Final = 2**16


class _Kept(tp.NamedTuple):
    text: str
    link: str
    """Where it led, empty where it was a file."""


class ResolvConf:
    """The resolv.conf of one machine."""

    def __init__(self, node: machine.Machine) -> None:
        self._node = node

    def read(self) -> resolv_conf.Network:
        """Return what the network gives, and keep it if it is new.

        Raises OSError and MachineError. Nothing is given where nobody ever wrote anything.
        """
        text = self._text(constants.RESOLV_CONF_FILE)
        if text is not None and not resolv_conf.is_ours(text):
            link = self._node.link(constants.RESOLV_CONF_FILE)
            self._keep(_Kept(text, link))
        else:
            text = self._text_now(self._kept())
        given = resolv_conf.parse(text)
        if given.servers or not resolv_conf.is_of_resolved(text):
            return given
        # The file names the stub of systemd-resolved; this one whom that asks.
        upstream = resolv_conf.parse(self._text(constants.UPSTREAM_RESOLV_CONF_FILE) or "")
        return resolv_conf.Network(upstream.servers, given.search or upstream.search)

    def put(self, search: tuple[str, ...], *, validates: bool) -> bool:
        """Have the node ask its own resolver; returns whether anything had to be changed."""
        text = resolv_conf.render(search, validates=validates)
        return self._node.ensure_mounted_file(constants.RESOLV_CONF_FILE, text.encode())

    def give_back(self) -> bool:
        """Have the node ask whom the network says; returns whether anything had to be changed."""
        text = self._text(constants.RESOLV_CONF_FILE)
        if text is None or not resolv_conf.is_ours(text):
            return False
        kept = self._kept()
        if kept is None:
            # Better the own resolver, as it was last told, than nobody.
            return False
        if kept.link:
            return self._node.ensure_link(constants.RESOLV_CONF_FILE, kept.link)
        return self._node.ensure_mounted_file(
            constants.RESOLV_CONF_FILE, kept.text.encode("utf-8", "surrogateescape")
        )

    def _text_now(self, kept: _Kept | None) -> str:
        """Return what the network says while the file is ours."""
        if kept is None:
            return ""
        if kept.link:
            # Who made it goes on writing there: NetworkManager, resolvconf, systemd-resolved.
            directory = posixpath.dirname(constants.RESOLV_CONF_FILE)
            text = self._text(posixpath.normpath(posixpath.join(directory, kept.link)))
            if text is not None and not resolv_conf.is_ours(text):
                return text
        return kept.text

    def _text(self, name: str) -> str | None:
        data = self._node.read(name)
        return None if data is None else data[:_SIZE_MAX].decode("utf-8", "surrogateescape")

    def _keep(self, kept: _Kept) -> None:
        data = bounded.dump(kept._asdict())
        self._node.ensure_file(constants.NETWORK_RESOLV_CONF_FILE, data, 0o644)

    def _kept(self) -> _Kept | None:
        data = self._node.read(constants.NETWORK_RESOLV_CONF_FILE)
        if data is None:
            return None
        try:
            fields = bounded.load(data, "the network's resolv.conf")
            return _Kept(str(fields["text"]), str(fields["link"]))
        except (ValueError, KeyError, TypeError):
            # The network writes it again; until then nothing is known.
            return None
