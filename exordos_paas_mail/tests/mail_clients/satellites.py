# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Machines that hand all their mail to the relay: how each agent is told to."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail.tests.mail_clients import catalogue, readme

if tp.TYPE_CHECKING:
    from exordos_paas_mail.tests.mail_clients import arrivals, machines

# An image is made on a machine of another name than the one that boots it; the test before may have
# been about the other port.
_POSTFIX_OWN: tp.Final = "postconf -X myhostname smtp_tls_wrappermode\n"
_POSTFIX_TLS: tp.Final = "postconf -e 'smtp_tls_wrappermode = yes'\npostfix reload\n"
_EXIM_TLS: tp.Final = """
echo 'REMOTE_SMTP_SMARTHOST_PROTOCOL = smtps' >>/etc/exim4/exim4.conf.localmacros
update-exim4.conf
# Each test sets it up anew, on a fast machine more often than systemd lets a unit be started.
systemctl reset-failed exim4
systemctl restart exim4
"""
_MSMTP_TLS: tp.Final = "tls_starttls off\n"
_DMA: tp.Final = """
cat >/etc/dma/dma.conf <<END
SMARTHOST $SERVER
PORT $PORT
AUTHPATH /etc/dma/auth.conf
SECURETRANSFER
$STARTTLS
MASQUERADE $LOGIN
MAILNAME /etc/mailname
END
install -o root -g mail -m 640 /dev/stdin /etc/dma/auth.conf <<END
$LOGIN|$SERVER:$PASSWORD
END
"""
# The envelope sender makes it the account's: nullmailer writes the machine's own user to From.
_NULLMAILER: tp.Final = """
install -o mail -g mail -m 600 /dev/stdin /etc/nullmailer/remotes <<END
$SERVER smtp port=$PORT ${STARTTLS:+start}tls user=$LOGIN pass='$PASSWORD'
END
echo "$LOGIN" >/etc/nullmailer/allmailfrom
"""
_SCRIPTS: tp.Final = {"dma": _DMA, "nullmailer": _NULLMAILER}
# What prints why an agent keeps a message, and the words for a certificate that it does not trust.
_REASONS: tp.Final = {
    "exim4": (("cat", "/var/log/exim4/mainlog"), "certificate verification failed"),
    "nullmailer": (("journalctl", "--unit=nullmailer"), "certificate is untrusted"),
    "Postfix": (("postqueue", "-p"), "Server certificate not"),
}


def set_up(machine: machines.Machine, name: str, order: arrivals.Order) -> None:
    """Have the agent called *name* send all mail by the account and port of *order*.

    By the README's block where it has one; on 465 with the setting that says so.
    """
    starttls = order.port == catalogue.STARTTLS
    environment = {**order.environment(), "STARTTLS": "STARTTLS" if starttls else ""}
    if name == "msmtp-mta":
        block = readme.filled_in("msmtp", order)
        tls = "" if starttls else _MSMTP_TLS
        machine.write("/etc/msmtprc", block.replace("\ntls on\n", f"\ntls on\n{tls}"))
        return
    if name == "Postfix":
        script = _POSTFIX_OWN + readme.filled_in(name, order)
        script += "" if starttls else _POSTFIX_TLS
    elif name == "exim4":
        script = readme.filled_in(name, order) + ("" if starttls else _EXIM_TLS)
    else:
        script = _SCRIPTS[name]
    machine.run("bash", "-euo", "pipefail", "-c", script, environment=environment)


def keeps_for_its_certificate(machine: machines.Machine, name: str) -> bool:
    """Return whether the agent says that it keeps a message because of a certificate."""
    command, words = _REASONS[name]
    return words in machine.run(*command)
