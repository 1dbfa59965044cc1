# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""codecs.refusals: what the relay's ACLs say has a class."""

from __future__ import annotations

import re

import pytest

from exordos_paas_mail.codecs import exim_conf, refusals
from exordos_paas_mail.codecs.refusals import Reason

SAID = re.compile(r"^ +(?:log_)?message = ((?:.*\\\n)*.*)", re.MULTILINE)
# What is decided elsewhere, a client's mistake in the protocol, and root's own.
BY_OTHERS = [
    "${extract{refused}{$acl_m_answer}}",
    "$acl_m_refusal",
    "$acl_m_refusal",
    # exordos-mail-policy's words; what is logged of them has a class.
    "550 5.7.1 ${extract{said}{$acl_c_answer}}",
    "451 4.7.1 ${extract{said}{$acl_c_answer}}",
    "501 5.5.2 Use a host name or an address in brackets",
    "local submission is for root",
]


def test_whatever_an_acl_says_has_a_class() -> None:
    configuration = exim_conf.render(exim_conf.Settings(domain="a.example", hostname="a.example"))
    # What an ACL says that is called for its value is said to nobody.
    for name in re.findall(r"\$\{acl\{(\w+)\}", configuration):
        configuration = re.sub(
            rf"^{name}:\n(?:(?:[ #].*)?\n)*", "", configuration, flags=re.MULTILINE
        )
    said = [re.sub(r"\\\n *", "", text) for text in SAID.findall(configuration)]
    assert len(said) > 30
    without = [text for text in said if refusals.classify("RCPT", text) is Reason.OTHER]
    assert sorted(without) == sorted(BY_OTHERS)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("<bob@example.net>: Relaying denied: log in first", Reason.LOGIN),
        ("<bob@example.net>: sending limit reached account=a@b.example rate=9", Reason.LIMIT),
        ("<eve@example.org>: <eve@example.org> is not an address of the login a", Reason.SENDER),
        ("<x@nowhere.example>: The domain nowhere.example does not exist", Reason.RECIPIENT),
        (": NUL byte in message", Reason.CONTENT),
        (": Account is disabled", Reason.ACCOUNT),
        (": /etc/exim4/senders is lost", Reason.NODE),
        ("", Reason.OTHER),
        ("<eve@example.org>", Reason.OTHER),
        # What a client says comes first, so that the relay has the last word.
        ('<"Relaying denied"@a.example>: Account is disabled', Reason.ACCOUNT),
    ],
)
def test_the_reason_is_what_the_relay_says_last(words: str, reason: Reason) -> None:
    assert refusals.classify("RCPT", words) is reason


def test_what_is_wrong_with_a_message_is_its_content_unless_the_relay_says_otherwise() -> None:
    odd = ": 554 5.6.0 To: longer than 100 octets"
    assert refusals.classify("after DATA", odd) is Reason.CONTENT
    assert refusals.classify("after DATA", ": cannot repair the message: x") is Reason.NODE
    assert refusals.classify("MAIL", odd) is Reason.OTHER
