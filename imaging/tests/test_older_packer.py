# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What packer 1.6 is given in place of what the exordos CLI writes for 1.7."""

from __future__ import annotations

import json
import subprocess
import sys
import typing as tp

import pytest

from imaging import older_packer

if tp.TYPE_CHECKING:
    import pathlib

# What of exordos_base (CLI 3.2.29) is changed, with a line of each kind that is not.
_PROFILE: tp.Final = """\
locals {
  cd_content = {
    "meta-data" = yamlencode({
      instance-id = "iid-local01"
    })
  }
}

variable cpus {
  type    = number
  default = 4
}

data "sshkey" "install" {
  name = "packer"
}

source "qemu" "exordos-base" {
  iso_url                   = "https://base.example/exordos-base/${var.profile_version}/b.qcow2"
  iso_checksum              = "file:https://base.example/exordos-base/${var.profile_version}/SUMS"
  accelerator               = "kvm"
  cpu_model                 = "host"
  memory                    = var.memory
  ssh_timeout               = "30s"
  qemuargs                  = [["-serial", "stdio"]]
  vm_name                   = "${source.name}.${var.img_format}"
  ssh_private_key_file      = data.sshkey.install.private_key_path
  cd_label                  = "cidata"
  cd_content                = local.cd_content
}
"""
_TRANSLATED: tp.Final = """\

variable cpus {
  type    = number
  default = 4
}


source "qemu" "exordos-base" {
  iso_url                   = "http://here/exordos-base/${var.profile_version}/b.qcow2"
  iso_checksum              = "file:http://here/exordos-base/${var.profile_version}/SUMS"
  accelerator = "tcg"
  memory                    = var.memory
  ssh_timeout = "20m"
  shutdown_timeout = "20m"
  qemuargs = [["-cpu", "max"], ["-serial", "file:/home/console.log"], ["-smbios", \
"type=1,serial=ds=nocloud-net;s=http://{{ .HTTPIP }}:{{ .HTTPPort }}/"]]
  vm_name                   = "mail.${var.img_format}"
  ssh_private_key_file      = "/home/key"
  http_directory = "/home/seed"
}
"""
_BUILD: tp.Final = """\
build {
  source "qemu.exordos-base" {
    name = "mail"
  }
  provisioner "shell" {
    script          = "dp_install.sh"
    env             = {
      GEN_IMAGE_PROFILE = "exordos_base"
UV_SYSTEM_CERTS="1"
EXORDOS_MAIL_EXIM=""
    }
  }
}
"""


def test_a_profile_is_changed_where_the_older_packer_cannot_read_it() -> None:
    assert older_packer.profile(_PROFILE, "mail", "http://here", "/home") == _TRANSLATED


def test_a_profile_of_another_kind_is_refused() -> None:
    other = _PROFILE.replace("kvm", "hvf")
    with pytest.raises(older_packer.ProfileError, match="0 times, not once"):
        older_packer.profile(other, "mail", "http://here", "/home")


def test_the_environment_of_a_script_becomes_a_list() -> None:
    variables = ["GEN_IMAGE_PROFILE=exordos_base", "UV_SYSTEM_CERTS=1", "EXORDOS_MAIL_EXIM="]
    head, _, tail = _BUILD.partition("env             = {")
    expected = f"{head}environment_vars = {json.dumps(variables)}{tail[tail.index('}') + 1 :]}"
    assert older_packer.main_file(_BUILD) == expected


def test_the_guest_gets_the_key_that_packer_has(tmp_path: pathlib.Path) -> None:
    older_packer.seed(tmp_path)
    given = (tmp_path / "seed/user-data").read_text()
    header, _, rest = given.partition("\n")
    public = (tmp_path / "key.pub").read_text().strip()
    assert (header, json.loads(rest)) == ("#cloud-config", {"ssh_authorized_keys": [public]})
    assert json.loads((tmp_path / "seed/meta-data").read_text()) == {"instance-id": "iid-local01"}


def test_packer_builds_from_the_sources_as_it_reads_them(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packer, sources, seen = (tmp_path / name for name in ("packer", "sources", "seen"))
    packer.write_text(f'#!/bin/sh\necho "$1 $2" >{seen}\ncd "$3" && ls >>{seen}\nexit 3\n')
    packer.chmod(0o755)
    sources.mkdir()
    for name, text in (("main", _BUILD), ("base", _PROFILE), ("plugins", "packer {}")):
        (sources / f"{name}.pkr.hcl").write_text(text)
    monkeypatch.setenv("MAILAAS_BASE_REPOSITORY", "http://here")

    given = [str(packer), "build", "-parallel-builds=1", str(sources)]
    assert older_packer.main(given) == 3
    assert seen.read_text() == "build -parallel-builds=1\nbase.pkr.hcl\nmain.pkr.hcl\n"


def test_there_are_no_plugins_to_fetch() -> None:
    command = [sys.executable, "-m", "imaging.older_packer", "/nonexistent", "init", "."]
    assert subprocess.run(command, check=False).returncode == 0
