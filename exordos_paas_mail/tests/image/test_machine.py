# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The disk image as it is published, booted as a virtual machine."""

from __future__ import annotations

import pathlib
import typing as tp

import pytest

from exordos_paas_mail import constants
from exordos_paas_mail.tests.image import costly_logins, guests, machines

_IMAGE = pathlib.Path(__file__).parents[3] / f"output/images/{constants.IMAGE_NAME}.raw.zst"
_GIGABYTE = 2**30


@pytest.fixture
def machine(tmp_path: pathlib.Path) -> tp.Iterator[machines.Machine]:
    """Make a machine with a new data disk of 8 GB, the smallest there is."""
    made = machines.Machine(
        tmp_path, machines.unpack(_IMAGE, tmp_path), constants.DISK_SIZE_MIN * _GIGABYTE
    )
    yield made
    made.destroy()


def data_size(guest: guests.Guest) -> int:
    """Return the size of the data disk's file system in whole gigabytes, rounded."""
    shown = guest.run("findmnt", "--noheadings", "--bytes", "--output", "SIZE", "/persist")
    return round(int(shown) / _GIGABYTE)


# Only against a hang: what others take from an emulated machine would count here.
@pytest.mark.timeout(3600)
def test_a_disk_image_becomes_a_relay_and_keeps_mail_and_keys_through_a_new_image(
    machine: machines.Machine,
) -> None:
    machine.boot()
    assert data_size(machine) == 8
    guests.deliver_mail_env(machine)
    assert guests.set_account(machine)["status"] == "ACTIVE"
    codes = {port: guests.log_in(machine, port) for port in (25, 465, 587)}
    assert codes == {25: 235, 465: 235, 587: 235}
    costly_logins.end_and_the_relay_goes_on(machine)
    guests.send(machine)
    guests.wait_for_queue(machine, 1)
    before = guests.facts(machine)

    machine.shut_down()
    machine.replace_root()
    machine.resize_data(10 * _GIGABYTE)
    machine.boot()
    guests.deliver_mail_env(machine)
    assert guests.set_account(machine)["status"] == "ACTIVE"

    assert guests.facts(machine) == before
    assert guests.log_in(machine, 587) == 235
    assert data_size(machine) == 10
