# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What every part has: the agent's driver knows parts by this and by nothing else."""

from __future__ import annotations

import typing as tp


class Part(tp.Protocol):
    """One thing a node holds for the control plane: its whole text is one field of the target.

    Every method but ``check`` raises MachineError or OSError when the machine refuses.
    """

    name: tp.ClassVar[str]
    """What people call it, for errors and logs."""

    def check(self, text: str, domain: str) -> None:
        """Raise ValueError, without a secret in it, unless *text* is a target of *domain*."""

    def read(self) -> str:
        """Return the actual text, empty where there is none; after ``ensure``, its text."""

    def faults(self) -> list[str]:
        """Return what ``ensure`` would repair beside the text: a mode, an index, a reload owed."""

    def ensure(self, text: str) -> bool:
        """Make the node hold *text*, and use it; returns whether the text had to be written.

        What a failure leaves undone shows in ``read`` and ``faults``, and the
        next call does it. A second call does nothing.
        """


@tp.runtime_checkable
class Telling(tp.Protocol):
    """A part that has something to tell beside its text."""

    def facts(self) -> dict[str, str]:
        """Return what the node reports by it, by the field of the report."""
