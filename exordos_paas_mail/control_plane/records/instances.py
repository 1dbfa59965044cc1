# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A relay of one domain."""

from __future__ import annotations

import json
import logging
import typing as tp

from gcl_sdk.infra.dm import models as sdk_models
from restalchemy.dm import models, properties, relationships, types
from restalchemy.storage import exceptions as storage_exceptions

from exordos_paas_mail import constants, utils
from exordos_paas_mail.codecs import crypt_strings, rules, senders, suppressions
from exordos_paas_mail.codecs import limits as limits_
from exordos_paas_mail.control_plane.records import (
    base,
    domain_states,
    erasures,
    errors,
    fields,
    instance_logs,
    locks,
    primary_domains,
    queues,
    reputations,
    setting_fields,
    smarthost_choices,
    smarthost_passwords,
    statuses,
    suppression_policies,
    suppression_rows,
    tls_facts,
    tls_kinds,
    tls_pairs,
    versions,
)

LOG = logging.getLogger(__name__)

# What the builders keep under the uuid of an instance until it is gone from Core.
_REMAINS: tp.Final = (
    constants.INSTANCE_KIND,
    constants.INSTANCE_INFRA_KIND,
    sdk_models.NodeSet.get_resource_kind(),
)


class MailInstance(base.Record, models.ModelWithProject, base.Stored):
    """A relay of one domain.

    ``status error ipsv4 dkim_public_key dkim_selector`` are facts: the builders
    write them, by column and without a change of ``updated_at``, which is the
    time of the last change by a user, of the instance or an account.
    """

    __tablename__ = "mail_instances"

    name = properties.property(fields.Text(1, 255), required=True)
    domain = properties.property(fields.Domain(), required=True, read_only=True)
    # What the relay calls itself; None for the domain, which may be that of a web site.
    hostname = properties.property(types.AllowNone(fields.HostName()), default=None)
    cpu = properties.property(fields.Integer(constants.CPU_MIN, constants.CPU_MAX), required=True)
    ram = properties.property(fields.Integer(constants.RAM_MIN, constants.RAM_MAX), required=True)
    disk_size = properties.property(
        fields.Integer(constants.DISK_SIZE_MIN, constants.DISK_SIZE_MAX), required=True
    )
    version = relationships.relationship(versions.MailVersion, required=True)
    # The version's image when the version was last asked for. Another image
    # under the same version must not re-image nodes when an account changes.
    image = properties.property(types.String(max_length=2048), default="")
    # What an account may send as that has no ``senders`` of its own.
    sender_policy = properties.property(
        types.Enum(list(senders.DEFAULTS)), default=senders.POLICY_DOMAIN
    )
    # How much all accounts together may send.
    limits = properties.property(setting_fields.Limits(), default=lambda: dict(limits_.NONE))
    # That of the primary domain, which has it too.
    dns = properties.property(
        setting_fields.Publishing(), default=lambda: {"kind": setting_fields.PUBLISH_NOWHERE}
    )
    # How much of what became of its mail is kept.
    log = properties.property(
        setting_fields.InstanceLog(), default=lambda: dict(instance_logs.DEFAULT)
    )
    # When it suppresses a recipient by itself.
    suppression = properties.property(
        setting_fields.SuppressionPolicy(), default=lambda: dict(suppression_policies.DEFAULT)
    )
    # When an account of it is put on hold for what it sends.
    reputation = properties.property(
        setting_fields.Reputation(), default=lambda: dict(reputations.DEFAULT)
    )
    # What it serves TLS with; the private key of it is in ``tls_pairs``.
    tls = properties.property(setting_fields.Tls(), default=lambda: dict(tls_kinds.DEFAULT))
    # The server that its mail goes by; the password of it is in ``smarthost_passwords``.
    smarthost = properties.property(
        setting_fields.Smarthost(), default=lambda: dict(smarthost_choices.DEFAULT)
    )
    status = properties.property(types.Enum(list(statuses.ALL)), default=statuses.NEW)
    error = properties.property(types.String(), default="")
    # Why the manifest that declares the instance is not applied. A fact of its own, because the
    # builders write the other at each pass; the API shows it in ``error`` if that is empty.
    declaration_error = properties.property(types.String(), default="")
    # The worst of its domains', the checker's to say.
    dns_status = properties.property(
        types.Enum(list(domain_states.DNS_ALL)), default=domain_states.DNS_INCOMPLETE
    )
    # Of the last 24 hours, the ingester's to say: recipients that were reached or not, and
    # attempts that are repeated.
    sent_24h = properties.property(types.Integer(), default=0)
    failed_24h = properties.property(types.Integer(), default=0)
    deferred_24h = properties.property(types.Integer(), default=0)
    # As its node told at the last of these; the others are null where that is too long ago.
    queue_messages = properties.property(types.AllowNone(types.Integer()), default=None)
    queue_oldest_at = properties.property(fields.Moment(), default=None)
    queue_reported_at = properties.property(fields.Moment(), default=None)
    # Whether its mail can leave, as its node tells; ``status`` does not follow it.
    outbound = properties.property(types.Enum(list(queues.OUTBOUND_ALL)), default=queues.UNKNOWN)
    outbound_error = properties.property(types.String(), default="")
    # ``tls_facts``: what its node told that it serves, and how that is.
    tls_status = properties.property(
        types.Enum(list(tls_facts.STATUSES)), default=tls_facts.PENDING
    )
    tls_error = properties.property(types.String(), default="")
    tls_certificate = properties.property(types.String(), default="")
    tls_fingerprint_sha256 = properties.property(types.String(), default="")
    tls_names = properties.property(types.TypedList(types.String()), default=list)
    tls_expires_at = properties.property(fields.Moment(), default=None)
    ipsv4 = properties.property(types.TypedList(types.String(max_length=15)), default=list)
    dkim_public_key = properties.property(types.String(), default="")
    dkim_selector = properties.property(
        types.String(max_length=63), default=constants.DKIM_SELECTOR
    )

    def __init__(self, **values: tp.Any) -> None:
        """Make a new instance; one that is stored is restored by other ways.

        Where Core publishes, its certificate agent can prove the name too.
        """
        if "tls" not in values and values.get("dns") == {"kind": setting_fields.PUBLISH_IN_CORE}:
            values["tls"] = dict(tls_kinds.PUBLISHED_DEFAULT)
        super().__init__(**values)

    @classmethod
    def touch(cls, uuid: tp.Any, session: tp.Any = None) -> bool:
        """Mark the instance as changed by a user, so that the builders look at it.

        Writes ``updated_at`` alone and locks the row to the end of the
        transaction. Returns whether the instance is there.
        """
        with utils.transaction(session) as active:
            return bool(
                utils.update_columns(
                    active,
                    cls.__tablename__,
                    {"uuid": str(uuid)},
                    {"updated_at": utils.timestamp(utils.now())},
                )
            )

    @classmethod
    def take_dns(cls, uuid: tp.Any, dns: tp.Mapping[str, tp.Any], session: tp.Any) -> None:
        """Write what the primary domain says of ``dns``, and that alone; locks the row."""
        utils.update_columns(
            session, cls.__tablename__, {"uuid": str(uuid)}, {"dns": json.dumps(dns)}
        )

    def insert(self, session: tp.Any = None) -> None:
        """Add the instance and its primary domain, to be made of the image its version has now.

        Raises ConflictRecords as long as anything of a removed instance of this
        uuid is left: the builders would give its machine, with the mail and the
        keys on its disk, to this one, which may be somebody else's.
        """
        self.image = self.version.image
        with utils.transaction(session) as active:
            super().insert(session=active)
            primary_domains.write_primary(active, self.uuid)
            self._choose_tls(active)
            self._choose_smarthost(active)
            left = active.execute(
                "SELECT FROM ua_target_resources WHERE uuid = %(uuid)s AND kind = ANY(%(kinds)s)"
                " UNION ALL"
                " SELECT FROM ua_actual_resources WHERE uuid = %(uuid)s AND kind = ANY(%(kinds)s)"
                " LIMIT 1",
                {"uuid": str(self.uuid), "kinds": list(_REMAINS)},
            ).fetchall()
            if left or suppression_rows.is_left(active, self.uuid):
                raise errors.ConflictRecords(
                    "uuid", "belongs to an instance that is still being deleted"
                )

    def update(self, session: tp.Any = None, force: bool = False) -> None:  # noqa: FBT001, FBT002
        """Write what changed; another version brings its image."""
        if self.properties["version"].is_dirty():
            self.image = self.version.image
        with utils.transaction(session) as active:
            has_dns = self.properties["dns"].is_dirty()
            has_policy = self.properties["suppression"].is_dirty()
            has_tls = self.properties["tls"].is_dirty() or self._has_private_key()
            has_smarthost = self.properties["smarthost"].is_dirty() or self._has_password()
            has_hostname = self.properties["hostname"].is_dirty()
            super().update(session=active, force=force)
            if has_tls:
                locks.hold_instance(active, self.uuid)
                self._choose_tls(active)
            if has_smarthost:
                locks.hold_instance(active, self.uuid)
                self._choose_smarthost(active)
            if has_hostname:
                locks.hold_instance(active, self.uuid)
                self._check_hostname(active, has_tls=has_tls)
                tls_facts.settle(active, self.uuid, utils.now())
            if has_tls or has_hostname:
                # The answer tells what has become of them.
                self.tls_status, self.tls_error = tls_facts.told(active, self.uuid)
            if has_policy:
                suppression_rows.mark(active, self.uuid, [suppressions.SETTINGS])
            if has_dns:
                primary_domains.write_dns(active, self.uuid)

    def _write(
        self,
        columns: tp.Mapping[str, tp.Any],
        session: tp.Any = None,
        at_most: tp.Mapping[str, tp.Any] | None = None,
    ) -> None:
        with utils.transaction(session) as active:
            if columns.get("ram", self.ram) < self.properties["ram"].old_value:
                self._check_hashes(active)
            self._write_disk_size(columns, active, at_most)

    def _has_private_key(self) -> bool:
        # A tenant may give the key of the certificate that is there already.
        return getattr(self.tls, "private_key", None) is not None

    def _choose_tls(self, session: tp.Any) -> None:
        try:
            tls_pairs.choose(session, self.uuid, tls_kinds.taken(self.tls))
        except rules.RuleError as error:
            raise errors.FieldError("tls", str(error)) from None
        except OSError as error:
            LOG.error("A private key cannot be sealed: %s", error)  # noqa: TRY400 - it is clear
            raise errors.Unavailable("tls") from None

    def _has_password(self) -> bool:
        # The one of the server that is there already may have been changed there.
        return getattr(self.smarthost, "password", None) is not None

    def _choose_smarthost(self, session: tp.Any) -> None:
        try:
            choice = smarthost_choices.taken(self.smarthost)
            smarthost_passwords.choose(session, self.uuid, choice)
        except rules.RuleError as error:
            raise errors.FieldError("smarthost", str(error)) from None
        except OSError as error:
            LOG.error("A password cannot be sealed: %s", error)  # noqa: TRY400 - it is clear
            raise errors.Unavailable("smarthost") from None

    def _check_hostname(self, session: tp.Any, *, has_tls: bool) -> None:
        try:
            if not has_tls:
                tls_pairs.check_hostname(session, self.uuid)
            smarthost_passwords.check_hostname(session, self.uuid)
        except rules.RuleError as error:
            raise errors.FieldError("hostname", str(error)) from None

    def _check_hashes(self, session: tp.Any) -> None:
        """Raise FieldError if a login of some account would take too much of the ram."""
        # An account that is being written holds the lock until it is in, or waits for the new ram.
        locks.hold_instance(session, self.uuid)
        # The price of a hash stands in its first characters.
        rows = session.execute(
            "SELECT DISTINCT left(password_hash, 14) AS head FROM mail_accounts"
            " WHERE instance = %s AND password_hash ~ '^[$](g?y|7)[$]'",
            (str(self.uuid),),
        ).fetchall()
        needed = max((crypt_strings.memory_bytes(row["head"]) for row in rows), default=0) / 2**20
        if needed > crypt_strings.memory_allowed_mb(self.ram):
            raise errors.FieldError(
                "ram",
                f"cannot be reduced to {self.ram}: a password hash of this instance needs"
                f" {needed:.0f} MB per login, and one login may take an eighth of ram",
            )

    def _write_disk_size(
        self,
        columns: tp.Mapping[str, tp.Any],
        session: tp.Any,
        at_most: tp.Mapping[str, tp.Any] | None,
    ) -> None:
        if "disk_size" not in columns:
            super()._write(columns, session, at_most)
            return
        shrunk = errors.FieldError("disk_size", "cannot be reduced")
        if columns["disk_size"] < self.properties["disk_size"].old_value:
            raise shrunk
        # The row may have grown since it was read.
        try:
            super()._write(columns, session, {"disk_size": columns["disk_size"]})
        except storage_exceptions.RecordNotFound:
            if type(self).objects.get_one_or_none(filters={"uuid": self.uuid}, session=session):
                raise shrunk from None
            raise

    def delete(self, session: tp.Any = None, **kwargs: tp.Any) -> tp.Any:
        """Remove the instance and its accounts."""
        with utils.transaction(session) as active:
            # An account that is being made holds this lock until it is in.
            locks.hold_instance(active, self.uuid)
            active.execute("DELETE FROM mail_accounts WHERE instance = %s", (str(self.uuid),))
            erasures.ask(active, self.uuid)
            return super().delete(session=active, **kwargs)
