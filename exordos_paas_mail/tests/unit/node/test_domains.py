# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""driver: the table of domains and its DKIM keys follow their target, and drift shows."""

from __future__ import annotations

import functools
import json
import os
import typing as tp

import pytest
from cryptography.hazmat.primitives import serialization

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import dkim, dkim_values, mail_env
from exordos_paas_mail.node import kept, parts
from exordos_paas_mail.node.commands import keep, status
from exordos_paas_mail.node.parts import domains
from exordos_paas_mail.tests.unit.node import agent_stage, fake_node

if tp.TYPE_CHECKING:
    import pathlib

DOMAIN = agent_stage.DOMAIN
ALICE = agent_stage.ALICE
SHOP = "shop.example"
PRIMARY_LINE = f"{DOMAIN}:send:platform/rsa/sign\n"
SHOP_LINE = f"{SHOP}:send:m1e/ed25519/sign m1r/rsa/sign\n"
TABLE = PRIMARY_LINE + SHOP_LINE
RSA_FILE = f"{constants.DKIM_DOMAINS_DIR}/{SHOP}/m1r.private"
ED25519_FILE = f"{constants.DKIM_DOMAINS_DIR}/{SHOP}/m1e.private"


# Another than the fake node's; it takes a while to make one.
shop_key = functools.cache(dkim.generate)


@pytest.fixture
def configured(stage: agent_stage.Stage) -> agent_stage.Stage:
    stage.fake.configured(DOMAIN)
    stage.fake.write(constants.MAIL_ENV_FILE, mail_env.render(DOMAIN))
    return stage


@pytest.fixture
def told(configured: agent_stage.Stage) -> agent_stage.Stage:
    """Return a node that has settled with a further domain, whose RSA key was there before."""
    stage = configured
    path = stage.fake.path(RSA_FILE)
    path.parent.mkdir(parents=True)
    path.write_bytes(shop_key())
    stage.want(ALICE, domains=TABLE)
    stage.turn()
    stage.turn()
    assert stage.settled, stage.value
    return stage


def keys(stage: agent_stage.Stage) -> dict[tuple[str, str], str]:
    """Return the public keys that the node tells."""
    values = dkim_values.parse(stage.value["dkim_keys"])
    return {(value.domain, value.selector): value.public_key for value in values}


def test_a_new_table_is_written_and_its_keys_are_made_and_told(
    configured: agent_stage.Stage,
) -> None:
    told = configured
    told.want(ALICE, domains=TABLE)
    told.turn()

    path = told.fake.path(constants.DOMAINS_FILE)
    directory = told.fake.path(constants.DKIM_DOMAINS_DIR)

    assert path.read_text() == TABLE
    assert {name.relative_to(directory).as_posix() for name in directory.rglob("*")} == {
        SHOP,
        f"{SHOP}/m1e.private",
        f"{SHOP}/m1r.private",
    }
    assert path.stat().st_mode & 0o7777 == 0o640
    assert {name.stat().st_mode & 0o7777 for name in (directory, directory / SHOP)} == {0o750}
    assert {name.stat().st_mode & 0o7777 for name in (directory / SHOP).iterdir()} == {0o640}
    primary = told.fake.path(constants.DKIM_PRIVATE_KEY_FILE).read_bytes()
    rsa = told.fake.path(RSA_FILE).read_bytes()
    ed25519 = told.fake.path(ED25519_FILE).read_bytes()
    assert keys(told) == {
        (DOMAIN, "platform"): dkim.public_key_of(primary),
        (SHOP, "m1r"): dkim.public_key_of(rsa),
        (SHOP, "m1e"): dkim.public_key_of(ed25519, "ed25519"),
    }
    assert told.value["domains"] == TABLE
    assert (told.value["status"], told.value["error"]) == ("ACTIVE", "")


def test_no_private_key_is_told(told: agent_stage.Stage) -> None:
    said = json.dumps(told.fact, default=str)
    assert "PRIVATE" not in said
    for name in (RSA_FILE, ED25519_FILE, constants.DKIM_PRIVATE_KEY_FILE):
        # RSA's begins with its modulus, which is public.
        private = told.fake.read(name).splitlines()[-3 if name != ED25519_FILE else 1]
        assert private not in said


def test_a_second_pass_changes_nothing(told: agent_stage.Stage) -> None:
    before = fake_node.signatures(told.fake)

    assert told.turn() == []

    assert fake_node.signatures(told.fake) == before


def test_an_agent_that_starts_anew_changes_nothing(told: agent_stage.Stage) -> None:
    before = fake_node.signatures(told.fake)
    told.boot()

    assert told.turn() == []

    assert fake_node.signatures(told.fake) == before
    assert told.settled


def test_a_new_table_owes_no_reload(told: agent_stage.Stage) -> None:
    told.want(ALICE, domains=PRIMARY_LINE + SHOP_LINE.replace(":send:", ":inactive:"))

    assert told.turn() == []

    assert told.fake.read(constants.DOMAINS_FILE).splitlines()[1].startswith(f"{SHOP}:inactive:")
    assert told.settled


def test_a_node_that_was_never_told_has_neither_table_nor_keys(settled: agent_stage.Stage) -> None:
    assert not settled.fake.path(constants.DOMAINS_FILE).exists()
    assert not settled.fake.path(constants.DKIM_DOMAINS_DIR).exists()
    assert (settled.value["domains"], settled.value["dkim_keys"]) == (None, "")
    assert settled.settled


def truncate(path: pathlib.Path) -> None:
    path.write_bytes(path.read_bytes()[:80])


def encrypt(path: pathlib.Path) -> None:
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )


def publish(path: pathlib.Path) -> None:
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    path.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )


def swap(path: pathlib.Path) -> None:
    other = "ed25519" if path.name == "m1r.private" else "rsa"
    path.write_bytes(dkim.generate(other))


def put_directory(path: pathlib.Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGE: dict[str, tp.Callable[[pathlib.Path], tp.Any]] = {
    "lost": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "garbage": lambda path: path.write_bytes(b"\x00\xff no key\n"),
    "cut": truncate,
    "encrypted": encrypt,
    "public half alone": publish,
    "of the other algorithm": swap,
    "a directory": put_directory,
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", [RSA_FILE, ED25519_FILE])
def test_a_damaged_key_is_told_and_made_anew_and_the_others_stay(
    told: agent_stage.Stage, damage: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = keys(told)
    path = told.fake.path(name)
    selector = path.name.removesuffix(".private")
    DAMAGE[damage](path)

    # As an operator sees it, before the node has repaired it.
    assert status.main([], told.fake.machine) == 1
    said = json.loads(capsys.readouterr().out)["error"]
    assert said in {
        f"the DKIM key {selector} of {SHOP} is {fault}" for fault in ("missing", "damaged")
    }
    told.turn()
    told.turn()

    assert (told.value["status"], told.settled) == ("ACTIVE", True)
    after = keys(told)
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] != before[name]} == {(SHOP, selector)}
    signatures = fake_node.signatures(told.fake)
    assert told.turn() == []
    assert fake_node.signatures(told.fake) == signatures


def test_a_sound_key_that_replaces_another_is_told_in_the_same_pass(
    told: agent_stage.Stage,
) -> None:
    path = told.fake.path(RSA_FILE)
    age = path.stat().st_mtime - 3600
    for name in (RSA_FILE, ED25519_FILE):
        os.utime(told.fake.path(name), (age, age))
    told.turn()
    other = fake_node.a_key()
    path.write_bytes(other)

    told.turn()

    assert keys(told)[SHOP, "m1r"] == dkim.public_key_of(other)
    assert told.settled


def link(path: pathlib.Path) -> None:
    elsewhere = path.with_name("elsewhere")
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda path: path.chmod(0o600), id="exim cannot read it"),
        pytest.param(lambda path: path.chmod(0o644), id="anybody can read it"),
        pytest.param(link, id="link"),
    ],
)
def test_a_whole_key_with_another_mode_stays_the_same_key(
    told: agent_stage.Stage, change: tp.Callable[[pathlib.Path], None]
) -> None:
    before = keys(told)
    path = told.fake.path(RSA_FILE)
    change(path)

    told.turn()

    assert keys(told) == before
    assert (path.stat().st_mode & 0o7777, path.is_symlink()) == (0o640, False)
    assert told.settled
    assert told.turn() == []


# chown(2) to another user is refused to anybody else; the gate runs this as root.
@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize(
    "name", [RSA_FILE, constants.DOMAINS_FILE, f"{constants.DKIM_DOMAINS_DIR}/{SHOP}"]
)
def test_a_wrong_owner_is_repaired(told: agent_stage.Stage, name: str) -> None:
    before = keys(told)
    path = told.fake.path(name)
    os.chown(path, 65534, 65534)

    told.turn()

    assert (path.stat().st_uid, path.stat().st_gid) == (os.getuid(), os.getgid())
    assert keys(told) == before
    assert told.turn() == []


@pytest.mark.parametrize(
    "directory", [constants.DKIM_DOMAINS_DIR, f"{constants.DKIM_DOMAINS_DIR}/{SHOP}"]
)
@pytest.mark.parametrize("mode", [0o700, 0o755])
def test_a_directory_with_another_mode_is_repaired(
    told: agent_stage.Stage, directory: str, mode: int
) -> None:
    before = keys(told)
    told.fake.path(directory).chmod(mode)

    told.turn()

    assert told.fake.path(directory).stat().st_mode & 0o7777 == 0o750
    assert keys(told) == before
    assert told.turn() == []


def test_a_file_where_the_directory_of_keys_was_makes_room(told: agent_stage.Stage) -> None:
    directory = told.fake.path(f"{constants.DKIM_DOMAINS_DIR}/{SHOP}")
    directory.rename(told.fake.path("/moved"))
    directory.write_text("somebody's")

    told.turn()
    told.turn()

    assert (told.value["status"], told.settled) == ("ACTIVE", True)
    assert told.fake.path(RSA_FILE).exists()
    (aside,) = directory.parent.glob(f"{SHOP}.aside-*")
    assert aside.read_text() == "somebody's"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="emptied"),
        pytest.param(PRIMARY_LINE, id="line removed"),
        pytest.param(TABLE.replace(":send:m1e", ":pending:m1e"), id="use changed"),
        pytest.param("\xff\xfe", id="not text"),
        pytest.param(None, id="lost"),
    ],
)
def test_an_edit_by_hand_is_undone_and_no_key_is_lost(
    told: agent_stage.Stage, text: str | None
) -> None:
    before = keys(told)
    path = told.fake.path(constants.DOMAINS_FILE)
    if text is None:
        path.unlink()
    else:
        path.write_text(text, encoding="latin-1")

    told.turn()
    told.turn()

    assert (path.read_text(), keys(told)) == (TABLE, before)
    assert told.settled


def test_a_key_that_is_no_longer_listed_goes_and_the_next_is_made(told: agent_stage.Stage) -> None:
    before = keys(told)
    line = f"{SHOP}:send:m1e/ed25519/sign m2r/rsa/hold\n"
    told.want(ALICE, domains=PRIMARY_LINE + line)

    told.turn()

    names = [path.name for path in told.fake.path(RSA_FILE).parent.iterdir()]
    assert sorted(names) == ["m1e.private", "m2r.private"]
    after = keys(told)
    assert set(after) == {(DOMAIN, "platform"), (SHOP, "m1e"), (SHOP, "m2r")}
    assert after[SHOP, "m1e"] == before[SHOP, "m1e"]
    assert told.settled


def test_a_key_that_a_crash_left_behind_goes(told: agent_stage.Stage) -> None:
    left = told.fake.path(RSA_FILE).with_name("m0r.private")
    left.write_text("of an earlier table")
    told.boot()

    told.turn()

    assert not left.exists()
    assert told.settled


def test_a_domain_that_comes_back_finds_its_keys(told: agent_stage.Stage) -> None:
    before = keys(told)
    told.want(ALICE, domains=PRIMARY_LINE)
    told.turn()
    assert set(keys(told)) == {(DOMAIN, "platform")}
    told.want(ALICE, domains=TABLE)

    told.turn()

    assert keys(told) == before
    assert told.settled


def test_the_first_key_of_the_primary_is_configures(told: agent_stage.Stage) -> None:
    path = told.fake.path(constants.DKIM_PRIVATE_KEY_FILE)
    path.unlink()

    told.turn()

    # Left to configure, which is started; and not told for as long as there is none.
    assert not path.exists()
    assert not told.fake.path(f"{constants.DKIM_DOMAINS_DIR}/{DOMAIN}").exists()
    assert set(keys(told)) == {(SHOP, "m1e"), (SHOP, "m1r")}
    assert told.value["status"] == "ERROR"


def test_the_next_key_of_the_primary_is_made_beside_the_others(told: agent_stage.Stage) -> None:
    line = f"{DOMAIN}:send:m2r/rsa/hold platform/rsa/sign\n"
    told.want(ALICE, domains=line)

    told.turn()

    path = told.fake.path(f"{constants.DKIM_DOMAINS_DIR}/{DOMAIN}/m2r.private")
    assert keys(told)[DOMAIN, "m2r"] == dkim.public_key_of(path.read_bytes())


def test_a_domain_may_be_called_what_a_file_is(told: agent_stage.Stage) -> None:
    lines = "keys.private:send:platform/rsa/sign\nplatform.private:send:platform/rsa/sign\n"
    told.want(ALICE, domains=PRIMARY_LINE + lines)
    primary = told.fake.read(constants.DKIM_PRIVATE_KEY_FILE)

    told.turn()

    assert told.settled
    assert told.fake.read(constants.DKIM_PRIVATE_KEY_FILE) == primary
    assert len(set(keys(told).values())) == 3


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("", "the primary domain, is not in it", id="empty"),
        pytest.param(SHOP_LINE, "the primary domain, is not in it", id="without the primary"),
        pytest.param(
            f"{DOMAIN}:send:platform/ed25519/sign\n",
            "platform of example.com is not rsa",
            id="kind",
        ),
        pytest.param(PRIMARY_LINE + "../x:send:a/rsa/sign\n", "line 2", id="path"),
        pytest.param(PRIMARY_LINE + "x.example:send:$h/rsa/sign\n", "line 2", id="expansion"),
    ],
)
def test_a_table_that_is_none_is_refused_and_nothing_changes(
    told: agent_stage.Stage, text: str, reason: str
) -> None:
    before = fake_node.signatures(told.fake)
    told.want(ALICE, domains=text)

    assert told.turn() == []

    assert fake_node.signatures(told.fake) == before
    assert told.value["status"] == "ERROR"
    assert reason in told.value["error"]


def test_a_full_disk_is_an_error_and_the_old_table_stays(
    told: agent_stage.Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    told.want(ALICE, domains=TABLE + "web.example:pending:m1r/rsa/hold\n")

    with monkeypatch.context() as patch:
        fake_node.full_root_disk(patch)
        told.turn()

    assert told.fake.read(constants.DOMAINS_FILE) == TABLE
    assert told.value["status"] == "ERROR"
    assert "domains: [Errno 28] No space left on device" in told.value["error"]

    told.turn()
    assert (told.value["status"], told.settled) == ("ACTIVE", True)


def test_keys_are_there_before_a_table_that_names_them(
    told: agent_stage.Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = domains.Domains(told.fake.machine)
    seen: list[bool] = []
    whole = type(told.fake.machine).ensure_file

    def ensure_file(node: tp.Any, name: str, *args: tp.Any, **kwargs: tp.Any) -> bool:
        if name == constants.DOMAINS_FILE:
            directory = told.fake.path(RSA_FILE).parent
            seen.extend((directory / f"{name}.private").exists() for name in ("m2r", "m1r"))
        return whole(node, name, *args, **kwargs)

    monkeypatch.setattr(type(told.fake.machine), "ensure_file", ensure_file)

    assert part.ensure(PRIMARY_LINE + f"{SHOP}:send:m2r/rsa/sign\n")

    assert seen == [True, True]
    assert not told.fake.path(RSA_FILE).exists()


def test_the_keeper_repairs_keys_and_table_with_nobody_to_ask(told: agent_stage.Stage) -> None:
    keeper = keep.Keeper(told.fake.machine)
    assert keeper.turn() == []
    told.fake.path(ED25519_FILE).write_bytes(b"")
    told.fake.path(constants.DOMAINS_FILE).write_text(PRIMARY_LINE)

    assert keeper.turn() == ["domains repaired"]

    assert told.fake.read(constants.DOMAINS_FILE) == TABLE
    assert dkim.public_key_of(told.fake.path(ED25519_FILE).read_bytes(), "ed25519")
    assert keeper.turn() == []


def test_the_table_is_kept_for_when_there_is_nobody_to_ask(told: agent_stage.Stage) -> None:
    target = kept.Kept(told.fake.machine).read()

    assert target is not None
    assert target.texts["domains"] == TABLE
    assert set(target.texts) <= set(parts.PARTS)
