# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The universal agent's driver on a mail node: what it holds, and what it reports.

A loop over the node's parts (``node.parts``); the machine is ``node.machine``'s.
The agent lists the resource every three seconds and compares it with the
target, so whatever is not as it should be has to read as another value. (The
SDK's way for an object that has to be made anew, InvalidDataPlaneObjectError,
leaves it out of the list: a deletion that failed half-way would never be tried
again.)

Nothing raises once there is a target: the agent would drop the resource, and
log its value. A failure is the fact ``error``, and the next pass tries again.
"""

from __future__ import annotations

import logging
import pathlib
import typing as tp

from gcl_sdk.agents.universal import constants as sdk_constants
from gcl_sdk.agents.universal.dm import models
from gcl_sdk.agents.universal.drivers import meta
from restalchemy.dm import properties
from restalchemy.dm import types as ra_types

from exordos_paas_mail import constants
from exordos_paas_mail.node import (
    account_references,
    agent_state,
    health,
    heartbeat,
    kept,
    machine,
    parts,
    served_pair,
)

LOG = logging.getLogger(__name__)

_ERROR_SIZE_MAX = 512
_Status = sdk_constants.InstanceStatus
_TARGET_FIELDS: tp.Final = frozenset({"uuid", "name", "domain"})
_FAILURES = (ValueError, OSError, machine.MachineError)


class MailInstanceNode(meta.MetaDataPlaneModel):
    """A mail node: target fields name, domain and one for each part, all others facts.

    A part's field is its whole text: one string is compared whole, so no line
    on the disk can hide. None is a part that the control plane did not tell: it
    is left alone, and reported as None whatever is on the disk, so that the
    control plane sees that this image has the part.
    """

    name = properties.property(ra_types.String(max_length=512), default="")
    domain = properties.property(ra_types.String(max_length=253), required=True)
    passwd = properties.property(ra_types.AllowNone(ra_types.String()), default=None)
    credentials = properties.property(ra_types.AllowNone(ra_types.String()), default=None)
    domains = properties.property(ra_types.AllowNone(ra_types.String()), default=None)
    senders = properties.property(ra_types.AllowNone(ra_types.String()), default=None)
    limits = properties.property(ra_types.AllowNone(ra_types.String()), default=None)
    holds = properties.property(ra_types.AllowNone(ra_types.String()), default=None)
    return_paths = properties.property(ra_types.AllowNone(ra_types.String()), default=None)
    tls_policies = properties.property(ra_types.AllowNone(ra_types.String()), default=None)
    # ``passwd`` by reference, in its place, see ``node.account_references``.
    passwd_shards = properties.property(ra_types.AllowNone(ra_types.String()), default=None)
    passwd_lines = properties.property(ra_types.AllowNone(ra_types.String()), default=None)
    status = properties.property(
        ra_types.Enum([status.value for status in _Status]), default=_Status.IN_PROGRESS.value
    )
    error = properties.property(ra_types.String(max_length=_ERROR_SIZE_MAX), default="")
    hostname = properties.property(ra_types.String(max_length=253), default="")
    dkim_public_key = properties.property(ra_types.String(), default="")
    dkim_selector = properties.property(ra_types.String(), default=constants.DKIM_SELECTOR)
    # The public halves of the keys that ``domains`` lists, see ``codecs.dkim_values``.
    dkim_keys = properties.property(ra_types.String(), default="")
    # What is served, see ``codecs.tls_reports``.
    tls = properties.property(ra_types.String(), default="")
    # That this image sends by a smarthost, where there is one.
    smarthost = properties.property(ra_types.Boolean(), default=True)
    # That it takes all names below a domain for one.
    smarthost_below = properties.property(ra_types.Boolean(), default=True)
    # That this image keeps to what recipients' domains publish by MTA-STS, and takes the mode.
    mta_sts = properties.property(ra_types.Boolean(), default=True)
    # That this image writes no account file before it has all lines of its first one.
    gathers_accounts = properties.property(ra_types.Boolean(), default=True)
    # That there is a sign of life, and after how many seconds again: only a node whose
    # report has this can fall silent.
    heartbeat = properties.property(ra_types.Float(), default=constants.HEARTBEAT_PERIOD)
    # In the state file alone. The release before has it, for another use, and raises over
    # a field that it does not have: what names the kept target (``node.kept``) is in it.
    passwd_prefixes = properties.property(ra_types.Dict(), default=dict)

    _machine: tp.ClassVar = machine.Machine()
    _parts: tp.ClassVar = parts.of(_machine)
    _health: tp.ClassVar = health.Health(_machine)
    _served_pair: tp.ClassVar = served_pair.ServedPair(_machine)
    _kept: tp.ClassVar = kept.Kept(_machine)
    _references: tp.ClassVar = account_references.References(
        _parts[account_references.FIELD], _kept
    )
    # Why the SDK could not keep its state at the end of the last pass.
    state_failure: tp.ClassVar[str] = ""
    _hashed: tp.ClassVar[tuple[tuple[tp.Any, ...], str, str] | None] = None

    def get_meta_model_fields(self) -> set[str]:
        """Return what the state file keeps; the parts are read from the disk."""
        # A new set at each call: the SDK adds to it.
        return {"uuid", "name", "domain", kept.STATE_FIELD}

    @classmethod
    def restore_from_simple_view(
        cls,
        skip_unknown_fields: bool = True,  # noqa: ARG003, FBT001, FBT002
        **fields: tp.Any,
    ) -> MailInstanceNode:
        """Return the model of *fields*; names of another release are passed over."""
        restored: MailInstanceNode = super().restore_from_simple_view(
            skip_unknown_fields=True, **fields
        )
        return restored

    def get_resource_ignore_fields(self) -> list[str]:
        """Return what is nobody's business but the driver's."""
        own = (kept.STATE_FIELD, account_references.LINES)
        return [*super().get_resource_ignore_fields(), *own]

    def get_resource_target_fields(self) -> frozenset[str]:
        """Return the fields that the control plane told.

        Not all of the target at hand: an agent that is up to date takes its
        last report for the target, facts included, and a hash over facts would
        stay with the control plane after the next report, which differs in
        nothing else.
        """
        shards = {account_references.SHARDS} if self._is_told_by_reference() else ()
        return _TARGET_FIELDS.union(self._told(), shards)

    def _told(self) -> list[str]:
        """Return the fields of the parts that were told, each by its text."""
        return [field for field in self._parts if field in self.target_fields]

    def _is_told_by_reference(self) -> bool:
        return account_references.SHARDS in self.target_fields

    def dump_to_dp(self) -> None:
        """Make the node hold the target, and fill in the facts."""
        failures: list[str] = []
        values = {field: getattr(self, field) for field in self._parts}
        texts = {field: text for field, text in values.items() if text is not None}
        # An agent that is up to date names all parts, those not told with None.
        shards = [] if self.passwd_shards is None else [account_references.SHARDS]
        self.target_fields = dict.fromkeys((*sorted(_TARGET_FIELDS), *texts, *shards))
        with self._machine.lock(constants.PARTS_LOCK_FILE):
            refused = {
                field: self._check(self._parts[field], text) for field, text in texts.items()
            }
            is_referred = bool(shards) and account_references.FIELD not in texts
            if is_referred:
                # Its lines are checked as they come, and not all of them at each change.
                refused |= self._dereference(texts)
            failures += filter(None, refused.values())
            if not failures:
                failures += self._keep(texts, is_referred=is_referred)
            for field, text in texts.items():
                if not refused[field]:
                    failures += self._ensure(self._parts[field], text)
        for failure in failures:
            LOG.warning("%s: %s", self.domain, failure)
        self._fill_facts(failures)

    def _dereference(self, texts: dict[str, str]) -> dict[str, str]:
        """Add the text that was told by reference to *texts*, unless there is none yet.

        Returns why it is refused, if it is, by its field.
        """
        field = account_references.FIELD
        try:
            text = self._references.text(self.domain, self.passwd_shards, self.passwd_lines or "")
        except _FAILURES as error:
            return {field: f"{self._parts[field].name}: {error}"}
        if text is not None:
            texts[field] = text
            return {field: ""}
        return {}

    def _check(self, part: parts.Part, text: str) -> str:
        try:
            part.check(text, self.domain)
        except ValueError as error:
            return f"{part.name}: {error}"
        return ""

    def _keep(self, texts: dict[str, str], *, is_referred: bool) -> list[str]:
        has_accounts = is_referred and account_references.FIELD in texts
        accounts = self._references.accounts() if has_accounts else None
        try:
            self.passwd_prefixes = {kept.DIGEST: self._kept.ensure(self.domain, texts, accounts)}
        except _FAILURES as error:
            return [f"the target is not kept: {error}"]
        return []

    def _ensure(self, part: parts.Part, text: str) -> list[str]:
        try:
            if part.ensure(text):
                LOG.info("%s: %s written (%d)", self.domain, part.name, text.count("\n"))
        except _FAILURES as error:
            return [f"{part.name}: {error}"]
        return []

    def update_on_dp(self) -> None:
        """Make the node hold the target, and fill in the facts."""
        self.dump_to_dp()

    def restore_from_dp(self) -> None:
        """Read what the node holds, and the facts.

        What is to be repaired although the text is the target's stands in the
        text's place, as a comment: no target has one.
        """
        self._fill_facts([])
        for field in self._told():
            faults = self._faults(field)
            if faults:
                setattr(self, field, f"# {faults}\n")
        if self._is_told_by_reference():
            faults = self._faults(account_references.FIELD)
            if faults:
                # Below what is there: the control plane has to see which lines are not.
                self.passwd_shards = f"{self.passwd_shards}# {faults}\n"

    def _faults(self, field: str) -> str:
        """Return what is to be repaired of a part although its text may be right, in a line."""
        try:
            faults = self._parts[field].faults()
        except _FAILURES as error:
            faults = [" ".join(str(error).split())]
        digest = self.passwd_prefixes.get(kept.DIGEST)
        if not digest or self._kept.digest() != digest:
            faults = [*faults, "the target is not kept"]
        if faults:
            LOG.warning("%s: %s", self.domain, "; ".join(faults))
        return "; ".join(faults)

    def delete_from_dp(self) -> None:
        """Keep what the node holds: to have no target is not to be told anything.

        An instance that is deleted takes its machine along. A control plane that lost
        a target, by a restore or because the node was absent from a report, would
        otherwise lock out every account of a relay that serves. What a node holds is
        taken away by a target that says so.
        """
        LOG.warning("%s: there is no target any more, the node keeps what it holds", self.domain)

    def to_ua_resource(self, kind: str, extract_status: bool = True) -> models.Resource:  # noqa: FBT001, FBT002
        """Return the resource; the hashes of an unchanged one are not taken again."""
        value = self.dump_to_simple_view(skip=self.get_resource_ignore_fields())
        key = (kind, extract_status, value, self.target_fields)
        cls = type(self)
        if cls._hashed is None or cls._hashed[0] != key:
            resource = super().to_ua_resource(kind, extract_status)
            cls._hashed = (key, resource.hash, resource.full_hash)
            return resource
        # Equal, but not always the same objects, and those compare at once the next time.
        cls._hashed = (key, *cls._hashed[1:])
        return models.Resource(
            uuid=self.uuid,
            kind=kind,
            res_uuid=models.Resource.gen_res_uuid(self.uuid, kind),
            value=value,
            hash=cls._hashed[1],
            full_hash=cls._hashed[2],
            status=self.status if extract_status else models.Resource.RESOURCE_DEF_STATUS,
        )

    def _fill_facts(self, failures: list[str]) -> None:
        errors = list(failures)
        waiting = False
        self.dkim_keys = ""
        if self._is_told_by_reference():
            # Whatever else cannot be read: what stood here is what is wanted, not what is there.
            self.passwd_shards = ""
            try:
                self.passwd_shards = self._references.report(self.domain)
            except _FAILURES as error:
                errors.append(str(error))
        try:
            for field in self._told():
                part = self._parts[field]
                setattr(self, field, part.read())
                if isinstance(part, parts.Telling):
                    for fact, value in part.facts().items():
                        setattr(self, fact, value)
            condition = self._health.read(self.domain)
            self.hostname = condition.hostname
            self.dkim_public_key = condition.dkim_public_key
            self.tls = self._served_pair.fact(condition.hostname)
            # exim4 has nothing to reload before configure has started it.
            waiting = not condition.configured and not condition.error
            errors += filter(None, [condition.error, self.state_failure])
            self._health.repair(condition)
        except _FAILURES as error:
            errors.append(str(error))
        self.error = "; ".join(errors)[:_ERROR_SIZE_MAX]
        # Nobody can log in before all are there.
        is_gathering = self._is_told_by_reference() and self._references.is_gathering
        if waiting or (is_gathering and not errors):
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
        for kind, model in self.__model_map__.items():
            known = model.properties.properties
            for remark in agent_state.prepare(pathlib.Path(meta_file), kind, known):
                LOG.warning("%s", remark)
        super().__init__(*args, meta_file=meta_file, **kwargs)
        self._heartbeat = heartbeat.of_this_agent()

    def finalize(self) -> None:
        """Keep the state file, and give the sign of life.

        That the file cannot be kept is a fact of the next pass: the agent drops
        the whole report of a driver that raises here, and with it the reason.
        """
        failure = ""
        try:
            super().finalize()
        except OSError as error:
            failure = f"the agent's state is not kept: {error}"
            LOG.warning("%s", failure)
        for model in self.__model_map__.values():
            model.state_failure = failure
        if self._heartbeat is not None:
            self._heartbeat.beat()
