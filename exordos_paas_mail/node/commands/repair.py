# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""exordos-mail-repair: repairs a message that exim is about to accept.

exim runs it, as its own user, for a message that is not well-formed. The header comes
as an argument, because no file has it yet; the body is in exim's spool and is written
anew there if one of its lines is too long. Standard output is for exim's ${extract}:
``refused``, the answer to the client; or the fields to replace, twice where a machine's
user stands in a field that says who sends: ``written_*`` with its own address,
``account_*`` with the account's. It is exim that knows whose address is whose.

Exit status: 0 answered; anything else, and exim has to refuse the message for now.
"""

from __future__ import annotations

import argparse
import base64
import sys
import typing as tp

from exordos_paas_mail.codecs import (
    address_fields,
    exim_strings,
    header_repair,
    long_lines,
    mime_scan,
)
from exordos_paas_mail.node.machine import spool

if tp.TYPE_CHECKING:
    from collections.abc import Sequence

    from exordos_paas_mail.codecs.header_repair import Field

_LINE_MAX = 998


def main(arguments: Sequence[str] | None = None, root: str = "/") -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="exordos-mail-repair",
        description="Repair a message that exim is about to accept. exim runs this.",
    )
    parser.add_argument("message_id")
    parser.add_argument("domain", help="completes an address without a domain")
    parser.add_argument("account", help="the envelope sender, or nothing")
    parser.add_argument("longest_line", type=int, help="octets, as exim counted them")
    parser.add_argument("header", type=base64.b64decode, help="in base64")
    parser.add_argument("recipients", type=base64.b64decode, help="by comma and space, in base64")
    options = parser.parse_args(arguments)
    try:
        answer = _repair(options, root)
    except header_repair.RefusedError as error:
        answer = {"refused": str(error).encode()}
    except mime_scan.UnencodableError as error:
        reason = f"554 5.6.0 Line longer than {_LINE_MAX} octets (RFC 5322 2.1.1): {error}"
        answer = {"refused": reason.encode()}
    except OSError as error:
        sys.stderr.write(f"{parser.prog}: {error}\n")
        return 1
    sys.stdout.buffer.write(exim_strings.render(answer))
    return 0


def _repair(options: argparse.Namespace, root: str) -> dict[str, bytes]:
    before = header_repair.split(options.header)
    reading = address_fields.Reading(
        domain=options.domain,
        recipients=frozenset(options.recipients.decode(errors="replace").lower().split(", ")),
    )
    written = header_repair.repair(before, reading)
    variants = {"written": written}
    if options.account:
        account = header_repair.repair(before, reading, account=options.account)
        if account != written:
            variants["account"] = account
    if options.longest_line > _LINE_MAX:
        with spool.body(options.message_id, root) as body:
            parts = long_lines.find(options.header, body.file, body.start)
            if parts:
                body.replace(long_lines.write(parts, body.file, body.start))
        if long_lines.is_whole_body(parts):
            declare = header_repair.declare_quoted_printable
            variants = {name: declare(fields) for name, fields in variants.items()}
    answer: dict[str, bytes] = {}
    for name, after in variants.items():
        answer |= _replacement(name, before, after)
    return answer


def _replacement(variant: str, before: Sequence[Field], after: Sequence[Field]) -> dict[str, bytes]:
    names, fields = header_repair.changed(before, after)
    fields = exim_strings.distinct(fields)
    resent = [field for field in fields if field.key.startswith("resent-")]
    others = [field for field in fields if field not in resent]
    return {
        f"{variant}_removed": ":".join(names).encode(),
        f"{variant}_resent": b"".join(b":at_start_rfc:" + field.text for field in resent),
        f"{variant}_from": b"".join(field.value for field in others if field.key == "from"),
        f"{variant}_sender": b"".join(field.value for field in others if field.key == "sender"),
        f"{variant}_others": b"".join(
            field.text for field in others if field.key not in {"from", "sender"}
        ),
    }


if __name__ == "__main__":
    sys.exit(main())
