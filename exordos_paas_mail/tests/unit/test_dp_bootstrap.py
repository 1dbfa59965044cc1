# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""dp_bootstrap.sh on stubs: every command it gives is recorded, any can fail.

The same script runs for real, on a real disk and on a real library, in the
image tests.
"""

import os
import pathlib
import subprocess
import typing as tp

import pytest

SCRIPT = pathlib.Path(__file__).parents[3] / "exordos/images/dp_bootstrap.sh"
CONFIGURE = "systemctl --no-block restart exordos-metapaas-mail-configure.service"
OWN = (
    "find {0} ( ! -user {1} -o ! -group {2} ) -exec chown --no-dereference {1}:{2} {{}} +",
    "chmod {3} {0}",
)
DIRECTORIES = [
    ("/var/spool/exim4", "spool", "Debian-exim", "Debian-exim", "0750"),
    ("/etc/exim4/dkim", "dkim", "root", "Debian-exim", "0750"),
    ("/etc/exim4/tls", "tls", "root", "Debian-exim", "0750"),
    ("/var/lib/exordos/exordos_paas_mail", "agent", "root", "root", "0700"),
    ("/var/log/exim4", "log", "Debian-exim", "adm", "2750"),
]
PREPARED = [
    "find_persistent_disk",
    "prepare_persistent_disk /dev/vdb /persist ext4",
    "mountpoint --quiet /persist",
    "findmnt --noheadings --output SOURCE --mountpoint /persist",
]
MIGRATED = [
    call
    for path, name, user, group, mode in DIRECTORIES
    for call in (
        f"install -d {path} /persist/mail",
        f"migrate_to_persistent {path} /persist/mail/{name}",
        f"mountpoint --quiet {path}",
        *(own.format(path, user, group, mode) for own in OWN),
    )
]
FINISHED = [
    "persist_migrate_complete",
    "runuser --user=Debian-exim -- exordos-mail-sweep-spool",
    CONFIGURE,
]

RECORD = """
call="${0##*/} $*"
printf '%s\\n' "$call" >>"$CALLS"
[[ -z $FAILING || $call != "$FAILING"* ]] || exit 7
"""
STUBS = {
    "chmod": "",
    "find": "",
    "findmnt": 'printf "%s\\n" "$DATA_SOURCE"\n',
    "install": "",
    "mountpoint": "",
    "runuser": "",
    "systemctl": "",
}
LIBRARY = """
PERSISTENT_MOUNT=/persist
record() {
  printf '%s\\n' "$*" >>"$CALLS"
  [[ -z $FAILING || $* != "$FAILING"* ]]
}
find_persistent_disk() { record find_persistent_disk && printf '/dev/vdb\\n'; }
prepare_persistent_disk() { record prepare_persistent_disk "$@"; }
migrate_to_persistent() { record migrate_to_persistent "$@"; }
persist_migrate_complete() { record persist_migrate_complete; }
"""


class Run(tp.NamedTuple):
    status: int
    calls: list[str]
    errors: str


class Bootstrap:
    """The script in a world of stubs."""

    def __init__(self, home: pathlib.Path) -> None:
        self.home = home
        (home / "lib.sh").write_text(LIBRARY)
        (home / "bin").mkdir()
        for name, body in STUBS.items():
            stub = home / "bin" / name
            stub.write_text(f"#!/bin/bash\n{RECORD}{body}")
            stub.chmod(0o755)

    def run(self, failing: str = "") -> Run:
        calls = self.home / "calls"
        calls.unlink(missing_ok=True)
        environment = {
            "PATH": f"{self.home}/bin:{os.environ['PATH']}",
            "EXORDOS_BOOTSTRAP_LIB": str(self.home / "lib.sh"),
            "CALLS": str(calls),
            "FAILING": failing,
            "DATA_SOURCE": "/volumes/data",
        }
        done = subprocess.run(
            ["bash", SCRIPT], env=environment, capture_output=True, text=True, check=False
        )
        said = calls.read_text().splitlines() if calls.exists() else []
        return Run(done.returncode, [line.rstrip() for line in said], done.stderr)


@pytest.fixture
def bootstrap(tmp_path: pathlib.Path) -> Bootstrap:
    return Bootstrap(tmp_path)


def test_everything_that_must_last_goes_to_the_data_disk_before_the_relay_is_configured(
    bootstrap: Bootstrap,
) -> None:
    assert bootstrap.run() == Run(0, [*PREPARED, *MIGRATED, *FINISHED], "")


def test_the_second_run_gives_the_same_commands(bootstrap: Bootstrap) -> None:
    assert bootstrap.run() == bootstrap.run()


@pytest.mark.parametrize("stage", [*PREPARED, *MIGRATED, *FINISHED])
def test_the_relay_is_not_configured_when_a_stage_fails(bootstrap: Bootstrap, stage: str) -> None:
    failed = bootstrap.run(failing=stage)

    everything = [*PREPARED, *MIGRATED, *FINISHED]
    assert failed.status != 0
    assert failed.calls == everything[: everything.index(stage) + 1]


@pytest.mark.parametrize("stage", [*PREPARED, *MIGRATED, *FINISHED])
def test_a_run_after_a_failed_one_does_everything(bootstrap: Bootstrap, stage: str) -> None:
    bootstrap.run(failing=stage)

    assert bootstrap.run() == Run(0, [*PREPARED, *MIGRATED, *FINISHED], "")


def test_a_node_without_a_data_disk_is_told_so(bootstrap: Bootstrap) -> None:
    assert bootstrap.run(failing="find_persistent_disk").errors == (
        "[mail-bootstrap] no data disk: refusing to keep mail on the root disk\n"
    )


def test_a_missing_library_stops_at_once(bootstrap: Bootstrap) -> None:
    (bootstrap.home / "lib.sh").unlink()

    failed = bootstrap.run()

    assert (failed.status != 0, failed.calls) == (True, [])
