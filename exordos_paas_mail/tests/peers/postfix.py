# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Debian's Postfix as a smarthost: it takes mail for everywhere from who logs in.

Passwords are in Cyrus SASL's own database, its certificate is the world's authority's.
"""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import typing as tp
import uuid

from exordos_paas_mail.tests.mail_clients import machines
from imaging import images
from imaging.containers import nodes
from stand import outside, settings

if tp.TYPE_CHECKING:
    from collections.abc import Iterator

    from clients import internet as internet_client

USERNAME: tp.Final = "tenant"
# The stand's nodes get addresses from below, the machines of clients those right above.
_ADDRESS: tp.Final = 1020
_PAIR: tp.Final = "/etc/postfix/pair.pem"
_LAYER: tp.Final = machines.Agent(
    "smarthost",
    images.BASE,
    machines.SCRIPTS,
    {"SATELLITE_PACKAGES": "postfix libsasl2-modules sasl2-bin"},
)
# As Postfix's own SASL_README has it; no service of these is in a chroot, where sasldb is not.
_SET_UP: tp.Final = """
postconf -X mydestination
postconf -e "myhostname = $NAME" 'mydestination =' 'mynetworks = 127.0.0.0/8' \\
  'inet_interfaces = all' 'inet_protocols = ipv4' "smtpd_tls_chain_files = $PAIR" \\
  'smtpd_tls_auth_only = yes' "smtpd_sasl_local_domain = $NAME" \\
  'smtpd_relay_restrictions = permit_sasl_authenticated, reject' \\
  'maillog_file = /var/log/postfix.log' 'smtp_tls_security_level = may'
for port in 587 465; do
  postconf -M "$port/inet=$port inet n - n - - smtpd"
  postconf -P "$port/inet/smtpd_sasl_auth_enable=yes" "$port/inet/syslog_name=postfix/$port"
done
postconf -P 587/inet/smtpd_tls_security_level=encrypt 465/inet/smtpd_tls_wrappermode=yes
install -D -m 644 /dev/stdin /etc/postfix/sasl/smtpd.conf <<END
pwcheck_method: auxprop
auxprop_plugin: sasldb
mech_list: PLAIN LOGIN
END
printf '%s' "$PASSWORD" | saslpasswd2 -p -c -u "$NAME" "$LOGIN"
chown root:postfix /etc/sasldb2
chmod 640 /etc/sasldb2
systemctl restart postfix
"""


@dataclasses.dataclass(frozen=True)
class Postfix:
    """The smarthost: its *name*, its *address*, and the *password* of USERNAME."""

    machine: machines.Machine
    name: str
    address: str
    password: str = dataclasses.field(repr=False)

    def stop(self) -> None:
        """Have nobody listen."""
        self.machine.run("systemctl", "stop", "postfix")

    def start(self) -> None:
        """Listen again."""
        self.machine.run("systemctl", "start", "postfix")

    def has_let_in(self, port: int) -> bool:
        """Return whether USERNAME has logged in on *port*."""
        log = self.machine.run("cat", "/var/log/postfix.log")
        said = [line for line in log.splitlines() if f"postfix/{port}/smtpd[" in line]
        return any(line.endswith(f"sasl_username={USERNAME}@{self.name}") for line in said)


@contextlib.contextmanager
def booted(world: internet_client.Client) -> Iterator[Postfix]:
    """Give a smarthost of a name of its own, on a machine of its own."""
    site = settings.SITE
    for node in nodes.all_of(site):
        # Of a run that was killed.
        if node.exists and node.spec.name.startswith("smarthost."):
            node.destroy()
    name = f"smarthost.{uuid.uuid4().hex[:10]}.example"
    address = str(site.subnet[_ADDRESS])
    spec = nodes.Spec(
        name,
        f"{address}/{site.subnet.prefixlen}",
        tuple(map(str, images.ensure(_LAYER))),
        resolver=outside.resolver(site),
        files={"/etc/hostname": "smarthost\n", "/etc/mailname": f"{name}\n"},
    )
    made = Postfix(
        machines.Machine(nodes.Node(site, uuid.uuid4())), name, address, secrets.token_urlsafe(16)
    )
    node = made.machine.node
    world.publish(name, "A", address)
    try:
        node.up(spec)
        node.wait_booted(seconds=600)
        issued = world.issue(name)
        pair = issued["key"] + issued["chain"]
        made.machine.run("install", "-m", "600", "/dev/stdin", _PAIR, stdin=pair)
        settings_ = {"NAME": name, "PAIR": _PAIR, "LOGIN": USERNAME, "PASSWORD": made.password}
        made.machine.run("bash", "-euo", "pipefail", "-c", _SET_UP, environment=settings_)
        yield made
    finally:
        node.destroy()
        world.withdraw(name)
