# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The blocks of the README's chapter "Send", with the reader's own values in them."""

from __future__ import annotations

import pathlib
import typing as tp

import markdown_it

if tp.TYPE_CHECKING:
    from exordos_paas_mail.tests.mail_clients import arrivals

_README: tp.Final = pathlib.Path(__file__).parents[3] / "README.md"
# The block before the first heading, which is curl's.
CURL: tp.Final = "curl"
# What the messages of the blocks say.
SUBJECT: tp.Final = "It works"
TEXT: tp.Final = "Sent through the relay.\n"


def blocks() -> dict[str, str]:
    """Return the block of each client by its heading."""
    chapter = _README.read_text().partition("\n## Send\n")[2].partition("\n## ")[0]
    found = {}
    for text in f"{CURL}\n{chapter}".split("\n### "):
        name, _, rest = text.partition("\n")
        (found[name],) = (
            part.content for part in markdown_it.MarkdownIt().parse(rest) if part.type == "fence"
        )
    return found


def filled_in(name: str, order: arrivals.Order) -> str:
    """Return the block of a client with the values of *order*."""
    text = blocks()[name]
    for placeholder, value in (
        ("you@example.net", order.recipient),
        ("noreply@mail.example.com", order.account.address),
        ("mail.example.com", order.server),
        ("correct-horse-battery", order.account.password),
        ("587", str(order.port)),
    ):
        text = text.replace(placeholder, value)
    return text
