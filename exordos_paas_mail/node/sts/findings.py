# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What was found out about a domain, and what is kept of it."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail.codecs import mta_sts

AGE_MIN: tp.Final = 60
"""Seconds for which a policy is kept, whatever it says."""


class Finding(tp.NamedTuple):
    """What one look at a domain has come to."""

    id: str | None
    """Of the TXT record; None where the domain says that it has no policy, or nothing was said."""
    policy: mta_sts.Policy | None = None
    """None where it was not fetched."""
    error: str = ""
    """Why nothing was found out; empty where it was."""
    is_slow: bool = False
    """Whether it is worth another look that takes its time."""

    @property
    def is_unchanged(self) -> bool:
        """Whether the policy is the one that was known."""
        return self.id is not None and self.policy is None and not self.error


class Known(tp.NamedTuple):
    """What is known of a domain; times are seconds since 1970."""

    domain: str
    mode: mta_sts.Mode
    id: str = ""
    mx: tuple[str, ...] = ()
    max_age: int = 0
    fetched_at: int = 0
    look_at: int = 0
    """When it is looked at again."""
    used_at: int = 0
    uses: int = 0
    """How many hours somebody has sent to it in."""
    failures: int = 0
    """Looks that have failed since one has not."""
    error: str = ""
    """Why the last one has."""

    @property
    def until(self) -> int:
        """When the policy ends.

        One that may be kept for less than a minute is: mail that waits for it is one of many.
        """
        return self.fetched_at + max(self.max_age, AGE_MIN)

    def is_policy(self, now: float) -> bool:
        """Return whether a policy is known that has not ended."""
        return self.mode in mta_sts.POLICIES and self.until > now
