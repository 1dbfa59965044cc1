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

SCRIPT = pathlib.Path(__file__).parents[4] / "exordos/images/dp_bootstrap.sh"
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
    ("/var/lib/exordos/mail_events", "events", "Debian-exim", "Debian-exim", "0700"),
]
PREPARED = [
    "find_persistent_disk",
    "prepare_persistent_disk /dev/vdb /persist ext4",
    "mountpoint --quiet /persist",
]
GROWTH = [
    "findmnt --noheadings --output SOURCE --mountpoint /persist",
    "lsblk --noheadings --nodeps --paths --output PKNAME {0}",
    "cat /sys/class/block/{1}/partition",
    "growpart /dev/vdb 1",
    "resize2fs {0}",
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
    "runuser --user=Debian-exim -- find /var/spool/exim4 -maxdepth 2 -path */db/* -type f"
    " ! -name *.lockfile -delete",
    CONFIGURE,
    "systemctl --no-block start"
    " exordos-mail-events.service exordos-mail-queue.service exordos-mail-webhooks.service",
    "systemctl --no-block start exordos-mail-policy.service exordos-mail-sts.service",
]
# Of a container: its data disk is a directory, which does not grow.
DONE = [*PREPARED, GROWTH[0], *MIGRATED, *FINISHED]

RECORD = """
call="${0##*/} $*"
printf '%s\\n' "$call" >>"$CALLS"
if [[ -n $FAILING && $call == "$FAILING"* ]]; then
  echo refused >&2
  exit "$STATUS"
fi
"""
STUBS = {
    "cat": 'printf "1\\n"\n',
    "chmod": "",
    "find": "",
    "findmnt": 'printf "%s\\n" "$DATA_SOURCE"\n',
    "growpart": 'printf "CHANGED: partition=1\\n"\n',
    "install": "",
    "lsblk": 'printf "/dev/vdb\\n"\n',
    "mountpoint": "",
    "resize2fs": 'printf "resize2fs 1.47.0 (5-Feb-2023)\\n" >&2\n',
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

    def __init__(self, home: pathlib.Path, source: str = "/volumes/data") -> None:
        self.home = home
        self.source = source
        (home / "lib.sh").write_text(LIBRARY)
        (home / "bin").mkdir()
        for name, body in STUBS.items():
            stub = home / "bin" / name
            stub.write_text(f"#!/bin/bash\n{RECORD}{body}")
            stub.chmod(0o755)

    @property
    def growth(self) -> list[str]:
        """The commands that grow a data disk with a partition."""
        return [call.format(self.source, pathlib.Path(self.source).name) for call in GROWTH]

    def run(self, failing: str = "", status: int = 7) -> Run:
        calls = self.home / "calls"
        calls.unlink(missing_ok=True)
        environment = {
            "PATH": f"{self.home}/bin:{os.environ['PATH']}",
            "EXORDOS_BOOTSTRAP_LIB": str(self.home / "lib.sh"),
            "CALLS": str(calls),
            "FAILING": failing,
            "STATUS": str(status),
            "DATA_SOURCE": self.source,
        }
        done = subprocess.run(
            ["bash", SCRIPT], env=environment, capture_output=True, text=True, check=False
        )
        said = calls.read_text().splitlines() if calls.exists() else []
        return Run(done.returncode, [line.rstrip() for line in said], done.stderr)


@pytest.fixture
def bootstrap(tmp_path: pathlib.Path) -> Bootstrap:
    return Bootstrap(tmp_path)


@pytest.fixture
def partitioned(tmp_path: pathlib.Path) -> Bootstrap:
    """Return the script on a machine whose data disk has a partition."""
    device = next((path for path in pathlib.Path("/dev").iterdir() if path.is_block_device()), None)
    if device is None:
        pytest.skip("this machine has no block device to stand for a partition")
    (tmp_path / "vdb1").symlink_to(device)  # nothing but its type is looked at
    return Bootstrap(tmp_path, str(tmp_path / "vdb1"))


def test_everything_that_must_last_goes_to_the_data_disk_before_the_relay_is_configured(
    bootstrap: Bootstrap,
) -> None:
    assert bootstrap.run() == Run(0, DONE, "")


def test_the_second_run_gives_the_same_commands(bootstrap: Bootstrap) -> None:
    assert bootstrap.run() == bootstrap.run()


@pytest.mark.parametrize("stage", [*PREPARED, *MIGRATED, *FINISHED])
def test_the_relay_is_not_configured_when_a_stage_fails(bootstrap: Bootstrap, stage: str) -> None:
    failed = bootstrap.run(failing=stage)

    assert failed.status != 0
    assert failed.calls == DONE[: DONE.index(stage) + 1]


@pytest.mark.parametrize("stage", DONE)
def test_a_run_after_a_failed_one_does_everything(bootstrap: Bootstrap, stage: str) -> None:
    bootstrap.run(failing=stage)

    assert bootstrap.run() == Run(0, DONE, "")


@pytest.mark.parametrize("status", [0, 1], ids=["grown", "nothing to grow into"])
def test_a_data_disk_that_grew_is_used_whole(partitioned: Bootstrap, status: int) -> None:
    done = partitioned.run(failing="growpart" if status else "", status=status)

    assert done == Run(0, [*PREPARED, *partitioned.growth, *MIGRATED, *FINISHED], "")


@pytest.mark.parametrize("stage", range(len(GROWTH)), ids=[call.split()[0] for call in GROWTH])
def test_a_data_disk_that_cannot_be_grown_is_served_and_the_unit_fails(
    partitioned: Bootstrap, stage: int
) -> None:
    """resize2fs refuses a file system that was marked with an error."""
    failing = partitioned.growth[stage]

    failed = partitioned.run(failing=failing)

    assert failed.status != 0
    assert failed.calls == [
        *PREPARED,
        *partitioned.growth[: stage + 1],
        *MIGRATED,
        *FINISHED,
    ]
    last = "[mail-bootstrap] data disk in place, but it could not be grown\n"
    why = {
        "growpart": f"[mail-bootstrap] cannot grow {partitioned.source} on /dev/vdb: refused\n",
        "resize2fs": (
            f"[mail-bootstrap] cannot grow the file system on {partitioned.source}: refused\n"
        ),
    }
    assert failed.errors == why.get(failing.split()[0], "refused\n") + last
    assert partitioned.run().status == 0


def test_a_node_without_a_data_disk_is_told_so(bootstrap: Bootstrap) -> None:
    assert bootstrap.run(failing="find_persistent_disk").errors == (
        "[mail-bootstrap] no data disk: refusing to keep mail on the root disk\n"
    )


def test_a_missing_library_stops_at_once(bootstrap: Bootstrap) -> None:
    (bootstrap.home / "lib.sh").unlink()

    failed = bootstrap.run()

    assert (failed.status != 0, failed.calls) == (True, [])
