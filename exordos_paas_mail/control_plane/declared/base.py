# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Records as manifests declare them (db-back agent of the element manager).

The agent compares each declared value with what the model reports, spelled
exactly as declared, and writes as long as they differ. So a model here
reports a value the way its manifest spelled it for as long as the stored,
normalised value is what that spelling means.

What is declared and cannot be applied is told in the record's error. Its fields are
reported as NOT_APPLIED then, which is no value of theirs: the agent goes on writing,
and so the error goes when the manifest is what it was before.
"""

from __future__ import annotations

import typing as tp
import uuid as sys_uuid

from gcl_sdk.agents.universal.dm import models as ua_models
from gcl_sdk.agents.universal.services import agent
from restalchemy.dm import filters, relationships
from restalchemy.storage import exceptions as storage_exceptions

from exordos_paas_mail.codecs import rules
from exordos_paas_mail.control_plane.records import errors, fields
from exordos_paas_mail.control_plane.runtime import log_filters

log_filters.install_for_agent(agent.__name__)

# The key of ``declared`` that holds the fields that are not applied: the name of no field.
_REFUSED: tp.Final = ""
NOT_APPLIED: tp.Final = "(not applied)"


class Declared(ua_models.ResourceMixin):
    """Reports values as they were declared."""

    # The fields whose spelling can differ from what is stored.
    _SPELLED: tp.ClassVar[tuple[str, ...]] = ()
    # The field that says why a declaration is not applied.
    _ERROR: tp.ClassVar[str]
    # Why a field that there is cannot be declared, by its name.
    _NOT_DECLARED: tp.ClassVar[tp.Mapping[str, str]] = {}

    declared: dict[str, tp.Any]
    properties: tp.Any
    objects: tp.Any

    @classmethod
    def restore_from_simple_view(
        cls,
        skip_unknown_fields: bool = False,  # noqa: FBT001, FBT002 - restalchemy's signature
        **kwargs: tp.Any,
    ) -> tp.Any:
        """Build the model from declared values; FieldError names one that breaks a rule."""
        stored = {}
        try:
            for name, value in kwargs.items():
                stored[name] = cls._to_stored(name, value)
        except rules.RuleError as error:
            raise errors.FieldError(name, str(error)) from None
        try:
            restored = super().restore_from_simple_view(
                skip_unknown_fields=skip_unknown_fields, **stored
            )
        except storage_exceptions.RecordNotFound:
            raise errors.FieldError(cls._missing(stored), "does not exist") from None
        plain = super(Declared, restored).dump_to_simple_view()
        restored.declared = {
            name: kwargs[name]
            for name in cls._SPELLED
            if name in kwargs and kwargs[name] != plain[name]
        }
        return restored

    @classmethod
    def from_ua_resource(cls, resource: ua_models.Resource) -> tp.Any:
        """Build the model from a target resource.

        If one of its values breaks a rule, this is what is stored, with the error;
        where nothing is stored, FieldError.
        """
        stored = cls.objects.get_one_or_none(filters={"uuid": filters.EQ(str(resource.uuid))})
        try:
            restored = super().from_ua_resource(resource)
            refusals = [] if stored is None else cls._unchangeable(stored, resource)
        except errors.FieldError as refusal:
            if stored is None:
                raise
            restored, refusals = stored, [refusal]
        restored.note(refusals)
        # The agent copies the fields that the resource names to the row it
        # updates: without these, a new spelling or error would never be stored.
        resource.value["declared"] = restored.declared
        resource.value[cls._ERROR] = getattr(restored, cls._ERROR)
        return restored

    @classmethod
    def _unchangeable(cls, stored: tp.Any, resource: ua_models.Resource) -> list[errors.FieldError]:
        """Return what *resource* declares and cannot be applied to *stored*.

        The agent skips a field that is set once, and finds it different for ever.
        """
        plain = super(Declared, stored).dump_to_simple_view()
        return [
            errors.FieldError(name, "cannot be changed by the manifest")
            for name, declared in sorted(resource.value.items())
            if name in plain
            and stored.properties[name].is_read_only()
            and not cls._means(name, declared, plain[name])
        ]

    def note(self, refusals: tp.Sequence[errors.FieldError]) -> None:
        """Tell *refusals*, in the error and in what is reported of their fields; none clears."""
        declared = {name: each for name, each in self.declared.items() if name != _REFUSED}
        if refusals:
            declared[_REFUSED] = sorted({refusal.field for refusal in refusals})
        self.declared = declared
        setattr(self, self._ERROR, "; ".join(str(refusal) for refusal in refusals))

    def update(self, session: tp.Any = None, force: bool = False) -> None:  # noqa: FBT001, FBT002
        """Write what changed; what is refused stays as it is, and the error says why.

        An error that is raised here goes to the agent's log, at each of its
        passes, and to nobody who could act on it.
        """
        try:
            super().update(session=session, force=force)
        except errors.FieldError as refusal:
            for each in self.properties.values():
                if each.is_dirty():
                    each.set_value_force(each.old_value)
            self.note([refusal])
            super().update(session=session)

    def dump_to_simple_view(self, skip: tp.Any = None, **kwargs: tp.Any) -> dict[str, tp.Any]:
        """Return the values, spelled as declared where they mean what is stored.

        Fields whose declared value is not applied are NOT_APPLIED, also those of *skip*.
        """
        dumped: dict[str, tp.Any] = super().dump_to_simple_view(skip=skip, **kwargs)
        for name, spelling in self.declared.items():
            if name in dumped and self._means(name, spelling, dumped[name]):
                dumped[name] = spelling
        return {**dumped, **dict.fromkeys(self.declared.get(_REFUSED, ()), NOT_APPLIED)}

    @classmethod
    def _to_stored(cls, name: str, value: tp.Any) -> tp.Any:
        """Return *value* as it is stored: a relationship by uuid, not by URI.

        Raises RuleError if the value breaks a rule of its field.
        """
        if value is not None and name in cls._NOT_DECLARED:
            raise rules.RuleError(cls._NOT_DECLARED[name])
        if cls._is_relationship(name):
            return fields.uuid_of(value)
        declared_property = cls.properties.properties.get(name)
        if declared_property is None:
            return value
        return fields.check(declared_property.get_property_type(), value)

    @classmethod
    def _is_relationship(cls, name: str) -> bool:
        known = cls.properties.properties.get(name)
        return known is not None and issubclass(
            known.get_property_class(), relationships.BaseRelationship
        )

    @classmethod
    def _missing(cls, values: tp.Mapping[str, tp.Any]) -> str:
        """Return which of *values* names a record that is not there."""
        return next(
            name
            for name, uuid in values.items()
            if cls._is_relationship(name)
            and cls.properties.properties[name]
            .get_property_type()
            .objects.get_one_or_none(filters={"uuid": filters.EQ(uuid)})
            is None
        )

    @classmethod
    def _means(cls, name: str, spelling: tp.Any, stored: tp.Any) -> bool:
        try:
            value = cls._to_stored(name, spelling)
        except rules.RuleError:
            # An earlier release took it, and what it made of it is what it means.
            return True
        if isinstance(cls.properties.properties[name].get_property_type(), type):
            return bool(sys_uuid.UUID(value) == sys_uuid.UUID(stored))
        return bool(value == stored)
