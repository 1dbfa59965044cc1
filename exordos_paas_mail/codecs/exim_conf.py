# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The relay's exim4 configuration, rendered whole from a handful of settings."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import re
import typing as tp
import unicodedata

import idna
import jinja2

from exordos_paas_mail.codecs import (
    credentials,
    dkim,
    domain_table,
    domains,
    header_repair,
    holds,
    limits,
    mta_sts,
    proc_files,
    return_paths,
    senders,
    smarthosts,
    tls_policies,
)

_NUMBER_MAX = 1_000_000_000
# exim counts a message's octets in 31 bits: a larger limit is none, or another
# one, and not an error to it.
_MESSAGE_SIZE_MB_MAX = 2047

# The record inside passwd.cdb that says which passwd file it was made from.
INDEX_TIE_KEY: tp.Final = "passwd"

# What a domain that may send has in the table of domains (``domain_table``), as a
# regular expression in exim's words: a key of RSA that signs, which every receiver
# can verify.
_SENDS: tp.Final = (
    rf"\N^{domain_table.SEND}:(?:.* )?[a-z0-9-]+/{dkim.RSA}/{domain_table.SIGN}(?: |\z)\N"
)


RESERVE: tp.Final = 128 * 2**20
"""Octets of memory that have to be available for a message to be delivered as it is accepted.

A delivery takes a few hundred kilobytes (docs/measurements.md), and how many there are at a time
is up to other servers. Beyond it exordos-mail-queue delivers, a few at a time. Half of it is of the
programs that run, whose pages count as available: without them a machine does nothing else than
read them again.
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What a relay's configuration depends on.

    Raises ValueError for a value that is not what its field says, so that
    nothing but a domain name and plain numbers ever reaches the file.
    """

    domain: str
    """The mail domain."""
    hostname: str = ""
    """The name in HELO, the banner, Received and Message-IDs; empty for the domain."""
    allow_private_mx: bool = False
    """Deliver to hosts in private address ranges, for a network of one's own."""
    mta_sts: bool = True
    """Find out what recipients' domains publish by MTA-STS (RFC 8461), and keep to it."""
    message_size_mb: int = 25
    """Largest message accepted, in MiB; at most 2047."""
    recipients_max: int = 100
    """Recipients of one message."""
    recipients_per_hour: int = 500
    """Recipients one account may address in an hour (leaky bucket)."""
    connections_max: int = 200
    """Concurrent sessions on each port."""
    connections_per_address_max: int = 40
    """Concurrent sessions of one client address on each port."""
    failed_logins_per_account: int = 50
    """Failed logins in 15 minutes from one address for one account."""
    failed_logins_per_address: int = 300
    """Failed logins in 15 minutes from one address, whatever the account."""
    role_messages_per_hour: int = 60
    """Messages without a login to a role address, from one client address."""
    reports_per_hour: int = 500
    """Reports about an account's mail that one client address may bring in an hour."""

    def __post_init__(self) -> None:
        if not isinstance(self.domain, str) or not domains.is_host_name(self.domain):
            raise ValueError("domain is not a lower-case DNS name of two labels or more")
        if not isinstance(self.hostname, str) or not (
            not self.hostname or domains.is_host_name(self.hostname)
        ):
            raise ValueError("hostname is not a lower-case DNS name of two labels or more")
        for field in dataclasses.fields(self):
            if field.name in {"domain", "hostname"}:
                continue
            value = getattr(self, field.name)
            if isinstance(field.default, bool):
                if not isinstance(value, bool):
                    raise ValueError(f"{field.name} is not a boolean")  # noqa: TRY004 - codecs raise ValueError
                continue
            maximum = _MESSAGE_SIZE_MB_MAX if field.name == "message_size_mb" else _NUMBER_MAX
            if type(value) is not int or not 1 <= value <= maximum:
                raise ValueError(f"{field.name} is not an integer from 1 to {maximum}")


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("exordos_paas_mail"),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - not HTML, and Settings admits no special character
        # exim's own expansions are full of braces
        variable_start_string="[[",
        variable_end_string="]]",
        block_start_string="[%",
        block_end_string="%]",
        comment_start_string="[#",
        comment_end_string="#]",
        keep_trailing_newline=True,
        # An included file ends its own last line
        trim_blocks=True,
    )
    return environment.get_template("exim4/exim4.conf.j2")


def render(settings: Settings) -> str:
    """Return the whole text of exim4.conf for *settings*."""
    hostname = settings.hostname or settings.domain
    return _template().render(
        {**dataclasses.asdict(settings), "hostname": hostname},
        index_tie_key=INDEX_TIE_KEY,
        memory_file="/proc/meminfo",
        memory_pattern=proc_files.AVAILABLE_PATTERN,
        memory_reserve=RESERVE // 1024,
        credential_pattern=credentials.PATTERN,
        credential_start=credentials.START,
        spellings=_spellings(settings.domain),
        seconds_each=_seconds_each,
        domain_expression=re.escape(settings.domain),
        hostname_expression=re.escape(hostname),
        address_fields=sorted(header_repair.ADDRESSES),
        any_of_domains=senders.ANY_OF_DOMAINS,
        default_key=senders.DEFAULT_KEY,
        end_key=senders.END_KEY,
        sends=_SENDS,
        instance_key=limits.INSTANCE_KEY,
        hold_states=holds.State,
        held_states="|".join(state.value for state in holds.HELD),
        hold_account=holds.ACCOUNT,
        hold_queue=holds.QUEUE,
        return_paths=return_paths,
        paths_file="/etc/exim4/return_paths",
        keys_file="/etc/exim4/dkim/return_paths.keys",
        tls_modes=tls_policies.Mode,
        tls_weak=tls_policies.WEAK,
        tls_keeping=tls_policies.KEEPING,
        tls_transports={mode: name for name, mode in tls_policies.TRANSPORTS.items()},
        tls_retry_keys=tls_policies.RETRY_KEYS,
        tls_interfaces=" ; ".join(tls_policies.INTERFACES),
        tls_exact=tls_policies.EXACT,
        tls_below=tls_policies.BELOW,
        smarthost_below=smarthosts.BELOW,
        smarthost_is_below=smarthosts.IS_BELOW,
        tls_all=tls_policies.ALL,
        sts=mta_sts,
        sts_settings=mta_sts.render_settings(
            mta_sts.Settings(on=settings.mta_sts, private=settings.allow_private_mx)
        ),
    )


def _seconds_each(per_hour: int) -> str:
    """Return how long it takes until one more fits into a limit that has been reached."""
    seconds = math.ceil(3600 / per_hour)
    return "second" if seconds == 1 else f"{seconds} seconds"


def _spellings(domain: str) -> str:
    """Return a regular expression of *domain* in A-labels and U-labels (RFC 5890).

    Label by label, each U-label composed or decomposed (macOS). Empty when the
    domain has one spelling.
    """
    labels = [_spellings_of_label(label) for label in domain.split(".")]
    if all(len(forms) == 1 for forms in labels):
        return ""
    return r"\.".join(f"(?:{'|'.join(forms)})" for forms in labels)


def _spellings_of_label(label: str) -> list[str]:
    forms = {label}
    if label.startswith("xn--"):
        # One that is not valid under IDNA 2008 has no other spelling.
        with contextlib.suppress(idna.IDNAError, UnicodeError):
            word = idna.ulabel(label)
            forms |= {unicodedata.normalize(form, word) for form in ("NFC", "NFD")}
    return sorted(forms)


def index_tie(*, inode: int, size: int, mtime: int) -> str:
    """Return what the index must hold under INDEX_TIE_KEY to be believed.

    *inode*, *size* in bytes and *mtime* in whole seconds are those of the
    passwd file the index was made from, after its rename. exim compares them
    with the file it finds, and reads the file itself when they differ: an
    index can be missing or late, never wrong.
    """
    return f"{inode}:{size}:{mtime}"
