# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Postfix with Dovecot (SASL) and OpenDKIM, set up to do what the relay does.

The same: login after STARTTLS alone, TLS 1.2 or later with the same certificate, the same
SHA512-crypt hash verified at each login, envelope senders tied to the login, recipients'
domains looked up at RCPT, counts of messages and logins by client, an RSA-2048 signature
(relaxed) by the same key, DANE and verification of certificates on the way out with sessions
resumed, a log line an event. Not in it, because Postfix has no such rule: who may be in the
header's From, the repair of a message, limits by account.
"""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import socket
import subprocess
import time
import typing as tp

from exordos_paas_mail.tests.relay import relay as relay_

if tp.TYPE_CHECKING:
    from benchmarks import cpu_groups

PORT: tp.Final = 10587
_ETC: tp.Final = pathlib.Path("/etc/postfix")
_AUTH: tp.Final = pathlib.Path("/run/dovecot/postfix")
_DKIM_PORT: tp.Final = 10891
_MANY: tp.Final = 1_000_000

_MAIN: tp.Final = f"""\
compatibility_level = 3.6
myhostname = {relay_.DOMAIN}
mydomain = {relay_.DOMAIN}
myorigin = {relay_.DOMAIN}
mydestination =
local_transport = error:no mailboxes here
# Nobody is trusted for an address
mynetworks = 192.0.2.1/32
inet_interfaces = loopback-only
inet_protocols = ipv4
maillog_file = /var/log/postfix.log
message_size_limit = 26214400
default_process_limit = 500
smtpd_tls_security_level = may
smtpd_tls_auth_only = yes
smtpd_tls_chain_files = {relay_.TLS / "relay.pem"}
smtpd_tls_protocols = >=TLSv1.2
smtpd_tls_loglevel = 1
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {_AUTH}
smtpd_sasl_security_options = noanonymous
smtpd_sender_login_maps = texthash:/etc/postfix/senders
smtpd_sender_restrictions = reject_sender_login_mismatch
smtpd_recipient_restrictions = reject_unknown_recipient_domain, permit_sasl_authenticated, reject
smtpd_client_event_limit_exceptions =
smtpd_client_connection_count_limit = 500
smtpd_client_message_rate_limit = {_MANY}
smtpd_client_recipient_rate_limit = {_MANY}
smtpd_client_auth_rate_limit = {_MANY}
smtpd_milters = inet:127.0.0.1:{_DKIM_PORT}
milter_default_action = tempfail
smtp_dns_support_level = dnssec
smtp_tls_security_level = dane
smtp_tls_CAfile = /etc/ssl/certs/ca-certificates.crt
smtp_tls_session_cache_database = btree:/var/lib/postfix/smtp_scache
smtp_tls_loglevel = 1
"""

# None in a chroot, which is no difference in cost and one file less to copy
_MASTER: tp.Final = f"""\
{PORT} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

_DOVECOT: tp.Final = f"""\
protocols =
ssl = no
disable_plaintext_auth = yes
auth_mechanisms = plain login
log_path = /var/log/dovecot.log
passdb {{
  driver = passwd-file
  args = scheme=SHA512-CRYPT username_format=%u /etc/dovecot/accounts
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home=/nonexistent
}}
service auth {{
  unix_listener {_AUTH.name} {{
    mode = 0660
    user = postfix
    group = postfix
  }}
}}
"""

_OPENDKIM: tp.Final = f"""\
Mode s
Canonicalization relaxed/relaxed
Domain {relay_.DOMAIN}
Selector platform
KeyFile /etc/opendkim.key
OversignHeaders From
Socket inet:{_DKIM_PORT}@127.0.0.1
UserID opendkim
Syslog no
Background no
"""


class Postfix:
    """The three services, in one control group."""

    port = PORT

    def __init__(self, accounts: tp.Mapping[str, str]) -> None:
        self._started: list[subprocess.Popen[bytes]] = []
        shutil.copy("/usr/share/postfix/dynamicmaps.cf", _ETC)
        (_ETC / "main.cf").write_text(_MAIN)
        (_ETC / "master.cf").write_text(_MASTER)
        (_ETC / "senders").write_text("".join(f"{login} {login}\n" for login in accounts))
        pathlib.Path("/etc/dovecot/dovecot.conf").write_text(_DOVECOT)
        records = "".join(f"{login}:{word}\n" for login, word in accounts.items())
        pathlib.Path("/etc/dovecot/accounts").write_text(records)
        pathlib.Path("/etc/opendkim.conf").write_text(_OPENDKIM)
        key = pathlib.Path("/etc/opendkim.key")
        shutil.copy(relay_.DKIM / "platform.private", key)
        shutil.chown(key, "opendkim", "opendkim")
        key.chmod(0o600)

    def start(self, group: cpu_groups.CpuGroup) -> None:
        """Start all in *group*, and return when all of them answer."""
        for command in (
            ["/usr/sbin/opendkim", "-f"],
            ["/usr/sbin/dovecot", "-F"],
            ["/usr/sbin/postfix", "start-fg"],
        ):
            # It waits for a line: what it starts is in the group from the beginning.
            waiting = ["sh", "-c", 'read -r _ && exec "$@" </dev/null', "sh", *command]
            process = subprocess.Popen(waiting, stdin=subprocess.PIPE)
            assert process.stdin is not None
            group.add(process.pid)
            process.stdin.write(b"\n")
            process.stdin.close()
            self._started.append(process)
        deadline = time.monotonic() + 60
        for port in (_DKIM_PORT, PORT):
            while not _listens(port):
                assert time.monotonic() < deadline, f"nothing listens on port {port}"
                time.sleep(0.1)
        while not _AUTH.is_socket():
            assert time.monotonic() < deadline, "Dovecot does not answer"
            time.sleep(0.1)

    def stop(self) -> None:
        """End all of them."""
        subprocess.run(["/usr/sbin/postfix", "stop"], check=False, capture_output=True)
        for process in self._started:
            process.terminate()
            process.wait()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False
