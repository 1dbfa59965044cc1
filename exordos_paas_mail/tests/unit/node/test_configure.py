# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""configure: from mail.env to a relay, once."""

from __future__ import annotations

import datetime
import types
import typing as tp

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from clients import issuing
from exordos_paas_mail import constants
from exordos_paas_mail.codecs import (
    configure_state,
    dkim,
    exim_conf,
    mail_env,
    tls_document,
    tls_pairs,
    tls_reports,
    tls_serving,
)
from exordos_paas_mail.node import health, relay_plan, served_pair, timely_pairs
from exordos_paas_mail.node.commands import configure
from exordos_paas_mail.tests.unit.node import authority, fake_node

if tp.TYPE_CHECKING:
    import pathlib

DOMAIN = "mail.example.com"
OTHER = "other.example"
HOSTNAME = "smtp.example.net"
RESTART = ["systemctl restart exim4"]
START = ["systemctl start exim4"]
RELOAD = ["systemctl reload exim4"]
SERVED = (constants.TLS_SERVED_FILE, constants.TLS_OTHER_SERVED_FILE)


@pytest.fixture
def node(fake: fake_node.FakeNode) -> fake_node.FakeNode:
    """Return a node that was told its domain."""
    fake.write(constants.MAIL_ENV_FILE, mail_env.render(DOMAIN))
    return fake


@pytest.fixture
def relay(node: fake_node.FakeNode, capsys: pytest.CaptureFixture[str]) -> fake_node.FakeNode:
    """Return a node whose relay runs."""
    # To make one of these takes longer than most tests of it.
    name = f"{constants.DKIM_KEYS_DIR}/{DOMAIN}.private"
    node.path(constants.DKIM_KEYS_DIR).mkdir()
    node.machine.ensure_file(name, fake_node.a_key(), 0o600)
    node.machine.ensure_file(constants.TLS_OTHER_FILE, fake_node.another_pair(DOMAIN), 0o640)
    assert run(node) == 0
    node.calls()
    capsys.readouterr()
    return node


def run(node: fake_node.FakeNode) -> int:
    return configure.main([], node.machine)


def state(node: fake_node.FakeNode) -> configure_state.State:
    return configure_state.parse(node.read(constants.CONFIGURE_STATE_FILE))


def served(node: fake_node.FakeNode) -> list[bytes]:
    """Return what exim serves, the first before the other."""
    return [node.path(name).read_bytes() for name in SERVED]


def served_keys(node: fake_node.FakeNode) -> list[tp.Any]:
    return [x509.load_pem_x509_certificate(bundle).public_key() for bundle in served(node)]


def dns_names(node: fake_node.FakeNode, name: str = constants.TLS_CERTIFICATE_FILE) -> list[str]:
    certificate = x509.load_pem_x509_certificate(node.read(name).encode())
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return extension.value.get_values_for_type(x509.DNSName)


def relay_files(node: fake_node.FakeNode) -> dict[pathlib.Path, tuple[tp.Any, ...]]:
    """Return all files but the bookkeeping, with content and all that stat tells."""
    bookkeeping = node.path(constants.CONFIGURE_STATE_FILE)
    return {
        path: (fake_node.signature(path), path.read_bytes() if path.is_file() else b"")
        for path in node.root.rglob("*")
        if path not in {bookkeeping, bookkeeping.parent}
    }


def test_a_fresh_node_becomes_the_relay_of_its_domain(
    node: fake_node.FakeNode, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(node) == 0

    assert node.calls() == [
        f"exim4 -bV -C {node.path('/etc/exim4/exim4.conf.candidate')}",
        *RESTART,
    ]
    assert node.read(constants.EXIM_CONFIG_FILE) == exim_conf.render(
        exim_conf.Settings(domain=DOMAIN)
    )
    key = node.path(constants.DKIM_PRIVATE_KEY_FILE).read_bytes()
    assert dkim.parse(node.read(constants.DKIM_RECORD_FILE)) == (DOMAIN, dkim.value_of(key))
    assert node.read("/etc/hosts") == (
        "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n"
        f"127.0.1.1\t{DOMAIN}\t# exordos-mail-configure\n"
    )
    assert state(node).domain == DOMAIN
    assert (state(node).finished, state(node).error) == (True, "")
    assert capsys.readouterr() == (
        f"{DOMAIN}: changed: directories, DKIM key, TLS certificate, /etc/hosts, exim4.conf, "
        "exim4 restarted\n",
        "",
    )


def test_modes_let_exim_read_its_keys_and_nobody_else(relay: fake_node.FakeNode) -> None:
    modes = {
        name: oct(relay.path(name).stat().st_mode & 0o7777)
        for name in (
            constants.DKIM_DIR,
            constants.DKIM_KEYS_DIR,
            f"{constants.DKIM_KEYS_DIR}/{DOMAIN}.private",
            constants.DKIM_PRIVATE_KEY_FILE,
            constants.DKIM_RECORD_FILE,
            constants.TLS_PRIVATE_KEY_FILE,
            constants.TLS_CERTIFICATE_FILE,
            constants.TLS_SERVED_FILE,
            constants.TLS_OTHER_FILE,
            constants.TLS_OTHER_SERVED_FILE,
            constants.EXIM_CONFIG_FILE,
        )
    }

    assert modes == {
        constants.DKIM_DIR: "0o750",
        constants.DKIM_KEYS_DIR: "0o700",
        f"{constants.DKIM_KEYS_DIR}/{DOMAIN}.private": "0o600",
        constants.DKIM_PRIVATE_KEY_FILE: "0o640",
        constants.DKIM_RECORD_FILE: "0o644",
        constants.TLS_PRIVATE_KEY_FILE: "0o640",
        constants.TLS_CERTIFICATE_FILE: "0o644",
        constants.TLS_SERVED_FILE: "0o640",
        constants.TLS_OTHER_FILE: "0o640",
        constants.TLS_OTHER_SERVED_FILE: "0o640",
        constants.EXIM_CONFIG_FILE: "0o644",
    }


def test_a_second_run_changes_nothing(
    relay: fake_node.FakeNode, capsys: pytest.CaptureFixture[str]
) -> None:
    before = relay_files(relay)

    assert run(relay) == 0
    assert relay.calls() == []
    assert relay_files(relay) == before
    assert capsys.readouterr().out == f"{DOMAIN}: nothing to do\n"


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        pytest.param(
            constants.MAIL_ENV_FILE,
            "MAIL_DOMAIN=$(reboot)\n",
            "/etc/exordos_metapaas/mail.env: MAIL_DOMAIN is not a lower-case DNS name of two "
            "labels or more",
            id="not a domain",
        ),
        pytest.param(
            constants.MAIL_ENV_FILE,
            "",
            "/etc/exordos_metapaas/mail.env: MAIL_DOMAIN is missing",
            id="empty mail.env",
        ),
        pytest.param(
            constants.MAIL_ENV_FILE,
            "MAIL_DOMAIN=bücher.example\n",
            "/etc/exordos_metapaas/mail.env: not plain ASCII",
            id="not ASCII",
        ),
        pytest.param(
            constants.MAIL_ENV_FILE,
            f"MAIL_DOMAIN={DOMAIN}\nMAIL_HOSTNAME=smtp\n",
            "/etc/exordos_metapaas/mail.env: MAIL_HOSTNAME is not a lower-case DNS name of two "
            "labels or more",
            id="not a host name",
        ),
        pytest.param(
            constants.RELAY_ENV_FILE,
            "RELAY_ALLOW_PRIVATE_MX=perhaps\n",
            "/etc/exordos_metapaas/relay.env: RELAY_ALLOW_PRIVATE_MX is neither yes nor no",
            id="wrong override",
        ),
        pytest.param(
            constants.RELAY_ENV_KEPT_FILE,
            "RELAY_MESSAGE_SIZE_MB=2048\n",
            "/var/lib/exordos/exordos_paas_mail/relay.env: message_size_mb is not an integer from "
            "1 to 2047",
            id="size that exim cannot count",
        ),
        pytest.param(
            constants.TLS_CERTIFICATE_FILE,
            "-----BEGIN CERTIFICATE-----\n",
            "the installed TLS certificate chain is not PEM",
            id="half a certificate",
        ),
    ],
)
def test_a_broken_input_leaves_the_relay_as_it_was_and_says_why(
    relay: fake_node.FakeNode,
    capsys: pytest.CaptureFixture[str],
    name: str,
    text: str,
    reason: str,
) -> None:
    running = state(relay).running
    relay.write(name, text)
    before = relay_files(relay)

    assert run(relay) == 78

    assert relay_files(relay) == before
    assert relay.calls() == []
    assert capsys.readouterr() == ("", f"exordos-mail-configure: {reason}\n")
    assert state(relay) == configure_state.State(
        domain=DOMAIN, hostname=DOMAIN, running=running, finished=True, error=reason
    )


def test_a_node_without_mail_env_is_refused(fake: fake_node.FakeNode) -> None:
    assert run(fake) == 78
    assert state(fake).error == "/etc/exordos_metapaas/mail.env: there is no such file"
    assert not fake.path(constants.DKIM_PRIVATE_KEY_FILE).exists()


def test_a_configuration_that_exim_refuses_changes_nothing(
    relay: fake_node.FakeNode, capsys: pytest.CaptureFixture[str]
) -> None:
    relay.write(constants.RELAY_ENV_FILE, "RELAY_MESSAGE_SIZE_MB=10\n")
    relay.fail("exim4", "-bV", "Exim configuration error in line 7:\n  option unknown\n")
    before = relay_files(relay)

    assert run(relay) == 1

    after = relay_files(relay)
    directory = relay.path("/etc/exim4")
    assert {path: found for path, found in after.items() if path != directory} == {
        path: found for path, found in before.items() if path != directory
    }
    assert relay.calls() == [f"exim4 -bV -C {directory / 'exim4.conf.candidate'}"]
    assert capsys.readouterr().err.endswith(
        "exit status 1: Exim configuration error in line 7: option unknown\n"
    )


def test_an_override_reaches_the_configuration_with_one_restart(relay: fake_node.FakeNode) -> None:
    relay.write(constants.RELAY_ENV_FILE, "RELAY_ALLOW_PRIVATE_MX=yes\nRELAY_MESSAGE_SIZE_MB=10\n")

    assert run(relay) == 0

    assert relay.calls()[1:] == RESTART
    assert relay.read(constants.EXIM_CONFIG_FILE) == exim_conf.render(
        exim_conf.Settings(domain=DOMAIN, allow_private_mx=True, message_size_mb=10)
    )
    assert run(relay) == 0
    assert relay.calls() == []


def test_an_override_on_the_data_disk_has_the_last_word(relay: fake_node.FakeNode) -> None:
    relay.write(constants.RELAY_ENV_FILE, "RELAY_ALLOW_PRIVATE_MX=yes\nRELAY_MESSAGE_SIZE_MB=10\n")
    relay.write(constants.RELAY_ENV_KEPT_FILE, "RELAY_MESSAGE_SIZE_MB=50\n")

    assert run(relay) == 0

    assert relay.read(constants.EXIM_CONFIG_FILE) == exim_conf.render(
        exim_conf.Settings(domain=DOMAIN, allow_private_mx=True, message_size_mb=50)
    )


def test_a_setting_of_the_resolver_is_none_of_exims(
    relay: fake_node.FakeNode, capsys: pytest.CaptureFixture[str]
) -> None:
    relay.write(constants.RELAY_ENV_FILE, "RELAY_RESOLVER=no\nRELAY_PRIVATE_ZONES=corp\n")
    assert run(relay) == 0
    assert relay.calls() == []
    relay.write(constants.RELAY_ENV_FILE, "RELAY_RESOLVER=nope\n")
    capsys.readouterr()
    assert run(relay) == 0
    said = f"{constants.RELAY_ENV_FILE}: RELAY_RESOLVER is neither yes nor no\n"
    assert capsys.readouterr().out == f"{DOMAIN}: nothing to do; {said}"


def test_a_restart_that_failed_is_tried_again(relay: fake_node.FakeNode) -> None:
    relay.write(constants.RELAY_ENV_FILE, "RELAY_MESSAGE_SIZE_MB=10\n")
    relay.fail("systemctl", "restart", "Job for exim4.service failed.")
    assert run(relay) == 1
    assert state(relay).error.endswith("Job for exim4.service failed.")
    relay.heal("systemctl", "restart")
    relay.calls()

    assert run(relay) == 0
    assert relay.calls() == RESTART
    assert state(relay).error == ""


def test_a_relay_that_does_not_stay_up_is_a_failure(node: fake_node.FakeNode) -> None:
    node.relay_starts_as(**{"465": "failed"})

    assert run(node) == 1
    assert state(node).error == "exim4@465.service is failed"


@pytest.mark.parametrize("unit", constants.EXIM_PROCESS_UNITS)
def test_a_relay_that_does_not_run_is_started_and_nothing_else(
    relay: fake_node.FakeNode, capsys: pytest.CaptureFixture[str], unit: str
) -> None:
    """As after a boot at which the data disk came late."""
    relay.relay(**{unit: "inactive"})
    before = relay_files(relay)

    assert run(relay) == 0

    assert relay.calls() == START
    assert relay_files(relay) == before
    assert capsys.readouterr().out == f"{DOMAIN}: changed: exim4 started\n"


def test_a_relay_that_does_not_start_is_a_failure_and_tried_again(
    relay: fake_node.FakeNode,
) -> None:
    relay.relay(**{"exim4-queue.service": "failed"})
    relay.fail("systemctl", "start", "Job for exim4.service failed.")
    assert run(relay) == 1
    assert state(relay).error.endswith("Job for exim4.service failed.")
    relay.heal("systemctl", "start")
    relay.calls()

    assert run(relay) == 0
    assert relay.calls() == START
    assert state(relay).error == ""


def test_a_new_domain_gets_a_key_of_its_own_and_the_old_one_is_found_again(
    relay: fake_node.FakeNode,
) -> None:
    names = (constants.DKIM_PRIVATE_KEY_FILE, constants.DKIM_RECORD_FILE)
    first = [relay.read(name) for name in names]
    relay.write(constants.MAIL_ENV_FILE, mail_env.render(OTHER))
    assert run(relay) == 0
    second = [relay.read(name) for name in names]
    relay.write(constants.MAIL_ENV_FILE, mail_env.render(DOMAIN))
    assert run(relay) == 0

    assert first[0] != second[0]
    assert dkim.parse(second[1])[0] == OTHER
    assert [relay.read(name) for name in names] == first
    assert relay.machine.names(constants.DKIM_KEYS_DIR) == [f"{DOMAIN}.private", f"{OTHER}.private"]


def test_a_relay_with_a_name_of_its_own_signs_as_its_domain_and_goes_back(
    relay: fake_node.FakeNode, capsys: pytest.CaptureFixture[str]
) -> None:
    files = (constants.EXIM_CONFIG_FILE, "/etc/hosts", constants.DKIM_RECORD_FILE)
    before = [relay.read(name) for name in files]
    keys = served_keys(relay)

    relay.write(constants.MAIL_ENV_FILE, mail_env.render(DOMAIN, HOSTNAME))
    assert run(relay) == 0
    assert capsys.readouterr().out == (
        f"{DOMAIN}: changed: TLS certificate, /etc/hosts, exim4.conf, exim4 restarted\n"
    )
    assert relay.calls()[-1:] == RESTART
    assert [relay.read(name) for name in files] == [
        exim_conf.render(exim_conf.Settings(domain=DOMAIN, hostname=HOSTNAME)),
        before[1].replace(DOMAIN, HOSTNAME),
        before[2],
    ]
    assert dns_names(relay) == dns_names(relay, constants.TLS_OTHER_SERVED_FILE)
    assert dns_names(relay) == [HOSTNAME, DOMAIN]
    assert served_keys(relay) == keys
    assert (state(relay).domain, state(relay).hostname) == (DOMAIN, HOSTNAME)
    assert run(relay) == 0
    assert relay.calls() == []

    relay.write(constants.MAIL_ENV_FILE, mail_env.render(DOMAIN))
    assert run(relay) == 0
    assert [relay.read(name) for name in files] == before
    assert (dns_names(relay), state(relay).hostname) == ([DOMAIN], DOMAIN)


def test_an_installed_certificate_stays_when_the_relay_gets_another_name(
    relay: fake_node.FakeNode, capsys: pytest.CaptureFixture[str]
) -> None:
    key, chain = authority.issue(DOMAIN)
    relay.write(constants.TLS_PRIVATE_KEY_FILE, key.decode())
    relay.write(constants.TLS_CERTIFICATE_FILE, chain.decode())
    relay.write(constants.MAIL_ENV_FILE, mail_env.render(DOMAIN, HOSTNAME))

    assert run(relay) == 0
    assert relay.read(constants.TLS_CERTIFICATE_FILE) == chain.decode()
    assert capsys.readouterr().out.endswith(
        f"; the installed TLS certificate does not name {HOSTNAME}\n"
    )


@pytest.mark.parametrize("lost", [constants.DKIM_PRIVATE_KEY_FILE, constants.DKIM_RECORD_FILE])
def test_a_lost_key_file_comes_back_as_it_was_without_a_restart(
    relay: fake_node.FakeNode, lost: str
) -> None:
    before = relay.read(lost)
    relay.path(lost).unlink()

    assert run(relay) == 0
    assert relay.read(lost) == before
    assert relay.calls() == []


def test_a_new_image_on_the_old_data_disk_keeps_keys_and_certificate(
    relay: fake_node.FakeNode,
) -> None:
    kept = (
        constants.DKIM_PRIVATE_KEY_FILE,
        constants.DKIM_RECORD_FILE,
        constants.TLS_PRIVATE_KEY_FILE,
        constants.TLS_CERTIFICATE_FILE,
        constants.TLS_OTHER_FILE,
        constants.TLS_OTHER_SERVED_FILE,
    )
    before = [relay.read(name) for name in kept]
    relay.path(constants.EXIM_CONFIG_FILE).unlink()
    relay.path(constants.CONFIGURE_STATE_FILE).unlink()
    relay.write("/etc/hosts", "127.0.0.1 localhost\n")

    assert run(relay) == 0
    assert [relay.read(name) for name in kept] == before
    assert relay.calls()[1:] == RESTART


@pytest.mark.parametrize("domain", [DOMAIN, OTHER], ids=["own record", "another's record"])
def test_a_key_put_there_by_hand_belongs_to_the_domain_of_its_record(
    relay: fake_node.FakeNode, domain: str
) -> None:
    made = relay.read(constants.DKIM_PRIVATE_KEY_FILE)
    brought = dkim.generate()
    relay.path(constants.DKIM_PRIVATE_KEY_FILE).write_bytes(brought)
    record = dkim.render(dkim.value_of(brought), "platform", domain)
    relay.write(constants.DKIM_RECORD_FILE, record)

    assert run(relay) == 0

    own = relay.read(constants.DKIM_PRIVATE_KEY_FILE)
    assert own == (brought.decode() if domain == DOMAIN else made)
    assert dkim.parse(relay.read(constants.DKIM_RECORD_FILE)) == (
        DOMAIN,
        dkim.value_of(own.encode()),
    )
    keys = relay.path(constants.DKIM_KEYS_DIR)
    assert (keys / f"{domain}.private").read_bytes() == brought
    assert made in [path.read_text() for path in keys.iterdir()]


def test_a_kept_key_that_is_harmed_is_not_replaced_silently(
    relay: fake_node.FakeNode, capsys: pytest.CaptureFixture[str]
) -> None:
    relay.write(f"{constants.DKIM_KEYS_DIR}/{DOMAIN}.private", "harmed")
    relay.path(constants.DKIM_PRIVATE_KEY_FILE).unlink()

    assert run(relay) == 78
    assert f"{DOMAIN}.private: the DKIM private key is not" in capsys.readouterr().err


def test_an_installed_certificate_is_served_and_its_renewal_too(
    relay: fake_node.FakeNode, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        key, chain = authority.issue("*.example.com")
        relay.path(constants.TLS_PRIVATE_KEY_FILE).write_bytes(key)
        relay.path(constants.TLS_CERTIFICATE_FILE).write_bytes(chain)

        assert run(relay) == 0

        assert relay.calls() == RESTART
        assert relay.path(constants.TLS_PRIVATE_KEY_FILE).read_bytes() == key
        assert relay.path(constants.TLS_CERTIFICATE_FILE).read_bytes() == chain
        assert served(relay) == [key + chain] * 2
        assert reported(relay) == (chain.decode(), False, "")
        assert run(relay) == 0
        assert relay.calls() == []
    assert "certificate" not in capsys.readouterr().err


def test_an_installed_certificate_leaves_what_the_relay_made_beside_its_own(
    relay: fake_node.FakeNode,
) -> None:
    other = relay.read(constants.TLS_OTHER_FILE)
    key, chain = authority.issue(DOMAIN)
    relay.path(constants.TLS_PRIVATE_KEY_FILE).write_bytes(key)
    relay.path(constants.TLS_CERTIFICATE_FILE).write_bytes(chain)
    assert run(relay) == 0
    assert served(relay) == [key + chain] * 2

    for name in (constants.TLS_PRIVATE_KEY_FILE, constants.TLS_CERTIFICATE_FILE):
        relay.path(name).unlink()
    assert run(relay) == 0
    assert served(relay)[1] == other.encode()


def test_an_installed_certificate_that_clients_will_refuse_is_remarked_on(
    relay: fake_node.FakeNode, capsys: pytest.CaptureFixture[str]
) -> None:
    key, chain = authority.issue(OTHER)
    relay.path(constants.TLS_PRIVATE_KEY_FILE).write_bytes(key)
    relay.path(constants.TLS_CERTIFICATE_FILE).write_bytes(chain)

    assert run(relay) == 0
    assert capsys.readouterr().out.endswith(
        f"; the installed TLS certificate does not name {DOMAIN}\n"
    )


def tell(relay: fake_node.FakeNode, pair: issuing.Issued | None, *addresses: str) -> None:
    """Have the node hold the document of what it is to serve."""
    told = None if pair is None else tls_pairs.Pair(pair.chain, pair.key)
    content = tls_document.render(tls_document.Document(told, addresses))
    relay.path(constants.TLS_TOLD_FILE).parent.mkdir(parents=True, exist_ok=True)
    relay.path(constants.TLS_TOLD_FILE).write_bytes(content)


def reported(relay: fake_node.FakeNode, hostname: str = DOMAIN) -> tls_reports.Report:
    return tls_reports.parse(served_pair.ServedPair(relay.machine).fact(hostname))


def test_a_pair_that_is_told_is_served_by_a_reload_and_given_back(
    relay: fake_node.FakeNode, capsys: pytest.CaptureFixture[str]
) -> None:
    own = served(relay)
    files = (
        constants.TLS_PRIVATE_KEY_FILE,
        constants.TLS_CERTIFICATE_FILE,
        constants.TLS_OTHER_FILE,
    )
    before = [relay.read(name) for name in files]
    authority_ = issuing.Authority()
    for pair in (authority_.issue(DOMAIN), authority_.issue(DOMAIN)):
        tell(relay, pair)
        assert run(relay) == 0
        assert relay.calls() == RELOAD
        assert served(relay) == [(pair.key + pair.chain).encode()] * 2
        assert reported(relay) == (pair.chain, True, "")
        assert run(relay) == 0
        assert relay.calls() == []
    assert capsys.readouterr().out.splitlines()[0] == (
        f"{DOMAIN}: changed: TLS certificate, exim4 reloaded"
    )
    for name in SERVED:
        relay.path(name).write_text("damaged")
        assert run(relay) == 0
        assert served(relay) == [(pair.key + pair.chain).encode()] * 2
    relay.calls()
    tell(relay, None)
    # Nothing is told of what is served until its own is: that is not what is asked for.
    assert served_pair.ServedPair(relay.machine).fact(DOMAIN) == ""
    # Nor while only the first of its own is there.
    relay.path(constants.TLS_SERVED_FILE).write_bytes(own[0])
    assert served_pair.ServedPair(relay.machine).fact(DOMAIN) == ""
    assert run(relay) == 0
    assert relay.calls() == RELOAD
    assert served(relay) == own
    assert reported(relay) == ("".join(map(tls_pairs.chain_of, own)), False, "")
    assert [relay.read(name) for name in files] == before


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        (issuing.Authority().issue(OTHER), f"certificate does not name {DOMAIN}"),
        (issuing.Authority().issue(DOMAIN, ends=-issuing.DAY / 2), "certificate has expired"),
        (
            issuing.Authority().issue(DOMAIN)._replace(key=issuing.self_signed(DOMAIN).key),
            "private_key belongs to another certificate",
        ),
    ],
    ids=["another name", "expired", "another key"],
)
def test_a_pair_that_is_told_and_cannot_be_served_is_reported(
    relay: fake_node.FakeNode,
    capsys: pytest.CaptureFixture[str],
    pair: issuing.Issued,
    said: str,
) -> None:
    own = served(relay)
    tell(relay, pair)
    assert run(relay) == 0
    assert f"; the certificate that was told: {said}" in capsys.readouterr().out
    assert served(relay) == own
    report = reported(relay)
    assert (report.is_told, report.refused[: len(said)]) == (False, said)
    assert pair.key.splitlines()[1] not in report.refused


def test_a_pair_that_begins_later_is_served_then(
    relay: fake_node.FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = issuing.Authority().issue(DOMAIN, begins=datetime.timedelta(hours=1))
    tell(relay, pair)
    facts = served_pair.ServedPair(relay.machine)
    assert run(relay) == 0
    refused = tls_reports.parse(facts.fact(DOMAIN))
    assert (refused.is_told, refused.refused[:28]) == (False, "certificate is not valid bef")
    look, settled = health.Health(relay.machine), health.Condition(configured=True)
    relay.calls()
    look.repair(settled)
    assert relay.calls() == []
    # An hour goes by, or the clock is set right.
    monkeypatch.setattr(tls_serving, "EARLY", datetime.timedelta(hours=2))
    assert tls_reports.parse(facts.fact(DOMAIN)) == refused._replace(refused="")
    look.repair(settled)
    assert f"systemctl --no-block start {constants.CONFIGURE_UNIT}" in relay.calls()
    assert run(relay) == 0
    assert tls_reports.parse(facts.fact(DOMAIN)) == tls_reports.Report(pair.chain, is_told=True)
    pairs = timely_pairs.TimelyPairs(relay.machine)
    assert pairs.outdated(DOMAIN, issuing.now() + 3000 * issuing.DAY) == ""


def test_a_pair_of_an_authority_whose_clock_is_ahead_by_minutes_is_served_at_once(
    relay: fake_node.FakeNode,
) -> None:
    pair = issuing.Authority().issue(DOMAIN, begins=datetime.timedelta(minutes=4))
    tell(relay, pair)
    assert run(relay) == 0
    assert reported(relay) == tls_reports.Report(pair.chain, is_told=True)


@pytest.mark.parametrize(
    ("days", "said"),
    [
        pytest.param(3619, "", id="in time"),
        pytest.param(3621, "the relay's own certificate is to be made anew", id="near its end"),
    ],
)
def test_the_relays_own_certificate_is_made_anew_in_time(
    relay: fake_node.FakeNode, days: int, said: str
) -> None:
    at = issuing.now() + days * issuing.DAY
    assert timely_pairs.TimelyPairs(relay.machine).outdated(DOMAIN, at) == said
    before = relay_plan.plan(relay.machine, issuing.now())
    then = relay_plan.plan(relay.machine, at)
    assert (
        (before.tls_chain != then.tls_chain) == (before.tls_other != then.tls_other) == bool(said)
    )


def test_the_relays_own_certificate_outlives_a_clock_that_is_back_for_less_than_an_hour(
    relay: fake_node.FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = 0.0
    monkeypatch.setattr(
        timely_pairs, "time", types.SimpleNamespace(monotonic=lambda: 1000.0 + passed)
    )
    pairs = timely_pairs.TimelyPairs(relay.machine)
    now, back = issuing.now(), issuing.now() - 8 * issuing.DAY
    anew = "the relay's own certificate is to be made anew"
    for passed, at, said in (
        (0.0, back, ""),
        (3599.0, back, ""),
        (3600.0, now, ""),
        (3601.0, back, ""),
        (7200.0, back, ""),
        (7201.0, back, anew),
        (7202.0, back, anew),
        (7203.0, now, ""),
    ):
        assert pairs.outdated(DOMAIN, at) == said, passed
    before, then = (relay_plan.plan(relay.machine, at) for at in (now, back))
    assert before.tls_chain != then.tls_chain
    assert before.tls_other != then.tls_other


def test_what_is_served_goes_on_being_served_when_the_relay_gets_another_name(
    relay: fake_node.FakeNode,
) -> None:
    pair = issuing.Authority().issue(DOMAIN)
    tell(relay, pair)
    assert run(relay) == 0
    relay.write(constants.MAIL_ENV_FILE, mail_env.render(DOMAIN, HOSTNAME))
    assert run(relay) == 0
    assert relay.read(constants.TLS_SERVED_FILE) == pair.key + pair.chain


def test_a_document_that_is_damaged_leaves_what_is_served(
    relay: fake_node.FakeNode, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = issuing.Authority().issue(DOMAIN)
    tell(relay, pair)
    assert run(relay) == 0
    relay.path(constants.TLS_TOLD_FILE).write_bytes(b"{}")
    assert run(relay) == 78
    assert relay.read(constants.TLS_SERVED_FILE) == pair.key + pair.chain
    assert "the certificate's document" in capsys.readouterr().err
    assert reported(relay).chain == pair.chain


def test_the_relays_own_certificate_names_its_addresses(relay: fake_node.FakeNode) -> None:
    keys = served_keys(relay)
    tell(relay, None, "192.0.2.7", "2001:db8::7")
    assert run(relay) == 0
    named = served(relay)
    for bundle in named:
        chain = tls_pairs.chain_of(bundle)
        assert tls_pairs.served(chain).names == (DOMAIN, "192.0.2.7", "2001:db8::7")
    assert served_keys(relay) == keys
    # A client that has pinned it goes on, where one of them is taken away.
    tell(relay, None, "192.0.2.7")
    assert run(relay) == 0
    assert served(relay) == named


def test_a_certificate_that_is_a_link_is_refused_and_the_link_stays(
    relay: fake_node.FakeNode, capsys: pytest.CaptureFixture[str]
) -> None:
    link = relay.path(constants.TLS_CERTIFICATE_FILE)
    elsewhere = link.with_name("elsewhere.pem")
    link.rename(elsewhere)
    link.symlink_to(elsewhere)

    assert run(relay) == 78
    assert link.readlink() == elsewhere
    assert capsys.readouterr().err == (
        "exordos-mail-configure: /etc/exim4/tls/fullchain.pem: a symbolic link; "
        "install the file itself\n"
    )


def test_half_of_an_installation_is_refused(
    relay: fake_node.FakeNode, capsys: pytest.CaptureFixture[str]
) -> None:
    key, chain = authority.issue(DOMAIN)
    relay.path(constants.TLS_CERTIFICATE_FILE).write_bytes(chain)

    before = relay.path(constants.TLS_SERVED_FILE).read_bytes()
    assert run(relay) == 78
    assert relay.path(constants.TLS_SERVED_FILE).read_bytes() == before
    assert capsys.readouterr().err == (
        "exordos-mail-configure: the installed TLS certificate belongs to another private key\n"
    )
    relay.path(constants.TLS_PRIVATE_KEY_FILE).write_bytes(key)
    assert run(relay) == 0
    assert relay.path(constants.TLS_SERVED_FILE).read_bytes() == key + chain


def test_an_image_that_served_the_installed_files_themselves_is_replaced(
    relay: fake_node.FakeNode,
) -> None:
    before = served(relay)
    for name in (
        *SERVED,
        constants.EXIM_CONFIG_FILE,
        constants.CONFIGURE_STATE_FILE,
    ):
        relay.path(name).unlink()

    assert run(relay) == 0
    assert served(relay) == before
    assert relay.calls()[1:] == RESTART


def test_a_relay_that_served_one_pair_goes_on_with_it_and_has_another_beside_it(
    relay: fake_node.FakeNode,
) -> None:
    first, _ = served(relay)
    for name in (
        *(constants.TLS_OTHER_FILE, constants.TLS_OTHER_SERVED_FILE),
        *(constants.EXIM_CONFIG_FILE, constants.CONFIGURE_STATE_FILE),
    ):
        relay.path(name).unlink()

    assert run(relay) == 0
    assert served(relay)[0] == first
    own, other = served_keys(relay)
    assert isinstance(own, ec.EllipticCurvePublicKey)
    assert isinstance(other, rsa.RSAPublicKey)
    assert dns_names(relay, constants.TLS_OTHER_SERVED_FILE) == [DOMAIN]
    fingerprint = tls_pairs.served(reported(relay).chain).fingerprint_sha256
    assert fingerprint == tls_pairs.served(tls_pairs.chain_of(first)).fingerprint_sha256
    relay.calls()
    assert run(relay) == 0
    assert relay.calls() == []


def test_a_pair_that_was_made_anew_beside_the_first_needs_a_reload_alone(
    relay: fake_node.FakeNode,
) -> None:
    first, other = served(relay)
    relay.path(constants.TLS_OTHER_FILE).write_text("damaged")

    assert run(relay) == 0
    assert relay.calls() == RELOAD
    assert served(relay)[0] == first
    assert served(relay)[1] not in {first, other}


@pytest.mark.parametrize("name", SERVED)
@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda path: path.unlink(), id="lost"),
        pytest.param(lambda path: path.write_text("harmed"), id="harmed"),
        pytest.param(lambda path: path.chmod(0o600), id="unreadable for exim"),
    ],
)
def test_what_exim_serves_is_made_good(
    relay: fake_node.FakeNode, name: str, harm: tp.Callable[[pathlib.Path], object]
) -> None:
    file = relay.path(name)
    before = (file.read_bytes(), file.stat().st_mode)
    harm(file)

    assert run(relay) == 0
    assert (file.read_bytes(), file.stat().st_mode) == before


def test_a_crash_anywhere_is_made_good_by_the_next_run(
    node: fake_node.FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Crash(BaseException):
        pass

    steps = left = 0
    whole = type(node.machine).ensure_file

    def crashing(*args: tp.Any, **kwargs: tp.Any) -> bool:
        nonlocal left
        if left == 0:
            raise Crash
        left -= 1
        return whole(*args, **kwargs)

    while True:
        left = steps
        with monkeypatch.context() as patch:
            patch.setattr(type(node.machine), "ensure_file", crashing)
            try:
                status = run(node)
            except Crash:
                status = None
        if status is not None:
            break
        steps += 1
    assert status == 0
    assert steps > len(constants.RELAY_FILES)
    first = relay_files(node)
    node.calls()

    assert run(node) == 0
    assert (relay_files(node), node.calls()) == (first, [])
