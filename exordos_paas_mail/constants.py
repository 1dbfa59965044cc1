# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Names and numbers that more than one module, or the outside, relies on.

Each is spelled here and nowhere else. A name that an image, a manifest or a
running node already knows never changes.
"""

from __future__ import annotations

import typing as tp

# Names on the platform
SLUG: tp.Final = "mail"
# Element name, and the uuid5 name an agent's uuid is derived from:
# uuid5(system uuid, ELEMENT_NAME).
ELEMENT_NAME: tp.Final = "mailaas"
NODE_SET_NAME_PREFIX: tp.Final = "mailaas-dp-"
IMAGE_NAME: tp.Final = "exordos-metapaas-mail-dp"
METAPAAS_PROJECT_ID: tp.Final = "4d657461-0000-0000-0000-000000000002"

# Resource kinds
INSTANCE_KIND: tp.Final = "mail_instance"
INSTANCE_INFRA_KIND: tp.Final = "mail_instance_iaas"
INSTANCE_NODE_KIND: tp.Final = "mail_instance_node"
# A row a node, written every HEARTBEAT_PERIOD seconds for as long as its agent lives.
HEARTBEAT_KIND: tp.Final = "mail_node_heartbeat"
HEARTBEAT_PERIOD: tp.Final = 15.0

# IAM: permissions are <service>.<policy>.<create|read|update|delete>
POLICY_SERVICE: tp.Final = "exordos_mail"
INSTANCE_POLICY: tp.Final = "mail_instance"
ACCOUNT_POLICY: tp.Final = "account"
CREDENTIAL_POLICY: tp.Final = "credential"
DOMAIN_POLICY: tp.Final = "domain"
DKIM_KEY_POLICY: tp.Final = "dkim_key"
DNS_RECORD_POLICY: tp.Final = "dns_record"
MESSAGE_POLICY: tp.Final = "message"
EVENT_POLICY: tp.Final = "event"
STAT_POLICY: tp.Final = "stat"
QUEUE_POLICY: tp.Final = "queue"
OPERATION_POLICY: tp.Final = "operation"
TLS_POLICY_POLICY: tp.Final = "tls_policy"
WEBHOOK_POLICY: tp.Final = "webhook"
WEBHOOK_DELIVERY_POLICY: tp.Final = "webhook_delivery"
SUPPRESSION_POLICY: tp.Final = "suppression"
VERSION_POLICY: tp.Final = "mail_version"

# DKIM
DKIM_SELECTOR: tp.Final = "platform"

# Sizes; memory in MB, disks in GB
ROOT_DISK_SIZE: tp.Final = 6
CPU_MIN: tp.Final = 1
CPU_MAX: tp.Final = 128
RAM_MIN: tp.Final = 512
RAM_MAX: tp.Final = 2**30
DISK_SIZE_MIN: tp.Final = 8
DISK_SIZE_MAX: tp.Final = 2**30

# On the control plane: whom it asks about DNS
DNS_ENV_FILE: tp.Final = "/etc/exordos_metapaas/mail_dns.env"

# Files and units on the node
MAIL_ENV_FILE: tp.Final = "/etc/exordos_metapaas/mail.env"
# An operator's overrides: of this image, and on the data disk, which has the last word.
RELAY_ENV_FILE: tp.Final = "/etc/exordos_metapaas/relay.env"
RELAY_ENV_KEPT_FILE: tp.Final = "/var/lib/exordos/exordos_paas_mail/relay.env"
PASSWD_FILE: tp.Final = "/etc/exim4/passwd"
PASSWD_INDEX_FILE: tp.Final = "/etc/exim4/passwd.cdb"
CREDENTIALS_FILE: tp.Final = "/etc/exim4/credentials"
CREDENTIALS_INDEX_FILE: tp.Final = "/etc/exim4/credentials.cdb"
SENDERS_FILE: tp.Final = "/etc/exim4/senders"
SENDERS_INDEX_FILE: tp.Final = "/etc/exim4/senders.cdb"
LIMITS_FILE: tp.Final = "/etc/exim4/limits"
LIMITS_INDEX_FILE: tp.Final = "/etc/exim4/limits.cdb"
HOLDS_FILE: tp.Final = "/etc/exim4/holds"
HOLDS_INDEX_FILE: tp.Final = "/etc/exim4/holds.cdb"
# For which domains the relay makes return paths (codecs.return_paths).
RETURN_PATHS_FILE: tp.Final = "/etc/exim4/return_paths"
# What they are made with; on the data disk, because they come back for weeks.
RETURN_PATH_KEYS_FILE: tp.Final = "/etc/exim4/dkim/return_paths.keys"
# There from before the account file is replaced until exim4 has reloaded.
RELOAD_PENDING_FILE: tp.Final = "/etc/exim4/passwd.reload-pending"
DOMAINS_FILE: tp.Final = "/etc/exim4/domains"
DKIM_DIR: tp.Final = "/etc/exim4/dkim"
DKIM_PRIVATE_KEY_FILE: tp.Final = "/etc/exim4/dkim/platform.private"
DKIM_RECORD_FILE: tp.Final = "/etc/exim4/dkim/platform.txt"
# One private key a domain, so that no domain ever signs with another's.
DKIM_KEYS_DIR: tp.Final = "/etc/exim4/dkim/keys"
# The keys of the table of domains, a directory a domain: a domain may be called
# what a file above is. It is there once a table has been told.
DKIM_DOMAINS_DIR: tp.Final = "/etc/exim4/dkim/domains"
TLS_PRIVATE_KEY_FILE: tp.Final = "/etc/exim4/tls/privkey.pem"
TLS_CERTIFICATE_FILE: tp.Final = "/etc/exim4/tls/fullchain.pem"
# The two above once they are found to be a pair: what exim serves.
TLS_SERVED_FILE: tp.Final = "/etc/exim4/tls/relay.pem"
# What the relay makes itself beside them, of the other kind (RSA, EC): key and chain.
TLS_OTHER_FILE: tp.Final = "/etc/exim4/tls/other.pem"
# What exim serves to clients that do not know the kind of the first: that, or the first again.
TLS_OTHER_SERVED_FILE: tp.Final = "/etc/exim4/tls/relay-other.pem"
# What the control plane tells to be served instead, as its document has it.
TLS_TOLD_FILE: tp.Final = "/var/lib/exordos/mail_events/documents/tls/0"
# How mail leaves, by its recipients' domains: on the data disk, so that no mail goes in clear
# until the control plane has told a new root disk.
TLS_POLICIES_FILE: tp.Final = "/etc/exim4/tls/policies"
TLS_POLICIES_INDEX_FILE: tp.Final = "/etc/exim4/tls/policies.cdb"
EXIM_CONFIG_FILE: tp.Final = "/etc/exim4/exim4.conf"
EXIM_SPOOL_DIR: tp.Final = "/var/spool/exim4"
# Below these exim refuses mail: check_spool_space, check_spool_inodes.
EXIM_SPOOL_FREE_BYTES_MIN: tp.Final = 200 * 2**20
EXIM_SPOOL_FREE_FILES_MIN: tp.Final = 1000
# exim's named queue of what is apart (codecs.holds): once it is there, a node that cannot know
# who is on hold takes and delivers nothing of any account.
HOLD_SPOOL_DIR: tp.Final = "/var/spool/exim4/hold"
# The accounts that have as much apart as one may have.
HOLD_FULL_FILE: tp.Final = "/var/spool/exim4/hold/full"
EXIM_MAIN_LOG: tp.Final = "/var/log/exim4/mainlog"
EXIM_PANIC_LOG: tp.Final = "/var/log/exim4/paniclog"
# What exim is started with, and what that is made of: one that has changed is
# another run of configure, and another start.
RELAY_FILES: tp.Final = (
    EXIM_CONFIG_FILE,
    TLS_PRIVATE_KEY_FILE,
    TLS_CERTIFICATE_FILE,
    TLS_SERVED_FILE,
    TLS_OTHER_FILE,
    TLS_OTHER_SERVED_FILE,
)
EXIM_USER: tp.Final = "Debian-exim"
EXIM_GROUP: tp.Final = "Debian-exim"
EXIM_UNIT: tp.Final = "exim4"
EXIM_PORTS: tp.Final = (25, 465, 587)
# The queue runner, and one accepting process a port.
EXIM_LISTENER_UNITS: tp.Final = tuple(f"exim4@{port}.service" for port in EXIM_PORTS)
EXIM_PROCESS_UNITS: tp.Final = ("exim4-queue.service", *EXIM_LISTENER_UNITS)
# How the last configuration ended; on the root disk, a new image starts afresh.
CONFIGURE_STATE_FILE: tp.Final = "/var/lib/exordos/mail_configure.json"
AGENT_STATE_DIR: tp.Final = "/var/lib/exordos/exordos_paas_mail"
AGENT_STATE_FILE: tp.Final = "mail_meta.json"
# The SDK's copy of its last report, beside it.
AGENT_REPORT_FILE: tp.Final = "payload.json"
# What the control plane last sent: by it the node repairs itself alone.
KEPT_TARGET_FILE: tp.Final = "/var/lib/exordos/exordos_paas_mail/target.json"
# Its accounts, where they were told by reference.
KEPT_ACCOUNTS_FILE: tp.Final = "/var/lib/exordos/exordos_paas_mail/accounts.sqlite"
# Held by whoever changes a part: the agent or the keeper.
PARTS_LOCK_FILE: tp.Final = "/run/exordos-mail-parts.lock"
CONFIGURE_UNIT: tp.Final = "exordos-metapaas-mail-configure"
AGENT_UNIT: tp.Final = "exordos-metapaas-mail-agent"
KEEPER_UNIT: tp.Final = "exordos-metapaas-mail-keeper"
EVENTS_UNIT: tp.Final = "exordos-mail-events"
QUEUE_UNIT: tp.Final = "exordos-mail-queue"
QUEUE_RUN_UNIT: tp.Final = "exim4-queue-run"
POLICY_UNIT: tp.Final = "exordos-mail-policy"
# Where exim asks whether a recipient may be sent to, and the sign of life of who answers.
POLICY_SOCKET: tp.Final = "/run/exordos-mail-policy.socket"
POLICY_ALIVE_FILE: tp.Final = "/run/exordos-mail-policy/alive"
# Who finds out what recipients' domains publish about TLS (MTA-STS), where exim asks it, its
# sign of life, and what it has found out (templates/exim4/acl/mta_sts.j2).
STS_UNIT: tp.Final = "exordos-mail-sts"
STS_SOCKET: tp.Final = "/run/exordos-mail-sts.socket"
STS_ALIVE_FILE: tp.Final = "/run/exordos-mail-sts/alive"
STS_FIGURES_FILE: tp.Final = "/run/exordos-mail-sts/figures.json"
STS_DIR: tp.Final = "/var/lib/exordos/mail_events/sts"
# Where the control plane is, as the node's agent knows it.
AGENT_CONFIG_FILE: tp.Final = "/etc/exordos_metapaas/metapaas_mail_agent.conf"
# Events that the control plane does not have yet; on the data disk, exim's user's.
EVENTS_DIR: tp.Final = "/var/lib/exordos/mail_events"
# Touched by exordos-mail-queue whenever it has had what is due be tried.
QUEUE_SCHEDULED_FILE: tp.Final = "/var/lib/exordos/mail_events/scheduled"
# What exordos-mail-events has counted, for the keeper, which writes the metrics.
EVENT_FIGURES_FILE: tp.Final = "/run/exordos-mail-events/figures.json"
# How webhooks fare, from exordos-mail-webhooks, for the keeper as well.
WEBHOOK_FIGURES_FILE: tp.Final = "/run/exordos-mail-webhooks/figures.json"
# The textfile directory of the base image's node exporter, and what the keeper writes there.
METRICS_DIR: tp.Final = "/var/lib/exordos/node_exporter"
METRICS_FILE: tp.Final = "/var/lib/exordos/node_exporter/mailaas.prom"
# The domains that are suspended, beside them (templates/exim4/main.j2).
SUSPENSIONS_FILE: tp.Final = "/var/lib/exordos/mail_events/suspended"
WEBHOOKS_UNIT: tp.Final = "exordos-mail-webhooks"
# The webhooks of the instance with their secrets, as the control plane's document has them.
WEBHOOKS_FILE: tp.Final = "/var/lib/exordos/mail_events/documents/webhooks/0"
# What the control plane has to tell them, as its documents have it.
NOTICES_DIR: tp.Final = "/var/lib/exordos/mail_events/documents/notices"
# Of whom nothing is sent to them, likewise.
ERASED_DIR: tp.Final = "/var/lib/exordos/mail_events/documents/erased"
# The node's own resolver (unbound), and who keeps it.
RESOLVER_UNIT: tp.Final = "exordos-mail-resolver"
RESOLVER_KEEPER_UNIT: tp.Final = "exordos-mail-keep-resolver"
# Where Debian's AppArmor profile lets unbound read.
UNBOUND_CONF_FILE: tp.Final = "/etc/unbound/exordos-mail.conf"
# The digest of what it was started with.
UNBOUND_APPLIED_FILE: tp.Final = "/run/exordos-mail-resolver/applied"
# Whom the node asks and why, for its metrics (codecs.resolver_status).
RESOLVER_STATUS_FILE: tp.Final = "/run/exordos-mail-resolver/status.json"
# The keys of the root, of Debian's dns-root-data.
ROOT_KEY_FILE: tp.Final = "/usr/share/dns/root.key"
RESOLV_CONF_FILE: tp.Final = "/etc/resolv.conf"
# Whom systemd-resolved asks, where it runs.
UPSTREAM_RESOLV_CONF_FILE: tp.Final = "/run/systemd/resolve/resolv.conf"
# What the network had in /etc/resolv.conf before the own resolver; of this image.
NETWORK_RESOLV_CONF_FILE: tp.Final = "/var/lib/exordos/mail_resolver/network.json"
