# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""`exordos build` by packer 1.6, a distribution's, on a machine without KVM.

Run as ``python -m imaging.older_packer PACKER ARGUMENT...`` in place of packer. The
profiles of the exordos CLI are for packer 1.7: this drops what 1.6 cannot read
(plugins, data sources, cd_content) and gives the guest the same by what 1.6 has.
The base image is taken from MAILAAS_BASE_REPOSITORY in place of the platform's.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import typing as tp

from imaging import commands

# A guest without KVM takes minutes where the profile allows seconds.
_PATIENCE: tp.Final = "20m"
# Patterns in a profile, each found once, and what comes in their place.
_PROFILE: tp.Final = (
    (r"^locals \{\n(?:[ }].*\n|\n)*?^\}\n", ""),
    (r'^data "sshkey" "install" \{\n.*\n\}\n', ""),
    (r'(iso_url += )"https?://[^/]+/', r'\1"{repository}/'),
    (r'(iso_checksum += )"file:https?://[^/]+/', r'\1"file:{repository}/'),
    (r'accelerator += "kvm"', 'accelerator = "tcg"'),
    (r"^ +cpu_model .*\n", ""),
    (r'ssh_timeout += ".*"', f'ssh_timeout = "{_PATIENCE}"\n  shutdown_timeout = "{_PATIENCE}"'),
    (
        r"qemuargs += .*",
        'qemuargs = [["-cpu", "max"], ["-serial", "file:{home}/console.log"], ["-smbios",'
        ' "type=1,serial=ds=nocloud-net;s=http://{{{{ .HTTPIP }}}}:{{{{ .HTTPPort }}}}/"]]',
    ),
    (r"data\.sshkey\.install\.private_key_path", '"{home}/key"'),
    (r"^ +cd_label .*\n", '  http_directory = "{home}/seed"\n'),
    (r"^ +cd_content .*\n", ""),
    (r"\$\{source\.name\}", "{name}"),
)


class ProfileError(ValueError):
    """This profile is not like those known; the message says where."""


def profile(text: str, name: str, repository: str, home: str) -> str:
    """Return a profile's source as packer 1.6 reads it.

    *name* is that of the image, *repository* the URL of the base images, *home*
    the directory of ``seed``. Raises ProfileError where something is not in it once.
    """
    for pattern, replacement in _PROFILE:
        value = replacement.format(name=name, repository=repository, home=home)
        text, count = re.subn(pattern, value, text, flags=re.MULTILINE)
        if count != 1:
            raise ProfileError(f"{pattern} is in the profile {count} times, not once")
    return text


def main_file(text: str) -> str:
    """Return the source of the build itself: a script's environment is a list in 1.6."""

    def listed(found: re.Match[str]) -> str:
        pairs = re.findall(r'^ *(\w+) *= *"(.*)"$', found[1], flags=re.MULTILINE)
        return f"environment_vars = {json.dumps([f'{name}={value}' for name, value in pairs])}"

    return re.sub(r"\benv += \{\n(.*?)^ *\}$", listed, text, flags=re.MULTILINE | re.DOTALL)


def seed(home: pathlib.Path) -> None:
    """Make a key in *home*, and what cloud-init reads to let it in."""
    commands.run("ssh-keygen", "-q", "-t", "rsa", "-m", "PEM", "-N", "", "-f", str(home / "key"))
    directory = home / "seed"
    directory.mkdir()
    public = (home / "key.pub").read_text().strip()
    keys = json.dumps({"ssh_authorized_keys": [public]})
    (directory / "user-data").write_text(f"#cloud-config\n{keys}\n")
    (directory / "meta-data").write_text(json.dumps({"instance-id": "iid-local01"}))


def main(arguments: tp.Sequence[str]) -> int:
    """Do what packer is asked for; return its exit status."""
    program, verb, *rest = arguments
    if verb == "init":  # 1.6 has its plugins inside
        return 0
    if verb != "build":
        return subprocess.run([program, verb, *rest], check=False).returncode
    *options, given = rest
    with tempfile.TemporaryDirectory(prefix="packer-") as scratch:
        home = pathlib.Path(scratch)
        seed(home)
        sources = home / "sources"
        shutil.copytree(given, sources)
        (sources / "plugins.pkr.hcl").unlink()
        build = sources / "main.pkr.hcl"
        (name,) = re.findall(r'^ +name = "(.*)"$', build.read_text(), flags=re.MULTILINE)
        repository = os.environ["MAILAAS_BASE_REPOSITORY"]
        for file in sorted(set(sources.glob("*.pkr.hcl")) - {build}):
            file.write_text(profile(file.read_text(), name, repository, scratch))
        build.write_text(main_file(build.read_text()))
        status = subprocess.run([program, verb, *options, str(sources)], check=False).returncode
        if status and (console := home / "console.log").exists():
            print(console.read_text(errors="replace")[-4000:], file=sys.stderr)
        return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
