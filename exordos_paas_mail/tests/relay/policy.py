# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""exordos-mail-policy beside the relay, and the file of limits."""

from __future__ import annotations

import pathlib

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import limits
from exordos_paas_mail.tests.relay import activated
from exordos_paas_mail.tests.relay import relay as relay_

SOCKET = pathlib.Path(constants.POLICY_SOCKET)
LIMITS = pathlib.Path(constants.LIMITS_FILE)


class Policy(activated.Daemon):
    """The daemon, with nothing counted yet."""

    def __init__(self) -> None:
        for left in activated.STORE.glob("limits.sqlite*"):
            left.unlink()
        super().__init__(
            constants.POLICY_UNIT, constants.POLICY_SOCKET, constants.POLICY_ALIVE_FILE
        )

    def close(self) -> None:
        super().close()
        LIMITS.unlink(missing_ok=True)


def limit(
    instance: dict[str, int | None] | None = None,
    on_limit: str = limits.DEFER,
    **accounts: dict[str, int | None],
) -> None:
    """Replace the file of limits; *accounts* are by user name."""
    own = [(name, numbers, on_limit) for name, numbers in accounts.items()]
    relay_.install(LIMITS, limits.render(instance or {}, own, relay_.DOMAIN))
