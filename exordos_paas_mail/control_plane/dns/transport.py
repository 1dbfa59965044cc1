# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""One question to one server, within the budget of the check it is a part of."""

from __future__ import annotations

import time
import typing as tp

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype

from exordos_paas_mail.control_plane.dns import answers

# Seconds for an answer over UDP, of each of two tries, and over TCP.
_PATIENCE: tp.Final = 2.0
_TRIES: tp.Final = 2
_TCP_PATIENCE: tp.Final = 4.0
# https://www.dnsflagday.net/2020/: what passes every path in one piece.
_PAYLOAD: tp.Final = 1232
_WITHOUT_EDNS: tp.Final = (dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.BADVERS)


class SilenceError(Exception):
    """The server gave no answer that is one; *outcome* is of ``answers``."""

    def __init__(self, outcome: str, note: str = "") -> None:
        super().__init__(outcome, note)
        self.outcome = outcome
        self.note = note


class Budget:
    """What one check may spend: queries, and seconds."""

    def __init__(self, queries: int, seconds: float) -> None:
        self._queries = queries
        self._deadline = time.monotonic() + seconds

    def spend(self, patience: float) -> float:
        """Take one query; return the seconds it may take, SilenceError if nothing is left."""
        left = self._deadline - time.monotonic()
        if self._queries <= 0 or left <= 0:
            raise SilenceError(answers.EXHAUSTED)
        self._queries -= 1
        return min(patience, left)


async def exchange(
    name: dns.name.Name, rdtype: str, address: str, port: int, budget: Budget
) -> dns.message.Message:
    """Return the answer of the server at *address*, whole; SilenceError if there is none.

    Over UDP, and over TCP when that is cut short. Not recursive: only what the
    server itself has counts.
    """
    has_edns = True
    for attempt in range(_TRIES):
        question = _question(name, rdtype, has_edns=has_edns)
        try:
            answer = await dns.asyncquery.udp(
                question,
                address,
                timeout=budget.spend(_PATIENCE),
                port=port,
                # What is no answer to this question is somebody else's, or forged.
                ignore_unexpected=True,
                ignore_errors=True,
            )
            if answer.flags & dns.flags.TC:
                answer = await dns.asyncquery.tcp(
                    question, address, timeout=budget.spend(_TCP_PATIENCE), port=port
                )
        except dns.exception.Timeout:
            # A device on the way may drop what has EDNS in it.
            has_edns = False
            continue
        except (dns.exception.DNSException, EOFError) as error:
            raise SilenceError(answers.FAILED, type(error).__name__) from None
        except ConnectionError as error:
            raise SilenceError(answers.FAILED, error.strerror or "") from None
        except OSError as error:
            raise SilenceError(answers.UNREACHABLE, error.strerror or "") from None
        if has_edns and answer.rcode() in _WITHOUT_EDNS and attempt + 1 < _TRIES:
            has_edns = False
            continue
        return answer
    raise SilenceError(answers.TIMEOUT)


def _question(name: dns.name.Name, rdtype: str, *, has_edns: bool) -> dns.message.QueryMessage:
    question = dns.message.make_query(
        name,
        dns.rdatatype.from_text(rdtype),
        dns.rdataclass.IN,
        use_edns=0 if has_edns else -1,
        payload=_PAYLOAD,
    )
    question.flags &= ~dns.flags.RD
    return question
