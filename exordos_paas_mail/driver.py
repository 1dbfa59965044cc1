# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The universal agent's driver on a mail node: its accounts, and what it reports.

Policy only; the machine is ``node``'s. The agent lists the resource every three
seconds and compares it with the target, so whatever is not as it should be has
to read as another value. (The SDK's way for an object that has to be made anew,
InvalidDataPlaneObjectError, leaves it out of the list: a deletion that failed
half-way would never be tried again.)

Nothing raises once there is a target: the agent would drop the resource, and
log its value. A failure is the fact ``error``, and the next pass tries again.
"""

from __future__ import annotations

import logging
import typing as tp

from gcl_sdk.agents.universal import constants as sdk_constants
from gcl_sdk.agents.universal.dm import models
from gcl_sdk.agents.universal.drivers import meta
from restalchemy.dm import properties
from restalchemy.dm import types as ra_types

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import passwd
from exordos_paas_mail.node import health, machine
from exordos_paas_mail.node.parts import accounts

LOG = logging.getLogger(__name__)

_ERROR_SIZE_MAX = 512
_Status = sdk_constants.InstanceStatus
_TARGET_FIELDS: tp.Final = frozenset({"uuid", "name", "domain", "passwd"})
_FAILURES = (ValueError, OSError, machine.MachineError)


class MailInstanceNode(meta.MetaDataPlaneModel):
    """A mail node: target fields name, domain and passwd, all others facts.

    ``passwd`` is the whole text of the account file, ``codecs.passwd``'s: one
    string is compared whole, so no line on the disk can hide.
    """

    name = properties.property(ra_types.String(max_length=512), default="")
    domain = properties.property(ra_types.String(max_length=253), required=True)
    passwd = properties.property(ra_types.String(), default="")
    status = properties.property(
        ra_types.Enum([status.value for status in _Status]), default=_Status.IN_PROGRESS.value
    )
    error = properties.property(ra_types.String(max_length=_ERROR_SIZE_MAX), default="")
    dkim_public_key = properties.property(ra_types.String(), default="")
    dkim_selector = properties.property(ra_types.String(), default=constants.DKIM_SELECTOR)
    # Dovecot scheme prefixes that the target came with, by address. They never
    # reach the file; put back in what is read, they let the target settle.
    passwd_prefixes = properties.property(ra_types.Dict(), default=dict)

    _accounts: tp.ClassVar = accounts.Accounts(machine.Machine())
    _health: tp.ClassVar = health.Health(machine.Machine())
    # Why the SDK could not keep its state at the end of the last pass.
    state_failure: tp.ClassVar[str] = ""
    _hashed: tp.ClassVar[tuple[tuple[tp.Any, ...], str, str] | None] = None

    def get_meta_model_fields(self) -> set[str]:
        """Return what the state file keeps; the accounts are read from the disk."""
        # A new set at each call: the SDK adds to it.
        return {"uuid", "name", "domain", "passwd_prefixes"}

    def get_resource_target_fields(self) -> frozenset[str]:
        """Return the fields a control plane sets.

        Not those of the target at hand: an agent that is up to date takes its
        last report for the target, facts included, and a hash over facts would
        stay with the control plane after the next report, which differs in
        nothing else.
        """
        return _TARGET_FIELDS

    def get_resource_ignore_fields(self) -> list[str]:
        """Return what is nobody's business but the driver's."""
        return [*super().get_resource_ignore_fields(), "passwd_prefixes"]

    def dump_to_dp(self) -> None:
        """Make the node's accounts the target's, and fill in the facts."""
        failure = ""
        try:
            text, self.passwd_prefixes = passwd.split_prefixes(self.passwd)
            passwd.parse(text, self.domain)
            if self._accounts.ensure(text):
                LOG.info(
                    "%s: account file written (%d), exim4 reloaded", self.domain, text.count("\n")
                )
        except _FAILURES as error:
            failure = f"accounts: {error}"
            LOG.warning("%s: %s", self.domain, failure)
        self._fill_facts(failure)

    def update_on_dp(self) -> None:
        """Make the node's accounts the target's, and fill in the facts."""
        self.dump_to_dp()

    def restore_from_dp(self) -> None:
        """Read the node's accounts and facts.

        What is to be mended although the text is the target's stands in the
        text's place, as a comment: no target has one.
        """
        try:
            faults = self._accounts.faults()
        except _FAILURES as error:
            faults = [str(error)]
        self._fill_facts("")
        if faults:
            LOG.warning("%s: %s", self.domain, "; ".join(faults))
            self.passwd = f"# {'; '.join(faults)}\n"

    def delete_from_dp(self) -> None:
        """Leave a relay that nobody can log in to.

        Raises NodeError or OSError when the accounts are still there; the
        agent then keeps the resource and tries again.
        """
        try:
            self._accounts.ensure("")
        except machine.MachineError as error:
            # exim reads an account file anew for each login: without its
            # reload the accounts are gone as well, and exim may be gone first.
            if self._accounts.read():
                raise
            LOG.warning("%s: accounts removed, but %s", self.domain, error)

    def to_ua_resource(self, kind: str, extract_status: bool = True) -> models.Resource:  # noqa: FBT001, FBT002
        """Return the resource; the hashes of an unchanged one are not taken again."""
        value = self.dump_to_simple_view(skip=self.get_resource_ignore_fields())
        key = (kind, extract_status, value, self.target_fields)
        cls = type(self)
        if cls._hashed is None or cls._hashed[0] != key:
            resource = super().to_ua_resource(kind, extract_status)
            cls._hashed = (key, resource.hash, resource.full_hash)
            return resource
        return models.Resource(
            uuid=self.uuid,
            kind=kind,
            res_uuid=models.Resource.gen_res_uuid(self.uuid, kind),
            value=value,
            hash=cls._hashed[1],
            full_hash=cls._hashed[2],
            status=self.status if extract_status else models.Resource.RESOURCE_DEF_STATUS,
        )

    def _fill_facts(self, failure: str) -> None:
        errors = [failure] if failure else []
        waiting = False
        try:
            self.passwd = passwd.join_prefixes(self._accounts.read(), self.passwd_prefixes)
            report = self._health.read(self.domain)
            self.dkim_public_key = report.dkim_public_key
            # exim4 has nothing to reload before configure has started it.
            waiting = not report.configured and not report.error
            errors += filter(None, [report.error, self.state_failure])
            if report.error or self._health.is_outdated():
                self._health.repair()
        except _FAILURES as error:
            errors.append(str(error))
        self.error = "; ".join(errors)[:_ERROR_SIZE_MAX]
        if waiting:
            self.status = _Status.IN_PROGRESS.value
        else:
            self.status = (_Status.ERROR if errors else _Status.ACTIVE).value


class MailCapabilityDriver(meta.MetaFileStorageAgentDriver):
    """The capability ``mail_instance_node`` of a mail node's agent.

    *meta_file* is where the SDK keeps what is not on the disk otherwise; it
    lives on the data disk and outlives the image.
    """

    __model_map__: tp.ClassVar = {constants.INSTANCE_NODE_KIND: MailInstanceNode}

    def __init__(
        self,
        *args: tp.Any,
        meta_file: str = f"{constants.AGENT_STATE_DIR}/{constants.AGENT_STATE_FILE}",
        **kwargs: tp.Any,
    ) -> None:
        super().__init__(*args, meta_file=meta_file, **kwargs)

    def finalize(self) -> None:
        """Keep the state file; that it cannot be kept is a fact of the next pass.

        The agent drops the whole report of a driver that raises here, and with it
        the reason.
        """
        failure = ""
        try:
            super().finalize()
        except OSError as error:
            failure = f"the agent's state is not kept: {error}"
            LOG.warning("%s", failure)
        for model in self.__model_map__.values():
            model.state_failure = failure
