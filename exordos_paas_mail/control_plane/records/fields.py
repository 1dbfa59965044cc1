# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Types of the models' fields, and the rules a value must obey.

Rules are for what is written: ``check`` (a body, a manifest, a record about to
be stored) and ``from_unicode`` (a filter) raise RuleError, which states the
rule. Reading asks for nothing but the Python type, because restalchemy reads a
row by ``from_simple_type`` and ``validate``: a row that an earlier release took
stays readable, and so do all those beside it, however the rules tighten.

restalchemy's own types accept a string for a boolean and a boolean for an
integer, and PostgreSQL refuses a NUL that they let through.
"""

from __future__ import annotations

import datetime
import re
import typing as tp
import uuid as sys_uuid

from restalchemy.dm import types

from exordos_paas_mail.codecs import (
    credentials,
    crypt_strings,
    domains,
    log_ids,
    mentions,
    networks,
    node_commands,
    password_hashes,
    rules,
    senders,
    suppressions,
    tls_policies,
    usernames,
    webhook_config,
)

_TIME_RULE: tp.Final = "must be a time such as 2026-01-31T12:00:00Z"
_YEARS: tp.Final = range(1970, 3000)
# PostgreSQL cannot store a NUL in a text; the others have no place in a name.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_CONTROL_OR_BREAK = re.compile(r"[\x00-\x1f\x7f]")


@tp.runtime_checkable
class Checked(tp.Protocol):
    """A type with a rule for what is written."""

    def check(self, value: tp.Any) -> tp.Any:
        """Return *value* as it is stored; raise RuleError if it breaks the rule."""


def check(field_type: tp.Any, value: tp.Any) -> tp.Any:
    """Return *value* as *field_type* stores it; raise RuleError if it breaks a rule of the type.

    A type without a rule returns the value as it is.
    """
    if isinstance(field_type, types.AllowNone):
        return None if value is None else check(field_type.nested_type, value)
    return field_type.check(value) if isinstance(field_type, Checked) else value


def uuid_of(value: tp.Any) -> str:
    """Return the uuid that *value* names a record by; RuleError if it names none."""
    uuid = str(value).rstrip("/").rpartition("/")[2]
    try:
        return str(sys_uuid.UUID(uuid))
    except ValueError:
        raise rules.RuleError("must be a UUID, or a URI that ends in one") from None


class Reference(types.UUID):
    """A record that a manifest names, by its uuid or by a URI that ends in it."""

    def check(self, value: tp.Any) -> str:
        """Return the uuid; RuleError if *value* is none."""
        return uuid_of(value)


class Choice(types.Enum):
    """One of some words."""

    def check(self, value: tp.Any) -> str:
        """Return *value*; RuleError names the words."""
        if value not in self.values:
            raise rules.RuleError(f"must be one of {', '.join(self.values)}")
        return str(value)


class Integer(types.Integer):
    """An integer of a range; not a boolean."""

    def validate(self, value: tp.Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool)

    def check(self, value: tp.Any) -> int:
        """Return *value*; RuleError names the range."""
        if not self.validate(value) or not self.min_value <= value <= self.max_value:
            raise rules.RuleError(f"must be an integer from {self.min_value} to {self.max_value}")
        return int(value)

    def from_simple_type(self, value: tp.Any) -> tp.Any:
        return value

    def from_unicode(self, value: str) -> int:
        # Python refuses to read thousands of digits, PostgreSQL more than 19.
        return self.check(int(value) if re.fullmatch(r"-?[0-9]{1,18}", value) else value)


class Boolean(types.Boolean):
    """true or false, and nothing that merely looks like it."""

    def validate(self, value: tp.Any) -> bool:
        return isinstance(value, bool)

    def check(self, value: tp.Any) -> bool:
        """Return *value*; RuleError if it is not a boolean."""
        if not isinstance(value, bool):
            raise rules.RuleError("must be true or false")
        return value

    def from_simple_type(self, value: tp.Any) -> tp.Any:
        return value

    def from_unicode(self, value: str) -> bool:
        if value.lower() in ("false", "no", "0"):
            return False
        if not super().from_unicode(value):
            raise rules.RuleError("must be true or false")
        return True


class Moment(types.AllowNone):
    """A time, or null.

    In an answer it is written as times are that cannot be null: AllowNone alone writes it as
    it is stored, without its zone.
    """

    def __init__(self) -> None:
        super().__init__(types.UTCDateTimeZ())

    def dump_value(self, value: tp.Any) -> tp.Any:
        return None if value is None else self.nested_type.dump_value(value)


class Time(types.UTCDateTimeZ):
    """A time as a client spells it; one without a zone is UTC's."""

    def check(self, value: tp.Any) -> datetime.datetime:
        """Return the time that the text *value* is, as UTC has it; RuleError if it is none."""
        if not isinstance(value, str):
            raise rules.RuleError(_TIME_RULE)
        try:
            # Python 3.10 knows no Z.
            parsed = datetime.datetime.fromisoformat(
                value.removesuffix("Z") + "+00:00" * value.endswith("Z")
            )
        except ValueError:
            raise rules.RuleError(_TIME_RULE) from None
        if parsed.year not in _YEARS:
            raise rules.RuleError(_TIME_RULE)
        aware = parsed if parsed.tzinfo else parsed.replace(tzinfo=datetime.timezone.utc)
        moment = aware.astimezone(datetime.timezone.utc)
        # The first hours of 1970 are 1969 in UTC, where they are said with another zone.
        if moment.year not in _YEARS:
            raise rules.RuleError(_TIME_RULE)
        return moment


class Instant(Time):
    """A time as a client spells it, or as the record has it."""

    def check(self, value: tp.Any) -> datetime.datetime:
        """Return the time that *value* is; RuleError if it is none."""
        if isinstance(value, datetime.datetime):
            return value
        return super().check(value)


class Deadline(Moment):
    """A time that a client may set, or null."""

    def __init__(self) -> None:
        types.AllowNone.__init__(self, Instant())


class OptionalTime(Moment):
    """A time as a client spells it, or null."""

    def __init__(self) -> None:
        types.AllowNone.__init__(self, Time())


class _AnyText(types.String):
    """What every stored text is read as."""

    def validate(self, value: tp.Any) -> bool:
        return isinstance(value, str)


class Text(_AnyText):
    """A text of a limited length without control characters."""

    def __init__(self, min_length: int, max_length: int, *, multiline: bool = False) -> None:
        super().__init__(min_length=min_length, max_length=max_length)
        self._control = _CONTROL if multiline else _CONTROL_OR_BREAK

    def check(self, value: tp.Any) -> str:
        """Return *value*; RuleError names the length."""
        if (
            not isinstance(value, str)
            or not self.min_length <= len(value) <= self.max_length
            or self._control.search(value)
        ):
            raise rules.RuleError(
                f"must be {self.min_length} to {self.max_length} characters,"
                " without control characters"
            )
        return value


class _Normalised(_AnyText):
    """A text that has one spelling; *normalise* finds it or raises RuleError."""

    def __init__(self, normalise: tp.Callable[[str], str], max_length: int, example: str) -> None:
        super().__init__(min_length=1, max_length=max_length)
        self._normalise = normalise
        self._example = example

    def check(self, value: tp.Any) -> str:
        """Return *value* in its one spelling; RuleError if it has none."""
        return self._normalise(value)

    def from_unicode(self, value: str) -> str:
        return self.check(value)

    @property
    def example(self) -> str:
        """Return what the API document shows."""
        return self._example


class Domain(_Normalised):
    """A mail domain: lower-cased A-labels."""

    def __init__(self) -> None:
        super().__init__(domains.normalise, domains.MAX_LENGTH, "mail.example.com")


class HostName(_Normalised):
    """The fully qualified name of a host: lower-cased A-labels."""

    def __init__(self) -> None:
        super().__init__(domains.normalise, domains.MAX_LENGTH, "smtp.example.com")


class PolicyDomain(_Normalised):
    """What a TLS policy is of: a domain, all names below one, or all that have none."""

    def __init__(self) -> None:
        super().__init__(tls_policies.normalise, domains.MAX_LENGTH + 2, "*.bank.example")


class Username(_Normalised):
    """The local part of an account's address, lower-cased."""

    def __init__(self) -> None:
        super().__init__(usernames.normalise, usernames.MAX_LENGTH, "noreply")


class Recipient(_Normalised):
    """An address that mail is sent to: lower-cased, its domain in A-labels."""

    def __init__(self) -> None:
        super().__init__(suppressions.normalise, 320, "bob@elsewhere.example")


class Mentioned(Text):
    """An address as others may have spelled it: with its domain, and with no name beside it."""

    def __init__(self) -> None:
        super().__init__(1, 320)

    def check(self, value: tp.Any) -> str:
        """Return *value*; RuleError if it is none, or too long."""
        return mentions.check(super().check(value))


def _spelled_once(values: tp.Sequence[tp.Any], normalise: tp.Callable[[tp.Any], str]) -> list[str]:
    """Return *values* in their one spelling; RuleError names one that is none, or twice there."""
    found: list[str] = []
    for number, value in enumerate(values, start=1):
        try:
            spelled = normalise(value)
        except rules.RuleError as error:
            raise rules.RuleError(f"entry {number}: {error}") from None
        if spelled in found:
            first = found.index(spelled) + 1
            raise rules.RuleError(f"entry {number}: is the same as entry {first}")
        found.append(spelled)
    return found


class Senders(types.TypedList):
    """What an account may send as: 1 to 100 entries, in their one spelling."""

    def __init__(self) -> None:
        super().__init__(types.String())

    def check(self, value: tp.Any) -> list[str]:
        """Return the entries of *value*; RuleError names one that is none, or is there twice."""
        if not isinstance(value, list) or not 1 <= len(value) <= senders.ENTRIES_MAX:
            raise rules.RuleError(f"must be null, or a list of 1 to {senders.ENTRIES_MAX} entries")
        return _spelled_once(value, senders.normalise)

    @property
    def example(self) -> list[str]:
        """Return what the API document shows."""
        return ["own", "noreply@example.com", "*@news.example.com"]


class Networks(types.TypedList):
    """Networks of clients, in their one spelling."""

    def __init__(self) -> None:
        super().__init__(types.String())

    def check(self, value: tp.Any) -> list[str]:
        """Return the networks of *value*; RuleError names one that is none, or is there twice."""
        if not isinstance(value, list) or len(value) > credentials.NETWORKS_MAX:
            raise rules.RuleError(f"must be a list of {credentials.NETWORKS_MAX} networks at most")
        return _spelled_once(value, networks.normalise)

    @property
    def example(self) -> list[str]:
        """Return what the API document shows."""
        return ["192.0.2.0/24", "2001:db8::/32"]


class WebhookUrl(_Normalised):
    """Where a webhook is sent to."""

    def __init__(self) -> None:
        super().__init__(
            webhook_config.check_url,
            webhook_config.URL_SIZE_MAX,
            "https://hooks.example.com/mail",
        )


class WebhookEvents(types.TypedList):
    """The types of events that a webhook is sent."""

    def __init__(self) -> None:
        super().__init__(types.Enum(list(webhook_config.KNOWN)))

    def validate(self, value: tp.Any) -> bool:
        return isinstance(value, list)

    def check(self, value: tp.Any) -> list[str]:
        """Return *value*, each once; RuleError names what there is, if one of them is not."""
        if (
            not isinstance(value, list)
            or not value
            or not all(isinstance(name, str) and name in webhook_config.KNOWN for name in value)
        ):
            raise rules.RuleError(
                f"must be a list of one or more of {', '.join(webhook_config.KNOWN)}"
            )
        return list(dict.fromkeys(value))

    @property
    def example(self) -> list[str]:
        """Return what the API document shows."""
        return ["message.delivered", "message.failed"]


class SigningKeys(types.TypedList):
    """The keys that sign for a webhook, without their secrets."""

    def __init__(self) -> None:
        super().__init__(types.Dict())

    def from_unicode(self, value: str) -> tp.Any:  # noqa: ARG002
        raise rules.RuleError("cannot be asked for")

    def to_openapi_spec(self, prop_kwargs: tp.Any) -> dict[str, tp.Any]:
        openapi = {"openapi": prop_kwargs.get("openapi")}
        kinds = {"id": types.UUID(), "created_at": types.UTCDateTimeZ(), "expires_at": Moment()}
        shown = {name: kind.to_openapi_spec(dict(openapi)) for name, kind in kinds.items()}
        items = {"type": "object", "properties": shown}
        return {**super().to_openapi_spec(prop_kwargs), "items": items}


class QueueIds(types.TypedList):
    """Messages by their queue ids."""

    def __init__(self) -> None:
        super().__init__(types.String())

    def check(self, value: tp.Any) -> list[str]:
        """Return *value*, each once; RuleError names an entry that is no queue id."""
        if not isinstance(value, list) or not 1 <= len(value) <= node_commands.IDS_MAX:
            raise rules.RuleError(f"must be a list of 1 to {node_commands.IDS_MAX} queue ids")
        for number, entry in enumerate(value, start=1):
            if not isinstance(entry, str) or not log_ids.is_queue_id(entry):
                raise rules.RuleError(
                    f"entry {number}: must be a queue id such as 1vNvOk-0000Ab-0A"
                )
        return list(dict.fromkeys(value))

    @property
    def example(self) -> list[str]:
        """Return what the API document shows."""
        return ["1vNvOk-0000Ab-0A"]


class _WriteOnlySpec(types.String):
    """Marks the field as one the API takes and never gives."""

    def to_openapi_spec(self, prop_kwargs: tp.Any) -> dict[str, tp.Any]:
        spec: dict[str, tp.Any] = super().to_openapi_spec(prop_kwargs)
        return {**spec, "writeOnly": True}


class PasswordHash(_WriteOnlySpec, _Normalised):
    """A crypt(3) string without a Dovecot prefix."""

    def __init__(self) -> None:
        super().__init__(password_hashes.normalise, crypt_strings.MAX_LENGTH, "$6$salt$hash")

    def __repr__(self) -> str:
        return "PasswordHash"


class PasswordHashOrNone(types.AllowNone):
    """A crypt(3) string, or none: the table has what is no hash of anything then.

    It has no null, for a release before, to which the control plane may go back,
    cannot read one.
    """

    def __init__(self) -> None:
        super().__init__(PasswordHash())

    def to_simple_type(self, value: tp.Any) -> tp.Any:
        return super().to_simple_type(crypt_strings.NO_PASSWORD if value is None else value)

    def from_simple_type(self, value: tp.Any) -> tp.Any:
        return super().from_simple_type(None if value == crypt_strings.NO_PASSWORD else value)


class Password(_WriteOnlySpec, _Normalised):
    """A password as its user types it, or its hash behind a Dovecot prefix."""

    def __init__(self) -> None:
        super().__init__(
            password_hashes.check_password,
            password_hashes.PLAINTEXT_MAX_LENGTH,
            "correct horse battery staple",
        )

    def to_openapi_spec(self, prop_kwargs: tp.Any) -> dict[str, tp.Any]:
        spec: dict[str, tp.Any] = super().to_openapi_spec(prop_kwargs)
        return {
            **spec,
            "description": f"{password_hashes.PLAINTEXT_MAX_BYTES} bytes in UTF-8 at most",
        }
