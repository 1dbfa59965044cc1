# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Lines of exim's main log, as it has written them, and what they say."""

from __future__ import annotations

import base64

from exordos_paas_mail.codecs import main_log

AT = "2026-11-26 11:25:36.641"
ID = "1xWXbc-00007x-20"
ALICE = "alice@example.com"
CIPHER = "TLS1.3:ECDHE_SECP256R1__ECDSA_SECP256R1_SHA256__AES_256_GCM:256"
TLS = main_log.Tls("TLS1.3", CIPHER.partition(":")[2], "no")
MX = main_log.Remote("mx.example.net", "203.0.113.25", 25)
MX_FIELD = "H=mx.example.net [203.0.113.25]:25"

OTHER_ID = "1xWXba-00007x-17"
REPORT = "Final-Recipient: rfc822; bob@example.net\nAction: failed\nStatus: 5.1.1\n"


def report(said: str, returned: str, message_id: str) -> str:
    """Return the line of a report (RFC 3464) to an account."""
    fields = {"said": said, "returned": returned, "message_id": message_id}
    encoded = (
        f"{name}={base64.b64encode(text.encode()).decode()}" for name, text in fields.items()
    )
    return f"{ID} reported account={ALICE} client=192.0.2.25 {' '.join(encoded)} id={ID}"


PATH = "b-bvqtdj4-b5-cw-41a22fbee87b40-alice+news@bounces.example.com"
"""A return path, of the message ``PATH_ID``."""
PATH_ID = "1xWwW4-00000z-1O"


def returned(said: str, path: str = PATH) -> str:
    """Return the line of a report that came to a return path."""
    encoded = [base64.b64encode(text.encode()).decode() for text in (path, said)]
    return f"{ID} returned path={encoded[0]} client=192.0.2.25 said={encoded[1]} id={ID}"


def complained(good: str, named: str, said: str = "Feedback-Type: abuse\n") -> str:
    """Return the line of a complaint."""
    encoded = [base64.b64encode(text.encode()).decode() for text in (good, named, said)]
    return (
        f"{ID} complained good={encoded[0]} named={encoded[1]} client=192.0.2.25"
        f" said={encoded[2]} id={ID}"
    )


LINES: list[tuple[str, main_log.Entry]] = [
    (
        f"{ID} accepted account={ALICE} recipients=1 size=381 id={ID}",
        main_log.Accepted(ALICE, 1, 381),
    ),
    (
        f"{ID} <= {ALICE} H=(client.example.net) [192.0.2.1]:36734 P=esmtpsa X={CIPHER} CV=no"
        f" A=plain:{ALICE} S=516 id=17.24@example.com from <{ALICE}> for bob@example.net",
        main_log.Arrival(ALICE, "192.0.2.1", "esmtpsa", ALICE, TLS, 516, ""),
    ),
    (
        f"{ID} <= <> R=1xWXbb-00007x-1a U=Debian-exim P=local S=1804 from <> for {ALICE}",
        main_log.Arrival("", "", "local", "", None, 1804, "1xWXbb-00007x-1a"),
    ),
    (
        f"{ID} <= <> H=mx.example.net [2001:db8::25]:4711 P=esmtp S=900 for {ALICE}",
        main_log.Arrival("", "2001:db8::25", "esmtp", "", None, 900, ""),
    ),
    (
        f"{ID} => bob@example.net F=<{ALICE}> R=mx T=remote_smtp S=1279 {MX_FIELD} X={CIPHER}"
        ' CV=no C="250 2.0.0 Kept \\"as\\" 20261126" QT=0.148s DT=0.102s',
        main_log.Delivery(
            "bob@example.net",
            ALICE,
            "remote_smtp",
            MX,
            TLS,
            '250 2.0.0 Kept \\"as\\" 20261126',
            0.148,
        ),
    ),
    (
        f"{ID} => alice+news@example.com <{PATH}> F=<> R=report T=remote_smtp S=1279 {MX_FIELD}"
        ' C="250 OK" QT=0.148s DT=0.102s',
        main_log.Delivery("alice+news@example.com", "", "remote_smtp", MX, None, "250 OK", 0.148),
    ),
    (
        f"{ID} => alice+news <{PATH}> F=<> R=report_here T=role_mailbox S=405 QT=0.033s DT=0.011s",
        main_log.Delivery("alice+news@example.com", "", "role_mailbox", None, None, "", 0.033),
    ),
    (
        f"{ID} => abuse@example.com <fbl@bounces.example.com> F=<{ALICE}> R=role T=remote_smtp"
        f' S=1279 {MX_FIELD} C="250 OK" QT=0.148s DT=0.102s',
        main_log.Delivery("abuse@example.com", ALICE, "remote_smtp", MX, None, "250 OK", 0.148),
    ),
    (
        complained(f"{PATH}\n", f"{PATH}\nx@y.example"),
        main_log.Complained((PATH,), (PATH, "x@y.example"), "192.0.2.25", "Feedback-Type: abuse\n"),
    ),
    (
        complained(f"{PATH}\n", f"{PATH}\n{PATH.replace('alice', 'eve')}"),
        main_log.Complained(
            (PATH,),
            (PATH, PATH.replace("alice", "eve")),
            "192.0.2.25",
            "Feedback-Type: abuse\n",
        ),
    ),
    (
        returned(REPORT),
        main_log.Returned(PATH, "192.0.2.25", REPORT),
    ),
    (
        f"{ID} -> carol@example.net F=<{ALICE}> R=mx T=remote_smtp S=1279 {MX_FIELD}*"
        ' X=TLS1.3:(AES_256_GCM:256* CV=dane C="250 OK" QT=1m5s DT=0s',
        main_log.Delivery(
            "carol@example.net",
            ALICE,
            "remote_smtp",
            MX,
            main_log.Tls("TLS1.3", "(AES_256_GCM:256", "dane"),
            "250 OK",
            65.0,
        ),
    ),
    (
        f"{ID} => alice <{ALICE}> F=<> R=report_here T=role_mailbox S=900 QT=1d2h DT=0.001s",
        main_log.Delivery(ALICE, "", "role_mailbox", None, None, "", 93_600.0),
    ),
    (
        f"{ID} == bob@example.net R=mx T=remote_smtp defer (113): No route to host {MX_FIELD}"
        " DT=3.073s: mx.example.net [203.0.113.25]",
        main_log.Deferral(
            "bob@example.net",
            "remote_smtp",
            MX,
            113,
            "No route to host: mx.example.net [203.0.113.25]",
        ),
    ),
    (
        f"{ID} == bob@example.net R=mx T=remote_smtp defer (-44) {MX_FIELD} DT=0.100s: SMTP error"
        " from remote mail server after RCPT TO:<bob@example.net>: 450 4.2.0 Greylisted",
        main_log.Deferral(
            "bob@example.net",
            "remote_smtp",
            MX,
            -44,
            "SMTP error from remote mail server after RCPT TO:<bob@example.net>:"
            " 450 4.2.0 Greylisted",
        ),
    ),
    (
        f"{ID} H=mx.example.net [203.0.113.25]:25 Connection timed out",
        main_log.Unreached(MX, "Connection timed out"),
    ),
    (
        f"{ID} H=mx.example.net [203.0.113.25]:25: SMTP timeout after initial connection:"
        " Connection timed out",
        main_log.Unreached(MX, "SMTP timeout after initial connection: Connection timed out"),
    ),
    (
        f"{ID} smarthostplain authenticator failed H=mx.example.net [203.0.113.25] 535 5.7.8 No",
        main_log.LoginRefused(MX._replace(port=None), "535 5.7.8 No"),
    ),
    (
        f"{ID} == bob@example.net R=mx defer (-1) DT=0s: host lookup did not complete",
        main_log.Deferral("bob@example.net", "", None, -1, "host lookup did not complete"),
    ),
    (
        f"{ID} == bob@example.net routing defer (-52): Retry time not yet reached",
        main_log.Deferral("bob@example.net", "", None, -52, "Retry time not yet reached"),
    ),
    (
        f"{ID} ** bob@example.net F=<{ALICE}> R=mx T=remote_smtp {MX_FIELD} X={CIPHER} CV=yes:"
        " SMTP error from remote mail server after RCPT TO:<bob@example.net>: 550 5.1.1 Nobody"
        " DT=0.013s",
        main_log.Failure(
            "bob@example.net",
            ALICE,
            "remote_smtp",
            MX,
            TLS._replace(verified="yes"),
            "SMTP error from remote mail server after RCPT TO:<bob@example.net>: 550 5.1.1 Nobody",
        ),
    ),
    (
        f"{ID} ** bob@example.net F=<{ALICE}>: Unrouteable address DT=0s",
        main_log.Failure("bob@example.net", ALICE, "", None, None, "Unrouteable address"),
    ),
    (
        f"{ID} ** later@example.net: retry timeout exceeded",
        main_log.Failure("later@example.net", None, "", None, None, "retry timeout exceeded"),
    ),
    (
        f"{ID} <= {ALICE} H=(client) [192.0.2.1]:4711 P=utf8esmtpsa X={CIPHER} CV=no"
        f" A=login:{ALICE} S=281 for a@m\N{LATIN SMALL LETTER U WITH DIAERESIS}ller.example",
        main_log.Arrival(ALICE, "192.0.2.1", "utf8esmtpsa", ALICE, TLS, 281, ""),
    ),
    (f"{ID} Completed QT=0.045s", main_log.Completed()),
    (
        f"H=(client.example.net) [192.0.2.1]:4711 X={CIPHER} CV=no F=<eve@example.com>"
        f" A=plain:{ALICE} rejected RCPT <bob@example.net>: limit",
        main_log.Refusal(
            "192.0.2.1",
            ALICE,
            "eve@example.com",
            "RCPT",
            temporary=False,
            words="<bob@example.net>: limit",
        ),
    ),
    (
        "H=[192.0.2.1]:4711 F=<> temporarily rejected after DATA: cannot repair the message",
        main_log.Refusal(
            "192.0.2.1", "", "", "after DATA", temporary=True, words="cannot repair the message"
        ),
    ),
    (
        "H=(client.example.net) [192.0.2.1]:4711 rejected MAIL <eve@example.org>",
        main_log.Refusal("192.0.2.1", "", None, "MAIL", temporary=False, words="<eve@example.org>"),
    ),
    ("logged in port=465 secret=credential", main_log.Login(465, "credential")),
    (
        "plain authenticator failed for (client.example.net) [192.0.2.1]:4711:"
        " 535 Incorrect authentication data",
        main_log.FailedLogin("192.0.2.1"),
    ),
    (
        f"{ID} accepted account={ALICE} recipients=2 size=381"
        " from=QWxpY2UgPGFsaWNlQGV4YW1wbGUuY29tPg=="
        f" message_id=PDE3LjI0QGV4YW1wbGUuY29tPg== tags=d2VsY29tZQpjYW1wYWlnbiA3 id={ID}",
        main_log.Accepted(
            ALICE,
            2,
            381,
            f"Alice <{ALICE}>",
            "<17.24@example.com>",
            ("welcome", "campaign 7"),
        ),
    ),
    (
        f"{ID} accepted account={ALICE} recipients=1 size=381 from= message_id= tags= hold="
        f" id={ID}",
        main_log.Accepted(ALICE, 1, 381),
    ),
    (
        f"{ID} accepted account={ALICE} recipients=1 size=381 from= message_id= tags="
        f" hold=account id={ID}",
        main_log.Accepted(ALICE, 1, 381, hold="account"),
    ),
    (
        f"{ID} <= {ALICE} H=(client.example.net) [192.0.2.1]:36734 P=esmtpsa X={CIPHER} CV=no"
        f" A=plain:{ALICE} S=516 Q=hold id=17.24@example.com from <{ALICE}> for bob@example.net",
        main_log.Arrival(ALICE, "192.0.2.1", "esmtpsa", ALICE, TLS, 516, ""),
    ),
    (f"{ID} moved from input, msglog to (hold) input, msglog", main_log.Move("hold")),
    (f"{ID} moved from (hold) input, msglog to input, msglog", main_log.Move("")),
    (f"{ID} removed by root", main_log.Removal("root")),
    (f"{ID} cancelled by root", main_log.Removal("root")),
    (
        report(REPORT, OTHER_ID, "1@x"),
        main_log.Reported(ALICE, "192.0.2.25", REPORT, OTHER_ID, "1@x"),
    ),
    (
        f"suppressed account={ALICE} client=192.0.2.1 sender=YWxpY2VAZXhhbXBsZS5jb20="
        " recipient=Ym9iQGV4YW1wbGUubmV0 since=2025-11-26 reason=aGFyZCBib3VuY2U=",
        main_log.Suppressed(
            ALICE, "192.0.2.1", ALICE, "bob@example.net", "2025-11-26", "hard bounce"
        ),
    ),
    (
        f"{ID} => :blackhole: <Bob@example.net> R=suppressed",
        main_log.Withheld("Bob@example.net", "", ""),
    ),
    (
        f"{ID} ** bob@example.net F=<{ALICE}> R=suppressed: 550 5.7.1 The recipient is suppressed"
        " since 2025-11-26 (hard bounce)",
        main_log.Withheld(
            "bob@example.net",
            ALICE,
            "550 5.7.1 The recipient is suppressed since 2025-11-26 (hard bounce)",
        ),
    ),
]
