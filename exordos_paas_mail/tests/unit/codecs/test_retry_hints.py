# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from exordos_paas_mail.codecs import retry_hints, tls_policies

# As exim_dumpdb -z of 4.96 prints it; what follows the key is another server's.
LISTED = """\
  T:mx.elsewhere.example:203.0.113.25 111 77 Connection refused
26-Nov-2026 19:55:37  26-Nov-2026 19:55:38  26-Nov-2026 20:00:38 
  R:later@elsewhere.example:<alice@tenant.example> -44 31489 H=mx.elsewhere.example [203.0.113.25]: 451 4.2.0
26-Nov-2026 19:55:37  26-Nov-2026 19:55:38  26-Nov-2026 20:10:38 *
  R:x 1 2 y@broken.example -36 0 host lookup did not complete
26-Nov-2026 19:55:37  26-Nov-2026 19:55:38  26-Nov-2026 21:00:38 
  T:mx.v6.example:2001:db8::25:1xWfZB-00000c-2E -46 0 SMTP error from remote mail server
26-Nov-2026 19:55:37  26-Nov-2026 19:55:38  26-Nov-2026 22:00:00 
"""  # noqa: E501, W291
AT = 1_795_723_238


def test_times_are_read_by_what_they_are_of() -> None:
    assert retry_hints.parse(LISTED) == {
        "T:mx.elsewhere.example:203.0.113.25": AT,
        "R:later@elsewhere.example:<alice@tenant.example>": AT + 600,
        "R:x": AT + 3600,
        "T:mx.v6.example:2001:db8::25:1xWfZB-00000c-2E": AT + 7162,
    }


def test_what_is_no_list_has_no_times() -> None:
    assert retry_hints.parse("exim: no such file\n\n26-Nov-2026 x\n") == {}


ID = "1xWfZB-00000c-2E"
ALICE = "alice@tenant.example"


@pytest.mark.parametrize(
    ("attempt", "at"),
    [
        (retry_hints.Attempt(ID, ALICE, "later@Elsewhere.example"), AT + 600),
        (retry_hints.Attempt(ID, "bob@tenant.example", "later@elsewhere.example"), 0),
        (
            retry_hints.Attempt(ID, "", "a@b.example", "MX.elsewhere.example", "203.0.113.25"),
            AT,
        ),
        (retry_hints.Attempt(ID, "", "a@b.example", "mx.v6.example", "2001:db8::25"), AT + 7162),
        (retry_hints.Attempt("x", "", "a@b.example", "mx.v6.example", "2001:db8::25"), 0),
        (retry_hints.Attempt(ID, "", "y@x"), AT + 3600),
    ],
)
def test_the_last_of_what_holds_a_recipient_back_counts(
    attempt: retry_hints.Attempt, at: int
) -> None:
    assert retry_hints.due(retry_hints.parse(LISTED), attempt) == at


@pytest.mark.parametrize(
    ("mode", "key"),
    [
        ("auto", "T:mx.b.example:192.0.2.1"),
        ("opportunistic", "T:mx.b.example"),
        ("encrypt", "T:mx.b.example:192.0.2.1/0.0.0.0"),
        ("verify", "T:mx.b.example/0.0.0.0"),
        ("dane", "T:mx.b.example/0.0.0.0"),
        ("mta_sts", "T:mx.b.example:192.0.2.1/0.0.0.0"),
    ],
)
def test_a_server_is_put_off_for_mail_that_leaves_as_what_it_refused(mode: str, key: str) -> None:
    attempt = retry_hints.Attempt(ID, "", "a@b.example", "MX.b.example", "192.0.2.1")
    mine = attempt._replace(mode=tls_policies.Mode(mode))
    assert retry_hints.due({key: AT}, mine) == AT
    assert retry_hints.due({f"{key}:{ID}": AT}, mine) == AT
    of_others = [one for one in tls_policies.Mode if one.value != mode]
    put_off = [
        one.value for one in of_others if retry_hints.due({key: AT}, attempt._replace(mode=one))
    ]
    alike = (("verify", "dane"), ("encrypt", "mta_sts"))
    assert put_off == [one for pair in alike if mode in pair for one in pair if one != mode]


@pytest.mark.parametrize(
    ("port", "key"),
    [
        (587, "T:mx.b.example:192.0.2.1:587/0.0.0.0"),
        (465, "T:mx.b.example:192.0.2.1:465/0.0.0.0"),
        (25, "T:mx.b.example:192.0.2.1/0.0.0.0"),
    ],
)
@pytest.mark.parametrize("mode", tls_policies.Mode)
def test_a_smarthost_is_put_off_for_what_goes_by_it(
    port: int, key: str, mode: tls_policies.Mode
) -> None:
    direct = retry_hints.Attempt(ID, "", "a@b.example", "MX.b.example", "192.0.2.1", mode)
    mine = direct._replace(smarthost_port=port)
    assert retry_hints.due({key: AT}, mine) == AT
    assert retry_hints.due({f"{key}:{ID}": AT}, mine) == AT
    # exim has no other key for a server on port 25 that is both.
    alike = (tls_policies.Mode.ENCRYPT, tls_policies.Mode.MTA_STS)
    is_one = port == 25 and mode in alike
    assert bool(retry_hints.due({key: AT}, direct)) is is_one


def test_an_interface_is_of_the_family_of_the_server() -> None:
    attempt = retry_hints.Attempt(
        *(ID, "", "a@b.example", "mx.b.example", "2001:db8::25"), tls_policies.Mode.ENCRYPT
    )
    assert retry_hints.due({"T:mx.b.example:2001:db8::25/::0": AT}, attempt) == AT
